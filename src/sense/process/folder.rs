//! One process's folder in `/proc`, held open: it stays that process's own, and reads of it fail with ESRCH once the
//! process is gone, whoever has its pid by then.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::row::Extra;
use crate::model::{Absence, Reading, Ticks};
use crate::sense::Malformed;
use crate::sense::procfs::{ProcessIo, StatRow, StatusRow};

/// Longest file that is read of a process: `cgroup` on a v1 host has a dozen paths of at most 4 KiB, and rarely so.
pub(super) const FILE_BYTES: usize = 16 * 1024;

/// A process's folder.
#[derive(Debug)]
pub(super) struct Folder {
    folder: OwnedFd,
}

impl Folder {
    /// None when there is no such process.
    pub(super) fn open(proc: &Path, pid: i32) -> Result<Option<Self>, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(proc.join(pid.to_string()), flags, Mode::empty()) {
            Ok(folder) => Ok(Some(Self { folder })),
            Err(errno) if is_gone(errno) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    pub(super) const fn descriptor(&self) -> &OwnedFd {
        &self.folder
    }

    /// The whole of one file.
    pub(super) fn read<'a>(&self, name: &str, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::empty())?;
        let mut length = 0;
        while length < buffer.len() {
            match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer[length..]))? {
                0 => return Ok(&buffer[..length]),
                read => length += read,
            }
        }
        // Not understood by halves.
        Err(Errno::FBIG)
    }

    /// One file, understood; what a process lacks is absent.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        buffer: &mut [u8],
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Reading<T> {
        match self.read(name, buffer) {
            Ok(bytes) => parse(bytes).map_or_else(|error| Reading::Failed(error.to_string()), Reading::Value),
            Err(errno) => trouble(name, errno),
        }
    }

    /// Its start: with its pid, who it is. None when it is gone.
    pub(super) fn start(&self, buffer: &mut [u8]) -> Option<Ticks> {
        StatRow::parse(self.read("stat", buffer).ok()?).ok().map(|stat| stat.start)
    }

    /// What a pass does not read, but for the number of its group, which has no use here. None when a part of it can't
    /// be read: others' `io` needs CAP_SYS_PTRACE.
    pub(super) fn extra(&self, buffer: &mut [u8]) -> Option<Extra> {
        let user = StatusRow::parse(self.read("status", buffer).ok()?).ok()?.user.real;
        let io = ProcessIo::parse(self.read("io", buffer).ok()?).ok()?;
        Some(Extra { user, storage_read: io.read_bytes, storage_written: io.written_bytes, cgroup: 0 })
    }
}

/// ESRCH is what a read gives when the process went away after the open.
pub(super) const fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::SRCH)
}

/// Why one file of a process that lives could not be read.
pub(super) fn trouble<T>(name: &str, errno: Errno) -> Reading<T> {
    match errno {
        Errno::NOENT => Reading::Absent(Absence::Unsupported),
        errno => Reading::Failed(format!("{name}: {errno}")),
    }
}
