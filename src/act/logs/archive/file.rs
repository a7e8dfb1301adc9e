//! The archive of one log, while it is being made: under a private name, beside its log or away from it, for root alone.
//!
//! Each stage is a gzip member of its own, and is on the disk before anything is taken from the log. What a crash leaves
//! at its end is cut off by whoever goes on with it. Nothing is opened through a link, and no other file is written to.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use flate2::write::GzEncoder;
use flate2::{Compression, bufread};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::act::logs::live::{archive_name, archiving_name};
use crate::act::logs::place::{About, Place, look, look_at, open_to_list};
use crate::act::logs::refused::Refused;
use crate::act::logs::remove::move_to_free;
use crate::model::WallTime;

use super::away::{AwayFolder, away_name, number, spare};
use super::home::{self, open_own, read_first};
use super::rights::{OWNER_ALONE as OWNER_ONLY, hand_over, has_no_list};
use super::slot::{FIRST_AWAY_MAX, FIRST_MAX, First, SLOT_AT, Slot};

/// The rights of a file that may hold what only its owner may read.
pub(super) const OWNER_ALONE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Permissions, without what a log never has: set-uid, set-gid, sticky.
const PERMISSIONS: u32 = 0o777;
/// Tries to find a free name, each a second later.
const NAMES_MAX: u32 = 10;
/// Of what is left in the reserve, in sixteenths, what a stage may be long that can't be compressed at all.
const RESERVE_PART: u64 = 15;
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ArchiveFile {
    /// In which it lies, for now.
    folder: OwnedFd,
    place: Place,
    away: Option<Away>,
    temporary: Vec<u8>,
    file: OwnedFd,
    about: About,
    log: Vec<u8>,
    /// Where that is, as its first member tells it of one that was begun away from it.
    path: Option<Vec<u8>>,
    /// Of it, what is whole.
    slot: Slot,
    /// The last stage is in it, and was not given up.
    has_last: bool,
}

/// What is known of an archive that does not lie beside its log.
#[derive(Debug)]
struct Away {
    /// The folder of its log.
    home: OwnedFd,
    /// Of its length, so much is certain to have room.
    reserved: u64,
    /// Begun by an act that did not come to its end: a copy of it may be home already.
    is_left_behind: bool,
}

/// Where an archive is begun.
#[derive(Clone, Copy)]
pub(super) enum Site<'a> {
    Beside(Place),
    /// With the path of the folder of the log.
    Away(&'a AwayFolder, &'a [u8]),
}

/// Brings the parts of a stage, one after the other, to whom it is given.
type Source<'a> = dyn FnMut(&mut Sink<'_>) -> Result<(), Unwritten> + 'a;
type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Why a stage was not written.
pub(super) enum Unwritten {
    NoRoom,
    Errno(Errno),
    /// What was to be written could not be read.
    Source(Refused),
}

