//! The decision state: what comes of folding records in order, live and after a crash alike.
//!
//! Nothing else may change it. What is not in a record does not survive, so it does not belong here.

mod acts;
mod compare;
mod incidents;
mod restraints;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::guard::{Attempts, Faults, History, RemovedLately};
use crate::model::{
    ActionId, BootId, BootTime, Counts, Entry, GuardName, Hold, InForce, Incident, IncidentId, IncidentState,
    InvocationId, NoticeId, Owed, Pause, PauseId, Proposal, ProposalId, RecordBody, Refusal, Remedy,
    RuleName, Subject, SubjectKind, Timestamp, UnitName,
};

use acts::Action;

/// What the timeline says where an incident opens again: what was tried before is of an earlier fault.
pub(super) const CAME_BACK: &str = "the fault came back";

/// The answer to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Open,
    Approved,
}

/// The folded state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The boot on whose clock every moment in here is, and the latest record.
    axis: Option<(BootId, Timestamp)>,
    /// Shared, so that the engine can look at one while it records what changes it.
    pub(super) incidents: BTreeMap<IncidentId, Arc<Incident>>,
    /// Those of them that are not closed: few, while hundreds of closed ones are kept to be looked up.
    open: BTreeSet<IncidentId>,
    /// The open incident of a rule over a subject, or the latest that a recurrence would reopen.
    pub(super) current: BTreeMap<(RuleName, Subject), IncidentId>,
    pub(super) histories: BTreeMap<Subject, History>,
    pub(super) rule_attempts: BTreeMap<RuleName, Attempts>,
    pub(super) host_attempts: Attempts,
    pub(super) removed: RemovedLately,
    pub(super) actions: BTreeMap<ActionId, Action>,
    pub(super) proposals: BTreeMap<ProposalId, (Proposal, Answer)>,
    /// What a person said no to, in which incident.
    pub(super) denied: BTreeMap<(IncidentId, Remedy), String>,
    pub(super) pauses: BTreeMap<PauseId, Pause>,
    pub(super) operator_stopped: BTreeSet<UnitName>,
    /// The run in which each of them was stopped, and when that was noted.
    pub(super) stopped_runs: BTreeMap<UnitName, (InvocationId, BootTime)>,
    pub(super) counts: Counts,
    last_incident: u64,
    last_action: u64,
    last_proposal: u64,
    last_pause: u64,
    /// Incidents whose last act was a reset and a start that may have got no further than the reset: the unit then is
    /// at rest, and its fault is out of sight and not over.
    pub(super) half_done: BTreeSet<IncidentId>,
    /// Units that should be up, and since when that is noted.
    pub(super) owed: BTreeMap<UnitName, (Owed, BootTime)>,
    /// Units that are held back, by the act that did it.
    pub(super) restraints: BTreeMap<ActionId, InForce>,
    /// Recorded, and not known to have reached anybody.
    pub(super) untold: BTreeSet<NoticeId>,
}

impl Memory {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Folds one record of the ledger during recovery.
    pub fn recover(&mut self, entry: &Entry) {
        self.move_to(entry.boot, entry.at);
        self.axis = Some((entry.boot, entry.at));
        self.apply(entry);
    }

    /// Whether all of it is of this boot.
    pub(super) fn is_of(&self, boot: BootId) -> bool {
        self.axis.is_none_or(|(known, _)| known == boot)
    }

    /// Every moment is on the clock of one boot: that of the latest record. When the boot changes, they all move by
    /// what lies between the last record of the one and the first of the other; only that gap is measured by the
    /// wall clock, so that a wall clock that was set meanwhile does not shorten what went before. Where it seems to
    /// run backwards, no time has passed.
    pub(super) fn move_to(&mut self, boot: BootId, first: Timestamp) {
        let Some((_, last)) = self.axis.filter(|(before, _)| *before != boot) else { return };
        let by = last.rebased(first).millis() - last.boot.millis();
        self.axis = Some((boot, first));
        // The next boot starts what is enabled: a stop by hand does not outlive it.
        self.operator_stopped.clear();
        self.stopped_runs.clear();
        self.owed.clear();
        self.shift(by);
    }

