//! A live log is archived: its older part is compressed into a file beside it, stage by stage, and each stage is taken out
//! of the log when it is safe on the disk.
//!
//! The log is never renamed, truncated or written to: a hole is made where the stage was (fallocate(2)). Whoever writes
//! to it notices nothing, with or without `O_APPEND`, and no line is lost whatever he writes meanwhile. Room is needed
//! for one small stage only. At the end, where nobody has it open but to add to it, the hole is taken out as well and the
//! log is short again; else it looks as long as before, and takes little.
//!
//! Where there is no room for even that, the archive is begun in a folder of the agent's ([`AwayFolder`]), and comes home
//! when what it has taken out of the log has made room.
//!
//! Each stage: [`Archiving::pack`], then it goes on record, then [`Archiving::give_back`]; at the end
//! [`Archiving::finish`]. After a crash the next one goes on where it was: what an archive holds and the log still has
//! is compared, byte by byte, and taken out then.

mod away;
mod file;
mod home;
pub(super) mod openers;
mod parts;
mod rights;
mod slot;

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::model::{Bytes, Fate, PathText, Removal, WallTime};

use super::candidate::{Folder, LiveLog, Work};
use super::digest::digest_of_part;
use super::place::{About, handle, look, look_at, open_to_change};
use super::refused::Refused;
use super::search::Ground;

pub(in crate::act) use away::AwayFolder;
pub(super) use away::Waiting;

use file::{ArchiveFile, Site, Unwritten, unwritten};
use openers::only_appended_to;
use parts::{
    BLOCK_MIN, behind_last_line, block_of, check_of, data_from, holds_lines, piece_of, read_all_at, start_of,
};

/// The last lines stay in the log: whoever looks at it sees what happens now.
pub(super) const TAIL: u64 = 256 << 10;
/// Read at once.
const CHUNK: usize = 256 << 10;
/// A stage that is shorter is not worth its sync.
const STAGE_MIN: u64 = 64 << 10;
/// Of what a stage takes, so many hundredths must be freed by it.
const GAIN_MIN: u64 = 10;

/// Why an archive goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::act) enum Halt {
    /// This log has no more that may be taken.
    Done,
    /// Nothing can be written to the disk.
    NoRoom,
    /// It was told to stop.
    Stopped,
    Refused(Refused),
}

/// Where a stage ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// At a block, so that all before it can be taken out. The archive ends within a line, and the log begins with the
    /// rest of it.
    AtBlock,
    /// Behind a line.
    AtLine,
}

/// A stage that is in the archive and still in the log.
#[derive(Debug)]
struct Packed {
    from: u64,
    to: u64,
    /// That is freed when it is given back.
    gain: u64,
    digest: String,
    /// Of all of it, as it was read: what somebody writes there meanwhile shows.
    check: u32,
}

/// A log that is being archived.
#[derive(Debug)]
pub(in crate::act) struct Archiving {
    ground: Arc<Ground>,
    folder: Arc<Folder>,
    name: Vec<u8>,
    /// None where it is gone, and only its archive is to be finished.
    log: Option<OwnedFd>,
    /// As it was when it was opened.
    about: About,
    archive: ArchiveFile,
    cut: Cut,
    block: u64,
    /// Where in the log there was something first: from there to `from` all was given back.
    start: u64,
    from: u64,
    packed: Option<Packed>,
    proc: PathBuf,
}

