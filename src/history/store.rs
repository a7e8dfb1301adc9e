//! Batches → files, within the bound. Blocks on the disk: not for the loop's thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::model::{BootId, Bytes, HistoryTier, Timestamp};

use super::batch::{Batch, CLOCK_STEP_MS};
use super::folder::{Entry, Folder};
use super::frame::{ENVELOPE, Frames, seal};
use super::read::span;
use super::segment::{HEADER_BYTES, Header, NoHeader};

/// A tier has so many files when it is full: so much of it goes at a time.
const FILES_OF_A_TIER: u64 = 32;
/// The longest that a file grows, so that reading one takes little memory.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Files of one tier at the most, however short a clock that is set over and over makes them.
const FILES_MAX: usize = 512;
/// What a file takes on the disk is counted in these.
const BLOCK: u64 = 4096;

/// How much may be kept, and when it is given up for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Of all files together, on the disk; none is kept when it is zero. Each tier has half.
    pub bytes: u64,
    /// When less is free on the disk, nothing is written, and the oldest in full is given up.
    pub room_least: u64,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "{} was made by a newer version of prunella (format {found}); keep it and upgrade, or move its folder away",
        file.display()
    )]
    Newer { file: PathBuf, found: u32 },
    #[error("the disk has {} left, which is kept for others", Bytes(*.left))]
    NoRoom { left: u64 },
    #[error("can't {what} {}: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
}

/// The newest file of a tier, while it is added to.
#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    header: Header,
    bytes: u64,
    /// Wall clock less boot clock, of the newest batch.
    offset_ms: i64,
}

#[derive(Debug)]
struct Tier {
    /// Number and length, oldest first; the open one is the last.
    files: VecDeque<(u64, u64)>,
    open: Option<Open>,
    /// The newest file of the last run was not looked at yet.
    resume: bool,
}

/// The writer of the folder. There is one: the ledger's lock is for the whole state folder.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    limits: StoreLimits,
    /// In the order of [`HistoryTier::ALL`].
    tiers: [Tier; 2],
    frame: Vec<u8>,
}

const fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
}

const fn offset_ms(at: Timestamp) -> i64 {
    at.wall.unix_millis().saturating_sub(at.boot.millis())
}

impl Tier {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| blocks(*bytes)).sum()
    }
}

