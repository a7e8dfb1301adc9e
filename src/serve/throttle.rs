//! A token bucket for each user. Pure: the time since the start comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::limits::THROTTLED_UIDS_MAX;

/// Tokens are counted in these parts, so that whole numbers do.
const PARTS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    parts: u64,
    at: Duration,
}

/// Buckets of the users seen lately.
#[derive(Debug)]
pub(super) struct Throttle {
    per_second: u64,
    full: u64,
    buckets: BTreeMap<u32, Bucket>,
}

impl Throttle {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second: per_second.into(), full: u64::from(burst) * PARTS, buckets: BTreeMap::new() }
    }

    /// Takes one token of the user's.
    ///
    /// # Errors
    /// With the time until there is one.
    pub(super) fn take(&mut self, uid: u32, now: Duration) -> Result<(), Duration> {
        if !self.buckets.contains_key(&uid) && self.buckets.len() >= THROTTLED_UIDS_MAX {
            let quietest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(uid, _)| *uid);
            quietest.and_then(|uid| self.buckets.remove(&uid));
        }
        let (rate, full) = (self.per_second, self.full);
        let bucket = self.buckets.entry(uid).or_insert(Bucket { parts: full, at: now });
        let nanos = u64::try_from(now.saturating_sub(bucket.at).as_nanos()).unwrap_or(u64::MAX);
        bucket.parts = bucket.parts.saturating_add(nanos.saturating_mul(rate)).min(full);
        bucket.at = bucket.at.max(now);
        match bucket.parts.checked_sub(PARTS) {
            Some(left) => {
                bucket.parts = left;
                Ok(())
            }
            None => Err(Duration::from_nanos((PARTS - bucket.parts).div_ceil(rate.max(1)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut throttle = Throttle::new(2, 3);
        let at = Duration::from_millis;
        assert_eq!([0; 3].map(|_| throttle.take(1, at(0))), [Ok(()); 3]);
        assert_eq!(throttle.take(1, at(0)), Err(at(500)));
        assert_eq!(throttle.take(2, at(0)), Ok(()), "another user is not touched by it");
        assert_eq!(throttle.take(1, at(499)), Err(at(1)));
        assert_eq!(throttle.take(1, at(500)), Ok(()));
        assert_eq!(throttle.take(1, at(500)), Err(at(500)));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_rate(gaps in prop::collection::vec(0u64..300, 1..200)) {
            let mut throttle = Throttle::new(5, 10);
            let (mut now, mut taken) = (0, 0);
            for gap in gaps {
                now += gap;
                taken += u64::from(throttle.take(7, Duration::from_millis(now)).is_ok());
            }
            prop_assert!(taken * 1000 <= 10_000 + 5 * now);
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn memory_is_bounded(uids in prop::collection::vec(any::<u32>(), 0..2000)) {
            let mut throttle = Throttle::new(1, 1);
            for (step, uid) in uids.into_iter().enumerate() {
                let _ = throttle.take(uid, Duration::from_millis(step as u64));
            }
            prop_assert!(throttle.buckets.len() <= THROTTLED_UIDS_MAX);
        }
    }
}
