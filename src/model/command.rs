//! What a person may tell the agent. The socket checks who asks; the engine judges what is asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ActionId, IncidentId, PauseId, ProposalId, RuleName, UnitName};

/// What a pause covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseScope {
    /// Everything the agent does.
    Agent,
    Rule(RuleName),
    Unit(UnitName),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Always with an end: a pause that nobody lifts must not last for ever.
    Pause {
        scope: PauseScope,
        length: Duration,
        reason: String,
    },
    /// One pause, or all of them.
    Resume {
        pause: Option<PauseId>,
    },
    Approve {
        proposal: ProposalId,
    },
    Deny {
        proposal: ProposalId,
        reason: String,
    },
    /// A person has taken note of an escalation; it is not repeated.
    Acknowledge {
        incident: IncidentId,
    },
    /// Let go of a unit that an act holds back.
    Undo {
        action: ActionId,
    },
}

/// The longest pause that may be asked for.
pub const PAUSE_MAX: Duration = Duration::from_hours(30 * 24);

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done; one sentence.
    Done(String),
    /// Nothing of that name, or no longer: one sentence.
    NotFound(String),
    /// Understood and declined: one sentence.
    Refused(String),
}
