//! What can befall the host: one thing at a time, in words that scripts and the random generator share.

use crate::model::{Command, ServiceResult};

use super::rng::Rng;
use super::world::{Ailment, Moment, UnitIndex};

/// Trouble with what the agent hears or does, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// Signals get lost.
    LossySignals,
    /// Readings fail.
    FailedReadings,
    /// The bus is gone.
    LostBus,
    /// Acts, evidence and looks take seconds.
    Slow,
    /// Acts report success and did nothing, or did and report nothing.
    Lying,
    /// Reports come twice.
    Echo,
    /// A sync takes seconds.
    SlowDisk,
    /// Records can't be made durable.
    FullDisk,
    /// The hook that tells people fails.
    DeafHook,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Hazard {
    Crash {
        unit: UnitIndex,
        result: ServiceResult,
    },
    Hang {
        unit: UnitIndex,
        for_good: bool,
    },
    /// An ailment, with the crash that shows it.
    Ail {
        unit: UnitIndex,
        ailment: Ailment,
        length: Option<Moment>,
        restarts: bool,
    },
    Heal {
        unit: UnitIndex,
    },
    OperatorStop {
        unit: UnitIndex,
        fails: bool,
    },
    OperatorStart {
        unit: UnitIndex,
    },
    OperatorRestart {
        unit: UnitIndex,
    },
    Mask {
        unit: UnitIndex,
        masked: bool,
    },
    PackageManager {
        length: Moment,
    },
    ManagerReload {
        length: Moment,
    },
    Weather {
        what: Weather,
        length: Moment,
    },
    Command(Command),
    Kill {
        down: Moment,
    },
    PowerCut,
    Reboot,
    WallStep {
        forward: bool,
        by: Moment,
    },
    Suspend {
        length: Moment,
    },
    Policy {
        variant: u64,
    },
    BadPolicy,
    /// The unit is unloaded for good.
    Vanish {
        unit: UnitIndex,
    },
    /// Many at once.
    MassCrash,
}

/// The kinds of trouble, for the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    Crash,
    Hang,
    Ailment,
    Dependency,
    Operator,
    Mask,
    Packages,
    Reload,
    Weather,
    Pause,
    Agent,
    Power,
    Clock,
    Policy,
    Vanish,
    Mass,
}

/// Every kind.
pub const KINDS: [Kind; 16] = [
    Kind::Crash,
    Kind::Hang,
    Kind::Ailment,
    Kind::Dependency,
    Kind::Operator,
    Kind::Mask,
    Kind::Packages,
    Kind::Reload,
    Kind::Weather,
    Kind::Pause,
    Kind::Agent,
    Kind::Power,
    Kind::Clock,
    Kind::Policy,
    Kind::Vanish,
    Kind::Mass,
];

/// How often each kind comes, relative to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights(pub [u64; KINDS.len()]);

impl Weights {
    /// A mixture with a few favourites, so that different seeds live different lives.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Self {
        let mut weights = [20, 8, 14, 6, 6, 2, 3, 2, 8, 4, 4, 2, 2, 2, 1, 1];
        for _ in 0..3 {
            let favourite = rng.index(weights.len());
            weights[favourite] *= 6;
        }
        Self(weights)
    }

    /// Nothing but these.
    #[must_use]
    pub fn only(kinds: &[(Kind, u64)]) -> Self {
        let mut weights = [0; KINDS.len()];
        for (kind, weight) in kinds {
            weights[*kind as usize] = *weight;
        }
        Self(weights)
    }

    /// One of them.
    pub fn pick(&self, rng: &mut Rng) -> Kind {
        let mut left = rng.below(self.0.iter().sum());
        for (kind, weight) in KINDS.iter().zip(self.0) {
            if left < weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::Crash
    }
}
