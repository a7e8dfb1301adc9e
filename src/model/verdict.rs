//! What a guard answers. The `Permit` itself lives in `guard`, which alone can make one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The guards, by what they protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardName {
    /// 1: a person paused the agent, the rule or the subject.
    Pause,
    /// 1: the rule only observes.
    Mode,
    /// 2: telemetry is missing or old.
    Freshness,
    /// 2: too soon after boot, resume or a clock step.
    WarmUp,
    /// 3: the subject is protected from this remedy.
    Protected,
    /// 4: a maintenance window.
    Maintenance,
    /// 4: a package manager is at work.
    PackageManager,
    /// 4: an operator stopped, masked or disabled it on purpose.
    OperatorIntent,
    /// 4: the host is shutting down or in rescue mode.
    Shutdown,
    /// 5: the service manager or another controller is handling it.
    Ownership,
    /// 6: something it needs is down; that comes first.
    RootCause,
    /// 7: waiting out the backoff.
    Backoff,
    /// 8: attempts in the window are used up.
    Attempts,
    /// 9: another disruptive action is under way.
    BlastRadius,
    /// 11: what may be used up of the host in a window is used up.
    Cost,
    /// 12: needs a person's approval.
    Approval,
}

impl GuardName {
    /// Every guard, in the order in which they are asked: what holds for long first, what needs the freshest
    /// look at the host last, so that a repair that waits for hours does not keep the senses busy.
    pub const ALL: [Self; 16] = [
        Self::Pause,
        Self::Mode,
        Self::OperatorIntent,
        Self::Protected,
        Self::Maintenance,
        Self::Ownership,
        Self::RootCause,
        Self::Backoff,
        Self::Attempts,
        Self::Cost,
        Self::Approval,
        Self::BlastRadius,
        Self::Freshness,
        Self::Shutdown,
        Self::WarmUp,
        Self::PackageManager,
    ];

    /// Its name in records, metrics and on screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Mode => "mode",
            Self::Freshness => "freshness",
            Self::WarmUp => "warm-up",
            Self::Protected => "protected",
            Self::Maintenance => "maintenance",
            Self::PackageManager => "package-manager",
            Self::OperatorIntent => "operator-intent",
            Self::Shutdown => "shutdown",
            Self::Ownership => "ownership",
            Self::RootCause => "root-cause",
            Self::Backoff => "backoff",
            Self::Attempts => "attempts",
            Self::BlastRadius => "blast-radius",
            Self::Cost => "cost",
            Self::Approval => "approval",
        }
    }
}

impl fmt::Display for GuardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// For how long a guard says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Ask again then.
    Until(Timestamp),
    /// Ask again when something changes (a job ends, a person answers).
    UntilChange,
    /// Not this, not now, not later: the incident waits for a person or for the fault to go.
    Denied,
}

/// A guard's no, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub guard: GuardName,
    pub hold: Hold,
    /// One sentence that names what it saw.
    pub why: String,
}

impl Refusal {
    /// Says the same to an operator as `other`: only the clock has moved.
    #[must_use]
    pub fn same_reason(&self, other: &Self) -> bool {
        self.guard == other.guard && self.why == other.why
    }
}
