//! The rows of a minute → one: least, mean, most, and how many had no value. Pure.

use crate::model::Gap;

/// One field over one or more rows. Without values, the three numbers are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) values: u32,
    pub(super) absent: u32,
    pub(super) min: i64,
    pub(super) mean: i64,
    pub(super) max: i64,
    /// Why the last of those without a value has none.
    pub(super) gap: Option<Gap>,
}

impl Summary {
    /// Of one row.
    pub(super) const fn of_one(cell: Result<i64, Gap>) -> Self {
        match cell {
            Ok(value) => Self { values: 1, absent: 0, min: value, mean: value, max: value, gap: None },
            Err(gap) => Self { values: 0, absent: 1, min: 0, mean: 0, max: 0, gap: Some(gap) },
        }
    }
}

/// A field as it is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    values: u32,
    absent: u32,
    /// 64 bits of values of 60 would do for no more than a few rows.
    sum: i128,
    min: i64,
    max: i64,
    gap: Option<Gap>,
}

impl Sum {
    /// One row more.
    pub(super) fn add(&mut self, cell: Result<i64, Gap>) {
        match cell {
            Ok(value) => {
                (self.min, self.max) = if self.values == 0 {
                    (value, value)
                } else {
                    (self.min.min(value), self.max.max(value))
                };
                self.sum += i128::from(value);
                self.values += 1;
            }
            Err(gap) => {
                self.absent += 1;
                self.gap = Some(gap);
            }
        }
    }

    /// What came of them. The mean is rounded to the nearest.
    pub(super) fn summary(&self) -> Summary {
        let count = i128::from(self.values.max(1));
        let half = if self.sum < 0 { -count / 2 } else { count / 2 };
        let mean = i64::try_from((self.sum + half) / count).unwrap_or(self.max);
        let Self { values, absent, min, max, gap, .. } = *self;
        Summary { values, absent, min, mean, max, gap }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Interruption;

    const SLEPT: Gap = Gap::Interrupted(Interruption::Slept);

    fn sum(cells: &[Result<i64, Gap>]) -> Summary {
        let mut sum = Sum::default();
        cells.iter().for_each(|cell| sum.add(*cell));
        sum.summary()
    }

    #[test]
    fn what_is_absent_is_counted_and_weighs_nothing() {
        let check =
            |cells: &[Result<i64, Gap>], expected: Summary| assert_eq!(sum(cells), expected, "{cells:?}");
        check(&[], Summary::default());
        check(&[Ok(3)], Summary::of_one(Ok(3)));
        check(
            &[Ok(10), Err(Gap::TooEarly), Ok(20), Err(SLEPT)],
            Summary { values: 2, absent: 2, min: 10, mean: 15, max: 20, gap: Some(SLEPT) },
        );
        check(
            &[Err(Gap::Failed), Err(Gap::Failed)],
            Summary { absent: 2, gap: Some(Gap::Failed), ..Summary::default() },
        );
        // The first value is no more special than the others: below and above zero.
        check(&[Ok(-5), Ok(-8)], Summary { values: 2, min: -8, mean: -7, max: -5, ..Summary::default() });
        check(&[Ok(5), Ok(8)], Summary { values: 2, min: 5, mean: 7, max: 8, ..Summary::default() });
    }

    proptest! {
        #[test]
        fn the_mean_lies_between(values in proptest::collection::vec(-(1_i64 << 60)..=1 << 60, 1..100)) {
            let cells: Vec<_> = values.iter().map(|value| Ok(*value)).collect();
            let it = sum(&cells);
            prop_assert_eq!(Some(&it.min), values.iter().min());
            prop_assert_eq!(Some(&it.max), values.iter().max());
            prop_assert!(it.min <= it.mean && it.mean <= it.max);
        }
    }
}