    fn shift(&mut self, by: i64) {
        let boot = |at: &mut BootTime| *at = BootTime::from_millis(at.millis().saturating_add(by));
        for history in self.histories.values_mut() {
            history.attempts.shift(by);
            history.not_before.iter_mut().for_each(|at| boot(&mut at.boot));
        }
        self.rule_attempts.values_mut().for_each(|attempts| attempts.shift(by));
        self.host_attempts.shift(by);
        self.removed.shift(by);
        self.actions.values_mut().for_each(|action| boot(&mut action.begun.boot));
        self.proposals.values_mut().for_each(|(proposal, _)| boot(&mut proposal.expires.boot));
        self.pauses.values_mut().for_each(|pause| boot(&mut pause.until.boot));
        for restraint in self.restraints.values_mut() {
            boot(&mut restraint.since.boot);
            boot(&mut restraint.until.boot);
        }
        for it in self.incidents.values_mut().map(Arc::make_mut) {
            boot(&mut it.opened.boot);
            it.closed.iter_mut().for_each(|at| boot(&mut at.boot));
            it.escalated.iter_mut().for_each(|at| boot(&mut at.boot));
            it.timeline.iter_mut().for_each(|entry| boot(&mut entry.at.boot));
            if let Some(Refusal { hold: Hold::Until(until), .. }) = &mut it.held {
                boot(&mut until.boot);
            }
        }
    }

    pub(super) const fn next_incident(&self) -> IncidentId {
        IncidentId(self.last_incident + 1)
    }

    pub(super) const fn next_action(&self) -> ActionId {
        ActionId(self.last_action + 1)
    }

    pub(super) const fn next_proposal(&self) -> ProposalId {
        ProposalId(self.last_proposal + 1)
    }

    pub(super) const fn next_pause(&self) -> PauseId {
        PauseId(self.last_pause + 1)
    }

    /// Folds one record.
    pub(super) fn apply(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.body {
            RecordBody::IncidentOpened { incident, .. } => self.open(*incident, &entry.body, at),
            RecordBody::IncidentReopened { incident, finding } => {
                if self.incidents.contains_key(incident) {
                    self.open.insert(*incident);
                }
                self.change(*incident, at, CAME_BACK, |it| {
                    it.state = IncidentState::Open;
                    it.finding = finding.clone();
                    it.closed = None;
                    it.held = None;
                    it.evidence = None;
                    it.recurrences += 1;
                    if matches!(it.subject.kind(), SubjectKind::Filesystem | SubjectKind::Host) {
                        // Its ladder is of different things to do, each done once for a fault.
                        it.attempts = 0;
                        it.tried.clear();
                    }
                });
            }
            RecordBody::EvidenceTaken { incident, evidence } => {
                if let Some(it) = self.incident_mut(*incident) {
                    it.evidence = Some((**evidence).clone());
                }
            }
            RecordBody::Held { incident, remedy, refusal } => {
                // A unit that waited for another need not wait for its backoff as well.
                if refusal.guard == GuardName::RootCause
                    && let Some(it) = self.incidents.get(incident)
                    && it.subject.unit().is_some()
                {
                    self.histories.entry(it.subject.clone()).or_default().waived = true;
                }
                let what = format!("{remedy} held back by {}: {}", refusal.guard, refusal.why);
                let state = match crate::decide::on_refusal(refusal) {
                    crate::decide::Reaction::Suppress => IncidentState::Suppressed,
                    crate::decide::Reaction::Wait | crate::decide::Reaction::Escalate => {
                        IncidentState::Planned
                    }
                };
                self.change(*incident, at, what, |it| {
                    it.held = Some(refusal.clone());
                    it.state = if it.escalated.is_some() { IncidentState::Escalated } else { state };
                });
            }
            RecordBody::Proposed(proposal) => {
                self.last_proposal = self.last_proposal.max(proposal.id.0);
                let what = format!("{} proposed as {}", proposal.remedy, proposal.id);
                self.change(proposal.incident, at, what, |it| it.proposal = Some(proposal.id));
                let (incident, proposal_id) = (proposal.incident, proposal.id);
                self.untold.insert(NoticeId::Proposal { incident, proposal: proposal_id });
                self.proposals.insert(proposal.id, (proposal.clone(), Answer::Open));
            }
            RecordBody::Approved { proposal, by } => {
                self.proposal_is_settled(*proposal);
                if let Some((asked, answer)) = self.proposals.get_mut(proposal) {
                    *answer = Answer::Approved;
                    let incident = asked.incident;
                    self.change(incident, at, format!("{} approved {proposal}", by.name), |_| {});
                }
            }
            RecordBody::Denied { proposal, by, reason } => {
                self.proposal_is_settled(*proposal);
                if let Some((asked, _)) = self.proposals.remove(proposal) {
                    self.denied.insert((asked.incident, asked.remedy), by.name.clone());
                    let what = format!("{} denied {proposal}: {reason}", by.name);
                    self.change(asked.incident, at, what, |it| it.proposal = None);
                }
            }
            RecordBody::ProposalExpired { proposal } => {
                self.proposal_is_settled(*proposal);
                if let Some((asked, _)) = self.proposals.remove(proposal) {
                    self.change(asked.incident, at, format!("{proposal} expired"), |it| it.proposal = None);
                }
            }
            RecordBody::Intended(intent) => self.intend(intent, at),
            RecordBody::Removing { action, removals } => self.removing(*action, removals, at),
            RecordBody::Applied { action, applied } => self.applied(*action, applied, at),
            RecordBody::Released { action, by, why } => self.released(*action, by, why, at),
            RecordBody::Verified { action, verification, not_before } => {
                self.verified(*action, verification, *not_before, at);
            }
            RecordBody::Escalated { incident, why, count, .. } => {
                self.counts.escalated += 1;
                self.owe_escalation(*incident, *count);
                self.change(*incident, at, format!("escalated: {why}"), |it| {
                    it.state = IncidentState::Escalated;
                    it.escalated = Some(at);
                });
            }
            RecordBody::Told { notice, delivery } => self.told(*notice, delivery, at),
            RecordBody::Acknowledged { incident, by } => {
                self.escalation_is_known(*incident);
                self.change(*incident, at, format!("{} took note", by.name), |_| {});
            }
            RecordBody::IncidentResolved { incident, how, why } => self.resolve(*incident, *how, why, at),
            RecordBody::Paused { pause, scope, until, by, reason } => {
                self.last_pause = self.last_pause.max(pause.0);
                self.pauses.insert(
                    *pause,
                    Pause {
                        id: *pause,
                        scope: scope.clone(),
                        until: *until,
                        by: by.name.clone(),
                        reason: reason.clone(),
                    },
                );
            }
            RecordBody::Resumed { pause, .. } => {
                self.pauses.remove(pause);
            }
            RecordBody::StartOwed { unit, because } => {
                self.operator_stopped.remove(unit);
                self.stopped_runs.remove(unit);
                self.owed.insert(unit.clone(), (because.clone(), at.boot));
            }
            RecordBody::StartNoLongerOwed { unit } => {
                self.owed.remove(unit);
            }
            RecordBody::OperatorStopped { unit, run } => {
                self.owed.remove(unit);
                self.operator_stopped.insert(unit.clone());
                if let Some(run) = run {
                    self.stopped_runs.insert(unit.clone(), (*run, at.boot));
                }
            }
            RecordBody::OperatorStopEnded { unit } => {
                self.operator_stopped.remove(unit);
                self.stopped_runs.remove(unit);
            }
            RecordBody::StabilityProven { subject } => {
                self.histories.remove(subject);
                self.current.retain(|(_, of), incident| {
                    *of != *subject || self.incidents.get(incident).is_some_and(|it| it.closed.is_none())
                });
            }
            RecordBody::ChainStarted { .. }
            | RecordBody::AgentStarted { .. }
            | RecordBody::AgentStopping { .. }
            | RecordBody::PolicyLoaded { .. }
            | RecordBody::PolicyRejected { .. }
            | RecordBody::ClockStepped { .. }
            | RecordBody::LedgerRecovered { .. }
            | RecordBody::Pruned { .. } => {}
        }
    }

