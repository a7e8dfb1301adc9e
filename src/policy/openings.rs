//! When the windows of maintenance opened last. Each decision asks; they open at full minutes, so that it is found once a
//! minute.

use crate::model::WallTime;

use super::{Maintenance, Policy};

const MINUTE_MILLIS: i64 = 60_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct Openings {
    /// Of the wall clock, since its epoch.
    minute: i64,
    /// One for each window of the policy, in its order.
    last: Vec<Option<WallTime>>,
}

impl Openings {
    /// Of this policy, in this minute.
    #[must_use]
    pub fn at(policy: &Policy, now: WallTime) -> Self {
        let last = policy.maintenance.iter().map(|window| window.schedule.last_opening(now)).collect();
        Self { minute: minute_of(now), last }
    }

    /// Whether this is still the minute that they are known for.
    #[must_use]
    pub fn are_of(&self, now: WallTime) -> bool {
        self.minute == minute_of(now)
    }

    /// The windows of the policy that are open, each with its end.
    pub fn open<'a>(
        &'a self,
        policy: &'a Policy,
        now: WallTime,
    ) -> impl Iterator<Item = (&'a Maintenance, WallTime)> {
        policy.maintenance.iter().zip(&self.last).filter_map(move |(window, last)| {
            let until = (*last)? + window.schedule.length;
            (until > now).then_some((window, until))
        })
    }
}

fn minute_of(now: WallTime) -> i64 {
    now.unix_millis().div_euclid(MINUTE_MILLIS)
}
