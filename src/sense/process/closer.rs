//! One process, looked at on demand: what is too dear, or too private, to read of all.
//!
//! Its folder is held open, and its start is read before and after: what is told is of one process. Must not read its
//! arguments or its environment. The file that it runs is asked about without asking a file server.

use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, StatxFlags};
use rustix::io::Errno;
use thiserror::Error;

use super::folder::{FILE_BYTES, Folder, is_gone, trouble};
use super::procfs::row;
use super::show::{Scale, place, text};
use crate::model::{
    Absence, BootTime, Bytes, Limit, ProcessDetail, ProcessExecutable, ProcessStorage, Reading,
};
use crate::sense::procfs::{
    Executable, MemoryRollup, ProcessIo, ProcessLimits, StatRow, StatusRow, wait_channel,
};

/// Open files that are counted one by one, on kernels that do not tell their number (before 6.2).
const FILES_COUNTED_MAX: u64 = 1 << 20;
/// Some thousand entries for each getdents(2).
const LISTING_BYTES: usize = 32 * 1024;

/// Why nothing is told of a process.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookError {
    #[error("there is no process {0}")]
    Gone(i32),
    #[error("process {pid} can't be read: {why}")]
    Failed { pid: i32, why: String },
}

/// Looks at one process. `shares` also walks its memory map for its share of memory: that takes milliseconds for each
/// gigabyte, holds up the process's own changes to the map meanwhile, and waits where the process itself is stuck in one.
///
/// # Errors
/// When there is no such process, it ended meanwhile, or not even its `stat` can be read.
pub fn look_closer(proc: &Path, pid: i32, shares: bool, now: BootTime) -> Result<ProcessDetail, LookError> {
    let failed = |errno: Errno| {
        if is_gone(errno) { LookError::Gone(pid) } else { LookError::Failed { pid, why: errno.to_string() } }
    };
    let folder = Folder::open(proc, pid).map_err(failed)?.ok_or(LookError::Gone(pid))?;
    let buffer = &mut [0; FILE_BYTES][..];
    let scale = Scale::of_host();
    let stat = StatRow::parse(folder.read("stat", buffer).map_err(failed)?)
        .map_err(|error| LookError::Failed { pid, why: error.to_string() })?;
    let first = row(&stat, scale.hertz);
    let mut line = scale.line(&first, now);
    let status = folder.parse("status", buffer, |bytes| {
        let status = StatusRow::parse(bytes)?;
        Ok((status.user, status.swap))
    });
    line.user = status.clone().map(|(ids, _)| ids.real);
    line.place = place(&folder, buffer);
    let detail = ProcessDetail {
        line,
        effective_user: status.clone().map(|(ids, _)| ids.effective),
        executable: executable(&folder),
        open_files: open_files(&folder),
        open_files_limit: folder
            .parse("limits", buffer, |bytes| Ok(open_files_limit(&ProcessLimits::parse(bytes)?))),
        wait_channel: channel(&folder, buffer),
        storage: folder.parse("io", buffer, |bytes| {
            let io = ProcessIo::parse(bytes)?;
            Ok(ProcessStorage {
                read: io.read_bytes,
                written: io.written_bytes,
                cancelled: io.cancelled_bytes,
            })
        }),
        swap: present(status.map(|(_, swap)| swap)),
        proportional: if shares {
            proportional(&folder, buffer)
        } else {
            Reading::Absent(Absence::NotObserved)
        },
    };
    match folder.start(buffer) {
        Some(start) if start == first.start => Ok(detail),
        Some(_) | None => Err(LookError::Gone(pid)),
    }
}

const fn open_files_limit(limits: &ProcessLimits) -> Limit<u64> {
    limits.open_files.soft
}

/// What kernel threads and ended processes do not have is none of theirs.
fn present<T>(reading: Reading<Option<T>>) -> Reading<T> {
    match reading {
        Reading::Value(Some(value)) => Reading::Value(value),
        Reading::Value(None) => Reading::Absent(Absence::NotApplicable),
        Reading::Absent(reason) => Reading::Absent(reason),
        Reading::Failed(error) => Reading::Failed(error),
    }
}

fn executable(folder: &Folder) -> Reading<ProcessExecutable> {
    let link = match rustix::fs::readlinkat(folder.descriptor(), "exe", Vec::new()) {
        Ok(link) => link,
        // Kernel threads, and what has ended, run no file.
        Err(errno) if is_gone(errno) => return Reading::Absent(Absence::NotApplicable),
        Err(errno) => return trouble("exe", errno),
    };
    let Some(named) = Executable::parse(link.to_bytes()) else {
        return Reading::Failed("the link exe has an unknown form".into());
    };
    // The link leads to the open file itself, not along its path; what is known of it here is enough.
    let local = AtFlags::STATX_DONT_SYNC;
    let names = match rustix::fs::statx(folder.descriptor(), "exe", local, StatxFlags::NLINK) {
        Ok(file) => file.stx_nlink,
        Err(errno) => return trouble("exe", errno),
    };
    // A file may be named so, and a file that was replaced may have another name left.
    let deleted = named.deleted && names == 0;
    let path = if deleted { named.path } else { link.to_bytes() };
    Reading::Value(ProcessExecutable { path: text(path), deleted })
}

fn open_files(folder: &Folder) -> Reading<u64> {
    match count_files(folder) {
        Ok(count) => Reading::Value(count),
        Err(errno) => trouble("fd", errno),
    }
}

/// Since Linux 6.2 the size of the folder is their number.
fn count_files(folder: &Folder) -> Result<u64, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let files = rustix::fs::openat(folder.descriptor(), "fd", flags, Mode::empty())?;
    let told = u64::try_from(rustix::fs::fstat(&files)?.st_size).unwrap_or(0);
    if told > 0 {
        return Ok(told);
    }
    let mut listing = vec![std::mem::MaybeUninit::uninit(); LISTING_BYTES];
    let mut entries = RawDir::new(&files, &mut listing);
    let mut count = 0;
    while let Some(entry) = entries.next() {
        count += u64::from(entry?.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit));
        if count == FILES_COUNTED_MAX {
            return Err(Errno::TOOBIG);
        }
    }
    Ok(count)
}

fn channel(folder: &Folder, buffer: &mut [u8]) -> Reading<String> {
    match folder.read("wchan", buffer) {
        Ok(bytes) => wait_channel(bytes)
            .map_or(Reading::Absent(Absence::NotApplicable), |name| Reading::Value(text(name))),
        Err(errno) => trouble("wchan", errno),
    }
}

fn proportional(folder: &Folder, buffer: &mut [u8]) -> Reading<Bytes> {
    match folder.read("smaps_rollup", buffer) {
        // Kernel threads have no memory of their own.
        Ok([]) => Reading::Absent(Absence::NotApplicable),
        Ok(bytes) => MemoryRollup::parse(bytes).map_or_else(
            |error| Reading::Failed(error.to_string()),
            |rollup| Reading::Value(rollup.proportional),
        ),
        Err(Errno::SRCH) => Reading::Absent(Absence::NotApplicable),
        Err(errno) => trouble("smaps_rollup", errno),
    }
}

#[cfg(test)]
#[path = "closer_tests.rs"]
mod tests;
