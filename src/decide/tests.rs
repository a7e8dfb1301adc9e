use std::time::Duration;

use proptest::prelude::*;

use super::gap_after;
use crate::model::{Subject, UnitName};
use crate::policy::Limits;

fn unit(name: &str) -> Subject {
    Subject::Unit(UnitName::parse(name).expect("a valid name"))
}

#[test]
fn gaps_grow_until_the_cap() {
    let backoff = Limits::default().backoff;
    let gaps: Vec<Duration> = (1..=12).map(|n| gap_after(n, &backoff, 7, &unit("web.service"))).collect();
    let below_cap = gaps.iter().take_while(|gap| **gap < backoff.cap).count();
    assert!(below_cap >= 4, "{gaps:?}");
    assert!(gaps[..below_cap].windows(2).all(|pair| pair[1] > pair[0]), "{gaps:?}");
    let longest = backoff.cap.mul_f64(1.0 + backoff.jitter);
    assert!(gaps.iter().all(|gap| *gap >= backoff.first && *gap <= longest), "{gaps:?}");
}

#[test]
fn jitter_differs_between_hosts_and_repeats_for_one() {
    let backoff = Limits::default().backoff;
    let subject = unit("web.service");
    assert_eq!(gap_after(1, &backoff, 1, &subject), gap_after(1, &backoff, 1, &subject));
    assert_ne!(gap_after(1, &backoff, 1, &subject), gap_after(1, &backoff, 2, &subject));
    assert_ne!(gap_after(1, &backoff, 1, &subject), gap_after(1, &backoff, 1, &unit("db.service")));
}

proptest! {
    #[test]
    fn no_gap_is_outside_its_bounds(seed: u64, attempt in 0_u32..10_000) {
        let backoff = Limits::default().backoff;
        let gap = gap_after(attempt, &backoff, seed, &unit("web.service"));
        prop_assert!(gap >= backoff.first);
        prop_assert!(gap <= backoff.cap.mul_f64(1.0 + backoff.jitter));
    }
}