impl Archiving {
    pub(super) fn begin(
        ground: &Arc<Ground>,
        found: &LiveLog,
        away: Option<&AwayFolder>,
        proc: &Path,
        (now, stop): (WallTime, &dyn Fn() -> bool),
    ) -> Result<Self, Refused> {
        let LiveLog { folder, name, about: seen, work } = found;
        let opened = ground.open_again(folder)?;
        let begun = match (work, away) {
            (Work::Begin, _) => None,
            (Work::GoOn, _) => Some(ArchiveFile::resume(opened.as_fd(), name, ground.place)?),
            (Work::BringHome(away_name), Some(away)) => {
                Some(ArchiveFile::resume_away(away, away_name, opened.as_fd(), &folder.path)?)
            }
            (Work::BringHome(_), None) => return Err(Refused::Gone),
        };
        if let Some(archive) = begun {
            let log = match open_log(ground, &opened, archive.log()) {
                Ok(log) => Some(log).filter(|(_, about)| about.identity.inode == archive.inode_of_log()),
                Err(Refused::Gone) => None,
                // It is there, and what it has is not known.
                Err(why) => return Err(why),
            };
            return Self::go_on(ground, folder, archive, log, proc, seen, stop);
        }
        let (log, about) = open_log(ground, &opened, name)?;
        if about.identity != seen.identity {
            return Err(Refused::Replaced);
        }
        let (cut, block) = (cut_of(proc, &about, stop), block_of(&log));
        let start = start_of(&log, block)?;
        if start.saturating_add(STAGE_MIN + TAIL) > about.size {
            return Err(Refused::NothingToArchive);
        }
        holds_lines(&log, start, about.size)?;
        let site = away.map_or(Site::Beside(ground.place), |away| Site::Away(away, &folder.path));
        let archive = ArchiveFile::begin(opened.as_fd(), (name, log.as_fd()), &about, site, now)?;
        let (ground, folder, name) = (Arc::clone(ground), Arc::clone(folder), name.clone());
        let (log, proc, from) = (Some(log), proc.to_owned(), start);
        Ok(Self { ground, folder, name, log, about, archive, cut, block, start, from, packed: None, proc })
    }

