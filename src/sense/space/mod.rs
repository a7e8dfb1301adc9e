//! Who fills a file system: the largest files and folders on it, and deleted files that are still open.
//!
//! Owns the bounded walk and the search through `/proc`. Follows no link, leaves the file system by no mount, changes
//! nothing, and must not judge what is too large. Blocks: whoever calls it has a thread for it.

mod deleted;
mod give_way;
mod top;
mod walk;

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::{Bytes, MountPoint, Reading, SpaceLook, WallTime};

use super::filesystem::open_beneath;
pub use deleted::deleted_files;
pub use give_way::give_way;
pub use walk::{DEPTH_MAX, Walk};

/// Entries between two looks at the clock.
const SLICE: usize = 256;

/// One look at the file system that is mounted there, for so long.
///
/// # Errors
/// When its root can't be opened.
pub fn look(
    proc: &Path,
    point: &MountPoint,
    at: WallTime,
    patience: Duration,
    since: &dyn Fn() -> Duration,
) -> Result<SpaceLook, Errno> {
    let begun = since();
    let root = open_root(proc, point)?;
    // First what is quick, and what nobody finds by looking at folders.
    let deleted = match walk::place_of(root.as_fd()) {
        Ok(place) => deleted_files(proc, place, &|| since() >= begun + patience / 2),
        Err(errno) => Reading::Failed(errno.to_string()),
    };
    let mut walk = Walk::new(root, &point.to_bytes())?;
    let mut complete = false;
    while !complete && since() < begun + patience {
        complete = walk.go_on(SLICE);
    }
    let seen = walk.seen();
    Ok(SpaceLook {
        at,
        over: since().saturating_sub(begun),
        entries: seen.entries,
        complete: complete && seen.unreadable == 0,
        unreadable: seen.unreadable,
        bytes: Bytes(seen.bytes),
        files: seen.files,
        folders: seen.folders,
        crowded: seen.crowded,
        deleted,
    })
}

/// As the host sees it, not the agent's sandbox.
fn open_root(proc: &Path, point: &MountPoint) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host = rustix::fs::open(proc.join("1/root"), flags, Mode::empty())
        .or_else(|_| rustix::fs::open("/", flags, Mode::empty()))?;
    let path = point.to_bytes();
    let below = path.strip_prefix(b"/").filter(|it| !it.is_empty()).unwrap_or(b".");
    let place = open_beneath(&host, Path::new(OsStr::from_bytes(below)))?;
    walk::open_folder(place.as_fd(), c".")
}

#[cfg(test)]
mod tests;
