//! Counters to rates. Pure.

use std::time::Duration;

use crate::model::{Absence, BootTime, Bytes, Percent, Reading};

/// A counter and when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted(Option<(BootTime, u64)>);

impl Counted {
    /// How much was added since the reading before, and in which time; takes the new reading's place.
    ///
    /// Absent the first time, when no time has passed, and when the counter ran back: it was reset.
    pub fn advance(&mut self, now: BootTime, count: &Reading<u64>) -> Reading<(u64, Duration)> {
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
        let before = self.0.replace((now, count));
        match before {
            Some((then, before)) if now > then && count >= before => {
                Reading::Value((count - before, now.since(then)))
            }
            Some(_) | None => Reading::Absent(Absence::TooEarly),
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

    fn at(millis: i64) -> BootTime {
        BootTime::from_millis(millis)
    }

    #[test]
    fn a_rate_needs_two_readings_of_one_counter() {
        let mut counted = Counted::default();
        let mut check = |millis, count, expected| {
            let rate = counted.advance(at(millis), &Reading::Value(count));
            assert_eq!(rate.map(per_second), expected);
        };
        check(1000, 500, Reading::Absent(Absence::TooEarly));
        check(3000, 1500, Reading::Value(Bytes(500)));
        // Reset, and read twice in one moment.
        check(4000, 10, Reading::Absent(Absence::TooEarly));
        check(4000, 20, Reading::Absent(Absence::TooEarly));
        check(5000, 30, Reading::Value(Bytes(10)));
        assert_eq!(cpu((2_500_000, Duration::from_secs(1))), Percent(250.0));
    }

    #[test]
    fn what_could_not_be_read_breaks_the_series() {
        let mut counted = Counted::default();
        let _ = counted.advance(at(0), &Reading::Value(0));
        let failed = counted.advance(at(1000), &Reading::Failed("gone".into()));
        assert_eq!(failed, Reading::Failed("gone".into()));
        let next = counted.advance(at(2000), &Reading::Value(1 << 40));
        assert_eq!(next, Reading::Absent(Absence::TooEarly), "no spike");
    }

    proptest! {
        #[test]
        fn no_sequence_gives_more_than_was_counted(readings in prop::collection::vec((0..9000_i64, any::<u64>()), 2..20)) {
            let mut counted = Counted::default();
            let mut before: Option<u64> = None;
            for (millis, count) in readings {
                if let Reading::Value((more, elapsed)) = counted.advance(at(millis), &Reading::Value(count)) {
                    prop_assert_eq!(before.map(|before| count - before), Some(more));
                    prop_assert!(elapsed > Duration::ZERO);
                }
                before = Some(count);
            }
        }
    }
}
