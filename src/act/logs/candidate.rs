//! Files that may be removed, and the oldest of many: bounded in number and in memory.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::model::{Bytes, PathText};

use super::place::{About, Identity};
use super::select::{Keeper, Rules};

/// Of one search; those that are left out are found by the next.
pub(super) const CANDIDATES_MAX: usize = 4096;
/// Of their paths, in which users may put what they like.
const PATH_BYTES_MAX: usize = 4 << 20;
/// The unit of `stx_blocks`, whatever the file system's own (statx(2)).
const BLOCK: u64 = 512;

/// A folder that was walked through.
#[derive(Debug)]
pub(super) struct Folder {
    /// Absolute, as the host sees it.
    pub(super) path: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) rules: Rules,
}

impl Folder {
    pub(super) fn path_of(&self, name: &[u8]) -> PathText {
        PathText::of(&[&self.path[..], b"/", name].concat())
    }
}

/// A file that may be removed, by what the walk saw of it. Everything is asked again before it is.
#[derive(Debug)]
pub(in crate::act) struct Candidate {
    pub(super) folder: Arc<Folder>,
    pub(super) name: Vec<u8>,
    pub(super) about: About,
    /// None for what a removal that was broken off has left behind: its own is on record already.
    pub(super) keeper: Option<Arc<Keeper>>,
}

impl Candidate {
    /// For people.
    pub(in crate::act) fn path(&self) -> PathText {
        self.folder.path_of(&self.name)
    }

    /// That it takes on the disk.
    pub(in crate::act) fn allocated(&self) -> Bytes {
        allocated(&self.about)
    }

    /// A removal was broken off between putting it aside and removing it.
    pub(in crate::act) fn is_leftover(&self) -> bool {
        self.keeper.is_none()
    }

    fn path_bytes(&self) -> usize {
        self.folder.path.len() + self.name.len()
    }

    fn order(&self) -> impl Ord + '_ {
        (!self.is_leftover(), self.about.modified, &self.folder.path, &self.name)
    }
}

pub(super) fn allocated(about: &About) -> Bytes {
    Bytes(about.blocks.saturating_mul(BLOCK))
}

/// Leftovers first, then the oldest first.
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// Of one search; those that are left out are small, and found by the next.
pub(super) const LIVE_MAX: usize = 256;

/// A live log by what the walk saw of it, or an archive of one that was begun and not finished.
#[derive(Debug)]
pub(in crate::act) struct LiveLog {
    pub(super) folder: Arc<Folder>,
    pub(super) name: Vec<u8>,
    pub(super) about: About,
    pub(super) work: Work,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It is a log.
    Begin,
    /// It is an archive that was begun beside its log.
    GoOn,
    /// There is an archive of it that was begun elsewhere, under this name.
    BringHome(Vec<u8>),
}

impl LiveLog {
    /// Its archive was begun by an act that did not come to its end.
    pub(in crate::act) fn is_begun(&self) -> bool {
        self.work != Work::Begin
    }

    /// For people.
    pub(in crate::act) fn path(&self) -> PathText {
        self.folder.path_of(&self.name)
    }
}

/// The largest of many, after what is to be finished first.
#[derive(Debug, Default)]
pub(super) struct LivePool(Vec<LiveLog>);

impl LivePool {
    pub(super) fn offer(&mut self, log: LiveLog) {
        self.0.push(log);
        if self.0.len() >= 2 * LIVE_MAX {
            self.trim();
        }
    }

    pub(super) fn finish(mut self) -> Vec<LiveLog> {
        self.trim();
        self.0
    }

    fn trim(&mut self) {
        // A copy of what is to be brought home may be there already: it is the same work.
        let rank = |log: &LiveLog| match log.work {
            Work::BringHome(_) => 0,
            Work::GoOn => 1,
            Work::Begin => 2,
        };
        self.0.sort_by_key(|log| (rank(log), std::cmp::Reverse(log.about.blocks)));
        self.0.truncate(LIVE_MAX);
    }
}

/// The oldest of many.
#[derive(Debug, Default)]
pub(super) struct Pool {
    heap: BinaryHeap<Candidate>,
    path_bytes: usize,
    left_out: u64,
}

impl Pool {
    pub(super) fn offer(&mut self, candidate: Candidate) {
        self.path_bytes += candidate.path_bytes();
        self.heap.push(candidate);
        while self.heap.len() > CANDIDATES_MAX || self.path_bytes > PATH_BYTES_MAX {
            let Some(youngest) = self.heap.pop() else { return };
            self.path_bytes -= youngest.path_bytes();
            self.left_out += 1;
        }
    }

    /// So many more are known, and younger than all that were offered with them.
    pub(super) const fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    /// Oldest first, and how many more there were.
    pub(super) fn finish(self) -> (Vec<Candidate>, u64) {
        (self.heap.into_sorted_vec(), self.left_out)
    }
}
