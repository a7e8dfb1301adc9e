//! The append-only, hash-chained record stream in SQLite: audit trail, crash recovery and spool in one.
//!
//! Owns the file, its chain, its reserve and its retention. Must not know what a record means beyond its
//! durability and the incident it names.
//!
//! ```text
//!  engine ─► Writer (its own thread) ─► Ledger ─► ledger.db (+ -wal, -shm)     the chain
//!              │ queue, group commit      │       ledger.head                  last synced place
//!              └► full disk: memory and   │       ledger.reserve               room to be given up
//!                 the overflow file       │       ledger.lock                  one writer
//!  socket, CLI ─► Reader ─────────────────┘       ledger.db.set-aside-…        damaged, kept
//! ```
//!
//! A record's hash covers its number, the hash before it and its exact stored text, so that a chain made by an
//! older version verifies in a newer one. [`Ledger::open`] proves the chain from its anchor to its end while it
//! hands the records out; what it can't prove it sets aside.

mod error;
mod folder;
mod hash;
mod open;
mod overflow;
mod prepared;
mod prove;
mod queue;
mod read;
mod report;
mod reserve;
pub mod retention;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod witness;
mod writer;

pub use error::{AppendError, LedgerError, Unwritable};
pub use folder::LEDGER_FILE;
pub use hash::{ChainId, Place, RecordHash};
pub use open::{Found, Opened};
pub use overflow::OVERFLOW_BYTES_MAX;
pub use prepared::{ENTRY_BYTES_MAX, Prepared};
pub use queue::{QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX};
pub use read::{Extent, Page, Proven, Reader, Verified};
pub use report::{VerifyReport, verify_report};
pub use reserve::RESERVE_BYTES;
pub use schema::LEDGER_FORMAT;
pub use store::{Clock, Ledger, Options, Stamp};
pub use writer::{Acknowledger, Writer, WriterEvent, WriterGone, WriterLimits};
