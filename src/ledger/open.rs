//! Opening: the chain is followed to its end and handed out, or set aside and a new one begun.

use std::path::Path;

use crate::model::{Durability, Entry, Id128, RECORD_FORMAT, Record, RecordBody, Seq, SetAside};

use super::error::{Fault, fault_of};
use super::folder::{Folder, failed, set_aside_order};
use super::hash::{ChainId, Place};
use super::overflow::Overflow;
use super::prepared::Prepared;
use super::prove::{self, Bounds, Proof};
use super::reserve::Reserve;
use super::schema::{self, Access, Meta, Unusable};
use super::store::{Db, write_records};
use super::witness::Witness;
use super::{AppendError, Ledger, LedgerError, Options};

/// Chains that were set aside and are still read for their state, from the present one backwards. One more would
/// mean five damaged ledgers within one retention time: by then a disk needs a person.
const EARLIER_CHAINS_MAX: u32 = 4;

/// How a ledger was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// None was there; a chain was begun.
    Fresh,
    /// Whole and proven to its end.
    Whole,
    /// Damaged, and set aside as this says; a new chain names it.
    SetAside(SetAside),
    /// There is no chain, and no room to begin one: records are kept in memory until there is.
    NoRoom { why: String },
}

/// What the opening found and handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub found: Found,
    /// Records of the present chain that were handed out.
    pub records: u64,
    /// Records of chains set aside before, that were handed out first.
    pub earlier: u64,
    /// Records that were only in the overflow file, handed out last.
    pub replayed: u64,
}

impl Ledger {
    /// Opens the ledger in `dir`, making folder and file where they are missing, and gives `fold` every record
    /// that can be proven, in order.
    ///
    /// A damaged ledger is set aside, with its companions, under a name not used before; nothing is deleted. The
    /// records of its proven part are handed out all the same, here and at every later opening, before those of
    /// the chain that names it: what is left of a pause or a backoff still holds. A `ChainStarted` among the
    /// records says that the numbers begin anew.
    ///
    /// # Errors
    /// The ledger belongs to a newer version or is in use, or the folder or disk fails in a way that setting the
    /// file aside would not mend. Nothing has been changed then.
    pub fn open(
        dir: &Path,
        options: Options,
        fold: &mut dyn FnMut(Record),
    ) -> Result<(Self, Opened), LedgerError> {
        let folder = Folder::claim(dir)?;
        let mut ledger = Self {
            reserve: Reserve::new(folder.path(), options.reserve_bytes),
            overflow: options.overflow.clone().map(Overflow::new),
            witness: Witness::open(folder.path())?,
            folder,
            options,
            db: None,
            // Stands for no chain; the first one begins from its own start.
            head: Place::start_of(ChainId(Id128::from_bytes([0; 16]))),
            in_doubt: None,
            chains: 0,
            unsaved: Vec::new(),
        };
        let mut opened = Opened { found: Found::Whole, records: 0, earlier: 0, replayed: 0 };
        ledger.open_present(&mut opened, fold)?;
        ledger.replay_overflow(&mut opened, fold)?;
        // A disk without room for the reserve is the disk's own finding; the ledger works without.
        let _held = ledger.reserve.refill();
        Ok((ledger, opened))
    }

