//! Who fills a file system: the largest files and folders on it, and deleted files that are still open.
//!
//! Owns the bounded walk and the search through `/proc`. Follows no link, leaves the file system by no mount, changes
//! nothing, and must not judge what is too large. Blocks: whoever calls it has a thread for it.

mod deleted;
mod give_way;
mod top;
mod walk;
mod writers;

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::model::{Bytes, DeletedFiles, DeviceNumber, MountPoint, Reading, SpaceLook, WallTime};

use super::filesystem::open_beneath;
pub use deleted::deleted_files;
pub use give_way::{give_way, step_back};
pub use walk::{DEPTH_MAX, Resting, Seen, Walk};
pub use writers::FileId;
use writers::{Found, writers};

/// `BTRFS_SUPER_MAGIC` (statfs(2)).
const BTRFS: rustix::fs::FsWord = 0x9123_683e;
/// Entries between two looks at the clock: on a disk that is hard at work each may take some hundredths of a second.
const SLICE: usize = 8;
/// Works for so long, then rests for as long: the agent has a budget, and the host has other things to do.
const STINT: Duration = Duration::from_millis(20);
/// Entries of one look. What the kernel remembers of each, about a kilobyte, is charged to the agent.
const ENTRIES_MAX: u64 = 150_000;

/// For how long it is looked for who writes the largest files.
const WRITERS_WITHIN: Duration = Duration::from_millis(500);
/// How long they are watched.
const GROWTH_OVER: Duration = Duration::from_millis(100);

/// Why there was no look.
#[derive(Debug, Error)]
pub enum NoLook {
    #[error("another file system is mounted there by now, or none")]
    Gone,
    #[error("{0}")]
    Errno(#[from] Errno),
}

/// The time, and how to let some pass.
pub struct Clock<'a> {
    pub since: &'a dyn Fn() -> Duration,
    pub rest: &'a dyn Fn(Duration),
}

impl std::fmt::Debug for Clock<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// A look that has not come to its end, to go on with.
#[derive(Clone, Debug)]
pub struct Begun {
    walk: Resting,
    over: Duration,
}

/// One look at this file system, which is mounted there, for so long; or the next part of one, after which it is told as a
/// whole. With what is left of it to do, if anything is. The thread that calls takes the processor and the disk behind all
/// others from then on.
///
/// # Errors
/// When its root can't be opened, or is not of this file system.
pub fn look(
    proc: &Path,
    (point, device): (&MountPoint, DeviceNumber),
    at: WallTime,
    patience: Duration,
    clock: &Clock<'_>,
    before: Option<Begun>,
) -> Result<(SpaceLook, Option<Begun>), NoLook> {
    let begun = (clock.since)();
    let root = open_root(proc, point, device)?;
    let room = rustix::fs::fstatvfs(&root)?;
    // First what nobody finds by looking at folders.
    let until = begun + patience / 2;
    let deleted = deleted_files(proc, walk::place_of(root.as_fd())?, &|| (clock.since)() >= until);
    // That is short, and what is done next may hang on it; the rest can wait for others.
    give_way();
    let is_first = before.is_none();
    let gone_on = before.and_then(|Begun { walk, over }| {
        let root = walk::open_folder(root.as_fd(), c".").ok()?;
        Some((walk.go_on(root).ok()?, over))
    });
    let (mut walk, over) = match gone_on {
        Some(gone_on) => gone_on,
        None => (Walk::new(root, &point.to_bytes())?, Duration::ZERO),
    };
    let most = walk.entries().saturating_add(ENTRIES_MAX);
    let mut whole = false;
    let mut stint = (clock.since)();
    while !whole && walk.entries() < most && (clock.since)() < begun + patience {
        whole = walk.go_on(SLICE);
        if (clock.since)() >= stint + STINT {
            (clock.rest)(STINT);
            stint = (clock.since)();
        }
    }
    let mut seen = walk.seen();
    // People are told of the first part, and of the whole.
    if is_first || whole {
        let until = (clock.since)().saturating_add(WRITERS_WITHIN);
        name_writers(proc, &mut seen, &|| (clock.since)() >= until, clock);
    }
    let over = over.saturating_add((clock.since)().saturating_sub(begun));
    let left = (!whole).then(|| Begun { walk: walk.rest(), over });
    let look = SpaceLook {
        at,
        over,
        entries: seen.entries,
        complete: whole && seen.unreadable == 0,
        unreadable: seen.unreadable,
        bytes: Bytes(seen.bytes),
        used: Bytes(room.f_blocks.saturating_sub(room.f_bfree).saturating_mul(room.f_frsize)),
        files: seen.files,
        folders: seen.folders,
        crowded: seen.crowded,
        deleted,
    };
    Ok((look, left))
}

/// Who writes the largest, and how fast they grow.
fn name_writers(proc: &Path, seen: &mut Seen, stop: &dyn Fn() -> bool, clock: &Clock<'_>) {
    let mut found = writers(proc, &seen.ids, stop);
    if found.is_empty() {
        return;
    }
    let begun = (clock.since)();
    found.values_mut().for_each(Found::watch);
    (clock.rest)(GROWTH_OVER);
    let over = (clock.since)().saturating_sub(begun).max(GROWTH_OVER);
    for (file, id) in seen.files.iter_mut().zip(&seen.ids) {
        let Some(found) = found.get(id) else { continue };
        file.writer = Reading::Value(found.writer.clone());
        if let Some(grown) = found.grown(*id) {
            let millis = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
            file.growth = Reading::Value(Bytes(grown.saturating_mul(1000) / millis));
        }
    }
}

/// The deleted files that are open on this file system, which is mounted there.
///
/// # Errors
/// When its root can't be opened, or is not of this file system.
pub fn deleted_on(
    proc: &Path,
    (point, device): (&MountPoint, DeviceNumber),
    patience: Duration,
    clock: &Clock<'_>,
) -> Result<Reading<DeletedFiles>, NoLook> {
    let begun = (clock.since)();
    let place = walk::place_of(open_root(proc, point, device)?.as_fd())?;
    Ok(deleted_files(proc, place, &|| (clock.since)() >= begun + patience))
}

/// As the host sees it, not the agent's sandbox. Nothing of it is asked before it is known to be the one that is meant:
/// another may hang.
fn open_root(proc: &Path, point: &MountPoint, device: DeviceNumber) -> Result<OwnedFd, NoLook> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host = rustix::fs::open(proc.join("1/root"), flags, Mode::empty())
        .or_else(|_| rustix::fs::open("/", flags, Mode::empty()))?;
    let path = point.to_bytes();
    let below = path.strip_prefix(b"/").filter(|it| !it.is_empty()).unwrap_or(b".");
    let place = open_beneath(&host, Path::new(OsStr::from_bytes(below)))?;
    if !walk::place_of(place.as_fd())?.is_on(device) && !is_subvolume(place.as_fd(), device) {
        return Err(NoLook::Gone);
    }
    Ok(walk::open_folder(place.as_fd(), c".")?)
}

/// stat(2) tells of btrfs the device of a subvolume, which is not the one in the table of mounts: there the kind must do.
fn is_subvolume(place: BorrowedFd<'_>, device: DeviceNumber) -> bool {
    device.major == 0 && rustix::fs::fstatfs(place).is_ok_and(|kind| kind.f_type == BTRFS)
}

#[cfg(test)]
mod tests;
