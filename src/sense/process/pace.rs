//! How often the table is read. Pure: what a pass cost in, the time to the next one out.

use std::time::Duration;

/// Every process is known this often, where a pass is cheap enough: with BPF up to 15,000 processes, with procfs up to
/// some 350.
pub const EVERY: Duration = Duration::from_secs(10);
/// And never less often than this, however dear a pass is: what rules wait for lasts minutes.
pub const EVERY_MAX: Duration = Duration::from_secs(300);
/// One part in this many of a core is what the table may take: 0.05 %. The agent as a whole may take 0.06 % with 2,000
/// processes and 0.1 % with 10,000, and its other passes take 0.02 %. Procfs reads 10,000 processes in about 140 ms:
/// once in 280 s, still within [`EVERY_MAX`].
const SHARE: u32 = 2000;
/// A person who looks sees a table that is no older than this …
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// … or so old that passes for people take one part in this many of a core: 2 %.
const ASKED_SHARE: u32 = 50;

/// From the beginning of a pass that took so much CPU time to the next, by an agent that looks `slowdown` times less
/// often than it wishes to.
#[must_use]
pub fn until_next(cost: Duration, slowdown: u32) -> Duration {
    cost.saturating_mul(SHARE).max(EVERY).saturating_mul(slowdown).clamp(EVERY, EVERY_MAX)
}

/// How old a table may be that somebody asks for, before it is read again.
#[must_use]
pub fn fresh_for(cost: Duration) -> Duration {
    cost.saturating_mul(ASKED_SHARE).clamp(ASKED_EVERY, EVERY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(cost_ms: u64, next: u64, fresh_ms: u64) {
        let cost = Duration::from_millis(cost_ms);
        assert_eq!(until_next(cost, 1), Duration::from_secs(next), "{cost:?}");
        assert_eq!(fresh_for(cost), Duration::from_millis(fresh_ms), "{cost:?}");
    }

    #[test]
    fn dear_passes_are_rare_and_never_too_rare() {
        check(0, 10, 1000);
        check(3, 10, 1000);
        check(28, 56, 1400);
        check(140, 280, 7000);
        check(1000, 300, 50_000);
        check(u64::MAX, 300, 300_000);
        assert_eq!(until_next(Duration::ZERO, 8), Duration::from_secs(80));
        assert_eq!(until_next(Duration::from_millis(140), 8), EVERY_MAX);
    }

    proptest! {
        #[test]
        fn the_share_holds_below_the_longest_interval(nanos in 0_u64..10_000_000_000) {
            let cost = Duration::from_nanos(nanos);
            let next = until_next(cost, 1);
            prop_assert!((EVERY..=EVERY_MAX).contains(&next));
            prop_assert!(next == EVERY_MAX || cost.saturating_mul(SHARE) <= next);
        }
    }
}
