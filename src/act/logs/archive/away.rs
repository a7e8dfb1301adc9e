//! Where archives are begun while there is no room beside their logs: a folder of the agent's own, and a little room that
//! it holds in reserve there.
//!
//! On a disk of its own an archive takes what that has to spare. On the disk that is full, it is written in place of the
//! reserve, whose blocks nobody else can get meanwhile. Must not touch: anything outside of this folder.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::act::logs::place::{About, Place, look, look_at};
use crate::act::logs::refused::Refused;
use crate::act::logs::remove::move_to_free;

use super::home::{open_own, read_first};

const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const RESERVE: &[u8] = b"reserve";
/// Enough to archive tens of megabytes of lines, and less than anybody misses.
const RESERVE_BYTES: u64 = 4 << 20;
/// It is made again only where so many times its size is free.
const REFILL_FACTOR: u64 = 4;
/// Hundredths of the disk of this folder that stay free, whatever is begun here.
const STAYS_FREE: u64 = 15;
/// Archives that wait here to be brought home. Each is of one act that was broken off.
const WAITING_MAX: usize = 64;

/// The folder, held open.
#[derive(Debug)]
pub(in crate::act) struct AwayFolder {
    pub(super) folder: OwnedFd,
    pub(super) place: Place,
}

/// An archive that was begun here and not brought home.
#[derive(Debug)]
pub(in crate::act::logs) struct Waiting {
    pub(in crate::act::logs) name: Vec<u8>,
    pub(in crate::act::logs) about: About,
    pub(in crate::act::logs) log: Vec<u8>,
    /// Of its log.
    pub(in crate::act::logs) folder: Vec<u8>,
}

impl AwayFolder {
    /// Makes it where it is missing.
    pub(in crate::act) fn open(path: &Path) -> rustix::io::Result<Self> {
        match rustix::fs::mkdir(path, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(other) => return Err(other),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let about = look_at(folder.as_fd())?;
        let mount = about.mount.ok_or(Errno::NODATA)?;
        Ok(Self { folder, place: Place { device: about.identity.device, mount } })
    }

    /// Takes the reserve where it is missing and there is plenty of room. Whether it is there afterwards.
    pub(in crate::act) fn keep_reserve(&self) -> rustix::io::Result<bool> {
        match look(self.folder.as_fd(), RESERVE) {
            Ok(_) => return Ok(true),
            Err(Errno::NOENT) => {}
            Err(other) => return Err(other),
        }
        let room = rustix::fs::fstatvfs(&self.folder)?;
        if room.f_bavail.saturating_mul(room.f_frsize) < RESERVE_BYTES * REFILL_FACTOR {
            return Ok(false);
        }
        let file = self.create(RESERVE)?;
        // Of no length: what is written in it shows.
        let taken = rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVE_BYTES);
        if let Err(errno) = taken {
            rustix::fs::unlinkat(&self.folder, RESERVE, AtFlags::empty())?;
            return if errno == Errno::OPNOTSUPP { Ok(false) } else { Err(errno) };
        }
        Ok(true)
    }

    /// A new file, and how much of it is reserved.
    pub(super) fn make(&self, name: &[u8]) -> Result<(OwnedFd, u64), Refused> {
        match move_to_free(self.folder.as_fd(), RESERVE, name) {
            Ok(()) => {
                let (file, about) = open_own(self.folder.as_fd(), name, self.place)?;
                let held = about.blocks.saturating_mul(512).min(RESERVE_BYTES);
                Ok((file, if about.size == 0 { held } else { 0 }))
            }
            Err(Errno::NOENT) if spare(self.folder.as_fd()) > 0 => {
                Ok((self.create(name).map_err(Refused::of)?, 0))
            }
            Err(Errno::NOENT) => Err(Refused::NoRoom),
            Err(other) => Err(Refused::of(other)),
        }
    }

    fn create(&self, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, name, flags, FILE_MODE)
    }

    /// Those that wait to be brought home.
    pub(in crate::act::logs) fn waiting(&self) -> rustix::io::Result<Vec<Waiting>> {
        let mut all = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if all.len() < WAITING_MAX && number(name).is_some() {
                all.extend(self.one_waiting(name));
            }
        }
        Ok(all)
    }

    fn one_waiting(&self, name: &[u8]) -> Option<Waiting> {
        let (file, about) = open_own(self.folder.as_fd(), name, self.place).ok()?;
        let first = read_first(&file).ok()??;
        Some(Waiting { name: name.to_vec(), about, log: first.log, folder: first.folder? })
    }
}

/// What the disk of this folder has to spare.
pub(super) fn spare(folder: BorrowedFd<'_>) -> u64 {
    let Ok(room) = rustix::fs::fstatvfs(folder) else { return 0 };
    let stays = room.f_blocks / 100 * STAYS_FREE;
    room.f_bavail.saturating_sub(stays).saturating_mul(room.f_frsize)
}

/// The name of the archive of the log with this number, on this device.
pub(super) fn away_name(log: &About) -> Vec<u8> {
    let device = log.identity.device;
    format!("archiving-{}-{}-{}", device.major, device.minor, log.identity.inode).into_bytes()
}

/// The number of the log in such a name.
pub(super) fn number(name: &[u8]) -> Option<u64> {
    let name = std::str::from_utf8(name).ok()?.strip_prefix("archiving-")?;
    name.rsplit('-').next()?.parse().ok()
}
