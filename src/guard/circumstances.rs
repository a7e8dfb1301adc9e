//! What the guards look at.

use std::collections::{BTreeMap, BTreeSet};

use crate::assess::{UnitFacts, View};
use crate::model::{
    ActionId, BootTime, InForce, Incident, IncidentId, Mode, Pause, ProposalId, Refusal, Remedy, Subject,
    Timestamp, UnitName,
};
use crate::policy::{Openings, Policy, Rule};

use super::{Attempts, History, RemovedLately};

/// One step that is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    pub action: ActionId,
    pub incident: &'a Incident,
    pub rule: &'a Rule,
    pub subject: &'a Subject,
    pub remedy: Remedy,
    /// Units, in order, the subject last; none where it is no unit.
    pub targets: &'a [UnitName],
}

/// An act that was permitted and is not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    pub action: ActionId,
    pub subject: Subject,
    /// Every unit that it touches.
    pub targets: Vec<UnitName>,
    pub disruptive: bool,
    /// The act itself is over; only its verification goes on.
    pub applied: bool,
}

/// Where the question to a person stands, for this remedy on this run of the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// Not asked yet.
    NotAsked,
    Waiting(ProposalId),
    Granted(ProposalId),
    Denied {
        by: String,
    },
}

/// Everything else that the guards look at.
#[derive(Debug)]
pub struct Circumstances<'a> {
    pub now: Timestamp,
    pub policy: &'a Policy,
    /// Of that policy, in this minute.
    pub openings: &'a Openings,
    pub view: &'a View,
    /// When the agent began to run.
    pub started: BootTime,
    /// The last resume from suspend or step of the wall clock.
    pub stepped: Option<BootTime>,
    pub stopping: bool,
    pub pauses: &'a [Pause],
    pub operator_stopped: &'a BTreeSet<UnitName>,
    pub in_flight: &'a [InFlight],
    /// What the agent holds back.
    pub restraints: &'a BTreeMap<ActionId, InForce>,
    pub history: &'a History,
    pub rule_attempts: &'a Attempts,
    pub host_attempts: &'a Attempts,
    pub removed: &'a RemovedLately,
    pub approval: ApprovalState,
    /// Units with an open incident.
    pub faulty: &'a dyn Faults,
}

/// Which units have an open incident.
pub trait Faults: std::fmt::Debug {
    /// The incident, if there is one.
    fn open_incident(&self, unit: &UnitName) -> Option<IncidentId>;
}

impl Circumstances<'_> {
    /// What is known of a unit that must be known to act on it.
    pub(super) fn facts(&self, unit: &UnitName) -> Result<&UnitFacts, String> {
        self.view.unit(unit).ok_or_else(|| format!("{unit} was not seen yet"))
    }
}

/// The boldness that applies to a unit: the rule's mode, or what the operator says of the unit if that is more
/// careful.
pub(super) fn effective_mode(policy: &Policy, rule: &Rule, unit: &UnitName) -> Mode {
    policy.tuning_of(unit).filter_map(|tuning| tuning.mode).fold(rule.mode, Mode::min)
}

/// A guard's answer.
pub(super) type Answer = Result<(), Refusal>;
