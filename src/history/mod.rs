//! The past of the host's numbers: the last hours row by row, the last weeks minute by minute, in a bounded folder.
//!
//! Owns the format, the folder and its bound. Must not judge what the numbers mean, nor read the host.
//!
//! ```text
//!  host pass (1 s) ┐                                      ┌ full-000000000017      every row
//!  telling (10 s)  ├► Recorder ─ a batch a minute ► Store ┤
//!  room (60 s)     ┘  (memory)      (blocking thread)      └ reduced-000000000003   least, mean, most of a minute
//!                                          Reader ◄──────────  agent's socket, or CLI without the agent
//! ```
//!
//! A file is a header (`segment`) and frames (`frame`), each with a checksum and readable by itself: what a crash
//! tears is the last frame, and what is damaged is passed over. Files are only added to and removed whole, the oldest
//! first, so that the bound holds before each write. Numbers are kept as integers of a fixed fraction of their unit,
//! as differences from the row before (`rows`): most differences are zero, and cost one bit.
//!
//! Rows are in the order in which they were written. Each has the time since boot; a file has its boot, a frame the
//! wall clock of its first row. A clock that is set begins a new file: no step reorders anything.

mod batch;
mod catalogue;
mod code;
mod folder;
mod frame;
mod points;
mod read;
mod reduce;
mod rows;
mod segment;
mod store;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Due, Recorder};
pub use folder::HISTORY_FOLDER;
pub use read::{NoHistory, Reader};
pub use segment::{HISTORY_FORMAT, scan_segment, sealed_segment};
pub use store::{HistoryError, Store, StoreLimits};
