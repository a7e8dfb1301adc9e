//! A candidate is opened and looked at again, on descriptors: what goes on record before it is removed.
//!
//! Reads at most the ends of the file, and changes nothing.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use crate::model::{Bytes, Fate, Removal, WallTime};

use super::candidate::{Candidate, Folder, allocated};
use super::digest::digest;
use super::lease::Lease;
use super::place::{About, handle, look, look_at, open_to_read};
use super::refused::Refused;
use super::search::Ground;
use super::select::Keeper;

/// A file that is open and may be removed: to be put on record, then removed.
#[derive(Debug)]
pub(in crate::act) struct Ready {
    pub(super) ground: Arc<Ground>,
    pub(super) folder: Arc<Folder>,
    pub(super) opened: OwnedFd,
    pub(super) name: Vec<u8>,
    pub(super) file: OwnedFd,
    pub(super) about: About,
    pub(super) is_leftover: bool,
    removal: Removal,
}

impl Ready {
    /// What is put on record.
    pub(in crate::act) fn removal(&self) -> &Removal {
        &self.removal
    }
}

pub(super) fn prepare(ground: &Arc<Ground>, candidate: &Candidate, now: WallTime) -> Result<Ready, Refused> {
    let Candidate { folder, name, about: seen, keeper } = candidate;
    let opened = ground.open_again(folder)?;
    if let Some(keeper) = keeper {
        is_kept(opened.as_fd(), keeper)?;
    }
    // Nothing is opened before it is known to be a regular file, and the one that was seen.
    let handle = handle(opened.as_fd(), name).map_err(Refused::of)?;
    let about = look_at(handle.as_fd()).map_err(Refused::Errno)?;
    about.is_fit(ground.place)?;
    if about.identity != seen.identity {
        return Err(Refused::Replaced);
    }
    if !about.untouched_since(seen) {
        return Err(Refused::Changed);
    }
    let is_leftover = candidate.is_leftover();
    is_old(folder, &about, is_leftover, now)?;
    let file = open_to_read(handle.as_fd()).map_err(|errno| match errno {
        // Without waiting: somebody else's lease.
        Errno::AGAIN => Refused::Leased,
        // Of /proc, not of the file.
        Errno::NOENT => Refused::Errno(errno),
        other => Refused::of(other),
    })?;
    // Given back at once: nobody is to wait for the disks, from which is read now and to which the record is written
    // next.
    drop(Lease::take(file.as_fd())?);
    let digest = digest(file.as_fd(), about.size).map_err(Refused::Errno)?.ok_or(Refused::Changed)?;
    if !look_at(file.as_fd()).map_err(Refused::Errno)?.untouched_since(&about) {
        return Err(Refused::Changed);
    }
    let removal = Removal {
        path: folder.path_of(name),
        size: Bytes(about.size),
        allocated: allocated(&about),
        modified: about.modified.wall(),
        uid: about.uid,
        gid: about.gid,
        inode: about.identity.inode,
        digest,
        fate: Fate::Gone,
    };
    let (ground, folder, name) = (Arc::clone(ground), Arc::clone(folder), name.clone());
    Ok(Ready { ground, folder, opened, name, file, about, is_leftover, removal })
}

/// A clock that was set back makes it young again.
pub(super) fn is_old(
    folder: &Folder,
    about: &About,
    is_leftover: bool,
    now: WallTime,
) -> Result<(), Refused> {
    let old =
        if is_leftover { folder.rules.is_old_content(about, now) } else { folder.rules.is_old(about, now) };
    if old { Ok(()) } else { Err(Refused::Young) }
}

/// The newest of the log is still there: somebody may have removed what the others were compared with.
fn is_kept(folder: BorrowedFd<'_>, keeper: &Keeper) -> Result<(), Refused> {
    match look(folder, &keeper.name) {
        Ok(about) if about.identity == keeper.identity => Ok(()),
        _ => Err(Refused::NothingKept),
    }
}
