//! Make room on a file system: remove or archive what the permit names, in steps that are on record first, until there is
//! enough.
//!
//! Must not touch: what lies outside the permit's folders, and what [`super::logs`] refuses.

mod archive;

use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::guard::Permit;
use crate::model::{
    Applied, BootTime, Bytes, PathText, REMOVALS_AT_ONCE, Remedy, Removal, RoomOrder, Timestamp, Usage,
};

use super::logs::{AwayFolder, Candidate, NoSearch, PassedOver, Ready, Refused, Search};

#[cfg(test)]
mod tests;

/// Of the whole file system, what one step removes at the most, unless a single file is larger: after each it is measured
/// whether there is room enough.
const STEP_PART: u64 = 100;

/// Whoever keeps the records and knows whether there is room enough.
pub trait Consent {
    /// Returns when these removals are on record and still wanted. Blocks: whoever makes room has a thread for it.
    ///
    /// # Errors
    /// Why the act is to end here, one sentence.
    fn may_remove(&self, usage: Usage, removals: Vec<Removal>) -> Result<(), String>;
}

/// What an act that makes room is given of the host.
#[derive(Clone, Copy, Debug)]
pub struct Premises<'a> {
    /// Where procfs is mounted: it shows the host's own mounts, those of process 1.
    pub proc: &'a Path,
    /// A folder of the agent's own, for archives for which there is no room beside their logs.
    pub away: &'a Path,
}

/// Takes the room that is held in reserve for archives, where it is missing and there is plenty.
///
/// # Errors
/// What the file system says.
pub fn keep_reserve(away: &Path) -> std::io::Result<()> {
    AwayFolder::open(away)?.keep_reserve()?;
    Ok(())
}

/// Uses the permit up. Blocks, and is bounded by the permit's deadline, unless the disk hangs.
pub fn make_room(
    permit: &Permit,
    Premises { proc, away }: Premises<'_>,
    consent: &dyn Consent,
    now: &dyn Fn() -> Timestamp,
) -> Applied {
    let begun = now();
    if begun.boot > permit.expires().boot {
        return Applied::Withdrawn { why: "its permit had expired".into() };
    }
    let Some(order) = permit.room() else {
        return Applied::Failed { why: format!("{} makes no room", permit.remedy()) };
    };
    if !permit.remedy().is_own_work() {
        return Applied::Failed { why: format!("{} is done by others", permit.remedy()) };
    }
    let search = match open(proc, order) {
        Ok(search) => search,
        Err(NoSearch::NoFolder(why)) if why.is_empty() => return Applied::AlreadySo,
        Err(why @ (NoSearch::Gone | NoSearch::NoFolder(_) | NoSearch::Mount(_) | NoSearch::Errno(_))) => {
            return Applied::Failed { why: why.to_string() };
        }
    };
    let until = begun.boot + permit.deadline();
    if permit.remedy() == Remedy::ArchiveLogs {
        // Without it what has room for its archives is archived.
        let away = AwayFolder::open(away).ok();
        let applied = archive::Work { search, away: away.as_ref(), consent, now, until, proc }.carry_out();
        if let Some(away) = away {
            // It is taken again after a later act.
            let _ = away.keep_reserve();
        }
        return applied;
    }
    Work { search, order, consent, now, until, removed: 0, bytes: 0, refused: None }.carry_out()
}

fn open(proc: &Path, order: &RoomOrder) -> Result<Search, NoSearch> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let base = rustix::fs::open(proc.join("1/root"), flags, Mode::empty())
        .or_else(|_| rustix::fs::open("/", flags, Mode::empty()))
        .map_err(NoSearch::Errno)?;
    Search::open(&base, &order.point, order.device, &order.roots)
}

/// An act that is under way.
struct Work<'a> {
    search: Search,
    order: &'a RoomOrder,
    consent: &'a dyn Consent,
    now: &'a dyn Fn() -> Timestamp,
    /// Nothing begins after this.
    until: BootTime,
    removed: u64,
    bytes: u64,
    /// The first file that was left alone, and how many there are.
    refused: Option<(PathText, Refused, u64)>,
}

/// Why an act goes no further.
enum End {
    /// Nobody wants more, or nobody can say so.
    Refused(String),
    /// This is all there is among so many entries.
    NothingLeft(u64),
    Bound(&'static str),
    Failed(String),
}

impl Work<'_> {
    fn carry_out(mut self) -> Applied {
        let before = match self.search.usage() {
            Ok(usage) => usage,
            Err(errno) => return Applied::Failed { why: format!("its room can't be measured: {errno}") },
        };
        let end = self.remove_until(&before);
        if self.removed == 0 {
            return match end {
                End::Refused(why) => Applied::Withdrawn { why },
                End::NothingLeft(_) if self.refused.is_none() => Applied::AlreadySo,
                End::NothingLeft(_) | End::Bound(_) | End::Failed(_) => {
                    Applied::Failed { why: self.in_words(end) }
                }
            };
        }
        let (freed, inodes_freed) = self.search.usage().map_or((0, 0), |after| gained(&before, &after));
        let files = self.removed;
        Applied::Removed { files, freed: Bytes(freed), inodes_freed, why: self.in_words(end) }
    }

