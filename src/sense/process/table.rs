//! What two passes in a row tell together: rates, what is new or gone, and what has not moved for long.
//!
//! Pure: rows and the moment of their reading in. Two sorted lists are merged, nothing is looked up; the memory of two
//! generations is used in turns, so that nothing is allocated once the number of processes stands still.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::change::{Change, Moment, StorageRate};
use super::pace::EVERY_MAX;
use super::row::{Extra, ProcessRow};
use super::way::Coverage;
use crate::model::{Absence, BootTime, ProcessCounts, ProcessSort, Reading, Ticks, ZombieParent};
use crate::sense::procfs::ProcessState;

/// Room for so many rows is always kept: 70 KiB. Twice what is needed is kept above that, and what is more than four
/// times, the memory of a crowd that has gone, is given back.
const ROOM_MIN: usize = 512;

/// What is known of a process across passes, beside its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    change: Option<Change>,
    /// In D state at every pass since then, without having run in between.
    blocked_since: Option<BootTime>,
    /// When its [`Extra`] was read.
    extra_at: Option<Moment>,
    storage: Option<StorageRate>,
}

/// Who came and went between two passes. A pid that was used again is one that went and one that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    pub new: u32,
    pub gone: u32,
    pub reused: u32,
}

/// A process whose [`Extra`] is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub pid: i32,
    pub start: Ticks,
}

/// One process with what is known of it across passes.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub row: &'a ProcessRow,
    /// None the first time it is seen, and where there is no interval.
    pub change: Option<Change>,
    pub blocked_since: Option<BootTime>,
    pub storage: Option<StorageRate>,
}

/// The process table, by pid.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<ProcessRow>,
    /// One for each row.
    marks: Vec<Mark>,
    marks_before: Vec<Mark>,
    /// Of zombies.
    parents: Vec<i32>,
    read: Option<(Moment, Coverage)>,
    interval: Option<Duration>,
    turnover: Turnover,
    /// Where the slow pass goes on.
    cursor: i32,
}

impl Table {
    /// Takes in a pass, and gives the memory of the one before back for the next. Rows without an [`Extra`] keep the
    /// one that is known of them.
    pub fn take(&mut self, rows: &mut Vec<ProcessRow>, now: Moment, coverage: Coverage) {
        if !rows.is_sorted_by_key(|row| row.pid) {
            rows.sort_unstable_by_key(|row| row.pid);
        }
        // A pid that is listed twice was used again within the pass: the later one lives.
        rows.dedup_by(|after, before| {
            let same = after.pid == before.pid;
            if same && before.start < after.start {
                *before = *after;
            }
            same
        });
        std::mem::swap(rows, &mut self.rows);
        std::mem::swap(&mut self.marks, &mut self.marks_before);
        self.interval = self.read.and_then(|(before, _)| before.until(now));
        self.read = Some((now, coverage));
        self.merge(rows, now);
        let needed = self.rows.len().max(ROOM_MIN);
        if self.rows.capacity() > 4 * needed {
            self.rows.shrink_to(2 * needed);
            self.marks.shrink_to(2 * needed);
            *rows = Vec::new();
            self.marks_before = Vec::new();
        }
    }

    /// `old` and `marks_before` belong together, as `rows` and `marks` do.
    fn merge(&mut self, old: &[ProcessRow], now: Moment) {
        self.marks.clear();
        self.marks.reserve(self.rows.capacity());
        self.turnover = Turnover::default();
        let mut before = old.iter().zip(&self.marks_before).peekable();
        for row in &mut self.rows {
            while before.next_if(|(old, _)| old.pid < row.pid).is_some() {
                self.turnover.gone += 1;
            }
            let same_pid = before.next_if(|(old, _)| old.pid == row.pid);
            let same = same_pid.filter(|(old, _)| old.start == row.start);
            if same.is_none() {
                self.turnover.new += 1;
            }
            if same_pid.is_some() && same.is_none() {
                self.turnover.gone += 1;
                self.turnover.reused += 1;
            }
            self.marks.push(Mark::of(row, same, self.interval, now));
        }
        self.turnover.gone += u32::try_from(before.count()).unwrap_or(u32::MAX);
    }

    /// When it was read, and how much of it there is; none before the first pass.
    #[must_use]
    pub const fn read(&self) -> Option<(Moment, Coverage)> {
        self.read
    }

    /// The time that changes are over.
    #[must_use]
    pub fn interval(&self) -> Reading<Duration> {
        self.interval.map_or(Reading::Absent(Absence::TooEarly), Reading::Value)
    }

    /// Since the pass before.
    #[must_use]
    pub const fn turnover(&self) -> Turnover {
        self.turnover
    }

