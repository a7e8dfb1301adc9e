//! The small files of one process: `statm`, `io`, `schedstat`, `limits`, `wchan` and the link `exe`.

use crate::model::{Bytes, Limit, Nanos, Pages};
use crate::sense::Malformed;
use crate::sense::keyed::{keyed, plain};
use crate::sense::scan::{fields, kib, lines, number, one};

/// `/proc/PID/statm` (proc_pid_statm(5)): all zero for kernel threads and for what has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPages {
    pub size: Pages,
    pub resident: Pages,
    /// The part of `resident` that is files and shared memory.
    pub shared: Pages,
    pub data: Pages,
}

impl MemoryPages {
    /// From the whole file.
    ///
    /// # Errors
    /// When its line is not understood or does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        one("the process's statm", bytes, |line| {
            let mut fields = fields(line);
            let (size, resident, shared) = (fields.amount()?, fields.amount()?, fields.amount()?);
            let (_text, _library) = (fields.number()?, fields.number()?);
            Some(Self { size, resident, shared, data: fields.amount()? })
        })
    }
}

keyed! {
    /// `/proc/PID/io` (proc_pid_io(5)): of a process that has ended, its threads' sums. Only root or the owner may
    /// read it.
    pub struct ProcessIo of "the process's io" by plain {
        /// Asked for by read(2) and the like, from wherever.
        needed read_chars: Bytes = b"rchar:",
        needed written_chars: Bytes = b"wchar:",
        needed read_calls: u64 = b"syscr:",
        needed write_calls: u64 = b"syscw:",
        /// Fetched from disks.
        needed read_bytes: Bytes = b"read_bytes:",
        /// Sent to disks, or will be.
        needed written_bytes: Bytes = b"write_bytes:",
        /// Of these, what never went: the file was cut or removed first.
        needed cancelled_bytes: Bytes = b"cancelled_write_bytes:",
    }
}

keyed! {
    /// `/proc/PID/smaps_rollup` (4.14, `Documentation/ABI/testing/procfs-smaps_rollup`): the sums of all mappings. Its
    /// first line, the range of addresses, is no key.
    pub struct MemoryRollup of "the process's smaps_rollup" by kib {
        needed resident: Bytes = b"Rss:",
        /// A page counts as its share: a third where three processes have it.
        needed proportional: Bytes = b"Pss:",
    }
}

/// `/proc/PID/schedstat` (`Documentation/scheduler/sched-stats.rst`), of the main thread alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub ran: Nanos,
    /// Was ready and waited for a processor.
    pub waited: Nanos,
    pub slices: u64,
}

impl Schedule {
    /// From the whole file.
    ///
    /// # Errors
    /// When its line is not understood or does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        one("the process's schedstat", bytes, |line| {
            let mut fields = fields(line);
            Some(Self { ran: fields.amount()?, waited: fields.amount()?, slices: fields.number()? })
        })
    }
}

/// One limit of setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftHard {
    /// What holds now.
    pub soft: Limit<u64>,
    /// How far the process may raise it.
    pub hard: Limit<u64>,
}

/// What is used of `/proc/PID/limits` (proc_pid_limits(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    pub open_files: SoftHard,
    /// Processes and threads of its user, all together.
    pub processes: SoftHard,
}

impl ProcessLimits {
    /// From the whole file.
    ///
    /// # Errors
    /// When a line is missing or not understood, or the last one does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "the process's limits";
        let (mut open_files, mut processes) = (None, None);
        for line in lines(WHAT, bytes) {
            let line = line?;
            let (place, values) = if let Some(values) = line.text.strip_prefix(b"Max open files ") {
                (&mut open_files, values)
            } else if let Some(values) = line.text.strip_prefix(b"Max processes ") {
                (&mut processes, values)
            } else {
                continue;
            };
            *place = Some(soft_hard(values).ok_or(Malformed::Line { what: WHAT, line: line.number })?);
        }
        let lacks = |field| Malformed::Lacks { what: WHAT, field };
        Ok(Self {
            open_files: open_files.ok_or(lacks("Max open files"))?,
            processes: processes.ok_or(lacks("Max processes"))?,
        })
    }
}

fn soft_hard(values: &[u8]) -> Option<SoftHard> {
    let mut fields = fields(values);
    let mut limit = || match fields.next()? {
        b"unlimited" => Some(Limit::Unlimited),
        digits => number(digits).map(Limit::At),
    };
    Some(SoftHard { soft: limit()?, hard: limit()? })
}

/// `/proc/PID/wchan`: the kernel function it waits in. The file does not end its line. `None` when it does not wait,
/// or the reader may not know.
#[must_use]
pub fn wait_channel(bytes: &[u8]) -> Option<&[u8]> {
    let name = bytes.trim_ascii();
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$'));
    (plain && !name.is_empty() && name != b"0").then_some(name)
}

/// The text of the link `/proc/PID/exe` (proc_pid_exe(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executable<'a> {
    /// Below the process's own root.
    pub path: &'a [u8],
    /// The kernel put ` (deleted)` behind it: removed or replaced since it was started. A file may be named so; sure
    /// is that the file that the link leads to has no name left (`st_nlink` 0).
    pub deleted: bool,
}

impl<'a> Executable<'a> {
    /// From what readlink(2) gives. `None` for no path: kernel threads have no link.
    #[must_use]
    pub fn parse(link: &'a [u8]) -> Option<Self> {
        let (path, deleted) = match link.strip_suffix(b" (deleted)") {
            Some(path) => (path, true),
            None => (link, false),
        };
        path.starts_with(b"/").then_some(Self { path, deleted })
    }
}
