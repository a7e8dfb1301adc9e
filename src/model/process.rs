//! Processes as people and rules see them: who runs, what each takes, and what is wrong with how they run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BootTime, Bytes, Limit, Percent, Reading, StormEye};

/// How the process table is read. All ways give the same rows; they differ in what a pass costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessWay {
    /// A BPF program with the open-coded task iterator, one system call for all.
    BpfTasks,
    /// The BPF iterator `iter/task`.
    BpfIterator,
    /// `/proc/PID/stat`, three system calls each: the way that always works.
    Procfs,
}

impl ProcessWay {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BpfTasks => "bpf-tasks",
            Self::BpfIterator => "bpf-iterator",
            Self::Procfs => "procfs",
        }
    }
}

/// A cheaper way that can't be taken on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedWay {
    pub way: ProcessWay,
    pub why: String,
}

/// The process that leaves the most ended children unreaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZombieParent {
    pub pid: i32,
    /// Of its main thread; empty when it is not in the table.
    pub name: String,
    pub zombies: u32,
}

/// The whole table in a few numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCounts {
    /// Kernel threads included.
    pub processes: u32,
    pub threads: u64,
    /// Ended and not yet reaped.
    pub zombies: u32,
    /// Absent when there is no zombie.
    pub zombie_parent: Reading<ZombieParent>,
    /// Processes that sit in D state since an earlier pass; kernel threads left out.
    pub blocked: u32,
    /// For how long the longest of these has been seen so; zero without any.
    pub blocked_longest: Duration,
}

/// What comes first in a list of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessSort {
    /// CPU time of the last interval.
    Cpu,
    /// Resident memory.
    Memory,
    /// Read from and written to storage.
    Io,
    /// The longest running.
    Age,
}

impl ProcessSort {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Io, Self::Age];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Age => "age",
        }
    }
}

/// Where a process belongs, by the names in its control group's path. Who may make groups may choose names: they
/// tell where to look, and prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlace {
    /// The path of its group.
    pub cgroup: String,
    /// The system's unit; absent outside of systemd's tree.
    pub unit: Reading<String>,
    /// The UID of its pod.
    pub pod: Reading<String>,
    /// The id of its container.
    pub container: Reading<String>,
}

/// What every process shows of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessLine {
    pub pid: i32,
    /// Since boot, in clock ticks: with pid and boot its identity.
    pub start_ticks: u64,
    pub parent: i32,
    /// Of its main thread, as it chose it; bytes that are no text are replaced.
    pub name: String,
    /// The kernel's letter: `R`, `S`, `D`, `Z` …
    pub state: char,
    pub kernel_thread: bool,
    pub threads: u32,
    /// Suspended time included.
    pub age: Duration,
    /// Of all its threads, since it began.
    pub cpu_time: Duration,
    /// Shared pages count in each process; a few pages per processor off since Linux 6.2.
    pub resident: Bytes,
    /// The real user.
    pub user: Reading<u32>,
    pub place: Reading<ProcessPlace>,
}

/// One process of a list, with how it changed over the last interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessView {
    #[serde(flatten)]
    pub line: ProcessLine,
    /// Percent of one core.
    pub cpu: Reading<Percent>,
    /// Bytes a second that its resident memory grew by; below zero when it shrank.
    pub growth: Reading<i64>,
    /// A second.
    pub minor_faults: Reading<f64>,
    /// Faults that waited for storage, a second.
    pub major_faults: Reading<f64>,
    /// A second. Known only while somebody asks for lists by io, unless the way gives it for nothing.
    pub storage_read: Reading<Bytes>,
    /// A second.
    pub storage_written: Reading<Bytes>,
    /// For how long it has been seen in D state.
    pub blocked_for: Reading<Duration>,
}

/// The first of all processes in some order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessList {
    pub way: ProcessWay,
    /// What would be cheaper, the cheapest first.
    #[serde(default)]
    pub refused: Vec<RefusedWay>,
    /// How it would be found out who makes short-lived processes; none before that is known.
    #[serde(default)]
    pub storms: Option<StormEye>,
    /// When the table was read; absent before the first pass.
    pub at: Reading<BootTime>,
    /// The time that the rates are over; absent after a first pass, a suspend or a long gap.
    pub interval: Reading<Duration>,
    pub counts: Reading<ProcessCounts>,
    /// What the table lacks, a sentence; none when it is whole.
    pub incomplete: Option<String>,
    pub sort: ProcessSort,
    pub processes: Vec<ProcessView>,
}

/// The file that a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessExecutable {
    /// Below the process's own root.
    pub path: String,
    /// Removed or replaced since it was started.
    pub deleted: bool,
}

/// What a process moved to and from storage since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStorage {
    pub read: Bytes,
    pub written: Bytes,
    /// Of what was written, what was dropped before it reached a disk.
    pub cancelled: Bytes,
}

/// One process, looked at on demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessDetail {
    #[serde(flatten)]
    pub line: ProcessLine,
    /// Whose rights it acts with.
    pub effective_user: Reading<u32>,
    /// Absent for kernel threads.
    pub executable: Reading<ProcessExecutable>,
    pub open_files: Reading<u64>,
    pub open_files_limit: Reading<Limit<u64>>,
    /// The function of the kernel that its main thread waits in; absent when it runs.
    pub wait_channel: Reading<String>,
    pub storage: Reading<ProcessStorage>,
    pub swap: Reading<Bytes>,
    /// Its share of memory (PSS): a page that three share counts a third. Read only when asked for.
    pub proportional: Reading<Bytes>,
}
