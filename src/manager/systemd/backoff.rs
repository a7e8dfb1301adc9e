//! How long to wait before the next try to connect: doubling, bounded, spread, for ever. Pure; chance comes in.

use std::time::Duration;

/// After the first failure: a bus that was restarted is back about now.
const FIRST: Duration = Duration::from_millis(20);
/// The longest wait: an agent that is cut off is blind, and a try costs one `connect(2)`.
const LONGEST: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: between half and all of the doubled span.
    pub(super) fn next(&mut self, chance: u64) -> Duration {
        let span = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = span / 2;
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(chance % micros)
    }

    /// A connection worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_and_stay_bounded(chances in prop::collection::vec(any::<u64>(), 1..100)) {
            let mut backoff = Backoff::default();
            for (tries, chance) in chances.into_iter().enumerate() {
                let wait = backoff.next(chance);
                prop_assert!(wait >= FIRST / 2 && wait <= LONGEST);
                prop_assert!(tries > 0 || wait <= FIRST);
                prop_assert!(tries < 8 || wait >= LONGEST / 2);
            }
            backoff.reset();
            prop_assert!(backoff.next(0) <= FIRST);
        }
    }
}
