//! The file's format: tables, version, and the few facts about the chain that are not records.

use std::fmt;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::model::{Id128, RECORD_FORMAT, Seq};

use super::LedgerError;
use super::error::{Fault, fault_of};
use super::hash::{ChainId, Place, RecordHash};

/// Version of the file's format, in `user_version` and in `meta`. A newer one is refused and left alone. It
/// grows with the tables and with the JSON form of the records alike; every later format keeps the table `meta`.
pub const LEDGER_FORMAT: u32 = 1;
const _: () = assert!(RECORD_FORMAT == 1, "a new form of the records needs a new LEDGER_FORMAT");
/// `Prun`, in the header of the file: a database of another program is not taken for a ledger.
const APPLICATION_ID: u32 = 0x5072_756e;
/// How long a lock held by another connection is waited for. Readers hold none for longer than it takes to
/// recover a log of a few megabytes.
const BUSY_MILLIS: std::time::Duration = std::time::Duration::from_secs(5);
/// The write-ahead log is cut to this length when it has been copied, so that one burst does not keep its room.
const LOG_BYTES_MAX: u32 = 4 << 20;

/// Every object of the file, in the order of creation. Compared as text at each opening: a table that is not
/// exactly this is damage.
const OBJECTS: [(&str, &str); 6] = [
    (
        "records",
        "CREATE TABLE records (seq INTEGER PRIMARY KEY, prev_hash BLOB NOT NULL, hash BLOB NOT NULL, \
         kind TEXT NOT NULL, incident INTEGER, action INTEGER, proposal INTEGER, entry TEXT NOT NULL) STRICT",
    ),
    ("records_by_kind", "CREATE INDEX records_by_kind ON records (kind)"),
    (
        "records_by_incident",
        "CREATE INDEX records_by_incident ON records (incident) WHERE incident IS NOT NULL",
    ),
    ("records_by_action", "CREATE INDEX records_by_action ON records (action) WHERE action IS NOT NULL"),
    (
        "records_by_proposal",
        "CREATE INDEX records_by_proposal ON records (proposal) WHERE proposal IS NOT NULL",
    ),
    ("meta", "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID"),
];

/// Why a file can't be used as a ledger.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Its content is wrong; the words say how.
    Damaged(String),
    /// A later version made it.
    Newer { found: u32, known: u32 },
    /// SQLite or the disk fails for a reason that may pass.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        match fault_of(&error) {
            Fault::Damaged => Self::Damaged(error.to_string()),
            Fault::NoRoom | Fault::Io => Self::Sqlite(error),
        }
    }
}

impl Unusable {
    /// For the caller: which file it is.
    pub(super) fn at(self, path: &std::path::Path) -> LedgerError {
        match self {
            Self::Damaged(why) => LedgerError::Damaged { path: path.to_owned(), why },
            Self::Newer { found, known } => LedgerError::Newer { file: path.to_owned(), found, known },
            Self::Sqlite(source) => LedgerError::Sqlite { path: path.to_owned(), source },
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(why) => f.write_str(why),
            Self::Newer { found, .. } => write!(f, "it has the newer format {found}"),
            Self::Sqlite(error) => error.fmt(f),
        }
    }
}

/// How a connection may use the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

/// What `meta` says, checked for shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) chain: ChainId,
    /// The last record that was pruned, or the start of the chain.
    pub(super) anchor: Place,
    /// The last record that the relay has acknowledged; 0 when none.
    pub(super) acknowledged: Seq,
}

/// Connects to an existing file, with what it holds not trusted.
pub(super) fn connect(path: &std::path::Path, access: Access) -> Result<Connection, rusqlite::Error> {
    let mode = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let common = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, mode | common)?;
    harden(&connection)?;
    Ok(connection)
}

/// As a file that nobody writes to and that is not written to either, not even its locks: for a folder that
/// can't be written to.
pub(super) fn connect_immutable(path: &std::path::Path) -> Result<Connection, rusqlite::Error> {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        name.push_str(&format!("%{byte:02x}"));
    }
    name.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name, flags)?;
    harden(&connection)?;
    Ok(connection)
}

fn harden(connection: &Connection) -> Result<(), rusqlite::Error> {
    use rusqlite::config::DbConfig;
    connection.busy_timeout(BUSY_MILLIS)?;
    // The schema comes from the file: nothing in it may call functions or touch SQLite's own tables.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;")
}

