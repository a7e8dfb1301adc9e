//! Files → answers: beside the agent that writes, or without it.
//!
//! One file at a time is in memory. A file that is dropped meanwhile was the oldest, and is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{
    HistoryExtent, HistoryFieldInfo, HistoryList, HistoryQuery, HistorySeries, HistoryTier, WallTime,
};

use super::catalogue::{self, Group, Spec};
use super::folder::{Entry, Folder};
use super::frame::Frames;
use super::points::Points;
use super::rows::{Row, decode};
use super::segment::{HEADER_BYTES, Header, NoHeader};

/// The step from which the reduced tier tells as much as the full one, in a fraction of the time: two of its own rows,
/// so that none of the steps falls between two rows.
const REDUCED_STEP_SECS: u64 = 120;
/// A clock may have been slewed within a file, and a batch is a minute long.
const SLACK_MS: i64 = 3_600_000;
/// A disk, interface or file system is listed when it had a row so shortly before the last one of all: each has one a
/// minute, or every ten seconds.
const LISTED_MS: i64 = 5 * 60_000;
/// Names of one group that are listed.
const LISTED_MAX: usize = 128;

/// Milliseconds since boot from the first batch of a file to the last: what cannot concern a question is not read.
pub(super) const fn span(tier: HistoryTier) -> i64 {
    match tier {
        HistoryTier::Full => 6 * 3_600_000,
        HistoryTier::Reduced => 24 * 3_600_000,
    }
}

/// Why there is no answer, a sentence each.
#[derive(Debug, thiserror::Error)]
pub enum NoHistory {
    #[error("there is no history at {}", .0.display())]
    Missing(PathBuf),
    #[error("there is no field {0}; prunella history lists them")]
    NoField(String),
    #[error("{0} is of one subject of several: write {0}@NAME; prunella history lists them")]
    NoSubject(&'static str),
    #[error("{0} is of the host, and takes no @")]
    OfTheHost(&'static str),
    #[error("{} was made by a newer version of prunella (format {found})", file.display())]
    Newer { file: PathBuf, found: u32 },
    #[error("{} can't be read: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// A file with what its header says.
struct Part {
    entry: Entry,
    header: Header,
}

/// Reads the history in a state folder.
#[derive(Debug)]
pub struct Reader {
    folder: Folder,
}

impl Reader {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { folder: Folder::new(state_dir) }
    }

    /// The files by tier and number, and how many of them are none.
    fn parts(&self) -> Result<(Vec<Part>, u64), NoHistory> {
        let path = || self.folder.path().to_owned();
        let entries = self.folder.list().map_err(|source| {
            let missing = source.kind() == io::ErrorKind::NotFound;
            if missing { NoHistory::Missing(path()) } else { NoHistory::File { path: path(), source } }
        })?;
        let (mut parts, mut unreadable) = (Vec::new(), 0);
        for entry in entries {
            match self.folder.head(entry.tier, entry.number).map(|head| Header::parse(&head)) {
                Ok(Ok(header)) if header.tier == entry.tier => parts.push(Part { entry, header }),
                Ok(Err(NoHeader::Newer(found))) => {
                    let file = self.folder.file(entry.tier, entry.number);
                    return Err(NoHistory::Newer { file, found });
                }
                Ok(Ok(_) | Err(NoHeader::Damaged)) => unreadable += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(NoHistory::File { path: self.folder.file(entry.tier, entry.number), source });
                }
                // A bad place of the disk is no reason to tell nothing of the rest.
                Err(_) => unreadable += 1,
            }
        }
        Ok((parts, unreadable))
    }

    /// The rows of a file, in order; returns how much of it could not be read.
    fn rows(&self, part: &Part, each: &mut dyn FnMut(Row<'_>)) -> u64 {
        let bytes = match self.folder.whole(part.entry.tier, part.entry.number) {
            Ok(bytes) => bytes,
            Err(error) => return u64::from(error.kind() != io::ErrorKind::NotFound),
        };
        let mut frames = Frames::new(&bytes, HEADER_BYTES);
        let mut unreadable = 0;
        for frame in frames.by_ref() {
            unreadable += u64::from(!decode(frame, part.entry.tier, each));
        }
        // The end of the newest file may be on its way to the disk.
        let torn_end = u64::from(frames.damaged > 0 && frames.sound_end < bytes.len());
        unreadable + frames.damaged - torn_end
    }

    /// One field over a time.
    ///
    /// # Errors
    /// When there is no such field, or nothing can be read.
    pub fn series(&self, query: &HistoryQuery) -> Result<HistorySeries, NoHistory> {
        let (name, subject) = match query.field.split_once('@') {
            Some((name, subject)) => (name, Some(subject)),
            None => (query.field.as_str(), None),
        };
        let found = catalogue::find(name).ok_or_else(|| NoHistory::NoField(name.to_owned()))?;
        let (group, index, Spec { name, unit, meaning }) = found;
        let subject = match (group.has_subjects(), subject) {
            (true, Some(subject)) => subject,
            (false, None) => "",
            (true, None) => return Err(NoHistory::NoSubject(name)),
            (false, Some(_)) => return Err(NoHistory::OfTheHost(name)),
        };
        let (parts, mut unreadable) = self.parts()?;
        let step = query.step.as_secs().max(1);
        let mut points = Points::new(i64::try_from(step.saturating_mul(1000)).unwrap_or(i64::MAX), unit);
        for (tier, from, to) in ranges(&parts, query, step) {
            for part in parts.iter().filter(|part| part.entry.tier == tier) {
                let begin = part.header.begin.wall.unix_millis();
                if begin >= to || begin.saturating_add(span(tier) + SLACK_MS) < from {
                    continue;
                }
                unreadable += self.rows(part, &mut |row| {
                    if row.group == Some(group)
                        && row.name == subject
                        && (from..to).contains(&row.wall_ms)
                        && let Some(cell) = row.cells.get(index)
                    {
                        points.add(part.header.boot, (row.boot_ms, row.wall_ms), cell);
                    }
                });
            }
        }
        let (runs, cut) = points.finish();
        Ok(HistorySeries {
            field: query.field.clone(),
            unit,
            meaning: meaning.to_owned(),
            from: query.from,
            to: query.to,
            step_seconds: step,
            runs,
            unreadable,
            cut,
        })
    }

    /// What there is.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn list(&self) -> Result<HistoryList, NoHistory> {
        let (parts, mut unreadable) = self.parts()?;
        let mut subjects: BTreeMap<u8, BTreeSet<String>> = BTreeMap::new();
        let mut extents = Vec::new();
        for tier in HistoryTier::ALL {
            let of = || parts.iter().filter(move |part| part.entry.tier == tier);
            let mut to = None;
            if let Some(newest) = of().next_back() {
                let mut seen: BTreeMap<u8, BTreeMap<String, i64>> = BTreeMap::new();
                let mut last_ms = i64::MIN;
                unreadable += self.rows(newest, &mut |row| {
                    to = Some(WallTime::from_unix_millis(row.wall_ms));
                    last_ms = row.boot_ms;
                    if let Some(group) = row.group.filter(|group| group.has_subjects()) {
                        let names = seen.entry(group.code()).or_default();
                        match names.get_mut(row.name) {
                            Some(at) => *at = row.boot_ms,
                            None => drop(names.insert(row.name.to_owned(), row.boot_ms)),
                        }
                    }
                });
                for (group, names) in seen {
                    let lately = names.into_iter().filter(|(_, at)| last_ms.saturating_sub(*at) <= LISTED_MS);
                    subjects.entry(group).or_default().extend(lately.map(|(name, _)| name));
                }
            }
            extents.push(HistoryExtent {
                tier,
                from: of().next().map(|part| part.header.begin.wall),
                to,
                bytes: of().map(|part| part.entry.bytes).sum(),
                files: of().count(),
            });
        }
        let field = |group: Group, spec: Spec| HistoryFieldInfo {
            name: spec.name.to_owned(),
            unit: spec.unit,
            meaning: spec.meaning.to_owned(),
            of_subject: group.has_subjects(),
            subjects: subjects.get(&group.code()).into_iter().flatten().take(LISTED_MAX).cloned().collect(),
        };
        let fields = Group::ALL
            .into_iter()
            .flat_map(|group| group.specs().into_iter().map(move |spec| (group, spec)))
            .map(|(group, spec)| field(group, spec));
        let folder = self.folder.path().display().to_string();
        Ok(HistoryList { folder, extents, fields: fields.collect(), unreadable })
    }

    /// When the newest row was read: what "now" is where no agent runs.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn newest(&self) -> Result<Option<WallTime>, NoHistory> {
        let (parts, _) = self.parts()?;
        let mut newest = None;
        for tier in HistoryTier::ALL {
            if let Some(part) = parts.iter().rfind(|part| part.entry.tier == tier) {
                self.rows(part, &mut |row| {
                    newest = newest.max(Some(WallTime::from_unix_millis(row.wall_ms)));
                });
            }
        }
        Ok(newest)
    }
}