    /// Open incidents, oldest first.
    pub(super) fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.open.iter().filter_map(|id| self.incidents.get(id)).map(Arc::as_ref)
    }

    /// The open incident of a rule over a subject.
    pub(super) fn open_incident_of(&self, rule: &RuleName, subject: &Subject) -> Option<&Incident> {
        let id = self.current.get(&(rule.clone(), subject.clone()))?;
        self.incidents.get(id).map(Arc::as_ref).filter(|it| it.closed.is_none())
    }

    fn incident_mut(&mut self, id: IncidentId) -> Option<&mut Incident> {
        self.incidents.get_mut(&id).map(Arc::make_mut)
    }
}

/// The units whose own repair comes before that of their dependants.
#[derive(Debug)]
pub(super) struct OpenFaults<'a>(pub(super) &'a Memory);

impl Faults for OpenFaults<'_> {
    fn open_incident(&self, unit: &UnitName) -> Option<IncidentId> {
        let being_repaired = |it: &&Incident| match it.state {
            IncidentState::Open
            | IncidentState::Planned
            | IncidentState::Acting { .. }
            | IncidentState::Verifying { .. } => !it.ladder.is_empty(),
            IncidentState::Resolved { .. } | IncidentState::Escalated | IncidentState::Suppressed => false,
        };
        self.0
            .open_incidents()
            .filter(|it| it.subject.unit() == Some(unit))
            .find(being_repaired)
            .map(|it| it.id)
    }
}
