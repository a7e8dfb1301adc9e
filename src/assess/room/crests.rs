//! Where it has turned before: what comes and goes by itself is no filling until it rises above that.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::BootTime;

use super::Level;

/// A fall by so much of the size, in percent, is a turn. Smaller ones are the to and fro of any busy disk.
const FALL_PERCENT: u64 = 3;
/// So many turns make a habit.
const HABIT: usize = 3;
/// Turns that are remembered.
const KEPT: usize = 6;
/// A turn that is longer ago says nothing of today.
const REMEMBERED: Duration = Duration::from_hours(24);

/// It rose to here, and fell by itself.
#[derive(Clone, Copy, Debug)]
struct Turn {
    at: BootTime,
    crest: u64,
    /// The lowest since.
    low: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Crests {
    /// Oldest first.
    turns: VecDeque<Turn>,
    /// Highest since the last turn.
    high: u64,
    /// It falls since the last turn: the next crest begins when it rises again.
    falls: bool,
}

impl Crests {
    pub(super) const fn new(used: u64) -> Self {
        Self { turns: VecDeque::new(), high: used, falls: false }
    }

    pub(super) fn take(&mut self, level: Level, size: u64) {
        let fall = size / 100 * FALL_PERCENT;
        match self.turns.back_mut() {
            // It goes on falling, or rises: a crest of its own once that is more than the to and fro.
            Some(turn) if self.falls => {
                turn.low = turn.low.min(level.used);
                if level.used - turn.low > fall {
                    (self.high, self.falls) = (level.used, false);
                }
            }
            _ if level.used >= self.high => self.high = level.used,
            _ if self.high - level.used > fall => {
                if self.turns.len() == KEPT {
                    self.turns.pop_front();
                }
                self.turns.push_back(Turn { at: level.at, crest: self.high, low: level.used });
                self.falls = true;
            }
            _ => {}
        }
    }

    /// It has turned so often above this level that it may be expected to again. Where it falls less far each time,
    /// something else fills it beneath.
    pub(super) fn is_usual(&self, now: Level) -> bool {
        let recent = |it: &&Turn| now.at.since(it.at) < REMEMBERED && it.crest >= now.used;
        let above = self.turns.iter().filter(recent).count();
        let lows: Vec<u64> = self.turns.iter().rev().take(HABIT).map(|turn| turn.low).collect();
        // Newest first.
        let rise = lows.windows(2).all(|pair| pair[0] > pair[1]);
        above >= HABIT && !rise
    }
}

/// A moment, for those that only compare.
#[cfg(test)]
pub(super) const fn at(millis: i64, used: u64) -> Level {
    Level { at: BootTime::from_millis(millis), used }
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
        // It falls less far each time: something fills it beneath.
        check(&[10, 50, 10, 52, 12, 54, 14, 40], false);
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
        assert_eq!(crests.turns.len(), KEPT);
        assert!(crests.is_usual(at(20 * 3_600_000, 40)));
        assert!(!crests.is_usual(at(44 * 3_600_000, 40)));
    }
}
