//! What the agent itself takes of the host.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bytes, Percent, Reading};

/// What it may take. Over it, it looks less often: see [`Slowdown`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnBudget {
    /// Of one processor, over one window.
    pub cpu: Percent,
    /// Of memory that is its own: no file stands behind it.
    pub memory: Bytes,
}

/// What it took in the last window, and what follows from that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnUse {
    /// Of one processor, by all its threads; its children are charged to groups of their own.
    pub cpu: Percent,
    /// The time that this share is of; the host's sleep is no part of it.
    pub window: Duration,
    /// Its own, without what files back.
    pub memory: Reading<Bytes>,
    pub threads: Reading<u64>,
    pub open_files: Reading<u64>,
    pub budget: OwnBudget,
    pub slowdown: Slowdown,
}

/// How many times less often the agent looks than it wishes to: a power of two, 1 to [`Slowdown::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Slowdown(u32);

impl Slowdown {
    /// As often as it wishes to.
    pub const NONE: Self = Self(1);
    /// What is looked at each second is looked at every eight seconds then: well before it counts as stale.
    pub const MAX: Self = Self(8);

    /// Twice as slow, down to [`Self::MAX`].
    #[must_use]
    pub fn more(self) -> Self {
        Self(self.0 * 2).min(Self::MAX)
    }

    /// Half as slow.
    #[must_use]
    pub fn less(self) -> Self {
        Self(self.0 / 2).max(Self::NONE)
    }

    /// The factor.
    #[must_use]
    pub const fn times(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Slowdown {
    type Error = String;

    fn try_from(times: u32) -> Result<Self, String> {
        if times.is_power_of_two() && times <= Self::MAX.0 {
            Ok(Self(times))
        } else {
            Err(format!("{times} is no power of two from 1 to {}", Self::MAX.0))
        }
    }
}

impl From<Slowdown> for u32 {
    fn from(slowdown: Slowdown) -> Self {
        slowdown.0
    }
}

impl fmt::Display for Slowdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_up_and_down_in_steps_and_no_further() {
        let mut seen = vec![Slowdown::NONE];
        for _ in 0..4 {
            seen.push(seen[seen.len() - 1].more());
        }
        assert_eq!(seen.iter().map(|it| it.times()).collect::<Vec<_>>(), [1, 2, 4, 8, 8]);
        assert_eq!(Slowdown::MAX.less().times(), 4);
        assert_eq!(Slowdown::NONE.less(), Slowdown::NONE);
        for bad in [0, 3, 16, u32::MAX] {
            assert!(Slowdown::try_from(bad).is_err(), "{bad}");
        }
    }
}
