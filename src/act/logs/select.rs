//! Which rotated files or core dumps of one folder may go. Pure.
//!
//! The newest of each log or program stay whatever their age, of the rest what is young. Files of several owners are
//! counted apart: a user may be able to make files beside another's, and must not be able to make those superfluous.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Holds, WallTime};

use super::candidate::CANDIDATES_MAX;
use super::dumps::program;
use super::names::{Rotated, rotated};
use super::place::{About, Identity, Stamp};

/// Files of one folder that stay, of all its logs: so many are remembered while it is read.
pub(super) const STAYING_MAX: usize = 8192;

/// A file that was renamed, compressed, copied or given to another a moment ago is still being rotated.
///
/// It is this short because a rotation by numbers renames every file each time: with `keep_for` in its place, no file
/// of a daily rotation would ever be a day old.
pub(super) const SETTLE: Duration = Duration::from_mins(10);

/// A rotated file, as the walk saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: Vec<u8>,
    /// The name of the log that it was rotated from, or what all dumps of the program have in common.
    pub(super) log: Vec<u8>,
    pub(super) about: About,
}

/// The newest of a log or program, which is kept: while it is there, no removal leaves the log without any.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keeper {
    pub(super) name: Vec<u8>,
    pub(super) identity: Identity,
}

/// What a folder holds, and what is kept of each log or program in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) holds: Holds,
    /// So many, and one at least.
    pub(super) keep: u32,
    /// What is younger.
    pub(super) keep_for: Duration,
}

impl Rules {
    /// What a name tells, if it is one that may go from such a folder.
    pub(super) fn shape(&self, name: &[u8]) -> Option<Rotated> {
        match self.holds {
            Holds::Logs => rotated(name),
            Holds::CoreDumps => program(name).map(|log| Rotated { log, certain: true }),
        }
    }

    /// By when it was written to last, and changed in any way. What lies in the future is young.
    pub(super) fn is_old(&self, about: &About, now: WallTime) -> bool {
        self.is_old_content(about, now) && has_passed(about.changed.wall(), self.keep_for.min(SETTLE), now)
    }

    /// By when it was written to last alone.
    pub(super) fn is_old_content(&self, about: &About, now: WallTime) -> bool {
        has_passed(about.modified.wall(), self.keep_for, now)
    }
}

/// Those that may go of one folder, sorted out while they are seen: of a folder with any number of files, what stays of
/// each log and the oldest of the rest are all that is remembered.
#[derive(Debug)]
pub(super) struct Sorting {
    rules: Rules,
    now: WallTime,
    /// By log and owner; what stays, ordered by age.
    stay: BTreeMap<(Vec<u8>, u32), BTreeMap<Age, Seen>>,
    staying: usize,
    go: BinaryHeap<Going>,
    left_out: u64,
}

/// Written to last, and of those that were at the same moment the last by name: that one is older.
type Age = (Stamp, Reverse<Vec<u8>>);

#[derive(Debug)]
struct Going(Seen);

impl Going {
    fn age(&self) -> (Stamp, Reverse<&[u8]>) {
        (self.0.about.modified, Reverse(&self.0.name))
    }
}

impl Ord for Going {
    fn cmp(&self, other: &Self) -> Ordering {
        self.age().cmp(&other.age())
    }
}

impl PartialOrd for Going {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Going {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Going {}

/// What a folder has for the pool of all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sorted {
    /// Each with the one that stays for it.
    pub(super) go: Vec<(Seen, Arc<Keeper>)>,
    /// That might go as well, and are younger than all of those.
    pub(super) left_out: u64,
}

impl Sorting {
    pub(super) fn new(rules: Rules, now: WallTime) -> Self {
        let (stay, go) = (BTreeMap::new(), BinaryHeap::new());
        Self { rules, now, stay, staying: 0, go, left_out: 0 }
    }

    /// Whether one more would be too many to remember. When only some of the folder's files were seen, the newest of those
    /// are among the newest of all or newer files were not seen, which stay as well.
    pub(super) fn is_full(&self) -> bool {
        self.staying >= STAYING_MAX
    }

    /// What is older than the newest of those seen so far is older than the newest of all: it can be judged at once.
    pub(super) fn see(&mut self, seen: Seen) {
        let keep = self.rules.keep.max(1);
        let group = self.stay.entry((seen.log.clone(), seen.about.uid)).or_default();
        group.insert((seen.about.modified, Reverse(seen.name.clone())), seen);
        self.staying += 1;
        if group.len() <= usize::try_from(keep).unwrap_or(usize::MAX) {
            return;
        }
        let Some((_, oldest)) = group.pop_first() else { return };
        self.staying -= 1;
        if self.rules.is_old(&oldest.about, self.now) {
            self.go.push(Going(oldest));
            if self.go.len() > CANDIDATES_MAX {
                self.go.pop();
                self.left_out += 1;
            }
        }
    }

    pub(super) fn finish(self) -> Sorted {
        let mut keepers: BTreeMap<(Vec<u8>, u32), Arc<Keeper>> = BTreeMap::new();
        for (group, stay) in self.stay {
            if let Some((_, newest)) = stay.into_iter().next_back() {
                let keeper = Keeper { name: newest.name, identity: newest.about.identity };
                keepers.insert(group, Arc::new(keeper));
            }
        }
        let mut go = Vec::with_capacity(self.go.len());
        for Going(seen) in self.go {
            // There is one for each: what goes was older than what stays.
            if let Some(keeper) = keepers.get(&(seen.log.clone(), seen.about.uid)) {
                go.push((seen, Arc::clone(keeper)));
            }
        }
        Sorted { go, left_out: self.left_out }
    }
}

fn has_passed(since: WallTime, least: Duration, now: WallTime) -> bool {
    since <= now && now.since(since) >= least
}
