//! What the files of a control group say, and what its path names (`Documentation/admin-guide/cgroup-v2.rst`).
//!
//! Owns the formats of cgroup v2: parsers by the rules of [`super::procfs`], bytes in, values out, nothing kept. The
//! root group lacks most of these files, and a missing one means a controller that is not enabled here. [`TreeReader`]
//! is the only part that reads files; which groups it looks at closely is decided by [`attention`], which is pure.
//!
//! `*.pressure` files have the form of [`super::procfs::PressureLines`]; `memory.current`, `memory.peak` (5.19),
//! `memory.swap.current` and `pids.current` are a [`super::procfs::single`] number.

mod attention;
mod group;
mod io;
mod notices;
mod path;
mod pod;
mod rate;
#[cfg(test)]
mod tests;
mod tree;
mod usage;

pub use attention::{ATTENTION_MAX, Interest, attention, rest};
pub use group::{GroupCounts, GroupEvents, GroupKind};
pub use io::{IoRow, io_stat};
pub use path::{Container, GroupPath, Runtime};
pub use pod::PodUid;
pub use rate::{Counted, Look, cpu, per_second};
pub use tree::{GROUPS_MAX, GroupChange, GroupNews, Heard, NoTree, TreeReader, UnitGroup, read_file};
pub use usage::{CpuMax, CpuStat, MemoryEvents, MemoryStat, PidsEvents, limit};
