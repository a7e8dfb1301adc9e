//! One rule over one subject through time.

use std::time::Duration;

use crate::model::{BootTime, Condition};
use crate::policy::Truth;

/// What a step of a condition means for incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    /// It has been true for its time.
    Raised,
    /// Its clear threshold is reached.
    Cleared,
}

/// The next state of a condition; `None` is at rest.
///
/// Unknown decides nothing: a firing condition stays an incident, a pending one starts again when it is known.
#[must_use]
pub fn advance(
    before: Option<&Condition>,
    when: &Truth,
    clear: &Truth,
    hold_for: Duration,
    now: BootTime,
) -> (Option<Condition>, Change) {
    match before {
        None | Some(Condition::Unknown { was_firing: false, .. }) => match when {
            Truth::True => raise(now, hold_for, now),
            Truth::False => (None, Change::None),
            Truth::Unknown(why) => match before {
                Some(_) => (unknown(now, why, false, before), Change::None),
                None => (None, Change::None),
            },
        },
        Some(Condition::Pending { since }) => match when {
            Truth::True => raise(*since, hold_for, now),
            Truth::False => (None, Change::None),
            Truth::Unknown(why) => (unknown(now, why, false, before), Change::None),
        },
        Some(
            Condition::Firing { since } | Condition::Clearing { since } | Condition::Unknown { since, .. },
        ) => match (clear, when) {
            (Truth::True, _) => (None, Change::Cleared),
            (Truth::Unknown(why), _) => (unknown(now, why, true, before), Change::None),
            (Truth::False, Truth::True | Truth::Unknown(_)) => {
                (Some(Condition::Firing { since: *since }), Change::None)
            }
            (Truth::False, Truth::False) => (Some(Condition::Clearing { since: *since }), Change::None),
        },
    }
}

fn raise(since: BootTime, hold_for: Duration, now: BootTime) -> (Option<Condition>, Change) {
    if now.since(since) >= hold_for {
        (Some(Condition::Firing { since }), Change::Raised)
    } else {
        (Some(Condition::Pending { since }), Change::None)
    }
}

fn unknown(now: BootTime, why: &str, was_firing: bool, before: Option<&Condition>) -> Option<Condition> {
    let since = match before {
        Some(
            Condition::Unknown { since, .. } | Condition::Firing { since } | Condition::Clearing { since },
        ) => *since,
        Some(Condition::Pending { .. }) | None => now,
    };
    Some(Condition::Unknown { since, why: why.to_owned(), was_firing })
}
