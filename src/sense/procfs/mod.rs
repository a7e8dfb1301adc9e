//! What `/proc` and the control-group file systems say, parsed from bytes.
//!
//! Owns the formats (proc(5), `Documentation/filesystems/proc.rst`). Must not keep state or judge. The parsers take
//! the bytes of a file and give values that are `Copy`, with names borrowed from the bytes; tables are iterators of
//! rows. They never panic, never allocate and never look at anything but the bytes. Three rules hold for all:
//!
//! * A line without its end is not read: a number in it may have lost its last digits. (`wchan` and the text of the
//!   link `exe` have no line end; neither is a number.)
//! * A field that later kernels brought is `Option`, with the kernel that has it; what is missing is never 0. A field
//!   that later kernels add is passed over.
//! * A row that is not understood is an `Err` in its place, and loses no other.
//!
//! Those named `parse_…` and `read_…` are older, and own their strings.

mod cgroup;
mod diskstats;
mod fstype;
mod host_stat;
mod limits;
mod loadavg;
mod locks;
mod membership;
mod meminfo;
mod mountinfo;
mod net_dev;
mod net_stacks;
mod pressure;
mod process;
mod process_files;
mod process_stat;
mod process_status;
#[cfg(test)]
mod row_tests;
mod swaps;
#[cfg(test)]
mod tests;
mod text;
mod vmstat;

pub use cgroup::{CgroupMounts, PROCESSES_MAX, own_cgroup, process_list};
pub use diskstats::{DiskRow, Flushes, Requests, disks};
pub use fstype::FilesystemKind;
pub use host_stat::{CpuRow, CpuTimes, HostStat, OnlineCpus, cpus, online_cpus};
pub use limits::{FileHandles, single};
pub use loadavg::{TaskCounts, parse_loadavg, parse_uptime};
pub use locks::{LockKind, LockLine, is_mounted, parse_locks};
pub use membership::{MembershipRow, Memberships, memberships};
pub use meminfo::{MemInfo, parse_meminfo};
pub use mountinfo::{MountRow, mounts};
pub use net_dev::{InterfaceRow, Traffic, interfaces};
pub use net_stacks::{Sockets, Sockets6, TcpCounters};
pub use pressure::{PressureLines, parse_pressure};
pub use process::{
    ProcessStat, catches_signal, children_of, family_of, members_of, parse_stat, process_uid, read_stat,
};
pub use process_files::{
    Executable, MemoryPages, MemoryRollup, ProcessIo, ProcessLimits, Schedule, SoftHard, wait_channel,
};
pub use process_stat::{ProcessState, StatRow};
pub use process_status::{Ids, StatusRow};
pub use swaps::{SwapRow, swaps};
pub use text::{count_list, read_bounded};
pub use vmstat::VmStat;
