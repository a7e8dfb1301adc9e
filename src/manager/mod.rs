//! Service managers: who starts and stops units on this host, behind one small trait.
//!
//! [`ServiceManager`] has two implementations: systemd over D-Bus, and the direct one, which runs the start and
//! stop commands of the policy on hosts without systemd. `sense` listens through it, `act` orders through it.
//! Owns the connection and what is needed to keep it. Must not judge: a state is told as it is.

pub mod direct;
pub mod systemd;

use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;

use crate::model::{
    ActionId, JobEvent, JobResult, MountPoint, Reading, Restraint, SystemState, UnitName, UnitStatus,
};

/// What a manager can be told to do to one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Start,
    Stop,
    Restart,
    Reload,
    /// Forget failures and the start limit; no job, done when it returns.
    ResetFailed,
}

impl Order {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::ResetFailed => "reset-failed",
        }
    }
}

/// Who is to be held back, how, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct RestraintOrder<'a> {
    pub unit: &'a UnitName,
    pub restraint: Restraint,
    /// The file system that it is about, where it is about one.
    pub place: Option<&'a MountPoint>,
    /// What ends it is named after this.
    pub action: ActionId,
    pub lasts: Duration,
}

/// Something that the manager says by itself.
#[derive(Clone, Debug)]
pub enum News {
    /// These units changed and were read again.
    Changed(Vec<UnitStatus>),
    /// These are gone.
    Removed(Vec<UnitName>),
    /// A job ended.
    JobEnded(JobEvent),
    /// The manager began (true) or finished (false) to reload its units.
    Reloading(bool),
    /// Signals may have been lost: list again. Also the first news after a (re)connection.
    ListAgain,
    /// The manager can't be heard any more; the implementation goes on trying.
    Lost(String),
}

/// Why a manager could not answer or obey.
#[derive(Debug, Error)]
pub enum ManagerError {
    /// No connection at present.
    #[error("{manager} can't be reached: {why}")]
    Unreachable { manager: &'static str, why: String },
    /// It did not answer in time.
    #[error("{manager} did not answer within {within:?}")]
    TimedOut { manager: &'static str, within: Duration },
    /// It knows no such unit.
    #[error("there is no unit {0}")]
    NoSuchUnit(UnitName),
    /// It understood and refused.
    #[error("{manager} refused: {why}")]
    Refused { manager: &'static str, why: String },
    /// An order left for it, and what came of it can't be told: the connection was lost or the deadline passed. It
    /// may have been obeyed, or may still be.
    #[error("{manager} may or may not have obeyed: {why}")]
    OutcomeUnknown { manager: &'static str, why: String },
}

/// A service manager. Every call is bounded in time by its implementation.
pub trait ServiceManager: Send + Sync {
    /// Its name for people: `systemd 252`, `direct`.
    fn name(&self) -> String;

    /// Every unit that exists. Details are read for those that are not at rest and for `attention`.
    fn list<'a>(&'a self, attention: &'a [UnitName]) -> BoxFuture<'a, Result<Vec<UnitStatus>, ManagerError>>;

    /// One unit, with details, read now.
    fn look<'a>(&'a self, unit: &'a UnitName) -> BoxFuture<'a, Result<UnitStatus, ManagerError>>;

    /// The state of the system as a whole.
    fn system_state(&self) -> BoxFuture<'_, Reading<SystemState>>;

    /// The next news; pends until there is some. One listener only. Bounded inside: on overflow it says
    /// [`News::ListAgain`].
    fn news(&self) -> BoxFuture<'_, News>;

    /// Carries out an order and waits for its job to end, `deadline` at the most. A job of this agent is marked
    /// so in later [`JobEvent`]s and `UnitStatus::job`.
    fn order<'a>(
        &'a self,
        order: Order,
        unit: &'a UnitName,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<JobResult, ManagerError>>;

    /// Holds a unit back for so long at the most; returns what was set, for people. What ends it is made first, named by
    /// [`crate::model::release_units`], and needs nobody else.
    fn restrain<'a>(&'a self, order: RestraintOrder<'a>) -> BoxFuture<'a, Result<String, ManagerError>>;

    /// The last lines that the unit wrote, oldest first, at most `lines`; for evidence.
    fn last_lines<'a>(&'a self, unit: &'a UnitName, lines: usize) -> BoxFuture<'a, Reading<Vec<String>>>;
}
