//! How many processes and threads the kernel made in the last minute, by its own counter.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{Absence, BootTime, Reading, TaskRates};

/// The window of the field `forks_1m`.
const WINDOW: Duration = Duration::from_secs(60);
/// Readings remembered: at most one comes each second, as a rule one in ten.
const READINGS_KEPT: usize = 64;

/// Readings of the counter, oldest first; all within the window.
#[derive(Clone, Debug, Default)]
pub struct ForkFacts {
    readings: VecDeque<(BootTime, u64)>,
    /// The newest reading, where it is none.
    lacking: Option<Reading<u64>>,
}

impl ForkFacts {
    pub(super) fn take(&mut self, tasks: &Reading<TaskRates>, at: BootTime) {
        let tasks = match tasks {
            Reading::Value(tasks) => tasks,
            // The counter counts on over the gap. What was read before says nothing of now.
            Reading::Absent(reason) => return self.lacking = Some(Reading::Absent(reason.clone())),
            Reading::Failed(error) => return self.lacking = Some(Reading::Failed(error.clone())),
        };
        self.lacking = None;
        if self.readings.back().is_some_and(|(_, before)| tasks.made < *before) {
            // It never goes back within a boot: this is another counter.
            self.readings.clear();
        }
        while self.readings.front().is_some_and(|(then, _)| at.since(*then) > WINDOW)
            || self.readings.len() >= READINGS_KEPT
        {
            self.readings.pop_front();
        }
        self.readings.push_back((at, tasks.made));
    }

    /// Made between the first and the last reading of the last minute: exact, and of less than a minute where there are
    /// no readings of a whole one.
    #[must_use]
    pub fn last_minute(&self) -> Reading<u64> {
        if let Some(lacking) = &self.lacking {
            return lacking.clone();
        }
        match (self.readings.front(), self.readings.back()) {
            (Some((first, made)), Some((last, now))) if last > first => Reading::Value(now - made),
            _ => Reading::Absent(Absence::TooEarly),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MeanPeak;

    fn facts(readings: &[(i64, u64)]) -> ForkFacts {
        let mut facts = ForkFacts::default();
        let still = MeanPeak::default();
        for (second, made) in readings {
            let tasks = TaskRates {
                forks: still,
                context_switches: still,
                running: still,
                blocked: still,
                made: *made,
            };
            facts.take(&Reading::Value(tasks), BootTime::from_millis(second * 1000));
        }
        facts
    }

    #[track_caller]
    fn check(readings: &[(i64, u64)], expected: &Reading<u64>) {
        assert_eq!(facts(readings).last_minute(), *expected, "{readings:?}");
    }

    #[test]
    fn what_was_made_in_the_last_minute_is_counted() {
        let early = Reading::Absent(Absence::TooEarly);
        check(&[], &early);
        check(&[(5, 1000)], &early);
        check(&[(5, 1000), (15, 4400)], &Reading::Value(3400));
        check(&[(5, 1000), (15, 4400), (65, 21_000)], &Reading::Value(20_000));
        // Older than a minute.
        check(&[(5, 1000), (15, 4400), (66, 21_000)], &Reading::Value(16_600));
        // Nobody looked for long, or it is another counter.
        check(&[(5, 1000), (300, 90_000)], &early);
        check(&[(5, 1000), (15, 7), (25, 9)], &Reading::Value(2));
    }

    #[test]
    fn a_reading_that_is_none_is_told_as_such_and_the_count_goes_on_after_it() {
        let mut facts = facts(&[(5, 1000), (15, 4400)]);
        facts.take(&Reading::Failed("/proc/stat: input/output error".into()), BootTime::from_millis(25_000));
        assert!(matches!(facts.last_minute(), Reading::Failed(_)), "{:?}", facts.last_minute());
        let still = MeanPeak::default();
        let tasks =
            TaskRates { forks: still, context_switches: still, running: still, blocked: still, made: 9000 };
        facts.take(&Reading::Value(tasks), BootTime::from_millis(35_000));
        assert_eq!(facts.last_minute(), Reading::Value(8000));
    }

    #[test]
    fn little_is_kept() {
        let many: Vec<_> = (0..10_000_i64).map(|n| (n / 1000, n.unsigned_abs())).collect();
        assert_eq!(facts(&many).readings.len(), READINGS_KEPT);
    }
}
