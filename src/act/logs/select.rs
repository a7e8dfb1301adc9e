//! Which rotated files or core dumps of one folder may go. Pure.
//!
//! The newest of each log or program stay whatever their age, of the rest what is young. Files of several owners are
//! counted apart: a user may be able to make files beside another's, and must not be able to make those superfluous.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Holds, WallTime};

use super::dumps::program;
use super::names::{Rotated, rotated};
use super::place::{About, Identity};

/// A file that was renamed, compressed, copied or given to another a moment ago is still being rotated.
///
/// It is this short because a rotation by numbers renames every file each time: with `keep_for` in its place, no file
/// of a daily rotation would ever be a day old.
pub(super) const SETTLE: Duration = Duration::from_mins(10);

/// A rotated file, as the walk saw it.
#[derive(Clone, Debug)]
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

    /// Those of one folder that may go, each with the one that stays for it.
    ///
    /// When only some of the folder's files were seen, the newest of those are among the newest of all or newer files
    /// were not seen, which stay as well.
    pub(super) fn choose(&self, mut seen: Vec<Seen>, now: WallTime) -> Vec<(Seen, Arc<Keeper>)> {
        let order = |a: &Seen, b: &Seen| {
            let newest_first = b.about.modified.cmp(&a.about.modified);
            (&a.log, a.about.uid).cmp(&(&b.log, b.about.uid)).then(newest_first).then(a.name.cmp(&b.name))
        };
        seen.sort_unstable_by(order);
        let mut chosen = Vec::new();
        let mut group: Option<Group> = None;
        for it in seen {
            match &mut group {
                Some(group) if group.has(&it) => {
                    if group.kept < self.keep.max(1) {
                        group.kept += 1;
                    } else if self.is_old(&it.about, now) {
                        chosen.push((it, Arc::clone(&group.keeper)));
                    }
                }
                other => *other = Some(Group::of(&it)),
            }
        }
        chosen
    }
}

struct Group {
    log: Vec<u8>,
    uid: u32,
    kept: u32,
    keeper: Arc<Keeper>,
}

impl Group {
    fn of(first: &Seen) -> Self {
        let keeper = Keeper { name: first.name.clone(), identity: first.about.identity };
        Self { log: first.log.clone(), uid: first.about.uid, kept: 1, keeper: Arc::new(keeper) }
    }

    fn has(&self, it: &Seen) -> bool {
        self.log == it.log && self.uid == it.about.uid
    }
}

fn has_passed(since: WallTime, least: Duration, now: WallTime) -> bool {
    since <= now && now.since(since) >= least
}