    /// Every process, by pid.
    pub fn iter(&self) -> impl Iterator<Item = Known<'_>> {
        self.rows.iter().zip(&self.marks).map(|(row, mark)| known(row, mark))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was read yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The process that has this pid now.
    #[must_use]
    pub fn get(&self, pid: i32) -> Option<Known<'_>> {
        let at = self.rows.binary_search_by_key(&pid, |row| row.pid).ok()?;
        Some(known(&self.rows[at], &self.marks[at]))
    }

    /// The first `most` in this order, equal ones by pid; one of which the measure is not known comes last. The whole
    /// table is looked at once and never sorted.
    #[must_use]
    pub fn top(&self, sort: ProcessSort, most: usize) -> Vec<Known<'_>> {
        // The least of those kept is on top, to be replaced.
        let mut kept = BinaryHeap::with_capacity(most.min(self.rows.len()).saturating_add(1));
        for (at, (row, mark)) in self.rows.iter().zip(&self.marks).enumerate() {
            let rank = Reverse((measure(sort, row, mark), Reverse(at)));
            if kept.len() < most {
                kept.push(rank);
            } else if kept.peek().is_some_and(|least| rank < *least) {
                kept.pop();
                kept.push(rank);
            }
        }
        let ranked = kept.into_sorted_vec();
        ranked.iter().map(|Reverse((_, Reverse(at)))| known(&self.rows[*at], &self.marks[*at])).collect()
    }

    /// The whole in a few numbers.
    pub fn counts(&mut self) -> ProcessCounts {
        let now = self.read.map_or(BootTime::ZERO, |(now, _)| now.boot);
        let (mut zombies, mut threads, mut blocked, mut longest) = (0_u32, 0_u64, 0_u32, Duration::ZERO);
        self.parents.clear();
        for (row, mark) in self.rows.iter().zip(&self.marks) {
            threads = threads.saturating_add(row.threads.into());
            if is_zombie(row) {
                zombies += 1;
                self.parents.push(row.parent);
            }
            let lasting = mark.blocked_since.map_or(Duration::ZERO, |since| now.since(since));
            if !lasting.is_zero() && !row.kernel_thread {
                blocked += 1;
                longest = longest.max(lasting);
            }
        }
        self.parents.sort_unstable();
        let runs = self.parents.chunk_by(|a, b| a == b);
        // Of equal ones the lowest pid: max_by_key would take the last.
        let most = runs.rev().max_by_key(|run| run.len());
        let zombie_parent = most.map_or(Reading::Absent(Absence::NotApplicable), |run| {
            let name = self.get(run[0]).map(|parent| String::from_utf8_lossy(parent.row.name()).into_owned());
            Reading::Value(ZombieParent {
                pid: run[0],
                name: name.unwrap_or_default(),
                zombies: u32::try_from(run.len()).unwrap_or(u32::MAX),
            })
        });
        ProcessCounts {
            processes: u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            threads,
            zombies,
            zombie_parent,
            blocked,
            blocked_longest: longest,
        }
    }

    /// The next processes whose [`Extra`] is unknown or oldest, by turns: each comes once a round.
    pub fn want_extra(&mut self, most: usize, wanted: &mut Vec<Wanted>) {
        wanted.clear();
        let from = self.rows.partition_point(|row| row.pid <= self.cursor);
        let (done, ahead) = self.rows.split_at(from);
        let next = ahead.iter().chain(done).take(most);
        wanted.extend(next.map(|row| Wanted { pid: row.pid, start: row.start }));
        self.cursor = wanted.last().map_or(0, |last| last.pid);
    }

    /// What the slow pass found of one process; passed over when it is gone.
    pub fn put_extra(&mut self, of: Wanted, extra: Extra, now: Moment) {
        let Ok(at) = self.rows.binary_search_by_key(&of.pid, |row| row.pid) else { return };
        let (row, mark) = (&mut self.rows[at], &mut self.marks[at]);
        if row.start != of.start {
            return;
        }
        let before = row.extra.zip(mark.extra_at);
        mark.take_extra(before, &extra, now);
        row.extra = Some(extra);
    }
}

impl Mark {
    fn of(
        row: &mut ProcessRow,
        before: Option<(&ProcessRow, &Self)>,
        interval: Option<Duration>,
        now: Moment,
    ) -> Self {
        let blocked = row.state == ProcessState::DiskSleep;
        let Some((old, mark)) = before else {
            let mut new = Self { blocked_since: blocked.then_some(now.boot), ..Self::default() };
            new.extra_at = row.extra.map(|_| now);
            return new;
        };
        let change = Change::between(old, row);
        // One that works a disk is met in D state time and again, and runs in between. The CPU time of several threads
        // says nothing of the main one.
        let ran = row.threads <= 1 && change.is_none_or(|change| !change.cpu.is_zero());
        let stood = interval.is_some() && !ran;
        let since = mark.blocked_since.filter(|_| stood).unwrap_or(now.boot);
        let mut next = Self {
            change: change.filter(|_| interval.is_some()),
            blocked_since: blocked.then_some(since),
            ..*mark
        };
        match row.extra {
            Some(extra) => next.take_extra(old.extra.zip(mark.extra_at), &extra, now),
            None => {
                row.extra = old.extra;
                // Nobody asks any more: what it was minutes ago is not what it is.
                let aged = mark.extra_at.is_none_or(|at| at.until(now).is_none_or(|age| age > EVERY_MAX));
                next.storage = mark.storage.filter(|_| !aged);
            }
        }
        next
    }

    fn take_extra(&mut self, before: Option<(Extra, Moment)>, after: &Extra, now: Moment) {
        self.storage = before.and_then(|(before, then)| {
            let over = then.until(now)?;
            StorageRate::between(&before, after, over)
        });
        self.extra_at = Some(now);
    }
}

const fn known<'a>(row: &'a ProcessRow, mark: &Mark) -> Known<'a> {
    Known { row, change: mark.change, blocked_since: mark.blocked_since, storage: mark.storage }
}

/// Ended and not yet reaped. A main thread that ended before the others shows `Z` too, and its process lives.
fn is_zombie(row: &ProcessRow) -> bool {
    row.state == ProcessState::Zombie && row.threads <= 1
}

/// More is further up; what is not known is least.
fn measure(sort: ProcessSort, row: &ProcessRow, mark: &Mark) -> Option<u128> {
    match sort {
        ProcessSort::Cpu => mark.change.map(|change| change.cpu.as_nanos()),
        ProcessSort::Memory => Some(row.resident.0.into()),
        ProcessSort::Io => mark.storage.map(|rate| u128::from(rate.read.0) + u128::from(rate.written.0)),
        ProcessSort::Age => Some(u128::MAX - u128::from(row.start.0)),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
