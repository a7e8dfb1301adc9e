//! Archive live logs, the largest first, in stages that are on record first, until there is room enough.
//!
//! Must not touch: what lies outside the permit's folders, and what [`super::logs`](crate::act) refuses.

use std::path::Path;

use crate::act::logs::{Archiving, AwayFolder, Halt, LiveLog, Refused, Search};
use crate::model::{Applied, BootTime, Bytes, PathText, Timestamp, Usage};

use super::{Consent, gained, unsearched};

/// The first stage: on a disk that is all but full there is room for little more.
const STAGE_FIRST: u64 = 1 << 20;
/// Each is twice as long as the one before, up to this: each costs a record and two syncs, and is lost when it is broken
/// off.
const STAGE_MAX: u64 = 32 << 20;
/// Of the whole file system, what one stage takes at the most: after each it is measured whether there is room enough.
const STAGE_PART: u64 = 50;
/// Below this, nothing is gained by trying with less.
const STAGE_LEAST: u64 = 64 << 10;
/// Of what is free, what one stage may take where it can't be compressed at all.
const FREE_PART: u64 = 2;

/// An archive that was begun away from its log comes home when so many times its length is free there.
const HOME_FACTOR: u64 = 4;

/// An act that is under way.
pub(super) struct Work<'a> {
    pub(super) search: Search,
    /// Where archives are begun for which there is no room.
    pub(super) away: Option<&'a AwayFolder>,
    pub(super) consent: &'a dyn Consent,
    pub(super) now: &'a dyn Fn() -> Timestamp,
    /// Nothing begins after this.
    pub(super) until: BootTime,
    pub(super) proc: &'a Path,
}

#[derive(Default)]
struct Done {
    logs: u64,
    content: u64,
    /// The first log that was left alone, and how many there are.
    refused: Option<(PathText, Refused, u64)>,
}

/// Why an act goes no further.
enum End {
    /// Nobody wants more, or nobody can say so.
    Refused(String),
    /// This is all there is among so many entries.
    NothingLeft(u64),
    TimeOver,
    NoRoom,
    Failed(String),
}

