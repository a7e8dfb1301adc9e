//! What a service is doing, and how a sighting of its pid file changes that. Pure.

use std::time::Duration;

use super::pid_file::Sighting;
use crate::model::{MainExit, ProcessIdentity, ServiceResult};

/// A process that ended with its pid file in place may have been stopped by a script that removes the file next:
/// init scripts look for the end once a second at the slowest. Only then is it a failure.
pub(super) const PID_FILE_GRACE: Duration = Duration::from_millis(1200);

/// Where a service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It can't be found out: one sentence.
    Unknown(String),
    /// Nobody has started it since boot.
    Inactive,
    Running,
    /// Its process is gone; whether on purpose shows when this long has passed since.
    Settling,
    /// It ended by itself in good order.
    Exited(MainExit),
    /// It was taken down on purpose.
    Stopped,
    Failed {
        result: ServiceResult,
        exit: MainExit,
        /// The pid file that it left was seen: should that go, somebody tidied up on purpose.
        left_pid_file: bool,
    },
}

impl Phase {
    /// It failed and nobody can say how.
    pub(super) fn failed_somehow() -> Self {
        Self::Failed {
            result: ServiceResult::Other("unknown".into()),
            exit: MainExit::None,
            left_pid_file: true,
        }
    }
}

/// What else is known when a pid file is looked at.
#[derive(Clone, Debug)]
pub(super) struct Before<'a> {
    pub(super) phase: &'a Phase,
    /// The run that was last believed, and whether its process lives.
    pub(super) run: Option<(ProcessIdentity, bool)>,
    /// Since the phase is `Settling`.
    pub(super) settled: bool,
}

/// The phase after a sighting, and whether it shows that somebody stopped the service on purpose.
pub(super) fn after_sighting(before: &Before<'_>, sighting: &Sighting) -> (Phase, bool) {
    if let Sighting::Live(_) = sighting {
        return (Phase::Running, false);
    }
    // A process that lives without its file, or beside one that names somebody else, runs all the same.
    if before.run.is_some_and(|(_, alive)| alive) {
        return (Phase::Running, false);
    }
    let known = before.run.map(|(identity, _)| identity);
    match sighting {
        Sighting::Live(_) => (Phase::Running, false),
        Sighting::Dubious(why) => (Phase::Unknown(why.clone()), false),
        Sighting::Old => (Phase::Inactive, false),
        Sighting::Missing => match before.phase {
            Phase::Running | Phase::Settling | Phase::Failed { left_pid_file: true, .. } => {
                (Phase::Stopped, true)
            }
            Phase::Unknown(_) if known.is_some() => (Phase::Stopped, true),
            Phase::Unknown(_) => (Phase::Inactive, false),
            Phase::Inactive | Phase::Stopped | Phase::Exited(_) | Phase::Failed { .. } => {
                (before.phase.clone(), false)
            }
        },
        Sighting::Stale { pid } => match before.phase {
            Phase::Settling if before.settled => (Phase::failed_somehow(), false),
            Phase::Stopped if known.is_some_and(|known| known.pid == *pid) => (Phase::Stopped, false),
            Phase::Failed { result, exit, .. } => {
                (Phase::Failed { result: result.clone(), exit: *exit, left_pid_file: true }, false)
            }
            Phase::Running
            | Phase::Settling
            | Phase::Stopped
            | Phase::Inactive
            | Phase::Exited(_)
            | Phase::Unknown(_) => (Phase::Settling, false),
        },
    }
}