/// Settings of the writing connection.
pub(super) fn set_up_writer(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(&format!("PRAGMA journal_size_limit = {LOG_BYTES_MAX};"))
}

/// Whether the last connection, when it closes, leaves the log as it is instead of copying it into the file.
pub(super) fn keep_log_on_close(connection: &Connection, keep: bool) -> Result<(), rusqlite::Error> {
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(|_| ())
}

/// Makes the tables in an empty file and switches it to write-ahead logging.
pub(super) fn create(connection: &Connection, chain: ChainId) -> Result<(), rusqlite::Error> {
    let start = Place::start_of(chain);
    connection.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE;")?;
    for (_, sql) in OBJECTS {
        connection.execute_batch(sql)?;
    }
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LEDGER_FORMAT};"
    ))?;
    put(connection, "format", &LEDGER_FORMAT.to_be_bytes())?;
    put(connection, "chain", &chain.0.bytes())?;
    put_anchor(connection, start)?;
    put_acknowledged(connection, Seq(0))?;
    connection.execute_batch("COMMIT;")
}

pub(super) fn put_anchor(connection: &Connection, anchor: Place) -> Result<(), rusqlite::Error> {
    put(connection, "anchor_seq", &anchor.seq.0.to_be_bytes())?;
    put(connection, "anchor_hash", anchor.hash.bytes())
}

pub(super) fn put_acknowledged(connection: &Connection, seq: Seq) -> Result<(), rusqlite::Error> {
    put(connection, "acknowledged", &seq.0.to_be_bytes())
}

fn put(connection: &Connection, key: &str, value: &[u8]) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?
        .execute(params![key, value])?;
    Ok(())
}

/// Whether the file is one that this version knows, has exactly the tables it should, and what `meta` says.
///
/// Newer is only what says so twice, in the header and in `meta`: one flipped bit must not keep the agent from
/// setting the file aside.
pub(super) fn check(connection: &Connection) -> Result<Meta, Unusable> {
    let application: u32 = pragma(connection, "application_id")?;
    if application != APPLICATION_ID {
        return Err(Unusable::Damaged("it is not a ledger of prunella".to_owned()));
    }
    let version: u32 = pragma(connection, "user_version")?;
    let format = u32::from_be_bytes(get(connection, "format")?);
    if format != version {
        return Err(Unusable::Damaged(format!("its header says format {version}, its table {format}")));
    }
    if version > LEDGER_FORMAT {
        return Err(Unusable::Newer { found: version, known: LEDGER_FORMAT });
    }
    if version == 0 {
        return Err(Unusable::Damaged("it says format 0".to_owned()));
    }
    check_objects(connection)?;
    let chain = ChainId(Id128::from_bytes(get(connection, "chain")?));
    let seq = Seq(u64::from_be_bytes(get(connection, "anchor_seq")?));
    let hash = get::<32>(connection, "anchor_hash")?;
    let anchor = RecordHash::from_slice(&hash)
        .map(|hash| Place { seq, hash })
        .filter(|anchor| anchor.seq.0 != 0 || *anchor == Place::start_of(chain))
        .ok_or_else(|| Unusable::Damaged("its anchor does not belong to its chain".to_owned()))?;
    let acknowledged = Seq(u64::from_be_bytes(get(connection, "acknowledged")?));
    Ok(Meta { chain, anchor, acknowledged })
}

fn pragma(connection: &Connection, name: &str) -> Result<u32, Unusable> {
    let value: i64 = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
    // The header holds 32 bits without a sign; SQLite shows them with one.
    Ok(u32::from_be_bytes(i32::try_from(value).unwrap_or(-1).to_be_bytes()))
}

fn get<const N: usize>(connection: &Connection, key: &str) -> Result<[u8; N], Unusable> {
    let value: Option<Vec<u8>> =
        connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    value
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Unusable::Damaged(format!("meta has no proper {key:?}")))
}

fn check_objects(connection: &Connection) -> Result<(), Unusable> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let mut found: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut expected = OBJECTS.map(|(name, sql)| (name.to_owned(), sql.to_owned()));
    found.sort();
    expected.sort();
    if found == expected {
        Ok(())
    } else {
        Err(Unusable::Damaged("its tables are not those of a ledger".to_owned()))
    }
}
