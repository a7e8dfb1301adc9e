//! The host's bytes → [`crate::model::Sample`]: procfs, PSI, locks of package managers, health probes, evidence,
//! and the news of the service manager.
//!
//! Owns reading and parsing, and every child process ([`child`]). Must not judge: a value is told as it is, and why
//! there is none.

pub mod activity;
pub mod beat;
pub mod cgroup;
pub mod child;
pub mod culprit;
mod device;
pub mod disk_health;
mod escaped;
pub mod evidence;
pub mod filesystem;
pub mod host;
pub mod kernel_log;
mod keyed;
pub mod kmsg;
mod malformed;
pub mod own;
pub mod pressure;
pub mod probe;
pub mod process;
pub mod procfs;
mod scan;
pub mod space;
pub mod storm;
mod watch;

pub use escaped::{HexText, OctalText};
pub use malformed::Malformed;
