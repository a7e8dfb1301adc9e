use std::time::Duration;

use super::*;
use crate::model::{BootTime, Condition};
use crate::policy::Truth;

fn at(seconds: i64) -> BootTime {
    BootTime::from_millis(seconds * 1000)
}

/// Runs a condition through `(second, when, clear)` steps and compares the changes.
fn check(hold: u64, steps: &[(i64, Truth, Truth)], expected: &[Change]) -> Option<Condition> {
    let mut condition = None;
    let mut changes = Vec::new();
    for (second, when, clear) in steps {
        let (next, change) = advance(condition.as_ref(), when, clear, Duration::from_secs(hold), at(*second));
        condition = next;
        changes.push(change);
    }
    assert_eq!(changes, expected);
    condition
}

fn unknown() -> Truth {
    Truth::Unknown("result: not observed".into())
}

#[test]
fn a_rule_without_a_hold_fires_at_once_and_clears_on_its_own_threshold() {
    use Change::{Cleared, None as Quiet, Raised};
    use Truth::{False, True};
    let end = check(
        0,
        &[(0, True, False), (1, False, False), (2, True, False), (3, False, True)],
        &[Raised, Quiet, Quiet, Cleared],
    );
    assert_eq!(end, None);
}

#[test]
fn a_hold_must_be_served_without_interruption() {
    use Change::{None as Quiet, Raised};
    use Truth::{False, True};
    check(
        10,
        &[(0, True, False), (9, True, False), (9, False, True), (11, True, False), (21, True, False)],
        &[Quiet, Quiet, Quiet, Quiet, Raised],
    );
}

#[test]
fn unknown_neither_raises_nor_clears() {
    use Change::{Cleared, None as Quiet, Raised};
    use Truth::{False, True};
    check(0, &[(0, unknown(), unknown())], &[Quiet]);
    let held = check(0, &[(0, True, False), (5, unknown(), unknown())], &[Raised, Quiet]);
    assert!(matches!(held, Some(Condition::Unknown { was_firing: true, .. })));
    check(0, &[(0, True, False), (5, unknown(), unknown()), (6, False, True)], &[Raised, Quiet, Cleared]);
}

#[test]
fn a_pending_condition_that_becomes_unknown_starts_again() {
    use Change::{None as Quiet, Raised};
    use Truth::{False, True};
    check(
        10,
        &[
            (0, True, False),
            (5, unknown(), unknown()),
            (11, True, False),
            (20, True, False),
            (21, True, False),
        ],
        &[Quiet, Quiet, Quiet, Quiet, Raised],
    );
}
