//! The removal of one file, so that no other can be removed in its place.
//!
//! A name is removed, not a file: between the last look at a name and its removal, a rotation may give it to another
//! file. So the file is first given a private name in its folder, which nobody else uses, looked at under that name,
//! and removed by that name. If it is not the file that was meant it gets its name back.
//!
//! What remains is a user who may write to the folder, knows the private name and exchanges the file between the look
//! and the removal. He can only put there what he may rename or link himself, and what is removed is one name in that
//! folder, which he may remove himself; links are not followed. Somebody who opens the file for writing between the
//! last look at the lease and the removal writes into a file without a name, as with any removal. A crash in between
//! leaves the private name, by which the next search knows it.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::model::WallTime;

use super::lease::Lease;
use super::names::aside_name;
use super::place::{look, look_at};
use super::prepare::{Ready, is_old};
use super::refused::Refused;

impl Ready {
    /// Removes it if nothing has changed since it was prepared. Where it is refused nothing is removed, but for
    /// [`Refused::LivesOn`]: then a name is gone, and its room is not free.
    pub(in crate::act) fn remove(self, now: WallTime) -> Result<(), Refused> {
        // From here on, whoever opens it for writing waits.
        let lease = Lease::take(self.file.as_fd())?;
        self.look_again(now)?;
        let aside = self.put_aside()?;
        if let Err(why) = self.is_the_one(&aside, &lease) {
            return Err(self.put_back(&aside, why));
        }
        if let Err(errno) = rustix::fs::unlinkat(&self.opened, &aside[..], AtFlags::empty()) {
            return Err(self.put_back(&aside, Refused::of(errno)));
        }
        match look_at(self.file.as_fd()) {
            Ok(about) if about.links > 0 => Err(Refused::LivesOn),
            // It was removed, whatever the file system says of it now.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn look_again(&self, now: WallTime) -> Result<(), Refused> {
        let about = look_at(self.file.as_fd()).map_err(Refused::Errno)?;
        about.is_fit(self.ground.place)?;
        if !about.untouched_since(&self.about) {
            return Err(Refused::Changed);
        }
        is_old(&self.folder, &about, self.is_leftover, now)?;
        // The folder is open and could be anywhere by now.
        self.ground.open_again(&self.folder)?;
        let named = look(self.opened.as_fd(), &self.name).map_err(Refused::of)?;
        named.is_fit(self.ground.place)?;
        if named.identity == about.identity { Ok(()) } else { Err(Refused::Replaced) }
    }

    /// The name by which it is removed.
    pub(super) fn put_aside(&self) -> Result<Vec<u8>, Refused> {
        if self.is_leftover {
            return Ok(self.name.clone());
        }
        let aside = aside_name(self.about.identity.inode);
        move_to_free(self.opened.as_fd(), &self.name, &aside).map_err(Refused::of)?;
        Ok(aside)
    }

    pub(super) fn is_the_one(&self, aside: &[u8], lease: &Lease<'_>) -> Result<(), Refused> {
        let about = look(self.opened.as_fd(), aside).map_err(Refused::of)?;
        if about.identity != self.about.identity {
            return Err(Refused::Replaced);
        }
        about.is_fit(self.ground.place)?;
        if !about.same_content_as(&self.about) {
            return Err(Refused::Changed);
        }
        if lease.is_undisturbed() { Ok(()) } else { Err(Refused::OpenForWriting) }
    }

    /// Why it stays, after it got its name back.
    pub(super) fn put_back(&self, aside: &[u8], why: Refused) -> Refused {
        if self.is_leftover {
            return why;
        }
        match move_to_free(self.opened.as_fd(), aside, &self.name) {
            Ok(()) | Err(Errno::NOENT) => why,
            // Its content is safe, and a search tells of it.
            Err(_) => Refused::LeftAside(self.about.identity.inode),
        }
    }
}

/// Renames within a folder, and never over another.
pub(super) fn move_to_free(folder: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // Not of this file system, or of this kernel.
        Err(Errno::INVAL | Errno::NOSYS) => move_to_what_looks_free(folder, from, to),
        other => other,
    }
}

/// Where the file system can't be asked to do it at once. What is made there between look and rename is lost: under
/// the private name only a user could make it on purpose, of his own; under the old one, a rotation in that very
/// moment.
pub(super) fn move_to_what_looks_free(
    folder: BorrowedFd<'_>,
    from: &[u8],
    to: &[u8],
) -> rustix::io::Result<()> {
    match look(folder, to) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rustix::fs::renameat(folder, from, folder, to),
        Err(other) => Err(other),
    }
}
