//! `/proc/locks`: only locks whose owner lives in this pid namespace are listed, and those of open files.

use super::mountinfo::mounts;
use crate::model::DeviceNumber;
use crate::sense::scan::{fields, hex, number};

/// The family of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// `fcntl(F_SETLK)`, of a process.
    Posix,
    /// `fcntl(F_OFD_SETLK)`, of an open file: shown without an owner.
    OpenFile,
    /// `flock(2)`.
    Flock,
}

/// A lock that is held (not one that is waited for).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockLine {
    pub kind: LockKind,
    /// Exclusive, as against shared.
    pub write: bool,
    /// Absent for locks of open files.
    pub pid: Option<i32>,
    /// Of the file system: on some (btrfs, overlayfs) not what stat(2) shows.
    pub device: (u32, u32),
    pub inode: u64,
}

/// The locks held, of the kinds known here; other lines (leases, waiters) are passed over.
pub fn parse_locks(bytes: &[u8]) -> impl Iterator<Item = LockLine> {
    bytes.split(|byte| *byte == b'\n').filter_map(line)
}

/// Whether a file system is mounted by this very number (`mountinfo`): then it stands in the table of locks as well.
/// The numbers that btrfs gives to its subvolumes are not.
#[must_use]
pub fn is_mounted(mountinfo: &[u8], device: (u32, u32)) -> bool {
    let device = DeviceNumber { major: device.0, minor: device.1 };
    mounts(mountinfo).filter_map(Result::ok).any(|mount| mount.device == device)
}

/// `1: POSIX  ADVISORY  WRITE 708 fd:01:2888508 0 EOF`.
fn line(bytes: &[u8]) -> Option<LockLine> {
    let mut fields = fields(bytes);
    fields.next()?;
    let kind = match fields.next()? {
        b"POSIX" => LockKind::Posix,
        b"OFDLCK" => LockKind::OpenFile,
        b"FLOCK" => LockKind::Flock,
        _ => return None,
    };
    fields.next()?;
    let write = fields.next()? == b"WRITE";
    let pid = number(fields.next()?).and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let mut place = fields.next()?.split(|byte| *byte == b':');
    let mut half = || u32::try_from(hex(place.next()?)?).ok();
    let device = (half()?, half()?);
    let inode = number(place.next()?)?;
    Some(LockLine { kind, write, pid, device, inode })
}
