//! The shell around the engine: clocks, signals, tasks, watchdog. Branches on nothing that means something.

mod beats;
mod cgroups;
mod clock;
mod core;
mod culprits;
mod disks;
mod effects;
mod filesystems;
mod history;
mod hooks;
mod housekeeping;
mod journal;
mod kernel_log;
mod log;
mod notify;
mod options;
mod own;
mod policy_board;
mod pressure;
mod processes;
mod record_source;
mod rooms;
mod self_test;
mod senses;
mod spaces;
mod start;
mod storms;
mod supervise;
mod unit_pressure;

pub use options::{ManagerChoice, Options};
pub use self_test::self_test;
pub use start::run;