    fn remove_until(&mut self, size: &Usage) -> End {
        loop {
            let found = self.search.find((self.now)().wall, &|| (self.now)().boot >= self.until);
            for (path, why) in &found.refused {
                self.note(path.clone(), *why);
            }
            let (mut left, before) = (found.candidates.as_slice(), self.removed);
            while !left.is_empty() {
                match self.step(&mut left, size) {
                    Ok(()) => {}
                    Err(end) => return end,
                }
            }
            // More than fit into one list may be there, as long as each list brings something.
            if self.removed == before || (found.whole && found.left_out == 0) {
                return End::NothingLeft(found.entries);
            }
        }
    }

    /// Removes the next few of them, the oldest, with consent.
    fn step(&mut self, left: &mut &[Candidate], size: &Usage) -> Result<(), End> {
        let most = size.total.0 / STEP_PART;
        let mut ready: Vec<Ready> = Vec::new();
        let mut bytes = 0_u64;
        while let Some((next, rest)) = left.split_first() {
            if (self.now)().boot >= self.until {
                return Err(End::Bound("its time was over"));
            }
            let count = u64::try_from(ready.len()).unwrap_or(u64::MAX);
            if self.removed.saturating_add(count) >= self.order.files_max {
                break;
            }
            let size = next.allocated().0;
            let beyond = self.bytes.saturating_add(bytes).saturating_add(size) > self.order.bytes_max.0;
            if beyond && ready.is_empty() {
                return Err(End::Bound("more bytes may not be removed in a day"));
            }
            if !ready.is_empty() && (beyond || bytes.saturating_add(size) > most) {
                break;
            }
            *left = rest;
            match self.search.prepare(next, (self.now)().wall) {
                Ok(one) => {
                    bytes = bytes.saturating_add(size);
                    ready.push(one);
                }
                Err(why) => self.note(next.path(), why),
            }
            if ready.len() >= REMOVALS_AT_ONCE {
                break;
            }
        }
        if ready.is_empty() {
            let bound = self.removed >= self.order.files_max;
            return if bound { Err(End::Bound("one act may remove no more files")) } else { Ok(()) };
        }
        self.remove(ready)
    }

    fn remove(&mut self, ready: Vec<Ready>) -> Result<(), End> {
        let usage = self
            .search
            .usage()
            .map_err(|errno| End::Failed(format!("its room can't be measured: {errno}")))?;
        let removals = ready.iter().map(|one| one.removal().clone()).collect();
        self.consent.may_remove(usage, removals).map_err(End::Refused)?;
        for one in ready {
            if (self.now)().boot >= self.until {
                return Err(End::Bound("its time was over"));
            }
            let (path, bytes) = (one.removal().path.clone(), one.removal().allocated.0);
            match one.remove((self.now)().wall) {
                Ok(()) => {
                    self.removed += 1;
                    self.bytes = self.bytes.saturating_add(bytes);
                }
                Err(why) => self.note(path, why),
            }
        }
        Ok(())
    }

    fn note(&mut self, path: PathText, why: Refused) {
        match &mut self.refused {
            Some((.., count)) => *count += 1,
            None => self.refused = Some((path, why, 1)),
        }
    }

    fn in_words(&self, end: End) -> String {
        let end = match end {
            End::Refused(why) | End::Failed(why) => why,
            End::NothingLeft(entries) => format!("of {entries} entries nothing more may be removed"),
            End::Bound(why) => why.into(),
        };
        let end = format!("{end}{}", unsearched(&self.search));
        match &self.refused {
            Some((path, why, 1)) => format!("{end}; {path} was left alone: {why}"),
            Some((path, why, count)) => {
                format!("{end}; {count} files were left alone, as {path}: {why}")
            }
            None => end,
        }
    }
}

/// The first folder of logs that could not be searched, for people.
fn unsearched(search: &Search) -> String {
    let told = |it: &PassedOver| format!("; {} could not be searched: {}", it.name, it.why);
    search.passed_over().first().map(told).unwrap_or_default()
}

/// Bytes and inodes by which there is more room; others may have taken more of it meanwhile than was made.
fn gained(before: &Usage, after: &Usage) -> (u64, u64) {
    let inodes = match (before.inodes.value(), after.inodes.value()) {
        (Some(before), Some(after)) => after.free.saturating_sub(before.free),
        (Some(_) | None, _) => 0,
    };
    (after.free.0.saturating_sub(before.free.0), inodes)
}
