//! Reading the ledger beside its writer, or without one.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::model::{IncidentId, Record, Seq};

use super::LedgerError;
use super::folder::{LEDGER_FILE, with_suffix};
use super::hash::{ChainId, Place};
use super::prove::{self, Bounds};
use super::schema::{self, Access, Unusable};

/// A connection that can't write. Works while the agent writes: each question sees the ledger as of one moment.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// From where to where a chain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub chain: ChainId,
    /// The place before the oldest record that is kept.
    pub anchor: Place,
    /// The newest record.
    pub head: Place,
    /// The last record that the relay has acknowledged; 0 when none.
    pub acknowledged: Seq,
}

/// What a full proof of a ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every record is proven, and the pages and indexes of the file are sound.
    Sound { extent: Extent, records: u64 },
    /// Proven up to `last`, and not beyond.
    Broken { last: Option<Place>, records: u64, why: String },
}

/// A record in its place, as it is stored: whoever has it and the hash before it can prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub place: Place,
    /// The stored text of the entry.
    pub json: String,
}

/// A piece of the chain, for whoever ships it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub extent: Extent,
    /// The place before the first record, or before whatever comes next.
    pub before: Place,
    pub records: Vec<Proven>,
}

impl Reader {
    /// Opens the ledger in a folder, or a ledger's file.
    ///
    /// # Errors
    /// There is none, it can't be opened, or it is not one that this version reads.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let reader = Self::connect(path)?;
        schema::check(&reader.connection).map_err(|error| error.at(&reader.path))?;
        Ok(reader)
    }

    pub(super) fn connect(path: &Path) -> Result<Self, LedgerError> {
        let path = if path.is_dir() { path.join(LEDGER_FILE) } else { path.to_owned() };
        if !path.exists() {
            return Err(LedgerError::Missing(path));
        }
        // Links in the way to the file are the caller's business; SQLite is told to follow none.
        let path = path.canonicalize().map_err(super::folder::failed("find", &path))?;
        let usual = schema::connect(&path, Access::Read).and_then(|connection| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        });
        let connection = match usual {
            Ok(connection) => Ok(connection),
            // Without its shared memory, and without the right to make it (a read-only disk, a copy that belongs
            // to another): when there is no log beside the file either, the file is all there is.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) => {
                if with_suffix(&path, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
                    Err(error)
                } else {
                    schema::connect_immutable(&path)
                }
            }
            // Not a database: told by the caller's own checks, in its own words.
            Err(_) => schema::connect(&path, Access::Read),
        };
        let connection = connection.map_err(|error| Unusable::from(error).at(&path))?;
        Ok(Self { connection, path })
    }

    /// The file that is read, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the chain begins and ends.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn extent(&self) -> Result<Extent, LedgerError> {
        self.at_one_moment(|connection| {
            let meta = schema::check(connection)?;
            let head = prove::head(connection, &meta)?;
            Ok(Extent { chain: meta.chain, anchor: meta.anchor, head, acknowledged: meta.acknowledged })
        })
    }

    /// At most `limit` records after `seq`, in order. The first may be later than `seq + 1` when older ones were
    /// pruned ([`Extent::anchor`] tells).
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn read_after(&self, seq: Seq, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.at_one_moment(|connection| prove::read_after(connection, seq, limit))
    }

    /// Records after `seq`, in order: at most `limit`, and none more once they have `bytes`. Each is proven against the
    /// one before it, its text is not parsed. The first may be later than `seq + 1`, as above.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn page_after(&self, seq: Seq, limit: usize, bytes: usize) -> Result<Page, LedgerError> {
        self.at_one_moment(|connection| {
            let meta = schema::check(connection)?;
            let head = prove::head(connection, &meta)?;
            let (before, records) = prove::page_after(connection, seq, limit, bytes)?;
            let extent =
                Extent { chain: meta.chain, anchor: meta.anchor, head, acknowledged: meta.acknowledged };
            Ok(Page { extent, before: before.unwrap_or(head), records })
        })
    }

    /// The records that name an incident or belong to its actions and proposals, in order; the newest `limit`.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn records_of(&self, incident: IncidentId, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.at_one_moment(|connection| prove::records_of(connection, incident, limit))
    }

    /// Proves every record and checks every page and index.
    ///
    /// # Errors
    /// The file is of a newer version, or the disk fails. Damage is an answer, not an error.
    pub fn verify(&self) -> Result<Verified, LedgerError> {
        let answer = self.at_one_moment(|connection| {
            let meta = match schema::check(connection) {
                Ok(meta) => meta,
                Err(Unusable::Damaged(why)) => return Ok(Verified::Broken { last: None, records: 0, why }),
                Err(error) => return Err(error),
            };
            let proof = prove::prove(connection, &meta, Bounds::default(), &mut |_| {});
            match proof.fault.or_else(|| prove::check_pages(connection, true).err()) {
                None => Ok(Verified::Sound {
                    extent: Extent {
                        chain: meta.chain,
                        anchor: meta.anchor,
                        head: proof.last,
                        acknowledged: meta.acknowledged,
                    },
                    records: proof.records,
                }),
                Some(Unusable::Damaged(why)) => {
                    Ok(Verified::Broken { last: Some(proof.last), records: proof.records, why })
                }
                Some(error) => Err(error),
            }
        });
        match answer {
            Err(LedgerError::Damaged { why, .. }) => Ok(Verified::Broken { last: None, records: 0, why }),
            answer => answer,
        }
    }

    /// One read transaction: what is asked fits together, whatever is written meanwhile.
    fn at_one_moment<T>(&self, ask: impl Fn(&Connection) -> Result<T, Unusable>) -> Result<T, LedgerError> {
        let moment =
            self.connection.unchecked_transaction().map_err(|error| Unusable::from(error).at(&self.path))?;
        ask(&moment).map_err(|error| error.at(&self.path))
    }
}
