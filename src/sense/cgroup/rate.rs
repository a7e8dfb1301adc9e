//! Counters to rates. Pure.

use std::time::Duration;

use crate::model::{Absence, Bytes, Interruption, Percent, Reading, Timestamp};
use crate::sense::host::{PassTime, rates};

/// A large host is walked each five minutes; a rate over more than twice of that says nothing of now.
const LONGEST: Duration = Duration::from_secs(600);

/// When a look is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// For people.
    pub at: Timestamp,
    /// For rates.
    pub time: PassTime,
}

/// A counter and when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted(Option<(PassTime, u64)>);

impl Counted {
    /// How much was added since the reading before, and in which time; takes the new reading's place.
    ///
    /// Absent the first time, when the counter ran back, and when the time between is no measure: the machine slept, or
    /// it was read a moment ago. In that last case the reading before is kept, for the next to be measured by.
    pub fn advance(&mut self, now: PassTime, count: &Reading<u64>) -> Reading<(u64, Duration)> {
        let count = match count {
            Reading::Value(count) => *count,
            Reading::Absent(reason) => {
                self.0 = None;
                return Reading::Absent(reason.clone());
            }
            Reading::Failed(error) => {
                self.0 = None;
                return Reading::Failed(error.clone());
            }
        };
        let Some((then, before)) = self.0.replace((now, count)) else {
            return Reading::Absent(Absence::TooEarly);
        };
        let Some(more) = count.checked_sub(before) else {
            return Reading::Absent(Absence::Interrupted(Interruption::CounterReset));
        };
        match rates::elapsed(then, now, LONGEST) {
            Ok(elapsed) => Reading::Value((more, elapsed)),
            Err(why) => {
                if why == Interruption::TooShort {
                    self.0 = Some((then, before));
                }
                Reading::Absent(Absence::Interrupted(why))
            }
        }
    }
}

/// Microseconds of processor time, as percent of one processor.
#[must_use]
pub fn cpu((micros, elapsed): (u64, Duration)) -> Percent {
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
    Percent(micros as f64 / elapsed.as_micros() as f64 * 100.0)
}

/// Bytes a second.
#[must_use]
pub fn per_second((bytes, elapsed): (u64, Duration)) -> Bytes {
    let micros = elapsed.as_micros().max(1);
    Bytes(u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The machine has slept so long since boot.
    fn at(millis: u64, slept: u64) -> PassTime {
        let boot = Duration::from_millis(millis);
        PassTime { boot, awake: boot - Duration::from_millis(slept) }
    }

    const fn interrupted<T>(why: Interruption) -> Reading<T> {
        Reading::Absent(Absence::Interrupted(why))
    }

    #[test]
    fn a_rate_needs_two_readings_of_one_counter() {
        let mut counted = Counted::default();
        let mut check = |millis, count, expected| {
            let rate = counted.advance(at(millis, 0), &Reading::Value(count));
            assert_eq!(rate.map(per_second), expected);
        };
        check(1000, 500, Reading::Absent(Absence::TooEarly));
        check(3000, 1500, Reading::Value(Bytes(500)));
        check(4000, 10, interrupted(Interruption::CounterReset));
        // Read twice in one moment: the next is measured by the first.
        check(4000, 20, interrupted(Interruption::TooShort));
        check(5000, 30, Reading::Value(Bytes(20)));
        check(5000 + 601_000, 40, interrupted(Interruption::TooLong));
        assert_eq!(cpu((2_500_000, Duration::from_secs(1))), Percent(250.0));
    }

    #[test]
    fn a_sleep_gives_no_rate_and_the_next_is_measured_after_it() {
        let mut counted = Counted::default();
        let mut check = |millis, slept, count, expected| {
            let rate = counted.advance(at(millis, slept), &Reading::Value(count));
            assert_eq!(rate.map(per_second), expected);
        };
        check(10_000, 0, 0, Reading::Absent(Absence::TooEarly));
        check(20_000, 0, 10_000, Reading::Value(Bytes(1000)));
        // Ten seconds, nine of which it slept: a tenth of the truth.
        check(30_000, 9000, 11_000, interrupted(Interruption::Slept));
        check(40_000, 9000, 21_000, Reading::Value(Bytes(1000)));
    }

    #[test]
    fn what_could_not_be_read_breaks_the_series() {
        let mut counted = Counted::default();
        let _ = counted.advance(at(0, 0), &Reading::Value(0));
        let failed = counted.advance(at(1000, 0), &Reading::Failed("gone".into()));
        assert_eq!(failed, Reading::Failed("gone".into()));
        let next = counted.advance(at(2000, 0), &Reading::Value(1 << 40));
        assert_eq!(next, Reading::Absent(Absence::TooEarly), "no spike");
    }

    proptest! {
        #[test]
        fn no_sequence_gives_more_than_was_counted(
            readings in prop::collection::vec((0..2000_u64, 0..200_u64, any::<u64>()), 2..20),
        ) {
            let (mut counted, mut first) = (Counted::default(), None);
            let (mut boot, mut slept, mut told) = (0, 0, 0_u128);
            let mut all = 0_u128;
            for (millis, asleep, count) in readings {
                (boot, slept) = (boot + millis + asleep, slept + asleep);
                if let Some(before) = first.replace(count) {
                    all += u128::from(count.saturating_sub(before));
                }
                if let Reading::Value((more, elapsed)) = counted.advance(at(boot, slept), &Reading::Value(count)) {
                    told += u128::from(more);
                    prop_assert!(elapsed >= Duration::from_millis(250));
                }
            }
            prop_assert!(told <= all);
        }
    }
}
