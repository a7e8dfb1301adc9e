//! One process as one pass saw it: what every way of reading the process table has to give.

use std::time::Duration;

use crate::model::{Bytes, Pages, Ticks};
use crate::sense::procfs::ProcessState;

/// Longest name that the kernel keeps of a task (`TASK_COMM_LEN`), with its closing zero.
pub const COMM_LEN: usize = 16;

/// One process (a thread group), its threads together. Plain data of a fixed size: a table of ten thousand is one
/// allocation, made once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    pub pid: i32,
    /// Since boot: with pid and boot the identity of a process.
    pub start: Ticks,
    pub parent: i32,
    /// Of the main thread: it may be a zombie while others live.
    pub state: ProcessState,
    pub kernel_thread: bool,
    pub threads: u32,
    /// User and system time of all its threads, the ended ones included; not of its children.
    pub cpu: Duration,
    /// Resident. Since Linux 6.2 the count may be off by some pages for each processor: confirm with `statm` of the
    /// process before it decides anything.
    pub resident: Pages,
    pub minor_faults: u64,
    /// Faults that waited for a disk.
    pub major_faults: u64,
    /// What its way of reading tells beyond that; see [`Extra`].
    pub extra: Option<Extra>,
    /// The name of its main thread, zeros behind it. Names of kernel threads are cut to this length.
    pub comm: [u8; COMM_LEN],
}

/// What costs a further file of each process when it is read from procfs, and nothing when the kernel fills the table.
/// The slow pass and processes under attention read it from procfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Real user of the main thread.
    pub user: u32,
    /// Caused to be fetched from, and written towards, storage (`/proc/PID/io`).
    pub storage_read: Bytes,
    pub storage_written: Bytes,
    /// The kernel's number of its cgroup (the inode of its directory below `/sys/fs/cgroup`); zero when it has none.
    pub cgroup: u64,
}

impl ProcessRow {
    /// The name without its zeros.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
        &self.comm[..end]
    }
}
