//! What can go wrong with the file, sorted by what is to be done about it.

use std::io;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

/// The ledger can't be opened, and setting it aside would not help or would be wrong.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(
        "{} was made by a newer version of prunella (format {found}, this one knows up to {known}); \
         keep it and upgrade, or move it away", file.display()
    )]
    Newer { file: PathBuf, found: u32, known: u32 },
    #[error("another agent is writing to the ledger in {}", dir.display())]
    InUse { dir: PathBuf },
    #[error("there is no ledger at {}", .0.display())]
    Missing(PathBuf),
    #[error("can't {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("SQLite can't use the ledger at {}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("the ledger at {} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
}

/// Entries were not appended: none of them. The same entries may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Not even the reserve was enough.
    #[error("no room for the ledger")]
    NoRoom(#[source] rusqlite::Error),
    /// The disk or the system failed; what reached the disk is found out before the next append.
    #[error("can't write to the ledger")]
    Io(#[source] rusqlite::Error),
    /// The file was not usable when it was opened again.
    #[error("can't open the ledger again")]
    Reopen(#[source] LedgerError),
    /// The file is damaged; [`super::Ledger::recover`] sets it aside.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
}

/// An entry that can't be kept: a defect in the program, never a state of the host.
#[derive(Debug, thiserror::Error)]
pub enum Unwritable {
    #[error("the record can't be read back")]
    Json(#[from] serde_json::Error),
    #[error("the record has {bytes} bytes; {} are the most", super::ENTRY_BYTES_MAX)]
    TooLong { bytes: usize },
}

/// What an error of SQLite means for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The content is wrong and will stay so.
    Damaged,
    /// No space left.
    NoRoom,
    /// The disk, a permission, a lock: may pass.
    Io,
}

/// Sorts an error of SQLite. A row of an unexpected type is damage: the tables are `STRICT`.
pub(super) fn fault_of(error: &rusqlite::Error) -> Fault {
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        return Fault::Damaged;
    };
    // "Unknown" is SQLite's plain error: here, a schema that can't be parsed. The list of codes is open.
    let damaged = matches!(
        cause.code,
        ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::Unknown
    );
    // A sector that can't be read any more: the file is moved out of the way, its other sectors are kept.
    let unreadable = [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_CORRUPTFS].contains(&cause.extended_code);
    // The shared memory beside the file could not be made longer: the only other place where room runs out.
    let no_room = cause.code == ErrorCode::DiskFull || cause.extended_code == ffi::SQLITE_IOERR_SHMSIZE;
    if damaged || unreadable {
        Fault::Damaged
    } else if no_room {
        Fault::NoRoom
    } else {
        Fault::Io
    }
}