    fn go_on(
        ground: &Arc<Ground>,
        folder: &Arc<Folder>,
        archive: ArchiveFile,
        log: Option<(OwnedFd, About)>,
        proc: &Path,
        seen: &About,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self, Refused> {
        let name = archive.log().clone();
        let (ground, folder, proc) = (Arc::clone(ground), Arc::clone(folder), proc.to_owned());
        let Some((log, about)) = log else {
            let (cut, block, about) = (Cut::AtLine, BLOCK_MIN, *seen);
            let (log, start, from, packed) = (None, 0, 0, None);
            return Ok(Self {
                ground,
                folder,
                name,
                log,
                about,
                archive,
                cut,
                block,
                start,
                from,
                packed,
                proc,
            });
        };
        let (cut, block) = (cut_of(&proc, &about, stop), block_of(&log));
        // Where there is no line any more, there is no further stage.
        let start = start_of(&log, block).unwrap_or(u64::MAX);
        let mut this = Self {
            ground,
            folder,
            name,
            log: Some(log),
            about,
            archive,
            cut,
            block,
            start,
            from: start,
            packed: None,
            proc,
        };
        this.take_up_last()?;
        Ok(this)
    }

    /// The last stage of an archive that was left behind: given back already, or still to be.
    fn take_up_last(&mut self) -> Result<(), Refused> {
        let (Some((from, to)), Some(log)) = (self.archive.last(), &self.log) else { return Ok(()) };
        let mut piece = vec![0; CHUNK];
        let (mut empty, mut holes) = (true, false);
        let same = self.archive.compare_last(&mut |at, bytes| {
            let Some(found) = piece.get_mut(..bytes.len()) else { return false };
            if !read_all_at(log, found, at).is_ok_and(|whole| whole) {
                return false;
            }
            // A hole may have been made in a part of it only.
            empty &= found.iter().all(|byte| *byte == 0);
            holes |= found != bytes;
            let block = usize::try_from(BLOCK_MIN).unwrap_or(CHUNK);
            found.chunks(block).zip(bytes.chunks(block)).all(|(found, bytes)| {
                let either = |(found, byte): (&u8, &u8)| *found == 0 || found == byte;
                found == bytes || found.iter().zip(bytes).all(either)
            })
        });
        let same = same.map_err(Refused::Errno)?;
        if same && (empty || holes) {
            // It was on record, and its hole was begun: the rest of it is as safe. It is not given up any more.
            self.start = self.start.min(from);
            self.make_hole(to)?;
            self.from = to;
        } else if same {
            let digest = digest_of_part(log.as_fd(), from, to).map_err(Refused::Errno)?;
            let (digest, check) = (digest.ok_or(Refused::Changed)?, check_of(log, from, to)?);
            let gain = (to - from).saturating_sub(self.archive.last_length());
            (self.start, self.from) = (self.start.min(from), from);
            self.packed = Some(Packed { from, to, gain, digest, check });
        }
        Ok(())
    }

    /// For people: the log.
    pub(in crate::act) fn path(&self) -> PathText {
        self.folder.path_of(&self.name)
    }

    /// Where its archive lies away from it, how long that is.
    pub(in crate::act) fn away(&self) -> Option<Bytes> {
        self.archive.is_away().then(|| Bytes(self.archive.length()))
    }

    /// Compresses the next part of it, of at most so many bytes, into its archive, where it is on the disk when this
    /// returns. What it returns is to be put on record, and then given back.
    pub(in crate::act) fn pack(&mut self, most: u64, stop: &dyn Fn() -> bool) -> Result<Removal, Halt> {
        if self.packed.is_none() {
            self.packed = Some(self.pack_next(most, stop)?);
        }
        self.packed.as_ref().map(|packed| self.on_record(packed)).ok_or(Halt::Done)
    }

    fn pack_next(&mut self, most: u64, stop: &dyn Fn() -> bool) -> Result<Packed, Halt> {
        if self.archive.comes_home_as_it_is() {
            return Err(Halt::Done);
        }
        let log = self.log.as_ref().ok_or(Halt::Done)?;
        let errno = |errno| Halt::Refused(Refused::Errno(errno));
        let size = look_at(log.as_fd()).map_err(errno)?.size;
        let end = size.saturating_sub(TAIL);
        let (from, end) = piece_of(log, self.from, end).map_err(errno)?;
        if end < from.saturating_add(STAGE_MIN) {
            return Err(Halt::Done);
        }
        let most = most.max(STAGE_MIN).min(self.archive.stage_max());
        if most < STAGE_MIN {
            return Err(Halt::NoRoom);
        }
        let to = (from.saturating_add(most).min(end) / self.block) * self.block;
        let to = match self.cut {
            Cut::AtBlock => to,
            Cut::AtLine => behind_last_line(log, from, to).map_err(errno)?,
        };
        if to < from.saturating_add(STAGE_MIN) {
            return Err(Halt::Done);
        }
        let (mut stopped, mut check) = (false, Crc::new());
        let length = self.archive.add((from, to), &mut |write| {
            let mut piece = vec![0; CHUNK];
            let mut at = from;
            while at < to {
                if stop() {
                    stopped = true;
                    return Err(Unwritten::Source(Refused::Changed));
                }
                let most = CHUNK.min(usize::try_from(to - at).unwrap_or(CHUNK));
                let part = piece.get_mut(..most).unwrap_or_default();
                match read_all_at(log, part, at) {
                    Ok(true) => {
                        check.update(part);
                        write(part).map_err(|error| unwritten(&error))?;
                    }
                    Ok(false) => return Err(Unwritten::Source(Refused::Changed)),
                    Err(errno) => return Err(Unwritten::Source(Refused::Errno(errno))),
                }
                at += u64::try_from(most).unwrap_or(u64::MAX);
            }
            Ok(())
        });
        let length = match length {
            Ok(length) => length,
            Err(_) if stopped => return Err(Halt::Stopped),
            Err(Unwritten::NoRoom) => return Err(Halt::NoRoom),
            Err(Unwritten::Errno(errno)) => return Err(Halt::Refused(Refused::Errno(errno))),
            Err(Unwritten::Source(why)) => return Err(Halt::Refused(why)),
        };
        let gain = (to - from).saturating_sub(length);
        let digest = digest_of_part(log.as_fd(), from, to).map_err(errno)?;
        let dense = gain < (to - from) / 100 * GAIN_MIN;
        match digest {
            Some(digest) if !dense => Ok(Packed { from, to, gain, digest, check: check.sum() }),
            kept => {
                self.archive.give_up_last().map_err(Halt::Refused)?;
                Err(Halt::Refused(if kept.is_some() { Refused::Dense } else { Refused::Changed }))
            }
        }
    }

    fn on_record(&self, packed: &Packed) -> Removal {
        Removal {
            path: self.path(),
            size: Bytes(packed.to - packed.from),
            allocated: Bytes(packed.gain),
            modified: self.about.modified.wall(),
            uid: self.about.uid,
            gid: self.about.gid,
            inode: self.about.identity.inode,
            digest: packed.digest.clone(),
            fate: Fate::Archived {
                archive: self.folder.path_of(&self.archive.name()),
                from: Bytes(packed.from),
            },
        }
    }

    /// Takes out of the log what was packed. Returns how many bytes of the log that are. Where it is refused before
    /// anything was taken out, the archive does not have it any more.
    pub(in crate::act) fn give_back(&mut self) -> Result<Bytes, Refused> {
        let Some(packed) = self.packed.take() else { return Err(Refused::Changed) };
        if let Err(why) = self.is_as_packed(&packed) {
            self.archive.give_up_last()?;
            return Err(why);
        }
        match self.make_hole(packed.to) {
            Ok(()) => {}
            Err(why @ Refused::NoHoles) => {
                self.archive.give_up_last()?;
                return Err(why);
            }
            // A part of it may be taken out by now: rather in both than in neither.
            Err(why) => return Err(why),
        }
        self.from = packed.to;
        Ok(Bytes(packed.to - packed.from))
    }

    /// The log and its archive are where they were, and the log has in that place what was packed.
    fn is_as_packed(&self, packed: &Packed) -> Result<(), Refused> {
        let log = self.log.as_ref().ok_or(Refused::Gone)?;
        let opened = self.ground.open_again(&self.folder)?;
        let named = look(opened.as_fd(), &self.name).map_err(Refused::of)?;
        self.archive.is_safe()?;
        let about = look_at(log.as_fd()).map_err(Refused::Errno)?;
        about.is_fit(self.ground.place)?;
        if named.identity != about.identity {
            return Err(Refused::Replaced);
        }
        if about.size >= packed.to && check_of(log, packed.from, packed.to)? == packed.check {
            Ok(())
        } else {
            Err(Refused::Changed)
        }
    }

    /// From the beginning of the first block on, so that blocks in which stages ended do not stay.
    fn make_hole(&self, to: u64) -> Result<(), Refused> {
        let log = self.log.as_ref().ok_or(Refused::Gone)?;
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let begin = self.start / self.block * self.block;
        loop {
            match rustix::fs::fallocate(log, how, begin, to - begin) {
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(Refused::NoHoles),
                Err(other) => return Err(Refused::of(other)),
                // Before the next stage takes its place in what the archive says of itself.
                Ok(()) => return rustix::fs::fdatasync(log).map_err(Refused::Errno),
            }
        }
    }

    /// Nothing more is taken from this log. Returns what its archive is called; [`Refused::NothingToArchive`] where there
    /// is none.
    pub(in crate::act) fn finish(mut self, stop: &dyn Fn() -> bool) -> Result<PathText, Refused> {
        if self.packed.take().is_some() {
            self.archive.give_up_last()?;
        }
        let name = self.archive.finish(self.log.as_ref().map(OwnedFd::as_fd))?;
        if let Some(log) = &self.log
            && self.cut == Cut::AtBlock
            && self.from > 0
            && data_from(log, 0) == Ok(Some(self.from))
            && only_appended_to(&self.proc, self.about.identity, stop)
        {
            // Where the file system can't, it stays a hole.
            let _ = rustix::fs::fallocate(log, FallocateFlags::COLLAPSE_RANGE, 0, self.from);
        }
        Ok(self.folder.path_of(&name))
    }
}

/// Nothing is opened before it is known to be a regular file on this mount, with this name alone.
fn open_log(ground: &Ground, opened: &OwnedFd, name: &[u8]) -> Result<(OwnedFd, About), Refused> {
    let handle = handle(opened.as_fd(), name).map_err(Refused::of)?;
    let about = look_at(handle.as_fd()).map_err(Refused::Errno)?;
    about.is_fit(ground.place)?;
    Ok((open_to_change(handle.as_fd())?, about))
}

fn cut_of(proc: &Path, about: &About, stop: &dyn Fn() -> bool) -> Cut {
    if only_appended_to(proc, about.identity, stop) { Cut::AtBlock } else { Cut::AtLine }
}