    /// Opens the file again after [`AppendError::Damaged`]: whole, or set aside and begun anew. What was
    /// recorded since the opening is in the caller's state already, so nothing is handed out.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn recover(&mut self) -> Result<Found, LedgerError> {
        self.db = None;
        self.in_doubt = None;
        let mut opened = Opened { found: Found::Whole, records: 0, earlier: 0, replayed: 0 };
        let expected = self.head;
        self.open_present(&mut opened, &mut |_| {})?;
        if opened.found == Found::Whole && self.head != expected {
            // Whole in itself, but not the chain that this process wrote.
            let why = "it is not the ledger that was open here".to_owned();
            let last = Some((self.head.seq, self.head.hash.to_string()));
            self.db = None;
            opened.found = self.replace(Some((why, last)))?;
        }
        Ok(opened.found)
    }

    fn open_present(&mut self, opened: &mut Opened, fold: &mut dyn FnMut(Record)) -> Result<(), LedgerError> {
        if !self.folder.has_ledger()? {
            return self.open_absent(opened, fold);
        }
        let mut last = None;
        let fault = match Db::open(&self.folder) {
            Ok(db) => {
                let pages = prove::check_pages(&db.connection, false);
                let bounds = Bounds { until: None, witness: self.witness.read(db.meta.chain) };
                let (proof, earlier) = fold_chain(
                    self.folder.path(),
                    &db.connection,
                    &db.meta,
                    bounds,
                    EARLIER_CHAINS_MAX,
                    fold,
                );
                opened.records = proof.records;
                opened.earlier = earlier;
                last = proof.last_for_set_aside();
                match pages.err().or(proof.fault) {
                    None => {
                        db.trust().map_err(|error| Unusable::from(error).at(&self.folder.ledger()))?;
                        self.head = proof.last;
                        self.db = Some(db);
                        return Ok(());
                    }
                    Some(fault) => fault,
                }
            }
            Err(fault) => fault,
        };
        let Unusable::Damaged(why) = fault else {
            return Err(fault.at(&self.folder.ledger()));
        };
        // What was handed out as the present chain is an earlier one from here on.
        opened.earlier += std::mem::take(&mut opened.records);
        opened.found = self.replace(Some((why, last)))?;
        self.hand_out_first(opened, fold)
    }

    /// No file: the first start, or a chain was set aside and the next one not yet begun.
    fn open_absent(&mut self, opened: &mut Opened, fold: &mut dyn FnMut(Record)) -> Result<(), LedgerError> {
        self.folder.finish_set_aside((self.options.clock)().at.wall)?;
        if let Some(file) = self.folder.newest_set_aside()? {
            let (proof, earlier) = fold_set_aside(self.folder.path(), &file, None, EARLIER_CHAINS_MAX, fold);
            opened.earlier = proof.map_or(0, |proof| proof.records) + earlier;
        }
        opened.found = self.replace(None)?;
        self.hand_out_first(opened, fold)
    }

    fn hand_out_first(&self, opened: &mut Opened, fold: &mut dyn FnMut(Record)) -> Result<(), LedgerError> {
        for record in self.read_after(Seq(0), 1)? {
            opened.records += 1;
            fold(record);
        }
        Ok(())
    }

    /// Sets the present file aside, if there is one, and begins a chain that names the one before it.
    fn replace(&mut self, damage: Option<(String, Option<(Seq, String)>)>) -> Result<Found, LedgerError> {
        let previous = match damage {
            Some((why, last)) => {
                let file = self.folder.set_aside((self.options.clock)().at.wall)?;
                Some(SetAside { file, last, why })
            }
            None => self.found_set_aside()?,
        };
        match self.start_chain(previous.clone()) {
            Ok(()) => Ok(previous.map_or(Found::Fresh, Found::SetAside)),
            Err(LedgerError::Sqlite { source, .. }) if fault_of(&source) == Fault::NoRoom => {
                Ok(Found::NoRoom { why: source.to_string() })
            }
            Err(LedgerError::File { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull => {
                Ok(Found::NoRoom { why: source.to_string() })
            }
            Err(error) => Err(error),
        }
    }

    /// The newest file set aside, as the chain before the one about to begin.
    fn found_set_aside(&self) -> Result<Option<SetAside>, LedgerError> {
        let Some(file) = self.folder.newest_set_aside()? else { return Ok(None) };
        let (proof, _) = fold_set_aside(self.folder.path(), &file, None, 0, &mut |_| {});
        let why = match &proof {
            Some(Proof { fault: None, .. }) => "it was moved away before a new chain was begun".to_owned(),
            Some(Proof { fault: Some(fault), .. }) => fault.to_string(),
            None => "it can't be opened".to_owned(),
        };
        Ok(Some(SetAside { file, last: proof.and_then(|proof| proof.last_for_set_aside()), why }))
    }

    /// Begins a chain where there is none, when the attempt at the opening found no room.
    pub(super) fn start_chain_again(&mut self) -> Result<(), AppendError> {
        let found = self
            .folder
            .finish_set_aside((self.options.clock)().at.wall)
            .and_then(|()| self.replace(None))
            .map_err(AppendError::Reopen)?;
        match found {
            Found::Fresh | Found::Whole | Found::SetAside(_) => Ok(()),
            Found::NoRoom { .. } => {
                let cause = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
                Err(AppendError::NoRoom(rusqlite::Error::SqliteFailure(cause, None)))
            }
        }
    }

    fn start_chain(&mut self, previous: Option<SetAside>) -> Result<(), LedgerError> {
        match self.make_chain(previous.clone()) {
            Err(_) if self.reserve.release().unwrap_or(false) => self.make_chain(previous),
            answer => answer,
        }
    }

    /// Makes the file under another name, so that there is never half a chain under the right one.
    fn make_chain(&mut self, previous: Option<SetAside>) -> Result<(), LedgerError> {
        let stamp = (self.options.clock)();
        let chain = self.next_chain_id();
        let body = RecordBody::ChainStarted { format: RECORD_FORMAT, previous };
        let first = Prepared::new(&stamp.entry(body))
            .map_err(|error| LedgerError::Damaged { path: self.folder.ledger(), why: error.to_string() })?;
        let path = self.folder.begin_new()?;
        let sqlite = |source| LedgerError::Sqlite { path: path.clone(), source };
        let connection = schema::connect(&path, Access::Write).map_err(sqlite)?;
        schema::create(&connection, chain).map_err(sqlite)?;
        write_records(&connection, Place::start_of(chain), std::slice::from_ref(&first)).map_err(sqlite)?;
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sqlite)?;
        if mode != "wal" {
            // Locks in shared memory do not work there: a network file system.
            let source = std::io::Error::other("its file system can't hold a write-ahead log");
            return Err(failed("keep a ledger at", &path)(source));
        }
        // Closing copies the log into the file and removes it.
        connection.close().map_err(|(_, error)| sqlite(error))?;
        self.folder.finish_new()?;
        let at = self.folder.ledger();
        let db = Db::open(&self.folder).map_err(|error| error.at(&at))?;
        db.trust().map_err(|error| Unusable::from(error).at(&at))?;
        self.head = Place::start_of(chain).then(first.json().as_bytes());
        self.witness.note(chain, self.head);
        self.db = Some(db);
        Ok(())
    }

    fn next_chain_id(&mut self) -> ChainId {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        hasher.update(self.options.chain_seed);
        hasher.update(self.chains.to_be_bytes());
        self.chains = self.chains.saturating_add(1);
        let digest: [u8; 32] = hasher.finalize().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        ChainId(Id128::from_bytes(half))
    }

    /// Appends what the last run kept outside of a full disk and the ledger does not hold.
    fn replay_overflow(
        &mut self,
        opened: &mut Opened,
        fold: &mut dyn FnMut(Record),
    ) -> Result<(), LedgerError> {
        let Some(overflow) = &self.overflow else { return Ok(()) };
        let spilled = overflow.load()?;
        let mut missing: Vec<Prepared> = Vec::new();
        let mut cursor = None;
        for record in spilled {
            // Spilled in order after the chain's end of then, and appended in that order, if at all.
            let after = cursor.unwrap_or(record.after);
            match self.find(record.chain, after, &record.entry)? {
                Some(seq) => cursor = Some(seq),
                None => missing.extend(Prepared::new(&record.entry).ok()),
            }
        }
        if !missing.is_empty() {
            let missing: Vec<_> =
                missing.into_iter().map(|entry| entry.at_least(Durability::Synced)).collect();
            opened.replayed = missing.len() as u64;
            for (seq, entry) in (self.head.seq.0 + 1..).zip(&missing) {
                let entry = serde_json::from_str(entry.json());
                fold(Record { seq: Seq(seq), entry: entry.map_err(unreadable(&self.folder))? });
            }
            if self.append(&missing).is_err() {
                // They stay in the file until the writer finds room.
                self.unsaved = missing;
                return Ok(());
            }
        }
        self.overflow.as_ref().map_or(Ok(()), Overflow::clear)
    }

    /// Where the ledger holds this entry after `after`, if it does.
    fn find(&self, chain: Option<ChainId>, after: Seq, entry: &Entry) -> Result<Option<Seq>, LedgerError> {
        /// Records compared at a time.
        const PAGE: usize = 256;
        if chain != self.chain() {
            return Ok(None);
        }
        let mut from = after;
        loop {
            let page = self.read_after(from, PAGE)?;
            if let Some(record) = page.iter().find(|record| record.entry == *entry) {
                return Ok(Some(record.seq));
            }
            match page.last() {
                Some(record) => from = record.seq,
                None => return Ok(None),
            }
        }
    }
}