impl ArchiveFile {
    /// A new one for this log.
    pub(super) fn begin(
        home: BorrowedFd<'_>,
        (log, opened): (&[u8], BorrowedFd<'_>),
        about: &About,
        site: Site<'_>,
        now: WallTime,
    ) -> Result<Self, Refused> {
        let mask = if has_no_list(opened) { PERMISSIONS } else { OWNER_ONLY };
        let home = open_to_list(home, b".").map_err(Refused::Errno)?;
        let now = free_from(home.as_fd(), log, now)?;
        let beside = archiving_name(about.identity.inode);
        let (file, folder, place, (away, path), temporary) = match site {
            Site::Beside(place) => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&home, &beside[..], flags, OWNER_ALONE).map_err(Refused::of)?;
                (file, home, place, (None, None), beside)
            }
            Site::Away(to, path) => {
                home::can_be_put(home.as_fd(), &beside)?;
                let folder = open_to_list(to.folder.as_fd(), b".").map_err(Refused::Errno)?;
                let name = away_name(about);
                let (file, reserved) = to.make(&name)?;
                (
                    file,
                    folder,
                    to.place,
                    (Some(Away { home, reserved, is_left_behind: false }), Some(path.to_vec())),
                    name,
                )
            }
        };
        hold(&file)?;
        let mut slot = Slot {
            inode: about.identity.inode,
            begun: now,
            uid: about.uid,
            gid: about.gid,
            mode: u32::from(about.mode) & mask,
            sealed: 0,
            length: 0,
            from: 0,
            to: 0,
        };
        let about = look_at(file.as_fd()).map_err(Refused::Errno)?;
        let log = log.to_vec();
        let mut archive =
            Self { folder, place, away, temporary, file, about, log, path, slot, has_last: false };
        let length = as_u64(archive.first().bytes().len());
        (slot.sealed, slot.length) = (length, length);
        archive.slot = slot;
        match write_all_at(archive.file.as_fd(), &archive.first().bytes(), 0) {
            Ok(()) => Ok(archive),
            Err(errno) => {
                archive.discard();
                Err(Refused::of(errno))
            }
        }
    }

    /// One that was left behind beside its log. The last stage in it is whole, or is cut off.
    pub(super) fn resume(folder: BorrowedFd<'_>, temporary: &[u8], place: Place) -> Result<Self, Refused> {
        let folder = open_to_list(folder, b".").map_err(Refused::Errno)?;
        Self::take_up((folder, place), temporary, None, None)
    }

    /// The same of one that was left behind away from its log, whose folder is this one.
    pub(super) fn resume_away(
        to: &AwayFolder,
        temporary: &[u8],
        home: BorrowedFd<'_>,
        path: &[u8],
    ) -> Result<Self, Refused> {
        let folder = open_to_list(to.folder.as_fd(), b".").map_err(Refused::Errno)?;
        let home = open_to_list(home, b".").map_err(Refused::Errno)?;
        Self::take_up(
            (folder, to.place),
            temporary,
            Some(Away { home, reserved: 0, is_left_behind: true }),
            Some(path),
        )
    }

    fn take_up(
        (folder, place): (OwnedFd, Place),
        temporary: &[u8],
        away: Option<Away>,
        path: Option<&[u8]>,
    ) -> Result<Self, Refused> {
        let (file, about) = open_own(folder.as_fd(), temporary, place)?;
        hold(&file)?;
        let Some(first) = read_first(&file)? else {
            if about.size <= as_u64(if away.is_some() { FIRST_AWAY_MAX } else { FIRST_MAX }) {
                // Broken off before there was a stage in it.
                remove_own(&folder, temporary, &about);
                return Err(Refused::NothingToArchive);
            }
            return Err(Refused::Stray);
        };
        let First { slot, log, folder: told } = first;
        let named = match path {
            None => archiving_name(slot.inode) == temporary,
            Some(path) => number(temporary) == Some(slot.inode) && told.as_deref() == Some(path),
        };
        if !named || slot.sealed > about.size {
            return Err(Refused::Stray);
        }
        let (temporary, has_last) = (temporary.to_vec(), slot.to > slot.from);
        let mut archive =
            Self { folder, place, away, temporary, file, about, log, path: told, slot, has_last };
        if archive.has_last && (slot.length > about.size || !archive.is_whole().map_err(Refused::Errno)?) {
            // It was never on the disk as a whole, and so nothing of it was taken out of the log.
            archive.has_last = false;
        }
        if !archive.has_last {
            (archive.slot.length, archive.slot.to) = (archive.slot.sealed, archive.slot.from);
        }
        archive.cut()?;
        // What is whole in memory may not be on the disk: whoever wrote it may have ended before that.
        rustix::fs::fsync(&archive.file).map_err(Refused::Errno)?;
        rustix::fs::fsync(&archive.folder).map_err(Refused::Errno)?;
        Ok(archive)
    }

    /// As it begins.
    fn first(&self) -> First {
        First { slot: self.slot, log: self.log.clone(), folder: self.path.clone() }
    }

    pub(super) const fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Nothing is added to it any more.
    pub(super) fn comes_home_as_it_is(&self) -> bool {
        self.away.as_ref().is_some_and(|away| away.is_left_behind)
    }

    pub(super) const fn length(&self) -> u64 {
        self.slot.length
    }

    /// The longest stage for which there is room away from its log; beside it, that shows when it is written.
    pub(super) fn stage_max(&self) -> u64 {
        let Some(away) = &self.away else { return u64::MAX };
        let left = away.reserved.saturating_sub(self.slot.length) / 16 * RESERVE_PART;
        left.max(spare(self.folder.as_fd()) / 2)
    }

    pub(super) const fn log(&self) -> &Vec<u8> {
        &self.log
    }

    pub(super) const fn inode_of_log(&self) -> u64 {
        self.slot.inode
    }

    /// The last stage that is in it, in bytes of the log.
    pub(super) fn last(&self) -> Option<(u64, u64)> {
        self.has_last.then_some((self.slot.from, self.slot.to))
    }

    /// What it will be called.
    pub(super) fn name(&self) -> Vec<u8> {
        archive_name(&self.log, self.slot.begun).unwrap_or_else(|| self.temporary.clone())
    }

    /// Adds a stage: this part of the log, as `read` brings it. It is on the disk when this returns. Returns how long it
    /// is in the archive.
    pub(super) fn add(&mut self, (from, to): (u64, u64), read: &mut Source<'_>) -> Result<u64, Unwritten> {
        let sealed = self.slot.length;
        let sink = At { file: self.file.as_fd(), at: sealed };
        let mut encoder = GzEncoder::new(sink, Compression::fast());
        let packed = read(&mut |bytes| encoder.write_all(bytes))
            .and_then(|()| encoder.finish().map_err(|error| unwritten(&error)));
        let length = match packed {
            Ok(sink) => sink.at,
            Err(why) => {
                let _ = self.cut();
                return Err(why);
            }
        };
        let before = self.slot;
        self.slot = Slot { sealed, length, from, to, ..self.slot };
        let written = write_all_at(self.file.as_fd(), &self.slot.bytes(), SLOT_AT)
            .and_then(|()| rustix::fs::fdatasync(&self.file))
            // Its name as well.
            .and_then(|()| if self.has_last { Ok(()) } else { rustix::fs::fsync(&self.folder) });
        if let Err(errno) = written {
            self.slot = before;
            let _ = write_all_at(self.file.as_fd(), &self.slot.bytes(), SLOT_AT);
            let _ = self.cut();
            return Err(unwritten(&errno.into()));
        }
        self.has_last = true;
        Ok(length - sealed)
    }

    /// Takes the last stage out again: its part stays in the log.
    pub(super) fn give_up_last(&mut self) -> Result<(), Refused> {
        (self.slot.length, self.slot.to, self.has_last) = (self.slot.sealed, self.slot.from, false);
        write_all_at(self.file.as_fd(), &self.slot.bytes(), SLOT_AT).map_err(Refused::Errno)?;
        self.cut()
    }

    /// It is still there, whole, under its name, and the only one of its kind.
    pub(super) fn is_safe(&self) -> Result<(), Refused> {
        let about = look_at(self.file.as_fd()).map_err(Refused::Errno)?;
        about.is_fit(self.place)?;
        let named = look(self.folder.as_fd(), &self.temporary).map_err(Refused::of)?;
        if named.identity == about.identity && about.size == self.slot.length {
            Ok(())
        } else {
            Err(Refused::Replaced)
        }
    }

    /// How long the last stage is in it.
    pub(super) const fn last_length(&self) -> u64 {
        self.slot.length - self.slot.sealed
    }

    /// Compares the last stage with what the log has in its place, piece by piece.
    pub(super) fn compare_last(&self, same: &mut dyn FnMut(u64, &[u8]) -> bool) -> rustix::io::Result<bool> {
        let mut at = self.slot.from;
        let all = self.decode_last(&mut |piece| {
            let is_same = same(at, piece);
            at += as_u64(piece.len());
            is_same
        })?;
        Ok(all && at == self.slot.to)
    }

    fn is_whole(&self) -> rustix::io::Result<bool> {
        let mut length = 0_u64;
        let all = self.decode_last(&mut |piece| {
            length += as_u64(piece.len());
            length <= self.slot.to - self.slot.from
        })?;
        Ok(all && length == self.slot.to - self.slot.from)
    }

    /// True when it is a whole member with the right check sum, and every piece was taken. That it can't be read now says
    /// nothing of what is in it.
    fn decode_last(&self, take: &mut dyn FnMut(&[u8]) -> bool) -> rustix::io::Result<bool> {
        let part = Part { file: self.file.as_fd(), at: self.slot.sealed, end: self.slot.length };
        let mut decoder = bufread::GzDecoder::new(io::BufReader::new(part));
        let mut piece = vec![0; super::CHUNK];
        loop {
            match decoder.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(read) if take(piece.get(..read).unwrap_or_default()) => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Errno::from_io_error(&error).map_or(Ok(false), Err),
            }
        }
    }

    /// Gives it its name, then its owner and rights: until then nobody but root can read it. Nothing is done to it after.
    pub(super) fn finish(mut self, log: Option<BorrowedFd<'_>>) -> Result<Vec<u8>, Refused> {
        if self.is_empty() {
            self.discard();
            return Err(Refused::NothingToArchive);
        }
        rustix::fs::fsync(&self.file).map_err(Refused::Errno)?;
        if let Some(away) = self.away.take() {
            self.bring_home(away)?;
        }
        let named = look(self.folder.as_fd(), &self.temporary).map_err(Refused::of)?;
        if named.identity != self.about.identity {
            return Err(Refused::Replaced);
        }
        let mut last = Errno::EXIST;
        for later in 0..NAMES_MAX {
            let name = archive_name(&self.log, self.slot.begun + SECOND * later);
            let name = name.ok_or(Refused::Errno(Errno::NAMETOOLONG))?;
            match move_to_free(self.folder.as_fd(), &self.temporary, &name) {
                Ok(()) => {
                    hand_over(self.file.as_fd(), log, (self.slot.uid, self.slot.gid), self.slot.mode)?;
                    rustix::fs::fsync(&self.file).map_err(Refused::Errno)?;
                    rustix::fs::fsync(&self.folder).map_err(Refused::Errno)?;
                    return Ok(name);
                }
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    last = errno;
                    break;
                }
            }
        }
        Err(Refused::Errno(last))
    }

    /// Puts it beside its log, whole and on the disk, before it goes from where it was.
    fn bring_home(&mut self, away: Away) -> Result<(), Refused> {
        let name = archiving_name(self.slot.inode);
        let is_same = |first: &First| first.slot == self.slot && first.log == self.log;
        let file = home::put(away.home.as_fd(), &name, (&self.file, self.slot.length), &is_same)?;
        hold(&file)?;
        rustix::fs::fsync(&away.home).map_err(Refused::Errno)?;
        remove_own(&self.folder, &self.temporary, &self.about);
        rustix::fs::fsync(&self.folder).map_err(Refused::Errno)?;
        self.about = look_at(file.as_fd()).map_err(Refused::Errno)?;
        (self.folder, self.temporary, self.file) = (away.home, name, file);
        Ok(())
    }

    /// No stage was ever added.
    fn is_empty(&self) -> bool {
        self.slot.length == as_u64(self.first().bytes().len())
    }

    /// Nothing of the log is in it alone: its parts are given back only when it has them for good.
    fn discard(&self) {
        remove_own(&self.folder, &self.temporary, &self.about);
    }

    /// What was reserved behind its end goes with that.
    fn cut(&mut self) -> Result<(), Refused> {
        if let Some(away) = &mut self.away {
            away.reserved = 0;
        }
        rustix::fs::ftruncate(&self.file, self.slot.length).map_err(Refused::Errno)
    }
}

