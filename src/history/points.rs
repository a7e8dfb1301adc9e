//! Rows → the points of an answer. Pure.

use crate::model::{BootId, Gap, HISTORY_POINTS_MAX, HistoryPoint, HistoryRun, HistoryUnit, WallTime};

use super::catalogue::shown;
use super::reduce::Summary;

/// A clock that goes back gives the same times twice: with so many points, the rest is left out.
const POINTS_MAX: u64 = 2 * HISTORY_POINTS_MAX;

/// A point as it is added up.
#[derive(Clone, Copy, Debug)]
struct Sum {
    begin_ms: i64,
    boot_ms: i64,
    sum: f64,
    min: i64,
    max: i64,
    values: u64,
    absent: u64,
    why: Option<Gap>,
}

/// The points so far.
#[derive(Debug)]
pub(super) struct Points {
    step_ms: i64,
    unit: HistoryUnit,
    runs: Vec<HistoryRun>,
    open: Option<(BootId, Sum)>,
    count: u64,
    pub(super) cut: bool,
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
const fn float(value: i64) -> f64 {
    value as f64
}

impl Points {
    pub(super) const fn new(step_ms: i64, unit: HistoryUnit) -> Self {
        Self { step_ms, unit, runs: Vec::new(), open: None, count: 0, cut: false }
    }

    /// One row more, in the order in which they were written.
    pub(super) fn add(&mut self, boot: BootId, (boot_ms, wall_ms): (i64, i64), row: &Summary) {
        let begin_ms = wall_ms.div_euclid(self.step_ms).saturating_mul(self.step_ms);
        if !self.open.is_some_and(|(of, open)| of == boot && open.begin_ms == begin_ms) {
            self.close(begin_ms, boot);
        }
        let (min, max) = (row.min, row.max);
        let fresh = Sum { begin_ms, boot_ms, sum: 0.0, min, max, values: 0, absent: 0, why: None };
        let (_, open) = self.open.get_or_insert((boot, fresh));
        if row.values > 0 {
            (open.min, open.max) =
                if open.values == 0 { (min, max) } else { (open.min.min(min), open.max.max(max)) };
            open.sum += float(row.mean) * f64::from(row.values);
        }
        open.values += u64::from(row.values);
        open.absent += u64::from(row.absent);
        open.why = row.gap.or(open.why);
    }

    /// Ends the open point, and its run where the next point is no later one of the same boot.
    fn close(&mut self, next_ms: i64, next_boot: BootId) {
        if let Some((boot, sum)) = self.open.take() {
            self.push(boot, &sum);
            let goes_on = boot == next_boot && sum.begin_ms < next_ms;
            if !goes_on && !self.cut {
                self.runs.push(HistoryRun { boot: next_boot, points: Vec::new() });
            }
        }
    }

    fn push(&mut self, boot: BootId, sum: &Sum) {
        if self.count >= POINTS_MAX {
            self.cut = true;
            return;
        }
        self.count += 1;
        if self.runs.is_empty() {
            self.runs.push(HistoryRun { boot, points: Vec::new() });
        }
        #[expect(clippy::cast_precision_loss, reason = "rows of weeks")]
        let mean = (sum.values > 0).then(|| shown(sum.sum / sum.values as f64, self.unit));
        let bound = |value| mean.map(|_| shown(float(value), self.unit));
        let point = HistoryPoint {
            wall_ms: WallTime::from_unix_millis(sum.begin_ms),
            boot_ms: sum.boot_ms,
            mean,
            min: bound(sum.min),
            max: bound(sum.max),
            values: sum.values,
            absent: sum.absent,
            why: sum.why,
        };
        if let Some(run) = self.runs.last_mut() {
            run.points.push(point);
        }
    }

    pub(super) fn finish(mut self) -> (Vec<HistoryRun>, bool) {
        if let Some((boot, sum)) = self.open.take() {
            self.push(boot, &sum);
        }
        self.runs.retain(|run| !run.points.is_empty());
        (self.runs, self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Id128, Interruption};

    const SLEPT: Gap = Gap::Interrupted(Interruption::Slept);

    fn boot(n: u8) -> BootId {
        BootId(Id128::from_bytes([n; 16]))
    }

    /// Each run as its boot and points `begin:mean(min-max)xvalues-absent`.
    fn told(rows: &[(u8, i64, Result<i64, Gap>)]) -> Vec<String> {
        let mut points = Points::new(10_000, HistoryUnit::BytesPerSecond);
        for (of, wall, cell) in rows {
            points.add(boot(*of), (wall * 1000, wall * 1000), &Summary::of_one(*cell));
        }
        let (runs, cut) = points.finish();
        assert!(!cut);
        let point = |it: &HistoryPoint| {
            let begin = it.wall_ms.unix_millis() / 1000;
            match (it.mean, it.min, it.max) {
                (Some(mean), Some(min), Some(max)) => {
                    format!("{begin}:{mean}({min}-{max})x{}-{}", it.values, it.absent)
                }
                _ => format!("{begin}:none-{} {:?}", it.absent, it.why),
            }
        };
        runs.iter().map(|run| run.points.iter().map(point).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn rows_of_a_step_are_one_point_and_a_gap_is_none() {
        assert_eq!(
            told(&[
                (1, 0, Ok(1)),
                (1, 9, Ok(3)),
                (1, 10, Err(SLEPT)),
                (1, 31, Ok(5)),
                (1, 32, Err(Gap::Failed))
            ]),
            [format!("0:2(1-3)x2-0 10:none-1 {:?} 30:5(5-5)x1-1", Some(SLEPT))]
        );
        assert_eq!(told(&[]), [""; 0]);
    }

    #[test]
    fn a_boot_or_a_clock_that_goes_back_begins_a_run() {
        assert_eq!(
            told(&[(1, 20, Ok(1)), (1, 5, Ok(2)), (1, 15, Ok(3)), (2, 16, Ok(4))]),
            ["20:1(1-1)x1-0", "0:2(2-2)x1-0 10:3(3-3)x1-0", "10:4(4-4)x1-0"]
        );
    }

    #[test]
    fn their_number_is_bounded() {
        let mut points = Points::new(1000, HistoryUnit::Count);
        for n in 0..20_000_i64 {
            points.add(boot(1), (n, (n % 2) * 5000), &Summary::of_one(Ok(n)));
        }
        let (runs, cut) = points.finish();
        assert!(cut);
        assert_eq!(runs.iter().map(|run| run.points.len()).sum::<usize>() as u64, POINTS_MAX);
    }
}
