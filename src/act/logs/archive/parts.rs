//! What of a log is where: its first line, its holes, the end of a line. Reads alone.

use std::os::fd::OwnedFd;

use flate2::Crc;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::act::logs::live::is_lines;
use crate::act::logs::refused::Refused;

use super::CHUNK;

/// What is looked at to tell lines from other things.
const SAMPLE: usize = 64 << 10;
/// Blocks that are there and empty, before the first line; more of them are no hole that was made here.
const EMPTY_BLOCKS_MAX: u32 = 64;
/// The smallest unit in which holes are made, where the file system tells of none.
pub(super) const BLOCK_MIN: u64 = 4096;

pub(super) fn block_of(log: &OwnedFd) -> u64 {
    rustix::fs::fstatvfs(log).map_or(BLOCK_MIN, |it| it.f_bsize.max(BLOCK_MIN))
}

/// Where the first line begins behind a hole that was made before.
pub(super) fn start_of(log: &OwnedFd, block: u64) -> Result<u64, Refused> {
    let mut at = 0;
    for _ in 0..EMPTY_BLOCKS_MAX {
        let data = data_from(log, at).map_err(Refused::Errno)?.ok_or(Refused::NothingToArchive)?;
        let mut first = vec![0; usize::try_from(block).unwrap_or(CHUNK).min(CHUNK)];
        let read = rustix::io::pread(log, &mut first[..], data).map_err(Refused::Errno)?;
        first.truncate(read);
        // The last stage ended within a block, which has no bytes of a line before that.
        let empty = first.iter().take_while(|byte| **byte == 0).count();
        at = data + u64::try_from(empty).unwrap_or(0);
        if empty < read {
            return Ok(at);
        }
    }
    Err(Refused::NoLines)
}

/// Where there is something, from this place on.
pub(super) fn data_from(log: &OwnedFd, at: u64) -> rustix::io::Result<Option<u64>> {
    match rustix::fs::seek(log, SeekFrom::Data(at)) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(other) => Err(other),
    }
}

pub(super) fn holds_lines(log: &OwnedFd, start: u64, size: u64) -> Result<(), Refused> {
    let sample = |at: u64| {
        let mut part = vec![0; SAMPLE];
        let whole = read_all_at(log, &mut part, at).map_err(Refused::Errno)?;
        if whole { Ok(part) } else { Err(Refused::Changed) }
    };
    let sample_length = u64::try_from(SAMPLE).unwrap_or(0);
    let (beginning, end) = (sample(start)?, sample(size.saturating_sub(sample_length))?);
    if is_lines(&beginning, &end) { Ok(()) } else { Err(Refused::NoLines) }
}

/// The last place before `to` at which a line begins, not far from it; `from` where there is none.
pub(super) fn behind_last_line(log: &OwnedFd, from: u64, to: u64) -> rustix::io::Result<u64> {
    let sample = u64::try_from(SAMPLE).unwrap_or(0);
    let begin = to.saturating_sub(sample).max(from);
    let mut part = vec![0; usize::try_from(to.saturating_sub(begin)).unwrap_or(0)];
    if !read_all_at(log, &mut part, begin)? {
        return Ok(from);
    }
    let last = part.iter().rposition(|byte| *byte == b'\n');
    Ok(last.map_or(from, |at| begin + u64::try_from(at).unwrap_or(0) + 1))
}

/// From this place on, where there is something next, and where that ends: no holes are archived.
pub(super) fn piece_of(log: &OwnedFd, from: u64, end: u64) -> rustix::io::Result<(u64, u64)> {
    let Some(data) = data_from(log, from)?.filter(|data| *data < end) else { return Ok((from, from)) };
    let from = from.max(data);
    Ok((from, end.min(rustix::fs::seek(log, SeekFrom::Hole(from))?)))
}

/// A check sum of a part of the log as it is now.
pub(super) fn check_of(log: &OwnedFd, from: u64, to: u64) -> Result<u32, Refused> {
    let (mut piece, mut check, mut at) = (vec![0; CHUNK], Crc::new(), from);
    while at < to {
        let most = CHUNK.min(usize::try_from(to - at).unwrap_or(CHUNK));
        let part = piece.get_mut(..most).unwrap_or_default();
        if !read_all_at(log, part, at).map_err(Refused::Errno)? {
            return Err(Refused::Changed);
        }
        check.update(part);
        at += u64::try_from(most).unwrap_or(u64::MAX);
    }
    Ok(check.sum())
}

/// False when the file ends before.
pub(super) fn read_all_at(file: &OwnedFd, mut bytes: &mut [u8], mut at: u64) -> rustix::io::Result<bool> {
    while !bytes.is_empty() {
        match rustix::io::pread(file, &mut *bytes, at) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                at += u64::try_from(read).unwrap_or(u64::MAX);
            }
            Err(Errno::INTR) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(true)
}