fn unreadable(folder: &Folder) -> impl Fn(serde_json::Error) -> LedgerError {
    let path = folder.ledger();
    move |error| LedgerError::Damaged { path: path.clone(), why: error.to_string() }
}

/// Hands out the chains before this one and then its own records. Also says how many were earlier.
fn fold_chain(
    dir: &Path,
    connection: &rusqlite::Connection,
    meta: &Meta,
    bounds: Bounds,
    depth: u32,
    fold: &mut dyn FnMut(Record),
) -> (Proof, u64) {
    let earlier = match prove::previous_of(connection, meta) {
        Some(SetAside { file, last: Some((until, _)), .. }) if depth > 0 => {
            let (proof, earlier) = fold_set_aside(dir, &file, Some(until), depth - 1, fold);
            proof.map_or(0, |proof| proof.records) + earlier
        }
        Some(_) | None => 0,
    };
    (prove::prove(connection, meta, bounds, fold), earlier)
}

/// Hands out the proven part of a file set aside, after the chains before it. `None` when it can't be opened: a
/// person may have moved it away.
fn fold_set_aside(
    dir: &Path,
    file: &str,
    until: Option<Seq>,
    depth: u32,
    fold: &mut dyn FnMut(Record),
) -> (Option<Proof>, u64) {
    // The name comes out of a record: it must be one of ours, within the folder.
    if set_aside_order(file).is_none() {
        return (None, 0);
    }
    let Ok(connection) = schema::connect(&dir.join(file), Access::Read) else { return (None, 0) };
    let Ok(meta) = schema::check(&connection) else { return (None, 0) };
    let bounds = Bounds { until, witness: None };
    let (proof, earlier) = fold_chain(dir, &connection, &meta, bounds, depth, fold);
    (Some(proof), earlier)
}
