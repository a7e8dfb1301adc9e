//! The ledger's one writer.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::model::{BootId, Durability, Entry, IncidentId, Record, RecordBody, Seq, Timestamp};

use super::error::{AppendError, Fault, LedgerError, fault_of};
use super::folder::{Folder, with_suffix};
use super::hash::{ChainId, Place};
use super::overflow::Overflow;
use super::prepared::Prepared;
use super::prove;
use super::reserve::Reserve;
use super::schema::{self, Access, Meta, Unusable};
use super::witness::Witness;

/// Records at the end of the chain that are proven again when the file is opened anew after a failed write.
const TAIL_RECORDS: u64 = 256;

/// Both clocks and the boot they belong to, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub at: Timestamp,
    pub boot: BootId,
}

impl Stamp {
    /// An entry of the ledger about itself, made now.
    pub(super) const fn entry(self, body: RecordBody) -> Entry {
        Entry { at: self.at, boot: self.boot, body }
    }
}

/// Where the ledger takes the time from, for the records that it writes about itself.
pub type Clock = Arc<dyn Fn() -> Stamp + Send + Sync>;

/// How a ledger is kept.
#[derive(Clone)]
pub struct Options {
    /// Random: chains made by two processes must not have the same id.
    pub chain_seed: [u8; 16],
    pub clock: Clock,
    /// Room kept for a full disk, bytes; 0 for none.
    pub reserve_bytes: u64,
    /// A file outside of the disk of the ledger (tmpfs) that keeps synced records while that disk is full.
    pub overflow: Option<PathBuf>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("reserve_bytes", &self.reserve_bytes)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Db {
    pub(super) connection: Connection,
    pub(super) meta: Meta,
    /// Device and inode: a file that was removed or replaced under our feet would swallow records unseen.
    pub(super) identity: (u64, u64),
    /// The durability that `PRAGMA synchronous` is set for.
    pub(super) synchronous: Option<Durability>,
}

/// The open ledger, with the sole right to write to it.
#[derive(Debug)]
pub struct Ledger {
    pub(super) folder: Folder,
    pub(super) options: Options,
    pub(super) reserve: Reserve,
    pub(super) overflow: Option<Overflow>,
    pub(super) witness: Witness,
    /// `None` while there is no room to make a chain, or after a write failed.
    pub(super) db: Option<Db>,
    pub(super) head: Place,
    /// Where the chain stands if a commit that failed did reach the disk.
    pub(super) in_doubt: Option<Place>,
    /// Chains made by this process: part of the next one's id.
    pub(super) chains: u32,
    /// Read from the overflow file at the opening, and not appended for want of room.
    pub(super) unsaved: Vec<Prepared>,
}

impl Ledger {
    /// Appends all or none, in this order, as durable as the strongest of them asks.
    ///
    /// WAL with `synchronous=FULL` syncs the log at each commit, so the records are on the disk when this
    /// returns; with `NORMAL` they are in the page cache, and safe from anything but a power cut or a crash of
    /// the kernel (<https://sqlite.org/pragma.html#pragma_synchronous>). A sync covers what came before.
    ///
    /// A full disk gives up the reserve and tries once more. After a write or sync that failed nothing that
    /// SQLite or the kernel still holds of the file is believed: it is opened again, and what is there is
    /// compared with what was written.
    ///
    /// # Errors
    /// None of the entries is appended, unless a failed commit turns out later to have reached the disk: give
    /// the same entries again, and nothing else before them.
    pub fn append(&mut self, entries: &[Prepared]) -> Result<Seq, AppendError> {
        if entries.is_empty() {
            return Ok(self.head.seq);
        }
        match self.attempt(entries) {
            Err(AppendError::NoRoom(_)) if self.reserve.release().unwrap_or(false) => self.attempt(entries),
            Err(AppendError::Io(_)) => self.attempt(entries),
            answer => answer,
        }
    }

    fn attempt(&mut self, entries: &[Prepared]) -> Result<Seq, AppendError> {
        let before = self.head;
        if self.db.is_none() || self.in_doubt.is_some() {
            self.reopen()?;
        }
        let end = entries.iter().fold(self.head, |place, entry| place.then(entry.json().as_bytes()));
        if self.head != before && self.ends_with(entries) {
            return Ok(self.head.seq);
        }
        self.check_identity()?;
        let Some(db) = self.db.as_mut() else {
            return Err(AppendError::Damaged("it is not open".to_owned()));
        };
        let durability = entries.iter().map(Prepared::durability).max().unwrap_or(Durability::Written);
        match insert(db, self.head, entries, durability, None) {
            Ok(()) => {
                self.head = end;
                if durability == Durability::Synced {
                    self.witness.note(db.meta.chain, end);
                }
                Ok(end.seq)
            }
            Err(error) => Err(self.failed(error, end)),
        }
    }

