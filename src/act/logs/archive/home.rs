//! An archive that was made away from its log comes home: as a copy that has no name before it is whole and on the disk.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, OFlags};
use rustix::io::Errno;

use crate::act::logs::place::{About, Place, handle, look, look_at, open_to_change};
use crate::act::logs::refused::Refused;

use super::CHUNK;
use super::file::{OWNER_ALONE, as_u64, write_all_at};
use super::slot::{FIRST_AWAY_MAX, First, parse_first_member};

/// Whether it can be put there later: its name is free, and the file system makes files without one.
pub(super) fn can_be_put(home: BorrowedFd<'_>, name: &[u8]) -> Result<(), Refused> {
    match look(home, name) {
        Err(Errno::NOENT) => {}
        Ok(_) => return Err(Refused::AsideTaken),
        Err(other) => return Err(Refused::of(other)),
    }
    match nameless(home) {
        Ok(_) | Err(Errno::NOSPC | Errno::DQUOT) => Ok(()),
        Err(other) => Err(Refused::of(other)),
    }
}

/// So much of it, under this name. Where that is taken by the same, whose removal from where it was somebody did not
/// come to, it is that.
pub(super) fn put(
    home: BorrowedFd<'_>,
    name: &[u8],
    (from, length): (&OwnedFd, u64),
    is_same: &dyn Fn(&First) -> bool,
) -> Result<OwnedFd, Refused> {
    match look(home, name) {
        Err(Errno::NOENT) => {}
        Ok(_) => return there_already(home, name, (length, is_same)),
        Err(other) => return Err(Refused::of(other)),
    }
    let file = copy_to(home, (from, length))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, &path[..], home, name, AtFlags::SYMLINK_FOLLOW).map_err(Refused::of)?;
    Ok(file)
}

fn there_already(
    home: BorrowedFd<'_>,
    name: &[u8],
    (length, is_same): (u64, &dyn Fn(&First) -> bool),
) -> Result<OwnedFd, Refused> {
    let mount = look_at(home).map_err(Refused::Errno)?;
    let place =
        Place { device: mount.identity.device, mount: mount.mount.ok_or(Refused::Errno(Errno::NODATA))? };
    let (file, about) = open_own(home, name, place)?;
    if about.size == length && read_first(&file)?.as_ref().is_some_and(is_same) {
        Ok(file)
    } else {
        Err(Refused::AsideTaken)
    }
}

/// One that only root made, and for root alone.
pub(super) fn open_own(
    folder: BorrowedFd<'_>,
    name: &[u8],
    place: Place,
) -> Result<(OwnedFd, About), Refused> {
    let handle = handle(folder, name).map_err(Refused::of)?;
    let about = look_at(handle.as_fd()).map_err(Refused::Errno)?;
    about.is_fit(place)?;
    if about.uid != 0 || u32::from(about.mode) & 0o7777 != OWNER_ALONE.bits() {
        return Err(Refused::Stray);
    }
    Ok((open_to_change(handle.as_fd())?, about))
}

pub(super) fn read_first(file: &OwnedFd) -> Result<Option<First>, Refused> {
    let mut first = vec![0; FIRST_AWAY_MAX];
    let read = rustix::io::pread(file, &mut first[..], 0).map_err(Refused::Errno)?;
    Ok(parse_first_member(first.get(..read).unwrap_or_default()))
}

/// A file that goes with its descriptor unless it is given a name.
fn nameless(folder: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, c".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, OWNER_ALONE)
}

/// The beginning of a file, on the disk of this folder.
fn copy_to(folder: BorrowedFd<'_>, (from, length): (&OwnedFd, u64)) -> Result<OwnedFd, Refused> {
    let file = nameless(folder).map_err(Refused::of)?;
    let (mut piece, mut at) = (vec![0; CHUNK], 0);
    while at < length {
        let most = CHUNK.min(usize::try_from(length - at).unwrap_or(CHUNK));
        let part = piece.get_mut(..most).unwrap_or_default();
        let read = rustix::io::pread(from, &mut *part, at).map_err(Refused::Errno)?;
        if read == 0 {
            return Err(Refused::Changed);
        }
        write_all_at(file.as_fd(), part.get(..read).unwrap_or_default(), at).map_err(Refused::of)?;
        at += as_u64(read);
    }
    rustix::fs::fsync(&file).map_err(Refused::of)?;
    Ok(file)
}
