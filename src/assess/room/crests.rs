//! Where it has turned before: what comes and goes by itself is no filling until it rises above that.

use std::collections::VecDeque;
use std::time::Duration;

use super::Level;

/// A fall by so much of the size, in percent, is a turn. Smaller ones are the to and fro of any busy disk.
const FALL_PERCENT: u64 = 3;
/// So many turns make a habit.
const HABIT: usize = 3;
/// Turns that are remembered.
const KEPT: usize = 6;
/// A turn that is longer ago says nothing of today.
const REMEMBERED: Duration = Duration::from_hours(24);

#[derive(Clone, Debug)]
pub(super) struct Crests {
    /// Where it turned, oldest first.
    turned: VecDeque<Level>,
    /// Highest since the last turn.
    high: u64,
    /// It has fallen from there: the next crest begins when it rises again.
    low: Option<u64>,
}

impl Crests {
    pub(super) const fn new(used: u64) -> Self {
        Self { turned: VecDeque::new(), high: used, low: None }
    }

    pub(super) fn take(&mut self, level: Level, size: u64) {
        let fall = size / 100 * FALL_PERCENT;
        match self.low {
            None if level.used >= self.high => self.high = level.used,
            None if self.high - level.used > fall => {
                if self.turned.len() == KEPT {
                    self.turned.pop_front();
                }
                self.turned.push_back(Level { at: level.at, used: self.high });
                self.low = Some(level.used);
            }
            None => {}
            // It goes on falling, or rises: a crest of its own once that is more than the to and fro.
            Some(low) if level.used.saturating_sub(low) > fall => (self.high, self.low) = (level.used, None),
            Some(low) => self.low = Some(low.min(level.used)),
        }
    }

    /// It has turned so often above this level that it may be expected to again.
    pub(super) fn is_usual(&self, now: Level) -> bool {
        let recent = |it: &&Level| now.at.since(it.at) < REMEMBERED && it.used >= now.used;
        self.turned.iter().filter(recent).count() >= HABIT
    }
}

/// A moment, for those that only compare.
#[cfg(test)]
pub(super) const fn at(millis: i64, used: u64) -> Level {
    Level { at: crate::model::BootTime::from_millis(millis), used }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of these levels, one a minute; whether the last is a usual one.
    fn check(levels: &[u64], usual: bool) {
        let mut crests = Crests::new(levels.first().copied().unwrap_or(0));
        let mut now = at(0, 0);
        for (minute, level) in (0_i64..).zip(levels) {
            now = at(minute * 60_000, *level);
            crests.take(now, 100);
        }
        assert_eq!(crests.is_usual(now), usual, "{levels:?}: {crests:?}");
    }

    #[test]
    fn three_turns_make_a_habit() {
        check(&[10, 50, 10, 50, 10, 40], false);
        check(&[10, 50, 10, 50, 10, 50, 10, 40], true);
        // Above all of them, it is something else.
        check(&[10, 50, 10, 50, 10, 50, 10, 51], false);
        // Too little to be turns.
        check(&[50, 52, 50, 52, 50, 52, 50, 51], false);
        // One long fall is one turn.
        check(&[90, 80, 70, 60, 50, 40, 39], false);
    }

    #[test]
    fn old_habits_are_forgotten_and_few_are_kept() {
        let mut crests = Crests::new(10);
        for hour in 0..20 {
            crests.take(at(hour * 3_600_000, 50), 100);
            crests.take(at(hour * 3_600_000 + 60_000, 10), 100);
        }
        assert_eq!(crests.turned.len(), KEPT);
        assert!(crests.is_usual(at(20 * 3_600_000, 40)));
        assert!(!crests.is_usual(at(44 * 3_600_000, 40)));
    }
}
