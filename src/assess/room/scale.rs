//! One scale of time: marks at a distance from each other, and the slope that they show.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Percent;

use super::Level;

/// Marks that are kept: twelve steps. Two of them do not count, which leaves a trend enough to rest on.
const MARKS: usize = 13;
/// Fewer steps make no trend: two do not count, and two that agree may be chance.
const STEPS_LEAST: usize = 4;
/// Time watched before anything is said: a copy that is over in a moment is none of anybody's business.
pub(super) const WATCHED_LEAST: Duration = Duration::from_secs(2);
/// Nobody looked for so long, and for so many times the spacing: the host slept. A scale begins anew then.
const GAP: Duration = Duration::from_mins(5);
const GAP_SPACINGS: u32 = 3;
/// It must have grown in so many of a hundred parts of the time.
const STEADY_LEAST: f64 = 60.0;
/// It stands still for longer than between two marks only when it is over.
const STILL_MOST: f64 = 1.5;
/// The newest part of the steps that must have grown too: one in this many.
const NEWEST_PART: usize = 4;

/// How it went from mark to mark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slope {
    /// A second.
    pub rate: f64,
    pub watched: Duration,
    pub steady: Percent,
}

#[derive(Clone, Debug)]
pub(super) struct Scale {
    spacing: Duration,
    /// Oldest first; never empty.
    marks: VecDeque<Level>,
}

/// From one mark to the next.
#[derive(Clone, Copy, Debug)]
struct Step {
    seconds: f64,
    more: f64,
}

impl Step {
    fn rate(self) -> f64 {
        self.more / self.seconds
    }
}

impl Scale {
    pub(super) fn new(spacing: Duration, first: Level) -> Self {
        let mut marks = VecDeque::with_capacity(MARKS);
        marks.push_back(first);
        Self { spacing, marks }
    }

    /// Makes a mark when it is time for one.
    pub(super) fn take(&mut self, level: Level) {
        let since = self.marks.back().map_or(Duration::MAX, |last| level.at.since(last.at));
        if since < self.spacing {
            return;
        }
        if since > GAP.max(self.spacing * GAP_SPACINGS) {
            self.marks.clear();
        }
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(level);
    }

    /// The rate at which it grew, without the steepest step up and the steepest down; none unless it grew most of the
    /// time, and lately. It has stood `still` for so long by now.
    pub(super) fn slope(&self, still: Duration) -> Option<Slope> {
        let steps: Vec<Step> =
            self.marks.iter().zip(self.marks.iter().skip(1)).map(|(a, b)| step(*a, *b)).collect();
        let last = steps.last()?.seconds;
        if steps.len() < STEPS_LEAST || still.as_secs_f64() > last * STILL_MOST {
            return None;
        }
        let newest = steps.len().div_ceil(NEWEST_PART);
        let lately: f64 = steps.iter().rev().take(newest).map(|step| step.more).sum();
        let whole: f64 = steps.iter().map(|step| step.seconds).sum();
        let grown: f64 = steps.iter().filter(|step| step.more > 0.0).map(|step| step.seconds).sum();
        let steady = grown / whole * 100.0;
        if lately <= 0.0 || steady < STEADY_LEAST {
            return None;
        }
        let mut by_rate = steps;
        by_rate.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
        let kept = by_rate.get(1..by_rate.len() - 1)?;
        let more: f64 = kept.iter().map(|step| step.more).sum();
        let seconds: f64 = kept.iter().map(|step| step.seconds).sum();
        let rate = more / seconds;
        let watched = Duration::try_from_secs_f64(whole).ok()?;
        (rate > 0.0).then_some(Slope { rate, watched, steady: Percent(steady) })
    }
}

fn step(from: Level, to: Level) -> Step {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let more = to.used as f64 - from.used as f64;
    // Marks are a spacing apart at the least.
    Step { seconds: to.at.since(from.at).as_secs_f64(), more }
}
