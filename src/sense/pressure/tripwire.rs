//! When to look at memory again, and when to tell at once.
//!
//! Pure. The memory above the next level is headroom; it can't be used up faster than the machine fills memory; so the
//! next look comes when that could have happened at the earliest.

use std::time::Duration;

use crate::model::{BootTime, Bytes, Memory};

/// More looks than this would cost more than they tell. A `pread` of `meminfo` took 6 µs: 50 a second are 0.03 % of a
/// core, to which parsing and waking up come.
pub const LOOK_SOONEST: Duration = Duration::from_millis(20);
/// Fewer would save nothing: the whole agent may wake twice a second at rest, and other senses wake it as often as this.
pub const LOOK_LATEST: Duration = Duration::from_secs(1);
/// Levels of available memory that are told at once, per mille of all memory. The first is where the shipped rule
/// begins; below the second nothing but the kernel's killer is left. A level higher up would lie where healthy hosts
/// linger, and looking often there would be for nothing.
const LEVELS_PER_MILLE: [u64; 2] = [50, 20];
/// A level counts as left only a fifth above it: memory that swings around it is told once.
const LEAVE_PER_CENT: u64 = 120;
/// While it is low, memory is told this often even if no level is crossed, so that rules with other levels see it.
const TELL_LOW: Duration = Duration::from_secs(1);
/// One processor touching fresh pages of 4 KiB in a bare loop fills 2.5 GiB/s (measured on kernel 6.18, 3.0 when the
/// kernel does it alone). No program that does anything with its memory is as fast; several processors at once, or
/// huge pages, are, and that is learnt when it is seen. A higher floor would have every host with less than a few
/// gigabytes wake several times a second for what it never saw.
const FILL_FLOOR: u64 = 5 * 1024 * 1024 * 1024 / 2;
/// A rate that was seen is forgotten in about so long: what filled the memory once may do so again soon.
const FORGET: Duration = Duration::from_secs(120);

/// The fastest that memory is believed to fill, bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FillRate(u64);

impl Default for FillRate {
    fn default() -> Self {
        Self(FILL_FLOOR)
    }
}

impl FillRate {
    /// Never below the floor.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Self(bytes_per_second.max(FILL_FLOOR))
    }

    /// Bytes a second.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.0
    }

    /// With what happened within `elapsed`; earlier sights fade.
    #[must_use]
    pub fn learn(self, before: Bytes, after: Bytes, elapsed: Duration) -> Self {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let forget = u64::try_from(FORGET.as_millis()).unwrap_or(u64::MAX);
        let faded = u128::from(self.0) * u128::from(millis.min(forget)) / u128::from(forget);
        let kept = self.0.saturating_sub(u64::try_from(faded).unwrap_or(u64::MAX));
        let gone = before.0.saturating_sub(after.0);
        let seen = gone.saturating_mul(1000).checked_div(millis).unwrap_or(0);
        Self::new(kept.max(seen))
    }
}

/// How long to wait with the next look: headroom over the threshold, by the fastest rate, within
/// [`LOOK_SOONEST`] and [`LOOK_LATEST`].
#[must_use]
pub fn next_look(available: Bytes, threshold: Bytes, fastest: FillRate) -> Duration {
    let headroom = available.0.saturating_sub(threshold.0);
    let millis = u128::from(headroom) * 1000 / u128::from(fastest.0);
    let wait = u64::try_from(millis).map_or(LOOK_LATEST, Duration::from_millis);
    wait.clamp(LOOK_SOONEST, LOOK_LATEST)
}

/// What follows from one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// It can't wait for the next pass over the host.
    pub tell: bool,
    pub next: Duration,
}

/// What is remembered from look to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tripwire {
    fastest: FillRate,
    before: Option<(BootTime, Bytes)>,
    /// Levels that memory is below.
    crossed: usize,
    told: Option<BootTime>,
}

