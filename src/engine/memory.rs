//! The decision state: what comes of folding records in order, live and after a crash alike.
//!
//! Nothing else may change it. What is not in a record does not survive, so it does not belong here.

use std::collections::{BTreeMap, BTreeSet};

use crate::guard::{Attempts, Faults, History};
use crate::model::{
    ActionId, Applied, BootId, BootTime, Counts, Entry, GuardName, Hold, Incident, IncidentId, IncidentState,
    Intent, InvocationId, Pause, PauseId, Proposal, ProposalId, RecordBody, Refusal, Remedy, Resolution,
    RuleName, Subject, TIMELINE_MAX, TimelineEntry, Timestamp, Tried, UnitName, Verification,
};

/// Ended incidents kept in memory for the status page; the ledger has them all.
const ENDED_KEPT: usize = 200;

/// An act that is not verified yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Action {
    pub(super) intent: Intent,
    pub(super) begun: Timestamp,
    /// What the actuator said, once it did.
    pub(super) applied: Option<Applied>,
}

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
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    /// The open incident of a rule over a subject, or the latest that a recurrence would reopen.
    pub(super) current: BTreeMap<(RuleName, Subject), IncidentId>,
    pub(super) histories: BTreeMap<Subject, History>,
    pub(super) rule_attempts: BTreeMap<RuleName, Attempts>,
    pub(super) host_attempts: Attempts,
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
        self.actions.values_mut().for_each(|action| boot(&mut action.begun.boot));
        self.proposals.values_mut().for_each(|(proposal, _)| boot(&mut proposal.expires.boot));
        self.pauses.values_mut().for_each(|pause| boot(&mut pause.until.boot));
        for it in self.incidents.values_mut() {
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
                self.change(*incident, at, "the fault came back", |it| {
                    it.state = IncidentState::Open;
                    it.finding = finding.clone();
                    it.closed = None;
                    it.held = None;
                    it.evidence = None;
                    it.recurrences += 1;
                });
            }
            RecordBody::EvidenceTaken { incident, evidence } => {
                if let Some(it) = self.incidents.get_mut(incident) {
                    it.evidence = Some((**evidence).clone());
                }
            }
            RecordBody::Held { incident, remedy, refusal } => {
                if refusal.guard == GuardName::RootCause
                    && let Some(it) = self.incidents.get(incident)
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
                self.proposals.insert(proposal.id, (proposal.clone(), Answer::Open));
            }
            RecordBody::Approved { proposal, by } => {
                if let Some((asked, answer)) = self.proposals.get_mut(proposal) {
                    *answer = Answer::Approved;
                    let incident = asked.incident;
                    self.change(incident, at, format!("{} approved {proposal}", by.name), |_| {});
                }
            }
            RecordBody::Denied { proposal, by, reason } => {
                if let Some((asked, _)) = self.proposals.remove(proposal) {
                    self.denied.insert((asked.incident, asked.remedy), by.name.clone());
                    let what = format!("{} denied {proposal}: {reason}", by.name);
                    self.change(asked.incident, at, what, |it| it.proposal = None);
                }
            }
            RecordBody::ProposalExpired { proposal } => {
                if let Some((asked, _)) = self.proposals.remove(proposal) {
                    self.change(asked.incident, at, format!("{proposal} expired"), |it| it.proposal = None);
                }
            }
            RecordBody::Intended(intent) => self.intend(intent, at),
            RecordBody::Applied { action, applied } => self.applied(*action, applied, at),
            RecordBody::Verified { action, verification, not_before } => {
                self.verified(*action, verification, *not_before, at);
            }
            RecordBody::Escalated { incident, why, .. } => {
                self.counts.escalated += 1;
                self.change(*incident, at, format!("escalated: {why}"), |it| {
                    it.state = IncidentState::Escalated;
                    it.escalated = Some(at);
                });
            }
            RecordBody::Acknowledged { incident, by } => {
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
            RecordBody::OperatorStopped { unit, run } => {
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

    fn open(&mut self, id: IncidentId, body: &RecordBody, at: Timestamp) {
        let RecordBody::IncidentOpened { rule, subject, severity, mode, owner, ladder, finding, .. } = body
        else {
            return;
        };
        self.last_incident = self.last_incident.max(id.0);
        self.counts.incidents += 1;
        self.current.insert((rule.clone(), subject.clone()), id);
        let first = TimelineEntry { at, what: format!("found: {}", finding.what), tried: None };
        self.incidents.insert(
            id,
            Incident {
                id,
                rule: rule.clone(),
                subject: subject.clone(),
                severity: *severity,
                mode: *mode,
                owner: owner.clone(),
                finding: finding.clone(),
                state: IncidentState::Open,
                opened: at,
                closed: None,
                evidence: None,
                ladder: ladder.clone(),
                attempts: 0,
                held: None,
                proposal: None,
                escalated: None,
                recurrences: 0,
                timeline: vec![first],
            },
        );
        self.forget_old_incidents();
    }

    fn forget_old_incidents(&mut self) {
        let ended: Vec<IncidentId> =
            self.incidents.values().filter(|it| it.closed.is_some()).map(|it| it.id).collect();
        let surplus = ended.len().saturating_sub(ENDED_KEPT);
        for id in ended.into_iter().take(surplus) {
            self.incidents.remove(&id);
            self.current.retain(|_, current| *current != id);
            self.denied.retain(|(incident, _), _| *incident != id);
        }
    }

    fn intend(&mut self, intent: &Intent, at: Timestamp) {
        self.last_action = self.last_action.max(intent.action.0);
        self.counts.actions += 1;
        let history = self.histories.entry(intent.subject.clone()).or_default();
        history.attempts.add(at.boot);
        history.level += 1;
        history.waived = false;
        self.rule_attempts.entry(intent.rule.clone()).or_default().add(at.boot);
        self.host_attempts.add(at.boot);
        if let Some(proposal) = intent.approval {
            // An approval is used up by the act that it allowed.
            self.proposals.remove(&proposal);
        }
        self.actions.insert(intent.action, Action { intent: intent.clone(), begun: at, applied: None });
        let tried = Tried { action: intent.action, remedy: intent.remedy, verification: None };
        let what = format!("{} (attempt {}): {}", intent.remedy, intent.attempt, intent.why);
        self.note(intent.incident, at, what, Some(tried));
        if let Some(it) = self.incidents.get_mut(&intent.incident) {
            it.state = IncidentState::Acting { action: intent.action };
            it.attempts += 1;
            it.held = None;
            it.proposal = None;
        }
    }

    fn applied(&mut self, action: ActionId, applied: &Applied, at: Timestamp) {
        let Some(act) = self.actions.get_mut(&action) else { return };
        act.applied = Some(applied.clone());
        let (incident, subject, rule, begun) =
            (act.intent.incident, act.intent.subject.clone(), act.intent.rule.clone(), act.begun.boot);
        let withdrawn = matches!(applied, Applied::Withdrawn { .. });
        if withdrawn {
            // Nothing was done: it does not count against any budget.
            if let Some(history) = self.histories.get_mut(&subject) {
                history.attempts.take_back(begun);
                history.level = history.level.saturating_sub(1);
            }
            if let Some(attempts) = self.rule_attempts.get_mut(&rule) {
                attempts.take_back(begun);
            }
            self.host_attempts.take_back(begun);
        }
        let what = match applied {
            Applied::Changed => "carried out".to_owned(),
            Applied::AlreadySo => "there was nothing to do".to_owned(),
            Applied::Withdrawn { why } => format!("withdrawn: {why}"),
            Applied::Failed { why } => format!("failed: {why}"),
            Applied::Unknown { why } => format!("outcome unknown: {why}"),
        };
        self.change(incident, at, what, |it| {
            it.state = IncidentState::Verifying { action };
            if withdrawn {
                it.attempts = it.attempts.saturating_sub(1);
            }
        });
    }

    fn verified(
        &mut self,
        action: ActionId,
        verification: &Verification,
        not_before: Timestamp,
        at: Timestamp,
    ) {
        let Some(act) = self.actions.remove(&action) else { return };
        let history = self.histories.entry(act.intent.subject.clone()).or_default();
        history.not_before = Some(not_before);
        let what = match verification {
            Verification::Confirmed { why } => {
                self.counts.confirmed += 1;
                format!("confirmed: {why}")
            }
            Verification::Refuted { why } => {
                self.counts.refuted += 1;
                format!("refuted: {why}")
            }
            Verification::Inconclusive { why } => {
                self.counts.inconclusive += 1;
                format!("inconclusive: {why}")
            }
        };
        if let Some(it) = self.incidents.get_mut(&act.intent.incident) {
            let entry = it.timeline.iter_mut().rev().filter_map(|entry| entry.tried.as_mut());
            if let Some(tried) = entry.into_iter().find(|tried| tried.action == action) {
                tried.verification = Some(verification.clone());
            }
        }
        self.change(act.intent.incident, at, what, |it| {
            it.state = if it.escalated.is_some() { IncidentState::Escalated } else { IncidentState::Open };
        });
    }

    fn resolve(&mut self, incident: IncidentId, how: Resolution, why: &str, at: Timestamp) {
        match how {
            Resolution::Repaired => self.counts.repaired += 1,
            Resolution::ClearedByItself => self.counts.cleared_by_themselves += 1,
            Resolution::SubjectGone | Resolution::RuleGone => {}
        }
        self.proposals.retain(|_, (proposal, _)| proposal.incident != incident);
        self.denied.retain(|(of, _), _| *of != incident);
        self.change(incident, at, format!("resolved: {why}"), |it| {
            it.state = IncidentState::Resolved { how };
            it.closed = Some(at);
            it.held = None;
            it.proposal = None;
        });
        self.forget_old_incidents();
    }

    fn change(
        &mut self,
        incident: IncidentId,
        at: Timestamp,
        what: impl Into<String>,
        change: impl FnOnce(&mut Incident),
    ) {
        if let Some(it) = self.incidents.get_mut(&incident) {
            change(it);
        }
        self.note(incident, at, what.into(), None);
    }

    fn note(&mut self, incident: IncidentId, at: Timestamp, what: String, tried: Option<Tried>) {
        if let Some(it) = self.incidents.get_mut(&incident) {
            if it.timeline.len() >= TIMELINE_MAX {
                // The beginning tells how it started; the end how it stands.
                it.timeline.remove(TIMELINE_MAX / 2);
            }
            it.timeline.push(TimelineEntry { at, what, tried });
        }
    }

    /// Forgets attempts that no budget looks at any more.
    pub(super) fn forget_attempts_before(&mut self, moment: BootTime) {
        self.host_attempts.forget_before(moment);
        for attempts in self.rule_attempts.values_mut() {
            attempts.forget_before(moment);
        }
        self.rule_attempts.retain(|_, attempts| !attempts.is_empty());
    }

    /// Compares with another fold of the same records. Attempts that no budget looks at any more are dropped by
    /// time and not by a record, so they do not count.
    pub(super) fn same_as(&self, other: &Self, now: BootTime) -> Result<(), String> {
        let [mine, theirs] = [self, other].map(|it| {
            let mut it = it.clone();
            it.axis = None;
            it.forget_attempts_before(now);
            it
        });
        if mine == theirs {
            return Ok(());
        }
        let differs = [
            ("incidents", mine.incidents == theirs.incidents),
            ("current incidents", mine.current == theirs.current),
            ("histories", mine.histories == theirs.histories),
            ("actions", mine.actions == theirs.actions),
            ("proposals", mine.proposals == theirs.proposals),
            ("denials", mine.denied == theirs.denied),
            ("pauses", mine.pauses == theirs.pauses),
            (
                "operator's stops",
                mine.operator_stopped == theirs.operator_stopped && mine.stopped_runs == theirs.stopped_runs,
            ),
            ("counts", mine.counts == theirs.counts),
        ];
        let names: Vec<&str> = differs.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
        Err(format!("the folds differ in {}", names.join(", ")))
    }

    /// Open incidents, oldest first.
    pub(super) fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().filter(|it| it.closed.is_none())
    }

    /// The open incident of a rule over a subject.
    pub(super) fn open_incident_of(&self, rule: &RuleName, subject: &Subject) -> Option<&Incident> {
        let id = self.current.get(&(rule.clone(), subject.clone()))?;
        self.incidents.get(id).filter(|it| it.closed.is_none())
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
