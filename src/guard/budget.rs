//! What the backoff and budget guards remember: attempts in time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{BootTime, Bytes, REMOVED_BYTES_PER_DAY, REMOVED_PER_DAY, Timestamp};
use crate::policy::Budget;

/// Attempts remembered: no budget in a policy may be larger.
pub(crate) const ATTEMPTS_KEPT: usize = 1000;

/// The moments of past attempts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts(VecDeque<BootTime>);

impl Attempts {
    /// One more.
    pub fn add(&mut self, at: BootTime) {
        self.0.push_back(at);
        if self.0.len() > ATTEMPTS_KEPT {
            self.0.pop_front();
        }
    }

    /// The one at that moment did not count: nothing was done.
    pub fn take_back(&mut self, at: BootTime) {
        if let Some(index) = self.0.iter().rposition(|moment| *moment == at) {
            self.0.remove(index);
        }
    }

    /// The clock is another one: everything lies `by` milliseconds later on it.
    pub(crate) fn shift(&mut self, by: i64) {
        for at in &mut self.0 {
            *at = BootTime::from_millis(at.millis().saturating_add(by));
        }
    }

    /// The oldest that is remembered.
    #[must_use]
    pub fn first(&self) -> Option<BootTime> {
        self.0.front().copied()
    }

    /// How many there are in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what no budget looks at any more.
    pub fn forget_before(&mut self, moment: BootTime) {
        while self.0.front().is_some_and(|first| *first < moment) {
            self.0.pop_front();
        }
    }

    /// When the budget has room again; `None` when it has room now.
    #[must_use]
    pub fn room_at(&self, budget: Budget, now: BootTime) -> Option<BootTime> {
        let count = usize::try_from(budget.count).unwrap_or(usize::MAX);
        let used = self.0.iter().rev().take_while(|at| now.since(**at) < budget.window).count();
        if used < count {
            return None;
        }
        // Room comes when the oldest of the last `count` attempts leaves the window.
        self.0.len().checked_sub(count).and_then(|index| self.0.get(index)).map(|at| *at + budget.window)
    }
}

/// What is remembered of repairs on one subject, over restarts and reboots, until it has proven stable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub attempts: Attempts,
    /// Attempts since stability was last proven: the exponent of the backoff.
    pub level: u32,
    /// No attempt before then.
    pub not_before: Option<Timestamp>,
    /// What the backoff was waiting for came about (a dependency returned): the next attempt need not wait.
    pub waived: bool,
}

/// The window in which removals are counted.
const DAY: Duration = Duration::from_hours(24);
/// Removals are counted in so many parts of the day: a part leaves the window as a whole.
const PART: Duration = Duration::from_mins(15);

/// Files that acts of the last day were to remove, whether they came to it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovedLately(VecDeque<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    from: BootTime,
    files: u64,
    bytes: u64,
}

impl RemovedLately {
    /// So many more.
    pub fn add(&mut self, at: BootTime, files: u64, bytes: Bytes) {
        self.0.retain(|part| at.since(part.from) < DAY + PART);
        match self.0.back_mut() {
            Some(part) if at.since(part.from) < PART => {
                part.files = part.files.saturating_add(files);
                part.bytes = part.bytes.saturating_add(bytes.0);
            }
            Some(_) | None => self.0.push_back(Part { from: at, files, bytes: bytes.0 }),
        }
    }

    /// The clock is another one: everything lies `by` milliseconds later on it.
    pub(crate) fn shift(&mut self, by: i64) {
        for part in &mut self.0 {
            part.from = BootTime::from_millis(part.from.millis().saturating_add(by));
        }
    }

    /// Files and bytes that may still be removed.
    ///
    /// # Errors
    /// When there is room again: nothing may be removed before.
    pub fn left(&self, now: BootTime) -> Result<(u64, Bytes), BootTime> {
        let counted = || self.0.iter().filter(|part| now.since(part.from) < DAY + PART);
        let files = counted().fold(0_u64, |sum, part| sum.saturating_add(part.files));
        let bytes = counted().fold(0_u64, |sum, part| sum.saturating_add(part.bytes));
        let (files, bytes) =
            (REMOVED_PER_DAY.saturating_sub(files), REMOVED_BYTES_PER_DAY.0.saturating_sub(bytes));
        match counted().next() {
            Some(oldest) if files == 0 || bytes == 0 => Err(oldest.from + DAY + PART),
            Some(_) | None => Ok((files, Bytes(bytes))),
        }
    }
}
