//! The sure way: `/proc/PID/stat` of every process, three system calls each, beside the listing of `/proc`.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use super::row::{COMM_LEN, ProcessRow};
use super::way::{Coverage, PROCESSES_MAX, Unreadable, Way};
use crate::model::{Absence, ProcessWay, Reading, Ticks};
use crate::sense::procfs::StatRow;
use crate::sense::scan::pid;

/// About a thousand entries for each getdents(2).
const LISTING_BYTES: usize = 32 * 1024;
/// Longest `stat`: 52 numbers of at most 20 digits and a name of 64 bytes.
const STAT_BYTES: usize = 2048;
/// `2147483647/stat` with its zero.
const PATH_BYTES: usize = 16;

/// Reads `stat` of all processes. `/proc` stays open; nothing else does: a kept descriptor costs the kernel 4 KiB.
pub struct ProcfsWay {
    proc: PathBuf,
    folder: Option<OwnedFd>,
    listing: Box<[MaybeUninit<u8>]>,
    stat: Box<[u8]>,
    hertz: u64,
    most: usize,
}

impl std::fmt::Debug for ProcfsWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcfsWay").field("proc", &self.proc).finish_non_exhaustive()
    }
}

/// What became of one process.
enum Met {
    Row(ProcessRow),
    Gone,
    Unreadable(Unreadable),
}

impl ProcfsWay {
    /// Below this `/proc`; opens nothing yet.
    #[must_use]
    pub fn new(proc: &Path) -> Self {
        Self {
            proc: proc.to_owned(),
            folder: None,
            listing: vec![MaybeUninit::uninit(); LISTING_BYTES].into(),
            stat: vec![0; STAT_BYTES].into(),
            hertz: rustix::param::clock_ticks_per_second().max(1),
            most: PROCESSES_MAX,
        }
    }

    fn pass(&mut self, rows: &mut Vec<ProcessRow>) -> Result<Coverage, Errno> {
        let folder = match self.folder.take() {
            Some(folder) => {
                rustix::fs::seek(&folder, SeekFrom::Start(0))?;
                folder
            }
            None => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::open(&self.proc, flags, Mode::empty())?
            }
        };
        let (mut listed, mut first, mut unreadable) = (0_u32, false, None);
        let mut entries = RawDir::new(&folder, &mut self.listing);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let Some(process) = pid(name) else { continue };
            listed = listed.saturating_add(1);
            first |= process == 1;
            if rows.len() >= self.most {
                continue;
            }
            match stat(&folder, name, &mut self.stat, self.hertz)? {
                Met::Row(row) => rows.push(row),
                Met::Gone => {}
                Met::Unreadable(why) => {
                    let (count, _) = unreadable.unwrap_or((0_u32, why));
                    unreadable = Some((count.saturating_add(1), why));
                }
            }
        }
        self.folder = Some(folder);
        // What weighs most is told.
        Ok(if !first {
            Coverage::Hidden
        } else if listed as usize > self.most {
            Coverage::TooMany { listed }
        } else if let Some((count, why)) = unreadable {
            Coverage::Unreadable { count, why }
        } else {
            Coverage::Complete
        })
    }
}

impl Way for ProcfsWay {
    fn kind(&self) -> ProcessWay {
        ProcessWay::Procfs
    }

    fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Reading<Coverage> {
        rows.clear();
        match self.pass(rows) {
            // Whoever reads is a process too.
            Ok(_) if rows.is_empty() => Reading::Failed(format!("{} shows no process", self.proc.display())),
            Ok(coverage) => Reading::Value(coverage),
            Err(Errno::NOENT | Errno::NOTDIR) => Reading::Absent(Absence::Unsupported),
            Err(errno) => Reading::Failed(format!("{}: {errno}", self.proc.display())),
        }
    }
}

/// Open, read, close. The end of the line shows that one read gave all of it.
fn stat(folder: &OwnedFd, name: &[u8], buffer: &mut [u8], hertz: u64) -> Result<Met, Errno> {
    let mut path = [0; PATH_BYTES];
    let Some(path) = stat_path(name, &mut path) else { return Ok(Met::Gone) };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let read = rustix::fs::openat(folder, path, flags, Mode::empty())
        .and_then(|file| rustix::io::read(&file, &mut *buffer));
    match read {
        Ok(length) => Ok(match StatRow::parse(&buffer[..length]) {
            Ok(stat) => Met::Row(row(&stat, hertz)),
            Err(_) => Met::Unreadable(Unreadable::Malformed),
        }),
        // ESRCH: it ended between the two calls.
        Err(Errno::NOENT | Errno::SRCH) => Ok(Met::Gone),
        Err(errno @ (Errno::ACCESS | Errno::PERM)) => Ok(Met::Unreadable(Unreadable::Refused(errno))),
        Err(errno) => Err(errno),
    }
}

/// `PID/stat`, with the zero that open(2) wants.
fn stat_path<'a>(name: &[u8], path: &'a mut [u8; PATH_BYTES]) -> Option<&'a CStr> {
    let (pid, rest) = path.split_at_mut_checked(name.len())?;
    pid.copy_from_slice(name);
    rest.get_mut(..5)?.copy_from_slice(b"/stat");
    CStr::from_bytes_until_nul(path).ok()
}

/// The common form of what `stat` says.
pub(super) fn row(stat: &StatRow<'_>, hertz: u64) -> ProcessRow {
    let mut comm = [0; COMM_LEN];
    // The kernel's own names are longer in `stat` than what it keeps of them: the last byte stays zero.
    let length = stat.comm.len().min(COMM_LEN - 1);
    comm[..length].copy_from_slice(&stat.comm[..length]);
    ProcessRow {
        pid: stat.pid,
        start: stat.start,
        parent: stat.parent,
        state: stat.state,
        kernel_thread: stat.kernel_thread,
        threads: u32::try_from(stat.threads).unwrap_or(u32::MAX),
        cpu: length_of(Ticks(stat.user.0.saturating_add(stat.system.0)), hertz),
        resident: stat.resident,
        minor_faults: stat.minor_faults,
        major_faults: stat.major_faults,
        extra: None,
        comm,
    }
}

/// Clock ticks as time, at so many a second; none a second counts as one.
pub(super) fn length_of(ticks: Ticks, hertz: u64) -> Duration {
    let hertz = hertz.max(1);
    let whole = Duration::from_secs(ticks.0 / hertz);
    let part = u128::from(ticks.0 % hertz) * 1_000_000_000 / u128::from(hertz);
    whole.saturating_add(Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX)))
}

#[cfg(test)]
#[path = "procfs_tests.rs"]
mod tests;
