//! What `/proc` and the control-group file systems say, parsed from bytes.
//!
//! Owns the formats (proc(5), `Documentation/filesystems/proc.rst`). The parsers take bytes, give `None` for what
//! they do not understand, never panic and, but for names, never allocate. Must not keep state or judge.

mod cgroup;
mod loadavg;
mod locks;
mod meminfo;
mod pressure;
mod process;
#[cfg(test)]
mod tests;
mod text;

pub use cgroup::{CgroupMounts, PROCESSES_MAX, own_cgroup, process_list};
pub use loadavg::{parse_loadavg, parse_uptime};
pub use locks::{LockKind, LockLine, parse_locks};
pub use meminfo::parse_meminfo;
pub use pressure::parse_pressure;
pub use process::{ProcessStat, catches_signal, children_of, family_of, parse_stat, process_uid, read_stat};
pub use text::{count_list, read_bounded};
