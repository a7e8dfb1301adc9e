//! Jitter from a seed: the same seed gives the same delays, so that a run can be played again.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to spread hosts in time. Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Hosts must have different seeds.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From half of `length` to all of it.
    pub fn upper_half(&mut self, length: Duration) -> Duration {
        let half = length / 2;
        half + self.below(length - half)
    }

    /// From nothing to `length`.
    pub fn below(&mut self, length: Duration) -> Duration {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if nanos == 0 { 0 } else { self.next() % nanos })
    }
}

/// Shortest and longest delay between two tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    pub first: Duration,
    pub most: Duration,
}

/// How long to leave somebody alone who failed: twice as long each time, with jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    delays: Delays,
    failures: u32,
    until: Duration,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub const fn new(delays: Delays) -> Self {
        Self { delays, failures: 0, until: Duration::ZERO }
    }

    /// It failed. `asked` is what the other side asks for: kept to, within `asked_most`.
    pub fn failed(&mut self, now: Duration, asked: Option<Duration>, chance: &mut Chance) {
        let doubled = self.delays.first.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        let own = chance.upper_half(doubled.min(self.delays.most));
        // Whoever is told the same second as ten thousand others comes a little later than told.
        let told = asked.map(|asked| {
            let asked = asked.min(ASKED_MAX);
            asked + chance.below(asked / 4)
        });
        self.until = now + own.max(told.unwrap_or_default());
    }

    /// It went well.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.until = Duration::ZERO;
    }

    /// When it may be tried again; zero for at once.
    #[must_use]
    pub const fn until(&self) -> Duration {
        self.until
    }

    /// How often it failed in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

/// Beyond this the longest delay is reached whatever the first one is.
const DOUBLINGS_MAX: u32 = 20;
/// The longest `Retry-After` that is kept to: a mistaken one must not silence a host for a day.
const ASKED_MAX: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DELAYS: Delays = Delays { first: Duration::from_secs(1), most: Duration::from_secs(60) };

    proptest! {
        #[test]
        fn delays_grow_within_bounds_and_spread(seed in any::<u64>(), failures in 1_u32..40) {
            let (mut backoff, mut chance) = (Backoff::new(DELAYS), Chance::new(seed));
            for _ in 0..failures {
                backoff.failed(Duration::ZERO, None, &mut chance);
            }
            let whole = Duration::from_secs(1_u64 << (failures - 1).min(10)).min(DELAYS.most);
            prop_assert!(backoff.until() >= whole / 2 && backoff.until() <= whole);
            backoff.succeeded();
            prop_assert_eq!((backoff.until(), backoff.failures()), (Duration::ZERO, 0));
        }

        #[test]
        fn what_is_asked_for_is_kept_to_but_not_for_ever(seed in any::<u64>(), asked in 0_u64..100_000) {
            let (mut backoff, mut chance) = (Backoff::new(DELAYS), Chance::new(seed));
            backoff.failed(Duration::ZERO, Some(Duration::from_secs(asked)), &mut chance);
            let kept = Duration::from_secs(asked).min(ASKED_MAX);
            prop_assert!(backoff.until() >= kept && backoff.until() <= kept + kept / 4 + DELAYS.first);
        }
    }

    #[test]
    fn ten_thousand_hosts_do_not_come_at_once() {
        let mut seconds = [0_u32; 60];
        for seed in 0..10_000 {
            let (mut backoff, mut chance) = (Backoff::new(DELAYS), Chance::new(seed * 7919));
            (0..10).for_each(|_| backoff.failed(Duration::ZERO, None, &mut chance));
            seconds[usize::try_from(backoff.until().as_secs()).unwrap_or(0)] += 1;
        }
        assert!(seconds.iter().all(|hosts| *hosts < 500), "{seconds:?}");
    }
}