impl Store {
    /// Looks at what is there, drops what is damaged, and holds the rest to its bound.
    ///
    /// # Errors
    /// When a newer version wrote there, or the folder can't be used.
    pub fn open(state_dir: &Path, limits: StoreLimits) -> Result<Self, HistoryError> {
        let folder = Folder::new(state_dir);
        let tier = || Tier { files: VecDeque::new(), open: None, resume: true };
        let mut store = Self { folder, limits, tiers: [tier(), tier()], frame: Vec::new() };
        if limits.bytes > 0 {
            store.folder.make().map_err(|source| store.failed("make", source))?;
        }
        let files = match store.folder.list() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|source| store.failed("list", source))?,
        };
        let mut damaged = Vec::new();
        for Entry { tier, number, bytes } in files {
            let head = match store.folder.head(tier, number) {
                Ok(head) => head,
                Err(source) => {
                    // Nothing is known of it but its size: it stays, and goes when it is the oldest.
                    let why = store.failed_file("read", tier, number, source);
                    tracing::warn!(%why, "a file of the history is passed over");
                    store.tier(tier).files.push_back((number, bytes));
                    continue;
                }
            };
            match Header::parse(&head) {
                Ok(header) if header.tier == tier => store.tier(tier).files.push_back((number, bytes)),
                Err(NoHeader::Newer(found)) => {
                    return Err(HistoryError::Newer { file: store.folder.file(tier, number), found });
                }
                Ok(_) | Err(NoHeader::Damaged) => damaged.push((tier, number)),
            }
        }
        // Only when it is known that no newer version was here.
        for (tier, number) in damaged {
            tracing::warn!(file = %store.folder.file(tier, number).display(), "a file of the history is damaged and is dropped");
            let removed = store.folder.remove(tier, number);
            removed.map_err(|source| store.failed_file("remove", tier, number, source))?;
        }
        store.set_limits(limits)?;
        Ok(store)
    }

    fn failed(&self, what: &'static str, source: io::Error) -> HistoryError {
        HistoryError::File { what, path: self.folder.path().to_owned(), source }
    }

    fn failed_file(
        &self,
        what: &'static str,
        tier: HistoryTier,
        number: u64,
        source: io::Error,
    ) -> HistoryError {
        HistoryError::File { what, path: self.folder.file(tier, number), source }
    }

    const fn tier(&mut self, tier: HistoryTier) -> &mut Tier {
        match tier {
            HistoryTier::Full => &mut self.tiers[0],
            HistoryTier::Reduced => &mut self.tiers[1],
        }
    }

    /// Other limits from now on; what is beyond them goes.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub fn set_limits(&mut self, limits: StoreLimits) -> Result<(), HistoryError> {
        self.limits = limits;
        for tier in HistoryTier::ALL {
            self.hold(tier, 0)?;
        }
        Ok(())
    }

    /// On the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tiers.iter().map(Tier::bytes).sum()
    }

    /// Writes a batch and waits until it is safe from a power cut.
    ///
    /// # Errors
    /// When a part of it was not written; there is no sense in trying again.
    pub fn write(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        if self.limits.bytes == 0 {
            return Ok(());
        }
        self.make_room(false)?;
        for tier in HistoryTier::ALL {
            self.write_tier(tier, batch)?;
        }
        Ok(())
    }

    /// Gives files up until enough of the disk is free: what is in full, and `everything` else where even that is not
    /// enough.
    ///
    /// # Errors
    /// When it was not enough.
    pub fn make_room(&mut self, everything: bool) -> Result<(), HistoryError> {
        self.make_room_by(everything, &Folder::room)
    }

    /// With the disk's room as somebody measures it.
    pub(super) fn make_room_by(
        &mut self,
        everything: bool,
        measure: &dyn Fn(&Folder) -> io::Result<u64>,
    ) -> Result<(), HistoryError> {
        let room = |store: &Self| match measure(&store.folder) {
            // Nothing was kept so far, and nothing can be given up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(u64::MAX),
            room => room.map_err(|source| store.failed("measure the disk of", source)),
        };
        let mut left = room(self)?;
        for tier in HistoryTier::ALL {
            let gives = tier == HistoryTier::Full || everything;
            while gives
                && left < self.limits.room_least
                && let Some(dropped) = self.drop_oldest(tier)?
            {
                // Some disks free what is removed a while later, and all of them when the last reader has closed it.
                left = room(self)?.max(left.saturating_add(dropped));
            }
        }
        if left < self.limits.room_least { Err(HistoryError::NoRoom { left }) } else { Ok(()) }
    }

    /// Drops what has no place beside `more` bytes.
    fn hold(&mut self, tier: HistoryTier, more: u64) -> Result<(), HistoryError> {
        let most = self.limits.bytes / 2;
        loop {
            let of = self.tier(tier);
            if of.bytes().saturating_add(more) <= most && of.files.len() <= FILES_MAX {
                return Ok(());
            }
            if self.drop_oldest(tier)?.is_none() {
                return Ok(());
            }
        }
    }

    /// What it took on the disk; nothing when there is none.
    fn drop_oldest(&mut self, tier: HistoryTier) -> Result<Option<u64>, HistoryError> {
        let Some((number, bytes)) = self.tier(tier).files.front().copied() else { return Ok(None) };
        let removed = self.folder.remove(tier, number);
        removed.map_err(|source| self.failed_file("remove", tier, number, source))?;
        let of = self.tier(tier);
        of.files.pop_front();
        of.open.take_if(|open| open.number == number);
        Ok(Some(blocks(bytes)))
    }

    fn write_tier(&mut self, tier: HistoryTier, batch: &Batch) -> Result<(), HistoryError> {
        if batch.content(tier).is_empty() {
            return Ok(());
        }
        let header = Header { tier, boot: batch.boot, begin: batch.begin };
        let length = (ENVELOPE + batch.content(tier).len()) as u64;
        self.resume(tier);
        let file_most = (self.limits.bytes / 2 / FILES_OF_A_TIER).min(FILE_BYTES_MAX);
        let fits = |open: &Open| fits(open, &header) && open.bytes + length <= file_most;
        if self.tier(tier).open.as_ref().is_some_and(|open| !fits(open)) {
            self.tier(tier).open = None;
        }
        let more = match &self.tier(tier).open {
            Some(open) => blocks(open.bytes + length) - blocks(open.bytes),
            None => blocks(HEADER_BYTES as u64 + length),
        };
        self.hold(tier, more)?;
        if self.tier(tier).open.is_none() {
            // Where a single file is more than may be kept, nothing is.
            if blocks(HEADER_BYTES as u64 + length) > self.limits.bytes / 2 {
                return Ok(());
            }
            self.begin(header)?;
        }
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        seal(&mut frame, batch.content(tier));
        let written = self.add(tier, &frame, offset_ms(batch.begin));
        self.frame = frame;
        written
    }

    /// Goes on with the newest file of the last run, behind its last whole frame. What follows that is no row. A file
    /// that is damaged elsewhere is left as it is.
    fn resume(&mut self, tier: HistoryTier) {
        if !std::mem::replace(&mut self.tier(tier).resume, false) {
            return;
        }
        let Some((number, _)) = self.tier(tier).files.back().copied() else { return };
        let open = || -> io::Result<Option<Open>> {
            let bytes = self.folder.whole(tier, number)?;
            let Ok(header) = Header::parse(&bytes) else { return Ok(None) };
            let mut frames = Frames::new(&bytes, HEADER_BYTES);
            frames.by_ref().for_each(drop);
            if !frames.is_sound_but_for_its_end() {
                return Ok(None);
            }
            let end = frames.sound_end as u64;
            let file = self.folder.append_to(tier, number)?;
            file.set_len(end)?;
            Ok(Some(Open { file, number, header, bytes: end, offset_ms: offset_ms(header.begin) }))
        };
        // Where it can't be, another file is begun.
        if let Ok(Some(open)) = open() {
            let of = self.tier(tier);
            if let Some((_, bytes)) = of.files.back_mut() {
                *bytes = open.bytes;
            }
            of.open = Some(open);
        }
    }

    /// Begins a file. Its name is safe from a power cut before its first row is said to be.
    fn begin(&mut self, header: Header) -> Result<(), HistoryError> {
        let tier = header.tier;
        let number = self.tier(tier).files.back().map_or(1, |(number, _)| number + 1);
        let begin = || {
            self.folder.make()?;
            let mut file = self.folder.create(tier, number)?;
            file.write_all(&header.bytes())?;
            self.folder.sync()?;
            Ok(file)
        };
        match begin() {
            Ok(file) => {
                let bytes = HEADER_BYTES as u64;
                let of = self.tier(tier);
                of.files.push_back((number, bytes));
                of.open = Some(Open { file, number, header, bytes, offset_ms: offset_ms(header.begin) });
                Ok(())
            }
            Err(source) => {
                let error = self.failed_file("begin", tier, number, source);
                // It holds nothing; where it stays, the next start drops it.
                let _ = self.folder.remove(tier, number);
                Err(error)
            }
        }
    }

    fn add(&mut self, tier: HistoryTier, frame: &[u8], offset_ms: i64) -> Result<(), HistoryError> {
        let of = self.tier(tier);
        let Some(open) = &mut of.open else { return Ok(()) };
        match open.file.write_all(frame).and_then(|()| open.file.sync_data()) {
            Ok(()) => {
                open.bytes += frame.len() as u64;
                open.offset_ms = offset_ms;
                if let Some((_, bytes)) = of.files.back_mut() {
                    *bytes = open.bytes;
                }
                Ok(())
            }
            Err(source) => {
                // What was written of it is no frame. Where it can't be cut off, it is passed over.
                let cut = open.file.set_len(open.bytes);
                let number = open.number;
                if cut.is_err() {
                    if let Some((_, bytes)) = of.files.back_mut() {
                        *bytes = open.bytes + frame.len() as u64;
                    }
                    of.open = None;
                }
                Err(self.failed_file("write to", tier, number, source))
            }
        }
    }
}

/// Whether a batch belongs into the open file: of the same boot, without a step of the clock, and not too much later.
fn fits(open: &Open, next: &Header) -> bool {
    let same_boot: (BootId, HistoryTier) = (open.header.boot, open.header.tier);
    let later = next.begin.boot.millis().saturating_sub(open.header.begin.boot.millis());
    same_boot == (next.boot, next.tier)
        && offset_ms(next.begin).abs_diff(open.offset_ms) < CLOCK_STEP_MS
        && (0..=span(next.tier)).contains(&later)
}