/// The time that the files in full cover, in parts that may overlap. A little more is no harm: behind the last row in
/// full there is none by the minute either.
fn in_full(parts: &[Part]) -> impl Iterator<Item = (i64, i64)> + '_ {
    let full =
        move || parts.iter().filter(|part| part.entry.tier == HistoryTier::Full).map(|part| part.header);
    let next = full().skip(1).map(Some).chain([None]);
    full().zip(next).map(|(header, next)| {
        // Since boot, for a clock that is set between two files says nothing of how long the first one is.
        let next = next.filter(|next| next.boot == header.boot);
        let length = next.map(|next| next.begin.boot.millis().saturating_sub(header.begin.boot.millis()));
        let most = span(HistoryTier::Full);
        let begin = header.begin.wall.unix_millis();
        (begin, begin.saturating_add(length.unwrap_or(most).clamp(0, most) + SLACK_MS))
    })
}

/// Which tier answers for which time, oldest first: what is not in full any more is told by the minute.
fn ranges(parts: &[Part], query: &HistoryQuery, step_secs: u64) -> Vec<(HistoryTier, i64, i64)> {
    let (from, to) = (query.from.unix_millis(), query.to.unix_millis());
    if step_secs >= REDUCED_STEP_SECS {
        return vec![(HistoryTier::Reduced, from, to)];
    }
    let mut in_full: Vec<(i64, i64)> = in_full(parts).collect();
    in_full.sort_unstable();
    let mut ranges: Vec<(HistoryTier, i64, i64)> = Vec::new();
    let mut at = from;
    for (begin, end) in in_full.into_iter().map(|(begin, end)| (begin.max(from), end.min(to))) {
        if end <= at.max(begin) {
            continue;
        }
        if begin > at {
            ranges.push((HistoryTier::Reduced, at, begin));
        }
        match ranges.last_mut() {
            Some((HistoryTier::Full, _, so_far)) => *so_far = end,
            Some(_) | None => ranges.push((HistoryTier::Full, begin.max(at), end)),
        }
        at = end;
    }
    if at < to {
        ranges.push((HistoryTier::Reduced, at, to));
    }
    ranges
}
