//! What the kernel tells of groups between two walks: somebody was killed for want of memory, nobody is left, a fork
//! was refused.
//!
//! Services and containers are watched, so many as [`super::super::notices::WATCHED_MAX`] allows. The others are asked
//! with each walk, and how many these are is told.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;

use crate::model::{CgroupWatches, Reading, UnitName};
use crate::sense::cgroup::notices::{Notices, Told, wait};
use crate::sense::cgroup::{ATTENTION_MAX, GroupEvents, GroupPath, MemoryEvents, PidsEvents};

use super::{TreeReader, printable};

/// What happened in a group since the look before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// The last process in it has ended.
    Emptied,
    /// So many processes in it were killed for want of memory.
    OomKilled(u64),
    /// So many forks were refused, for it is at its limit of tasks.
    ForksRefused(u64),
    /// All of it stands still, or goes on.
    Frozen(bool),
}

/// News of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupNews {
    /// For people, as [`crate::model::CgroupStatus::path`].
    pub path: String,
    /// The system's unit, as its path names it.
    pub unit: Option<UnitName>,
    pub change: GroupChange,
}

/// The group of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitGroup {
    pub unit: UnitName,
    /// Below the root of the hierarchy, as the kernel has it.
    pub path: Vec<u8>,
    /// The inode of its directory: a unit that is started anew may have another.
    pub id: u64,
}

/// What came of heeding the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// So many groups were looked at.
    Groups(usize),
    /// The kernel could not keep all that happened: only a walk tells.
    Lost,
}

/// The event files as they were last read; what can't be read does not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    populated: Option<bool>,
    frozen: Option<bool>,
    oom_kills: Option<u64>,
    limit_hits: Option<u64>,
    forks_refused: Option<u64>,
}

impl Events {
    /// Of a group that was made since the walk before: all that it tells happened since then.
    pub(super) const NONE: Self = Self {
        populated: Some(false),
        frozen: Some(false),
        oom_kills: Some(0),
        limit_hits: Some(0),
        forks_refused: Some(0),
    };

    /// What happened between two readings. Pure.
    fn changes(self, now: Self) -> impl Iterator<Item = GroupChange> {
        let more = |before: Option<u64>, now: Option<u64>| match (before, now) {
            (Some(before), Some(now)) => now.checked_sub(before).filter(|more| *more > 0),
            (None, _) | (_, None) => None,
        };
        let emptied = self.populated == Some(true) && now.populated == Some(false);
        let turned = self.frozen.zip(now.frozen).filter(|(before, now)| before != now);
        [
            more(self.oom_kills, now.oom_kills).map(GroupChange::OomKilled),
            more(self.forks_refused, now.forks_refused).map(GroupChange::ForksRefused),
            turned.map(|(_, frozen)| GroupChange::Frozen(frozen)),
            emptied.then_some(GroupChange::Emptied),
        ]
        .into_iter()
        .flatten()
    }
}

/// The watches, or why there are none, and who goes without.
#[derive(Debug)]
pub(super) struct Watching {
    notices: Result<Notices, String>,
    /// In the latest walk.
    unwatched: u64,
    why: Option<String>,
    /// The kernel could not keep all: the next walk asks those that are watched as well.
    distrust: bool,
    pub(super) news: Vec<GroupNews>,
}

impl Watching {
    pub(super) fn new() -> Self {
        let notices =
            Notices::new().map_err(|errno| format!("the kernel gives no inotify descriptor: {errno}"));
        Self { notices, unwatched: 0, why: None, distrust: false, news: Vec::new() }
    }

    pub(super) fn begin_walk(&mut self) {
        (self.unwatched, self.why) = (0, None);
    }

    pub(super) fn end_walk(&mut self, still_there: impl Fn(u64) -> bool) {
        self.distrust = false;
        if let Ok(notices) = &mut self.notices {
            notices.keep(still_there);
            notices.settle();
        }
    }

    pub(super) fn forget(&mut self, id: u64) {
        if let Ok(notices) = &mut self.notices {
            notices.forget(id);
        }
    }

    pub(super) fn told(&self) -> CgroupWatches {
        let watched = self.notices.as_ref().map_or(0, Notices::watched);
        CgroupWatches {
            watched: u64::try_from(watched).unwrap_or(u64::MAX),
            unwatched: self.unwatched,
            why: self.why.clone(),
        }
    }

    /// Whether it is watched now; counted when it is not.
    fn watch(&mut self, id: u64, group: BorrowedFd<'_>) -> bool {
        let why = match &mut self.notices {
            Ok(notices) if notices.watches(id) => return true,
            Ok(notices) if notices.is_full() => "there are more than the agent watches".to_owned(),
            Ok(notices) => match notices.watch(id, group) {
                Ok(()) => return true,
                // It is being removed, or is none of the kernel's.
                Err(Errno::NOENT | Errno::NODEV) => return false,
                Err(Errno::NOSPC) => {
                    "the host is at its limit of watches (fs.inotify.max_user_watches)".to_owned()
                }
                Err(errno) => format!("the kernel refuses: {errno}"),
            },
            Err(why) => why.clone(),
        };
        self.unwatched += 1;
        self.why.get_or_insert(why);
        false
    }
}

