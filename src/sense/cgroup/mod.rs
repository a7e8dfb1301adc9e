//! What the files of a control group say, and what its path names (`Documentation/admin-guide/cgroup-v2.rst`).
//!
//! Owns the formats of cgroup v2. Parsers alone, by the rules of [`super::procfs`]: bytes in, values out, nothing
//! kept. Must not read files; who does needs to know that the root group lacks most of them and that a missing file
//! means a controller that is not enabled here.
//!
//! `*.pressure` files have the form of [`super::procfs::PressureLines`]; `memory.current`, `memory.peak` (5.19),
//! `memory.swap.current` and `pids.current` are a [`super::procfs::single`] number.

mod group;
mod io;
mod path;
mod pod;
#[cfg(test)]
mod tests;
mod usage;

pub use group::{GroupCounts, GroupEvents, GroupKind};
pub use io::{IoRow, io_stat};
pub use path::{Container, GroupPath, Runtime};
pub use pod::PodUid;
pub use usage::{CpuMax, CpuStat, MemoryEvents, MemoryStat, PidsEvents, limit};
