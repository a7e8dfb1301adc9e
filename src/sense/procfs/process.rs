//! One process: `/proc/PID/stat`, `status` and `task/PID/children`.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::PROCESSES_MAX;
use super::process_stat::StatRow;
use super::text::read_bounded;
use crate::sense::scan::{fields, hex, number};

/// Longest `stat` or `status` that is read: the kernel's are far below.
const STATUS_MAX: usize = 16 * 1024;

/// What is used of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    pub pid: i32,
    /// Its name, up to 15 bytes, as it chose: any bytes.
    pub comm: String,
    /// `R`, `S`, `D`, `Z`, `T` …
    pub state: char,
    pub parent: i32,
    /// The pid of its session's first process.
    pub session: i32,
    pub kernel_thread: bool,
    /// User and system time, its reaped children included, in clock ticks.
    pub cpu_ticks: u64,
    pub threads: u64,
    /// Since boot, in clock ticks: with pid and boot the identity of a process.
    pub start_ticks: u64,
    /// Resident pages; shared ones count in each process.
    pub resident_pages: u64,
}

impl ProcessStat {
    /// Ended and not yet reaped. A main thread that ended before the others shows `Z` too, and its process lives.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }
}

/// The same as [`StatRow`], owned and shorter; `None` where it is not understood.
#[must_use]
pub fn parse_stat(bytes: &[u8]) -> Option<ProcessStat> {
    let row = StatRow::parse(bytes).ok()?;
    let own = row.user.0.checked_add(row.system.0)?;
    Some(ProcessStat {
        pid: row.pid,
        comm: String::from_utf8_lossy(row.comm).into_owned(),
        state: row.state.letter(),
        parent: row.parent,
        session: row.session,
        kernel_thread: row.kernel_thread,
        cpu_ticks: own.checked_add(row.children_user.0)?.checked_add(row.children_system.0)?,
        threads: row.threads,
        start_ticks: row.start.0,
        resident_pages: row.resident.0,
    })
}

/// Reads and parses; `None` when there is no such process.
///
/// # Errors
/// When it is there and can't be read or understood.
pub fn read_stat(proc: &Path, pid: i32) -> std::io::Result<Option<ProcessStat>> {
    match read_bounded(&proc.join(format!("{pid}/stat")), STATUS_MAX) {
        Ok(bytes) => match parse_stat(&bytes) {
            Some(stat) => Ok(Some(stat)),
            None => Err(std::io::Error::other(format!("/proc/{pid}/stat has an unknown form"))),
        },
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `ESRCH` is what a read gives when the process went away after the open.
fn is_gone(error: &std::io::Error) -> bool {
    let gone = Some(rustix::io::Errno::SRCH.raw_os_error());
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == gone
}

/// Its effective user: the owner of its folder in `/proc`.
///
/// # Errors
/// When there is no such process.
pub fn process_uid(proc: &Path, pid: i32) -> std::io::Result<u32> {
    Ok(std::fs::metadata(proc.join(pid.to_string()))?.uid())
}

/// Whether the process has a handler for this signal (`SigCgt` of `/proc/PID/status`): without one SIGHUP kills.
#[must_use]
pub fn catches_signal(status: &[u8], signal: u32) -> Option<bool> {
    let mask = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"SigCgt:"))?;
    Some(hex(mask.trim_ascii())?.checked_shr(signal.checked_sub(1)?)? & 1 == 1)
}

/// The children of a process's main thread (`CONFIG_PROC_CHILDREN`); empty where the kernel does not tell.
#[must_use]
pub fn children_of(proc: &Path, pid: i32) -> Vec<i32> {
    let path = proc.join(format!("{pid}/task/{pid}/children"));
    let bytes = read_bounded(&path, STATUS_MAX).unwrap_or_default();
    fields(&bytes).filter_map(number).filter_map(|pid| i32::try_from(pid).ok()).collect()
}

/// The processes of a session, its first one left out.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "lists /proc")]
pub fn members_of(proc: &Path, session: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let member = |pid: &i32| read_stat(proc, *pid).ok().flatten().is_some_and(|stat| stat.session == session);
    pids.filter(|pid| *pid != session).filter(member).collect()
}

/// A process and its descendants, itself first, at most [`PROCESSES_MAX`].
#[must_use]
pub fn family_of(proc: &Path, pid: i32) -> Vec<i32> {
    let mut family = vec![pid];
    let mut seen = BTreeSet::from([pid]);
    let mut next = 0;
    while next < family.len() && family.len() < PROCESSES_MAX {
        let children = children_of(proc, family[next]).into_iter().filter(|child| seen.insert(*child));
        family.extend(children.collect::<Vec<_>>());
        next += 1;
    }
    family.truncate(PROCESSES_MAX);
    family
}