impl TreeReader {
    /// Waits until the kernel tells of a group, or for so long; whether it told.
    #[must_use]
    pub fn wait(&self, most: Duration) -> bool {
        match &self.watching.notices {
            Ok(notices) => notices.wait(most),
            Err(_) => wait(&mut [], most),
        }
    }

    /// Looks at the groups of which the kernel told, and at no others. After [`Heard::Lost`] walk.
    pub fn heed(&mut self) -> Heard {
        let Told { changed, lost } = self.watching.notices.as_mut().map(Notices::read).unwrap_or_default();
        if lost {
            self.watching.distrust = true;
            return Heard::Lost;
        }
        for id in &changed {
            let Some(path) = self.groups.get(id).map(|known| known.path.clone()) else { continue };
            match self.descend(&path, *id) {
                Ok(group) => self.look_at_events(*id, Some(group.as_fd())),
                Err(Errno::NOENT | Errno::NODEV | Errno::STALE) => self.is_gone(*id),
                // The next walk tells.
                Err(_) => {}
            }
        }
        if let Ok(notices) = &mut self.watching.notices {
            notices.settle();
        }
        Heard::Groups(changed.len())
    }

    /// The groups that units have, as their paths name them; not those of users' units, nor what units have within.
    pub fn unit_groups(&self) -> impl Iterator<Item = UnitGroup> {
        self.groups.values().filter_map(|known| {
            let unit = unit(&known.path)?;
            let end = known.path.iter().rposition(|byte| *byte == b'/')? + 1;
            let own = known.path[end..] == *unit.as_str().as_bytes();
            own.then(|| UnitGroup { unit, path: known.path.clone(), id: known.status.id })
        })
    }

    /// What happened since it was asked for last.
    pub fn take_news(&mut self) -> Vec<GroupNews> {
        std::mem::take(&mut self.watching.news)
    }

    /// With each walk: watches it if it is worth that, and asks it itself where nobody would tell.
    pub(super) fn watch_or_ask(&mut self, id: u64, group: BorrowedFd<'_>, path: &[u8]) {
        let Some(known) = self.groups.get(&id) else { return };
        if !GroupPath::is_service(path, known.leaf) {
            return;
        }
        let known_since = known.events.is_some() && !self.watching.distrust;
        let was_watched = self.watching.notices.as_ref().is_ok_and(|notices| notices.watches(id));
        if self.watching.watch(id, group) && was_watched && known_since {
            return;
        }
        // After it is watched: what changes from here on is told.
        self.look_at_events(id, Some(group));
    }

    fn look_at_events(&mut self, id: u64, group: Option<BorrowedFd<'_>>) {
        let about = self.file(group, c"cgroup.events", |bytes| GroupEvents::parse(bytes).ok());
        let memory = self.file(group, c"memory.events", |bytes| MemoryEvents::parse(bytes).ok());
        let forks = self.file(group, c"pids.events", |bytes| PidsEvents::parse(bytes).ok()).map(|it| it.max);
        let Some(known) = self.groups.get_mut(&id) else { return };
        let now = Events {
            populated: about.value().map(|it| it.populated != 0),
            frozen: about.value().and_then(|it| it.frozen).map(|frozen| frozen != 0),
            oom_kills: memory.value().map(|it| it.oom_kill),
            limit_hits: memory.value().map(|it| it.max.saturating_add(it.high).saturating_add(it.oom)),
            forks_refused: forks.value().copied(),
        };
        let before = known.events.replace(now).unwrap_or(now);
        let status = &mut known.status;
        status.populated = about.map(|it| it.populated != 0);
        status.oom_kills = memory.map(|it| it.oom_kill);
        status.forks_refused = forks;
        if let Reading::Value(closely) = &mut status.closely
            && let Some(frozen) = now.frozen
        {
            closely.frozen = Reading::Value(frozen);
        }
        // What runs into its limit is looked at closely from now on, where there is room.
        if now.limit_hits > before.limit_hits
            && known.leaf
            && self.attended.len() < ATTENTION_MAX
            && self.attended.iter().all(|it| it.id != id)
        {
            known.interest.at_limit = true;
            self.attended.push(known.interest);
        }
        self.tell_changes(id, before, now);
    }

    /// Removed, with all that lived in it.
    fn is_gone(&mut self, id: u64) {
        if let Some(before) = self.groups.get(&id).and_then(|known| known.events) {
            self.tell_changes(id, before, Events { populated: Some(false), ..before });
        }
        self.groups.remove(&id);
        self.attended.retain(|it| it.id != id);
        self.watching.forget(id);
    }

    fn tell_changes(&mut self, id: u64, before: Events, now: Events) {
        let Some(known) = self.groups.get(&id) else { return };
        let news = before.changes(now).map(|change| GroupNews {
            path: printable(&known.path),
            unit: unit(&known.path),
            change,
        });
        self.watching.news.extend(news);
    }
}

fn unit(path: &[u8]) -> Option<UnitName> {
    let name = GroupPath::parse(path).unit?;
    UnitName::parse(std::str::from_utf8(name).ok()?).ok()
}

#[cfg(test)]
#[path = "heed_tests.rs"]
mod tests;
