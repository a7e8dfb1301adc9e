//! What the backoff and budget guards remember: attempts in time.

use std::collections::VecDeque;

use crate::model::{BootTime, Timestamp};
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
