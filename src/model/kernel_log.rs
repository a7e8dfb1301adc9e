//! What the kernel says of its own troubles.

use serde::{Deserialize, Serialize};

use super::BootTime;

/// Longest line kept, bytes; longer ones are cut at a character.
pub const KERNEL_LINE_BYTES_MAX: usize = 512;

/// One kind of trouble, as rules count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelTrouble {
    /// The host ran out of memory, and a process was killed.
    OomKill,
    /// A control group reached its own limit of memory, and a process was killed.
    GroupOomKill,
    /// A task waits for what can't be interrupted, for minutes.
    HungTask,
    /// A processor does not come back from the kernel, or holds up the others.
    Lockup,
    /// The kernel itself failed: BUG, oops, panic.
    KernelFault,
    /// A disk failed a request, or had to be reset.
    StorageError,
    /// A file system found damage, or went read-only.
    FilesystemError,
    /// A processor, bus or memory reported an error that it could not correct.
    HardwareError,
    /// Memory reported an error that was corrected.
    CorrectedMemoryError,
    /// A table of the network stack, or of open files, is full.
    TableFull,
    /// A network interface lost its carrier, or does not send.
    LinkTrouble,
    /// `pids.max` refused a fork.
    ForkRefused,
    /// A program crashed.
    Segfault,
    /// A processor is slowed down by its heat, or the host is about to shut down.
    Overheated,
}

/// Whom a message names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelSubject {
    /// Nobody in particular.
    Host,
    /// A block device, controller or port: `sda`, `nvme0`, `ata1`.
    Device(String),
    Interface(String),
    Process {
        pid: i32,
        comm: String,
    },
    /// Path of a control group.
    Group(String),
}

/// Messages of one kind about one subject, read together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEvent {
    /// Of the latest of them.
    pub at: BootTime,
    pub trouble: KernelTrouble,
    pub about: KernelSubject,
    /// How many.
    pub count: u32,
    /// The latest of them, as the kernel wrote it; control characters are escaped.
    pub line: String,
}

/// News of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelLogUpdate {
    /// Troubles told since the last news; none is good news.
    Told {
        events: Vec<KernelEvent>,
        /// Records that the ring lost before they were read.
        lost: u64,
    },
    /// It can't be read, and why: nothing is known of what only it tells.
    Unreadable { why: String },
}