impl Tripwire {
    /// Takes in a look.
    pub fn take(&mut self, memory: &Memory, now: BootTime) -> Look {
        let available = memory.available;
        if let Some((then, before)) = self.before {
            self.fastest = self.fastest.learn(before, available, now.since(then));
        }
        self.before = Some((now, available));
        let was = self.crossed;
        let level = |at: usize| Bytes(memory.total.0 / 1000 * LEVELS_PER_MILLE.get(at).copied().unwrap_or(0));
        while self.crossed < LEVELS_PER_MILLE.len() && available < level(self.crossed) {
            self.crossed += 1;
        }
        while self.crossed > 0 && available.0 > level(self.crossed - 1).0 / 100 * LEAVE_PER_CENT {
            self.crossed -= 1;
        }
        let low = self.crossed > 0 && self.told.is_none_or(|told| now.since(told) >= TELL_LOW);
        let tell = self.crossed != was || low;
        if tell {
            self.told = Some(now);
        }
        Look { tell, next: next_look(available, level(self.crossed), self.fastest) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn memory(available: u64) -> Memory {
        Memory {
            total: Bytes(10 * GIB),
            available: Bytes(available),
            swap_total: Bytes(0),
            swap_free: Bytes(0),
        }
    }

    /// Looks once a second at these shares of memory, per mille; whether each is told.
    fn check(shares: &[u64], told: &[bool]) {
        let mut tripwire = Tripwire::default();
        let looks = shares.iter().enumerate().map(|(second, share)| {
            let now = BootTime::from_millis(i64::try_from(second).unwrap_or(0) * 900);
            tripwire.take(&memory(10 * GIB / 1000 * share), now).tell
        });
        assert_eq!(looks.collect::<Vec<_>>(), told, "{shares:?}");
    }

    #[test]
    fn a_level_is_told_when_it_is_crossed_and_when_it_is_left() {
        check(&[500, 100, 51], &[false, false, false]);
        check(&[500, 49, 49, 19], &[false, true, false, true]);
        check(&[49, 55, 61, 500], &[true, false, true, false]);
        // Swinging around the level is no news; being low is, at intervals.
        check(&[49, 51, 49, 51, 49], &[true, false, true, false, true]);
        check(&[10, 500], &[true, true]);
    }

    #[test]
    fn the_more_room_the_later() {
        let look = |available| next_look(Bytes(available), Bytes(GIB), FillRate::default());
        assert_eq!(look(100 * GIB), LOOK_LATEST);
        assert_eq!(look(GIB + GIB / 2), Duration::from_millis(200));
        assert_eq!((look(GIB), look(0)), (LOOK_SOONEST, LOOK_SOONEST));
    }

    #[test]
    fn a_fast_fill_is_learnt_and_forgotten() {
        let rate = FillRate::default().learn(Bytes(20 * GIB), Bytes(10 * GIB), Duration::from_secs(1));
        assert_eq!(rate, FillRate::new(10 * GIB));
        let later = rate.learn(Bytes(10 * GIB), Bytes(10 * GIB), FORGET / 4);
        assert_eq!(later, FillRate::new(15 * GIB / 2));
        // After a sleep of the machine nothing is known.
        assert_eq!(rate.learn(Bytes(GIB), Bytes(0), Duration::from_secs(86_400)), FillRate::default());
    }

    proptest! {
        #[test]
        fn a_look_is_never_later_than_memory_can_reach_the_threshold(
            available: u64, threshold: u64, rate in 0..200 * GIB,
        ) {
            let fastest = FillRate::new(rate);
            let look = next_look(Bytes(available), Bytes(threshold), fastest);
            prop_assert!((LOOK_SOONEST..=LOOK_LATEST).contains(&look));
            let filled = u128::from(fastest.bytes_per_second()) * look.as_millis() / 1000;
            prop_assert!(
                look == LOOK_SOONEST || u128::from(threshold) + filled <= u128::from(available)
            );
        }

        #[test]
        fn less_room_is_looked_at_no_later(
            a in 0..100 * GIB, b in 0..100 * GIB, threshold in 0..10 * GIB, rate in 0..200 * GIB,
        ) {
            let look = |available| next_look(Bytes(available), Bytes(threshold), FillRate::new(rate));
            prop_assert!(look(a.min(b)) <= look(a.max(b)));
        }

        #[test]
        fn whatever_is_read_the_wire_tells_every_new_low(
            looks in prop::collection::vec((0..10 * GIB, 0..5000_i64), 1..40),
        ) {
            let mut tripwire = Tripwire::default();
            let (mut now, mut lowest) = (0, u64::MAX);
            for (available, pause) in looks {
                now += pause;
                let look = tripwire.take(&memory(available), BootTime::from_millis(now));
                prop_assert!((LOOK_SOONEST..=LOOK_LATEST).contains(&look.next));
                prop_assert!(tripwire.fastest >= FillRate::default());
                let below = |share: u64| available < 10 * GIB / 1000 * share && lowest >= 10 * GIB / 1000 * share;
                prop_assert!(look.tell || !LEVELS_PER_MILLE.into_iter().any(below));
                lowest = lowest.min(available);
            }
        }
    }
}
