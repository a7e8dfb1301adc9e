//! How long tasks waited lately for memory, storage or a processor, as the kernel's triggers tell it. The kernel tells
//! of waits and not of their end: a wait is over when a minute has passed without another.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{Absence, BootTime, Reading, Resource, StallWatch};

/// The window of the fields that end in `_stalled_1m`.
const WINDOW: Duration = Duration::from_secs(60);
/// Events remembered of each resource: a trigger tells at most once in its window, which is no shorter than a second.
const EVENTS_KEPT: usize = 60;

#[derive(Clone, Debug)]
struct Stalls {
    watch: Reading<StallWatch>,
    /// Oldest first, each with the span that it speaks of.
    events: VecDeque<(BootTime, Duration)>,
}

/// The waits of the last minute.
#[derive(Clone, Debug)]
pub struct StallFacts {
    of: BTreeMap<Resource, Stalls>,
    now: BootTime,
}

impl Default for StallFacts {
    fn default() -> Self {
        Self { of: BTreeMap::new(), now: BootTime::ZERO }
    }
}

impl StallFacts {
    pub(super) fn pass_time(&mut self, now: BootTime) {
        self.now = self.now.max(now);
        for stalls in self.of.values_mut() {
            while stalls.events.front().is_some_and(|(at, _)| self.now.since(*at) > WINDOW) {
                stalls.events.pop_front();
            }
        }
    }

    pub(super) fn take(&mut self, resource: Resource, watch: &Reading<StallWatch>, at: BootTime) {
        let none = || Stalls { watch: watch.clone(), events: VecDeque::new() };
        let stalls = self.of.entry(resource).or_insert_with(none);
        stalls.watch = watch.clone();
        match watch {
            Reading::Value(StallWatch { window, stalled: true }) => {
                if stalls.events.len() >= EVENTS_KEPT {
                    stalls.events.pop_front();
                }
                stalls.events.push_back((at, *window));
            }
            Reading::Value(StallWatch { stalled: false, .. }) => {}
            // What was told before says nothing of the time since.
            Reading::Absent(_) | Reading::Failed(_) => stalls.events.clear(),
        }
    }

    /// In how much of the last minute tasks waited long; no more than the minute.
    #[must_use]
    pub fn stalled(&self, resource: Resource) -> Reading<Duration> {
        let Some(stalls) = self.of.get(&resource) else { return Reading::Absent(Absence::NotObserved) };
        let sum: Duration = stalls.events.iter().map(|(_, window)| *window).sum();
        stalls.watch.clone().map(|_| sum.min(WINDOW))
    }

    /// Nobody waited lately.
    pub(super) fn is_calm(&self) -> bool {
        self.of.values().all(|stalls| stalls.events.is_empty())
    }

    /// What is watched, and why not.
    pub fn watches(&self) -> impl Iterator<Item = (Resource, Reading<StallWatch>)> {
        self.of.iter().map(|(resource, stalls)| (*resource, stalls.watch.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> BootTime {
        BootTime::from_millis(seconds * 1000)
    }

    fn told(stalled: bool) -> Reading<StallWatch> {
        Reading::Value(StallWatch { window: Duration::from_secs(2), stalled })
    }

    fn check(facts: &StallFacts, expected: &Reading<u64>) {
        assert_eq!(facts.stalled(Resource::Memory).map(|time| time.as_secs()), *expected);
    }

    #[test]
    fn waits_are_summed_and_end_by_themselves() {
        let mut facts = StallFacts::default();
        check(&facts, &Reading::Absent(Absence::NotObserved));
        facts.take(Resource::Memory, &told(false), at(1));
        check(&facts, &Reading::Value(0));
        facts.take(Resource::Memory, &told(true), at(2));
        facts.take(Resource::Memory, &told(true), at(10));
        facts.take(Resource::Io, &told(true), at(10));
        check(&facts, &Reading::Value(4));
        facts.pass_time(at(63));
        check(&facts, &Reading::Value(2));
        facts.pass_time(at(71));
        check(&facts, &Reading::Value(0));
    }

    #[test]
    fn without_a_trigger_nothing_is_known() {
        let mut facts = StallFacts::default();
        facts.take(Resource::Memory, &told(true), at(1));
        facts.take(Resource::Memory, &Reading::Absent(Absence::Unsupported), at(2));
        check(&facts, &Reading::Absent(Absence::Unsupported));
        // Silence counts from the new trigger on.
        facts.take(Resource::Memory, &told(false), at(3));
        check(&facts, &Reading::Value(0));
    }

    #[test]
    fn a_minute_holds_no_more_than_a_minute() {
        let mut facts = StallFacts::default();
        for second in 0..1000 {
            facts.take(Resource::Memory, &told(true), at(second / 100));
        }
        check(&facts, &Reading::Value(60));
    }
}