impl Work<'_> {
    pub(super) fn carry_out(self) -> Applied {
        let before = match self.search.usage() {
            Ok(usage) => usage,
            Err(errno) => return Applied::Failed { why: format!("its room can't be measured: {errno}") },
        };
        let mut done = Done::default();
        let end = self.archive_until(&before, &mut done);
        if done.content == 0 {
            return match end {
                End::Refused(why) => Applied::Withdrawn { why },
                End::NothingLeft(_) if done.refused.is_none() => Applied::AlreadySo,
                End::NothingLeft(_) | End::TimeOver | End::NoRoom | End::Failed(_) => {
                    Applied::Failed { why: self.in_words(end, &done) }
                }
            };
        }
        let freed = self.search.usage().map_or(0, |after| gained(&before, &after).0);
        let why = self.in_words(end, &done);
        Applied::Archived { logs: done.logs, content: Bytes(done.content), freed: Bytes(freed), why }
    }

    fn is_over(&self) -> bool {
        (self.now)().boot >= self.until
    }

    fn archive_until(&self, size: &Usage, done: &mut Done) -> End {
        let found = self.search.find_live(self.away, &|| self.is_over());
        for (path, why) in found.refused {
            done.note(path, why);
        }
        for log in &found.logs {
            if self.is_over() {
                return End::TimeOver;
            }
            if let Err(end) = self.archive(log, size, done) {
                return end;
            }
        }
        if found.whole {
            End::NothingLeft(found.entries)
        } else if self.is_over() {
            End::TimeOver
        } else {
            End::Failed(format!(
                "of {} entries no more logs may be archived, and not all were seen",
                found.entries
            ))
        }
    }

    /// One log, as far as room is wanted: beside it where there is room, else away from it until there is.
    fn archive(&self, log: &LiveLog, size: &Usage, done: &mut Done) -> Result<(), End> {
        let begun = done.content;
        let mut end = self.archive_at(log, self.away.filter(|_| log.is_begun()), size, done);
        while let (Err(End::NoRoom), Some(away), false) = (&end, self.away, log.is_begun()) {
            let before = done.content;
            end = self.archive_at(log, Some(away), size, done);
            if end.is_err() || done.content == before {
                break;
            }
            end = self.archive_at(log, None, size, done);
        }
        done.logs += u64::from(done.content > begun);
        end
    }

    fn archive_at(
        &self,
        log: &LiveLog,
        away: Option<&AwayFolder>,
        size: &Usage,
        done: &mut Done,
    ) -> Result<(), End> {
        let stop = || self.is_over();
        let mut archiving = match self.search.archive(log, away, self.proc, (self.now)().wall, &stop) {
            Ok(archiving) => archiving,
            Err(Refused::NothingToArchive | Refused::Gone) => return Ok(()),
            Err(Refused::NoRoom) => return Err(End::NoRoom),
            Err(why) => {
                done.note(log.path(), why);
                return Ok(());
            }
        };
        let end = self.stages(&mut archiving, size, done);
        // Whatever has ended it: what is in the archive is to be found under its name.
        match archiving.finish(&stop) {
            Ok(_) | Err(Refused::NothingToArchive) => {}
            // It waits where it is until there is.
            Err(Refused::NoRoom) => return end.and(Err(End::NoRoom)),
            Err(why) => done.note(log.path(), why),
        }
        end
    }

    fn stages(&self, archiving: &mut Archiving, size: &Usage, done: &mut Done) -> Result<(), End> {
        let mut stage = STAGE_FIRST;
        loop {
            let usage = self
                .search
                .usage()
                .map_err(|errno| End::Failed(format!("its room can't be measured: {errno}")))?;
            let away = archiving.away();
            if away.is_some_and(|length| usage.free.0 > length.0.saturating_mul(HOME_FACTOR) + STAGE_FIRST) {
                return Ok(());
            }
            let free = if away.is_some() { u64::MAX } else { usage.free.0 / FREE_PART };
            let most = stage.min(size.total.0 / STAGE_PART).min(free).max(STAGE_LEAST);
            let removal = match archiving.pack(most, &|| self.is_over()) {
                Ok(removal) => removal,
                Err(Halt::Done) => return Ok(()),
                Err(Halt::Stopped) => return Err(End::TimeOver),
                Err(Halt::NoRoom) if most > STAGE_LEAST => {
                    stage = most / 2;
                    continue;
                }
                Err(Halt::NoRoom) => return Err(End::NoRoom),
                Err(Halt::Refused(why)) => {
                    done.note(archiving.path(), why);
                    return Ok(());
                }
            };
            self.consent.may_remove(usage, vec![removal]).map_err(End::Refused)?;
            match archiving.give_back() {
                Ok(content) => done.content += content.0,
                Err(why) => {
                    done.note(archiving.path(), why);
                    return Ok(());
                }
            }
            stage = (stage * 2).min(STAGE_MAX);
        }
    }

    fn in_words(&self, end: End, done: &Done) -> String {
        let end = match end {
            End::Refused(why) | End::Failed(why) => why,
            End::NothingLeft(entries) => format!("of {entries} entries no more logs may be archived"),
            End::TimeOver => "its time was over".into(),
            End::NoRoom => "there is no room to write an archive to".into(),
        };
        let end = format!("{end}{}", unsearched(&self.search));
        match &done.refused {
            Some((path, why, 1)) => format!("{end}; {path} was left alone: {why}"),
            Some((path, why, count)) => format!("{end}; {count} logs were left alone, as {path}: {why}"),
            None => end,
        }
    }
}

impl Done {
    fn note(&mut self, path: PathText, why: Refused) {
        match &mut self.refused {
            Some((.., count)) => *count += 1,
            None => self.refused = Some((path, why, 1)),
        }
    }
}
