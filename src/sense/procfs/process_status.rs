//! `/proc/PID/status` (proc_pid_status(5)): dearer than `stat`, and the only place for user, swap and signals.

use super::process_stat::ProcessState;
use crate::model::Bytes;
use crate::sense::Malformed;
use crate::sense::keyed::pairs;
use crate::sense::scan::{fields, hex, kib, number, pid};

const WHAT: &str = "the process's status";

/// Real, effective, saved, and of filesystem access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub real: u32,
    pub effective: u32,
    pub saved: u32,
    pub filesystem: u32,
}

/// One process. Ids are those of the reader's namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRow<'a> {
    /// As [`super::StatRow::comm`], but line ends and `\` stand as `\n` and `\\`.
    pub name: &'a [u8],
    pub state: ProcessState,
    pub pid: i32,
    pub parent: i32,
    pub user: Ids,
    pub group: Ids,
    pub threads: u64,
    /// Its pid in the innermost pid namespace that it lives in (4.1): another one than `pid` in a container.
    pub inner_pid: Option<i32>,
    /// The lines from here to `swap` are missing for kernel threads and for what has ended.
    pub virtual_size: Option<Bytes>,
    pub resident: Option<Bytes>,
    /// Its highest so far.
    pub resident_peak: Option<Bytes>,
    /// 4.5.
    pub resident_anonymous: Option<Bytes>,
    /// 4.5.
    pub resident_file: Option<Bytes>,
    /// 4.5.
    pub resident_shmem: Option<Bytes>,
    /// 2.6.34.
    pub swap: Option<Bytes>,
    /// The signals it has a handler for; bit 0 is signal 1.
    pub caught: u64,
    /// The signals it ignores.
    pub ignored: u64,
}

impl<'a> StatusRow<'a> {
    /// From the whole file.
    ///
    /// # Errors
    /// When a line that is needed is missing, one is not understood, or the last one does not end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut found = Found::default();
        for pair in pairs(WHAT, bytes) {
            let pair = pair?;
            found.take(pair.key, pair.value).ok_or(Malformed::Line { what: WHAT, line: pair.line })?;
        }
        let lacks = |field| Malformed::Lacks { what: WHAT, field };
        Ok(Self {
            name: found.name.ok_or(lacks("Name"))?,
            state: found.state.ok_or(lacks("State"))?,
            pid: found.pid.ok_or(lacks("Pid"))?,
            parent: found.parent.ok_or(lacks("PPid"))?,
            user: found.user.ok_or(lacks("Uid"))?,
            group: found.group.ok_or(lacks("Gid"))?,
            threads: found.threads.ok_or(lacks("Threads"))?,
            inner_pid: found.inner_pid,
            virtual_size: found.virtual_size,
            resident: found.resident,
            resident_peak: found.resident_peak,
            resident_anonymous: found.resident_anonymous,
            resident_file: found.resident_file,
            resident_shmem: found.resident_shmem,
            swap: found.swap,
            caught: found.caught.ok_or(lacks("SigCgt"))?,
            ignored: found.ignored.ok_or(lacks("SigIgn"))?,
        })
    }

    /// Whether it has a handler for this signal.
    #[must_use]
    pub fn catches(&self, signal: u32) -> bool {
        signal.checked_sub(1).and_then(|bit| self.caught.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
    }
}

/// What was seen so far.
#[derive(Default)]
struct Found<'a> {
    name: Option<&'a [u8]>,
    state: Option<ProcessState>,
    pid: Option<i32>,
    parent: Option<i32>,
    user: Option<Ids>,
    group: Option<Ids>,
    threads: Option<u64>,
    inner_pid: Option<i32>,
    virtual_size: Option<Bytes>,
    resident: Option<Bytes>,
    resident_peak: Option<Bytes>,
    resident_anonymous: Option<Bytes>,
    resident_file: Option<Bytes>,
    resident_shmem: Option<Bytes>,
    swap: Option<Bytes>,
    caught: Option<u64>,
    ignored: Option<u64>,
}

impl<'a> Found<'a> {
    /// One line; `None` when it is not understood.
    fn take(&mut self, key: &[u8], value: &'a [u8]) -> Option<()> {
        match key {
            b"Name:" => self.name = Some(value),
            b"State:" => self.state = Some(ProcessState::of(*value.first()?)),
            b"Pid:" => self.pid = Some(pid(value)?),
            b"PPid:" => self.parent = Some(pid(value)?),
            b"Uid:" => self.user = Some(ids(value)?),
            b"Gid:" => self.group = Some(ids(value)?),
            b"Threads:" => self.threads = Some(number(value)?),
            b"NSpid:" => self.inner_pid = Some(pid(fields(value).last()?)?),
            b"VmSize:" => self.virtual_size = Some(Bytes(kib(value)?)),
            b"VmRSS:" => self.resident = Some(Bytes(kib(value)?)),
            b"VmHWM:" => self.resident_peak = Some(Bytes(kib(value)?)),
            b"RssAnon:" => self.resident_anonymous = Some(Bytes(kib(value)?)),
            b"RssFile:" => self.resident_file = Some(Bytes(kib(value)?)),
            b"RssShmem:" => self.resident_shmem = Some(Bytes(kib(value)?)),
            b"VmSwap:" => self.swap = Some(Bytes(kib(value)?)),
            b"SigCgt:" => self.caught = Some(hex(value)?),
            b"SigIgn:" => self.ignored = Some(hex(value)?),
            _ => {}
        }
        Some(())
    }
}

fn ids(value: &[u8]) -> Option<Ids> {
    let mut fields = fields(value);
    let mut id = || u32::try_from(fields.number()?).ok();
    Some(Ids { real: id()?, effective: id()?, saved: id()?, filesystem: id()? })
}
