//! The process table: who runs, and what each of them takes.
//!
//! A [`Way`] fills a table of [`ProcessRow`]s; several lead to the same rows, and the tests compare them field by field.
//! [`Table`] joins a pass with the one before, [`ProcessWatch`] brings the two together. Must not judge, and must not
//! read what a process was given: neither its arguments nor its environment, which may hold secrets.
//!
//! Batched TASKSTATS (`Documentation/accounting/taskstats.rst`) is no way here, though it is cheaper than procfs: each
//! request takes `CAP_NET_ADMIN`, for as long as the agent lives, and who has that can rearrange the host's network. The
//! kernels that have it and not the BPF way (before 5.17) are fewer every year.

pub mod bpf;
mod change;
mod closer;
mod fast;
mod folder;
pub mod pace;
mod procfs;
mod row;
mod show;
mod table;
mod watch;
mod way;

pub use change::{Change, Moment, StorageRate};
pub use closer::{LookError, look_closer};
pub use fast::{Choice, choose};
pub use procfs::ProcfsWay;
pub use row::{COMM_LEN, Extra, ProcessRow};
pub use show::place_of;
pub use table::{Known, Table, Turnover, Wanted};
pub use watch::{ProcessWatch, Processes};
pub use way::{Coverage, PROCESSES_MAX, Way};