    /// Whether the chain ends with `entries`: they came in with a commit that was taken for failed.
    fn ends_with(&self, entries: &[Prepared]) -> bool {
        let after = Seq(self.head.seq.0.saturating_sub(entries.len() as u64));
        let stored = self.read_after(after, entries.len()).unwrap_or_default();
        let json = |record: &Record| serde_json::to_string(&record.entry).ok();
        stored.iter().map(json).eq(entries.iter().map(|entry| Some(entry.json().to_owned())))
    }

    /// Sorts a failed write, and closes the file when it is not known what reached the disk.
    pub(super) fn failed(&mut self, error: rusqlite::Error, end: Place) -> AppendError {
        if let Some(db) = self.db.as_ref().filter(|_| fault_of(&error) != Fault::NoRoom) {
            // Closing it must not copy the log into a file that is not understood. If it is copied all the same,
            // the hashes tell.
            let _refused = schema::keep_log_on_close(&db.connection, true);
        }
        match fault_of(&error) {
            Fault::NoRoom => AppendError::NoRoom(error),
            Fault::Damaged => AppendError::Damaged(error.to_string()),
            Fault::Io => {
                self.db = None;
                self.in_doubt = Some(end);
                AppendError::Io(error)
            }
        }
    }

    /// Opens the file again after a failure, and finds out what is in it.
    fn reopen(&mut self) -> Result<(), AppendError> {
        self.db = None;
        if !self.folder.has_ledger().map_err(AppendError::Reopen)? {
            return self.start_chain_again();
        }
        let damaged = |why: &str| Err(AppendError::Damaged(why.to_owned()));
        let (mut db, head) = match self.open_checked() {
            Ok(opened) => opened,
            Err(Unusable::Damaged(why)) => return damaged(&why),
            Err(Unusable::Newer { .. }) => return damaged("a newer version has written to it"),
            Err(Unusable::Sqlite(error)) => return Err(AppendError::Io(error)),
        };
        if head != self.head && Some(head) != self.in_doubt {
            return damaged("it does not end where it was last written");
        }
        // What a failed sync left in the page cache counts as clean there, though the disk never had it. Copying
        // the log into the file and syncing that puts it on the disk by another way.
        db.set_durability(Durability::Synced).and_then(|()| db.checkpoint()).map_err(AppendError::Io)?;
        db.trust().map_err(AppendError::Io)?;
        self.head = head;
        self.db = Some(db);
        self.in_doubt = None;
        Ok(())
    }

    fn open_checked(&self) -> Result<(Db, Place), Unusable> {
        let db = Db::open(&self.folder)?;
        let head = prove::head(&db.connection, &db.meta)?;
        let tail = Seq(head.seq.0.saturating_sub(TAIL_RECORDS));
        prove::read_after(&db.connection, tail, usize::MAX)?;
        Ok((db, head))
    }

    fn check_identity(&self) -> Result<(), AppendError> {
        let opened = self.db.as_ref().map(|db| db.identity);
        if opened == identity(&self.folder) {
            Ok(())
        } else {
            Err(AppendError::Damaged("the file was removed or replaced while it was open".to_owned()))
        }
    }

    /// Remembers that everything up to `seq` has been shipped. Never goes back, nor beyond the end.
    ///
    /// # Errors
    /// It is not remembered.
    pub fn acknowledge(&mut self, seq: Seq) -> Result<(), AppendError> {
        let head = self.head;
        let Some(db) = self.db.as_mut() else { return Ok(()) };
        let seq = seq.min(head.seq).max(db.meta.acknowledged);
        let written = db
            .set_durability(Durability::Written)
            .and_then(|()| schema::put_acknowledged(&db.connection, seq));
        match written {
            Ok(()) => {
                db.meta.acknowledged = seq;
                Ok(())
            }
            Err(error) => Err(self.failed(error, head)),
        }
    }

    /// The last record that the relay has acknowledged; 0 when none.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        self.db.as_ref().map_or(Seq(0), |db| db.meta.acknowledged)
    }

    /// The end of the chain.
    #[must_use]
    pub const fn head(&self) -> Place {
        self.head
    }