/// One act at a time: one that hangs on its disk may be taken for ended.
fn hold(file: &OwnedFd) -> Result<(), Refused> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Refused::Busy),
        other => other.map_err(Refused::Errno),
    }
}

/// From this moment on, the first second after which an archive can be called: the name goes on record before it is taken.
fn free_from(folder: BorrowedFd<'_>, log: &[u8], now: WallTime) -> Result<WallTime, Refused> {
    for later in 0..NAMES_MAX {
        let at = now + SECOND * later;
        let name = archive_name(log, at).ok_or(Refused::Errno(Errno::NAMETOOLONG))?;
        match look(folder, &name) {
            Err(Errno::NOENT) => return Ok(at),
            Ok(_) => {}
            Err(other) => return Err(Refused::of(other)),
        }
    }
    Err(Refused::AsideTaken)
}

/// Only while the name means that file.
fn remove_own(folder: &OwnedFd, name: &[u8], about: &About) {
    if look(folder.as_fd(), name).is_ok_and(|it| it.identity == about.identity) {
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
}

/// Writes on from a place.
struct At<'a> {
    file: BorrowedFd<'a>,
    at: u64,
}

impl io::Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = rustix::io::pwrite(self.file, bytes, self.at)?;
        self.at += as_u64(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads from a place to another.
struct Part<'a> {
    file: BorrowedFd<'a>,
    at: u64,
    end: u64,
}

impl io::Read for Part<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let read = rustix::io::pread(self.file, bytes.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += as_u64(read);
        Ok(read)
    }
}

pub(super) fn write_all_at(file: BorrowedFd<'_>, bytes: &[u8], at: u64) -> rustix::io::Result<()> {
    At { file, at }.write_all(bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

pub(super) fn unwritten(error: &io::Error) -> Unwritten {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => Unwritten::NoRoom,
        Some(errno) => Unwritten::Errno(errno),
        None => Unwritten::Errno(Errno::IO),
    }
}

pub(super) fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