    /// The chain in force; `None` while there is no room for one.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        self.db.as_ref().map(|db| db.meta.chain)
    }

    /// At most `limit` records after `seq`, in order.
    ///
    /// # Errors
    /// The file can't be read, or what it holds is damaged.
    pub fn read_after(&self, seq: Seq, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.ask(|connection| prove::read_after(connection, seq, limit))
    }

    /// The records of an incident, in order; the newest `limit` of them.
    ///
    /// # Errors
    /// The file can't be read, or what it holds is damaged.
    pub fn records_of(&self, incident: IncidentId, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.ask(|connection| prove::records_of(connection, incident, limit))
    }

    fn ask<T>(
        &self,
        question: impl Fn(&Connection) -> Result<Vec<T>, Unusable>,
    ) -> Result<Vec<T>, LedgerError> {
        match &self.db {
            Some(db) => question(&db.connection).map_err(|error| error.at(&self.folder.ledger())),
            None => Ok(Vec::new()),
        }
    }

    /// Takes the reserve again when there is room for it. True when it is held.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn refill_reserve(&self) -> Result<bool, LedgerError> {
        self.reserve.refill()
    }

    /// Whether the room is kept that is given up when the disk is full; true when none is asked for.
    #[must_use]
    pub fn reserve_held(&self) -> bool {
        self.reserve.is_held()
    }

    /// Now, by the clock of the options.
    pub(super) fn stamp(&self) -> Stamp {
        (self.options.clock)()
    }

    /// Keeps a copy of a record outside of the ledger's disk, if there is a file for it and room in it. True when
    /// it is kept.
    pub(super) fn spill(&self, entry: &Prepared) -> Result<bool, LedgerError> {
        match &self.overflow {
            Some(overflow) => overflow.add(self.chain(), self.head.seq, entry),
            None => Ok(false),
        }
    }

    /// Everything spilled is in the ledger.
    pub(super) fn clear_overflow(&self) -> Result<(), LedgerError> {
        self.overflow.as_ref().map_or(Ok(()), Overflow::clear)
    }

    /// Bytes that the file and its log take up.
    ///
    /// # Errors
    /// Their size can't be read.
    pub fn bytes(&self) -> Result<u64, LedgerError> {
        let path = self.folder.ledger();
        let size = |suffix| std::fs::metadata(with_suffix(&path, suffix)).map_or(0, |file| file.len());
        Ok(size("") + size("-wal"))
    }
}

impl Db {
    /// Opens the file for writing and checks everything that is not a record.
    pub(super) fn open(folder: &Folder) -> Result<Self, Unusable> {
        let path = folder.ledger();
        let identity =
            identity(folder).ok_or_else(|| Unusable::Damaged("it is not a regular file".to_owned()))?;
        let connection = schema::connect(&path, Access::Write)?;
        let meta = schema::check(&connection)?;
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Unusable::Damaged(format!("its journal mode is {mode:?}, not \"wal\"")));
        }
        if connection.is_readonly("main")? && rustix::fs::access(&path, rustix::fs::Access::WRITE_OK).is_ok()
        {
            return Err(Unusable::Damaged("its header forbids to write".to_owned()));
        }
        schema::set_up_writer(&connection)?;
        schema::keep_log_on_close(&connection, true)?;
        Ok(Self { connection, meta, identity, synchronous: None })
    }

    /// The chain is proven: closing may tidy up.
    pub(super) fn trust(&self) -> Result<(), rusqlite::Error> {
        schema::keep_log_on_close(&self.connection, false)
    }

    /// Sets what a commit syncs, where it is not set so already.
    pub(super) fn set_durability(&mut self, durability: Durability) -> Result<(), rusqlite::Error> {
        if self.synchronous != Some(durability) {
            self.synchronous = None;
            self.connection.execute_batch(match durability {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Written => "PRAGMA synchronous = NORMAL",
            })?;
            self.synchronous = Some(durability);
        }
        Ok(())
    }

    /// Copies the whole log into the file, synced.
    fn checkpoint(&self) -> Result<(), rusqlite::Error> {
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        let cause = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Err(rusqlite::Error::SqliteFailure(
            cause,
            Some("a reader keeps the log from being copied".to_owned()),
        ))
    }
}

/// Device and inode of the ledger's file; `None` when it is not a regular file.
fn identity(folder: &Folder) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(folder.ledger()).ok()?;
    file.is_file().then(|| (file.dev(), file.ino()))
}

/// One transaction: the entries after `head` and, when the chain is shortened, its new anchor.
pub(super) fn insert(
    db: &mut Db,
    head: Place,
    entries: &[Prepared],
    durability: Durability,
    anchor: Option<Place>,
) -> Result<(), rusqlite::Error> {
    db.set_durability(durability)?;
    let transaction = db.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if let Some(anchor) = anchor {
        transaction
            .prepare_cached("DELETE FROM records WHERE seq <= ?1")?
            .execute([anchor.seq.0.cast_signed()])?;
        schema::put_anchor(&transaction, anchor)?;
    }
    write_records(&transaction, head, entries)?;
    transaction.commit()
}

/// Writes the rows of `entries` after `head`.
pub(super) fn write_records(
    connection: &Connection,
    head: Place,
    entries: &[Prepared],
) -> Result<(), rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let mut last = head;
    for entry in entries {
        let place = last.then(entry.json().as_bytes());
        let keys = entry.keys();
        statement.execute(params![
            place.seq.0.cast_signed(),
            last.hash.bytes(),
            place.hash.bytes(),
            keys.kind,
            keys.incident.map(|id| id.0.cast_signed()),
            keys.action.map(|id| id.0.cast_signed()),
            keys.proposal.map(|id| id.0.cast_signed()),
            entry.json(),
        ])?;
        last = place;
    }
    Ok(())
}
