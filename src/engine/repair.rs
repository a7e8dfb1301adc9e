//! Moves every open incident one step: ends it, tells a person, or asks the guards for the next rung.

use std::sync::Arc;
use std::time::Duration;

use crate::decide::{Reaction, Step, on_refusal};
use crate::guard::{
    ApprovalState, Circumstances, History, InFlight, Permit, Request, judge, still_permitted,
};
use crate::model::{
    Absence, ActionId, ActiveState, Bytes, Expectation, GuardName, Hold, Incident, IncidentId, Intent,
    InvocationId, LoadState, Mode, NoticeId, Pause, Proposal, ProposalId, Reading, RecordBody, Refusal,
    Remedy, Resolution, Subject, SubjectKind, UnitName, Verification,
};
use crate::policy::Rule;

use super::Engine;
use super::memory::{Answer, CAME_BACK, OpenFaults};
use super::room::is_about_targets;

/// A unit that can't be found for so long, in several looks, is gone.
const SEEK_FOR: Duration = Duration::from_secs(10);

/// A person is told once about an incident, also when it comes back: the first is the last.
const ESCALATIONS_PER_INCIDENT: u32 = 1;

impl Engine {
    pub(super) fn advance_incidents(&mut self) {
        // Those of which nobody was told come first: one that is tried on slowly must not keep them from it.
        let rank = |it: &Incident| (it.escalated.is_some(), std::cmp::Reverse(it.severity), it.id);
        let mut open: Vec<_> = self.memory.open_incidents().map(rank).collect();
        open.sort_unstable();
        for (.., incident) in open {
            if self.action_of(incident).is_none() {
                self.advance_incident(incident);
            }
        }
    }

    fn advance_incident(&mut self, id: IncidentId) {
        let Some(incident) = self.memory.incidents.get(&id).cloned() else { return };
        let policy = Arc::clone(&self.setup.policy);
        let Some(rule) = Self::rule_of(&policy, &incident.rule) else {
            return self.resolve(id, Resolution::RuleGone, "its rule left the policy");
        };
        if self.is_hidden_by_reset(&incident) {
            if let Subject::Unit(unit) = &incident.subject
                && self.view.unit(unit).is_none()
            {
                if self.view.heard().is_ok() {
                    self.seek(id, &incident.subject);
                }
                return;
            }
            self.sought.remove(&id);
        } else if self.is_cleared(&incident.rule, &incident.subject) {
            let (how, why) = how_it_ended(&incident);
            return self.resolve(id, how, why);
        }
        if incident.evidence.is_none() {
            // Evidence comes before the first action: the repair destroys it.
            return self.wait_for_evidence(id);
        }
        if let Some(why) = self.held_for_long(&incident, rule) {
            return self.escalate(&incident, why);
        }
        if self.waits_for_holders(&incident, rule) {
            return;
        }
        let step = if incident.subject == Subject::Host && !rule.ladder.is_empty() {
            self.next_host_step(&incident, rule)
        } else {
            self.next_unit_or_disk_step(&incident, rule)
        };
        match step {
            Step::Wait if incident.subject == Subject::Host => self.look_again(&incident, rule),
            Step::Wait => {}
            Step::Escalate { why } => self.escalate(&incident, why),
            Step::Repair { remedy, .. }
                if remedy.works_on() != SubjectKind::Unit && self.look_is_old(&incident, remedy) =>
            {
                self.wait_for_evidence(id);
            }
            Step::Repair { remedy, targets } => self.ask_guards(&incident, rule, remedy, targets),
        }
    }

    /// Whether the unit is only at rest because the agent itself forgot its failure, in an act that then broke off. To
    /// any rule that looks as if the fault were over.
    pub(super) fn is_hidden_by_reset(&self, incident: &Incident) -> bool {
        let Subject::Unit(unit) = &incident.subject else { return false };
        let at_rest = self.view.unit(unit).is_none_or(|facts| {
            facts.status.active == ActiveState::Inactive && facts.status.load == LoadState::Loaded
        });
        self.memory.half_done.contains(&incident.id)
            && at_rest
            && !self.memory.operator_stopped.contains(unit)
    }

    /// A unit that is at rest and that no other refers to is unloaded, and no longer listed. Looking at it loads it, for
    /// a moment: when the backoff is over.
    fn seek(&mut self, id: IncidentId, subject: &Subject) {
        let then = self.memory.histories.get(subject).and_then(|history| history.not_before);
        if let Some(then) = then.filter(|then| self.now.boot < then.boot) {
            return self.wake_at(then.boot);
        }
        let until = *self.sought.entry(id).or_insert(self.now.boot + SEEK_FOR);
        if self.now.boot >= until {
            return self.resolve(id, Resolution::SubjectGone, "its unit no longer exists");
        }
        self.wake_at(until);
        self.look(subject.clone());
    }

    fn resolve(&mut self, incident: IncidentId, how: Resolution, why: &str) {
        self.evidence.remove(&incident);
        self.sought.remove(&incident);
        self.looked.remove(&incident);
        self.withdrawn.remove(&incident);
        self.passed_over.remove(&incident);
        self.holder_looks.remove(&incident);
        self.unsure_since.remove(&incident);
        self.record(RecordBody::IncidentResolved { incident, how, why: why.to_owned() });
    }

    fn escalate(&mut self, incident: &Incident, why: String) {
        if self.effective_mode(incident) == Mode::Observe {
            // A shadow disturbs nobody.
            let refusal = Refusal {
                guard: GuardName::Mode,
                hold: Hold::Denied,
                why: format!("rule {} only observes; it would have escalated: {why}", incident.rule),
            };
            let remedy = incident.ladder.last().copied();
            return self.hold(incident, remedy.unwrap_or(Remedy::Reload), refusal);
        }
        if let Some(other) = self.told_by_another(incident) {
            // Once, and only where no guard has said why before: what is said by turns would be said without end.
            if incident.held.is_none() {
                let why = format!("people were told of it by {other}, and this is nothing new: {why}");
                let refusal = Refusal { guard: GuardName::RootCause, hold: Hold::UntilChange, why };
                let remedy = incident.ladder.last().copied();
                self.hold(incident, remedy.unwrap_or(Remedy::Reload), refusal);
            }
            return;
        }
        let tried = incident.timeline.iter().filter_map(|entry| entry.tried.as_ref()).map(|tried| {
            let verdict = match &tried.verification {
                Some(Verification::Confirmed { why }) => format!("confirmed: {why}"),
                Some(Verification::Refuted { why }) => format!("refuted: {why}"),
                Some(Verification::Inconclusive { why }) => format!("inconclusive: {why}"),
                None => "not verified".into(),
            };
            format!("{} {}: {verdict}", tried.action, tried.remedy)
        });
        let tried = tried.collect();
        let ticket = self.record(RecordBody::Escalated {
            incident: incident.id,
            severity: incident.severity,
            why,
            tried,
            count: ESCALATIONS_PER_INCIDENT,
        });
        let notice = NoticeId::Escalation { incident: incident.id, count: ESCALATIONS_PER_INCIDENT };
        self.owe(notice, ticket);
    }

    fn effective_mode(&self, incident: &Incident) -> Mode {
        let tuned = incident
            .subject
            .unit()
            .and_then(|unit| self.setup.policy.tuning_of(unit).filter_map(|tuning| tuning.mode).min());
        let rule = Self::rule_of(&self.setup.policy, &incident.rule).map_or(incident.mode, |rule| rule.mode);
        tuned.map_or(rule, |tuned| rule.min(tuned))
    }

    fn ask_guards(&mut self, incident: &Incident, rule: &Rule, remedy: Remedy, targets: Vec<UnitName>) {
        let subject = &incident.subject;
        let approval = self.approval_state(incident, remedy, &targets);
        let verdict = {
            let request = Request {
                action: self.memory.next_action(),
                incident,
                rule,
                subject,
                remedy,
                targets: &targets,
            };
            self.with_circumstances(subject, rule, approval.clone(), |circumstances| {
                judge(&request, circumstances)
            })
        };
        match verdict {
            Err(refusal)
                if remedy.asks_users_of_a_disk() && self.is_unsure_for_now(incident.id, &refusal) =>
            {
                targets.iter().for_each(|unit| self.look(Subject::Unit(unit.clone())));
                self.refused(incident, remedy, &targets, refusal);
            }
            Err(refusal) if remedy.asks_users_of_a_disk() && is_about_targets(refusal.guard) => {
                // What is said of them must not hold up the rest of the ladder.
                self.pass_over_holders(incident.id);
                self.hold(incident, remedy, refusal);
                self.advance_incident(incident.id);
            }
            Err(refusal) => self.refused(incident, remedy, &targets, refusal),
            Ok(permit) => {
                let approval = match approval {
                    ApprovalState::Granted(proposal) => Some(proposal),
                    ApprovalState::NotAsked | ApprovalState::Waiting(_) | ApprovalState::Denied { .. } => {
                        None
                    }
                };
                let action = permit.action();
                let intent = Intent {
                    action,
                    incident: incident.id,
                    rule: rule.name.clone(),
                    subject: subject.clone(),
                    remedy,
                    targets,
                    attempt: incident.attempts + 1,
                    expectation: self.expectation(rule, subject),
                    approval,
                    why: incident.finding.what.clone(),
                    lasts: permit.lasts(),
                };
                self.unsure_since.remove(&incident.id);
                let ticket = self.record(RecordBody::Intended(intent));
                self.permits.insert(ticket, permit);
            }
        }
    }

    /// Whether nothing has come between the permit and its release.
    pub(super) fn still_permitted(&self, permit: &Permit) -> Result<(), String> {
        if self.now.boot > permit.expires().boot {
            return Err("its permit expired before the intent was durable".into());
        }
        self.still_wanted(permit.action())
    }

    /// Whether what asked for an act still does, and no guard has anything against it by now.
    pub(super) fn still_wanted(&self, action: ActionId) -> Result<(), String> {
        let Some(intent) = self.memory.actions.get(&action).map(|action| &action.intent) else {
            return Err("its intent was given up".into());
        };
        let policy = Arc::clone(&self.setup.policy);
        let (Some(incident), Some(rule)) =
            (self.memory.incidents.get(&intent.incident), Self::rule_of(&policy, &intent.rule))
        else {
            return Err("its rule left the policy".into());
        };
        let urgent = self.urgent.contains(&action);
        if self.is_cleared(&intent.rule, &intent.subject) && !self.is_hidden_by_reset(incident) && !urgent {
            return Err("the fault went in the meantime".into());
        }
        let (remedy, targets) = (intent.remedy, intent.targets.as_slice());
        let subject = &intent.subject;
        let request = Request { action, incident, rule, subject, remedy, targets };
        let approval = ApprovalState::NotAsked;
        self.with_circumstances(&incident.subject, rule, approval, |circumstances| {
            still_permitted(&request, circumstances)
        })
        .map_err(|refusal| refusal.why)
    }

    fn expectation(&self, rule: &Rule, subject: &Subject) -> Expectation {
        let Subject::Unit(unit) = subject else {
            return Expectation {
                invocation_before: Reading::Absent(Absence::NotApplicable),
                restarts_before: Reading::Absent(Absence::NotApplicable),
                settle: Duration::ZERO,
                within: rule.verify_within,
                probed: false,
                free_before: self.free_on(subject),
            };
        };
        let absent = Reading::Absent(Absence::NotObserved);
        let status = self.view.unit(unit).map(|facts| &facts.status);
        let probe = self.setup.policy.probe_of(unit);
        Expectation {
            invocation_before: status.map_or(absent, crate::model::UnitStatus::invocation),
            restarts_before: match status.map(crate::model::UnitStatus::service) {
                Some(service) => service.map(|service| service.restarts),
                None => Reading::Absent(Absence::NotObserved),
            },
            settle: self.setup.policy.limits.settle,
            // What may take long to answer after a start is not judged before.
            within: probe.map_or(rule.verify_within, |probe| rule.verify_within.max(probe.grace)),
            probed: probe.is_some(),
            free_before: Reading::Absent(Absence::NotApplicable),
        }
    }

    fn free_on(&self, subject: &Subject) -> Reading<Bytes> {
        match subject {
            Subject::Filesystem(point) => self.view.filesystems.room(point).map(|(usage, _)| usage.free),
            Subject::Unit(_) | Subject::Host | Subject::Agent => Reading::Absent(Absence::NotApplicable),
        }
    }

    fn refused(&mut self, incident: &Incident, remedy: Remedy, targets: &[UnitName], refusal: Refusal) {
        match refusal.hold {
            Hold::Until(then) => self.wake_at(then.boot),
            Hold::UntilChange | Hold::Denied => {}
        }
        match refusal.guard {
            // What others are doing: nobody tells when it ends.
            GuardName::PackageManager | GuardName::Shutdown | GuardName::WarmUp => self.look(Subject::Host),
            GuardName::Freshness => {
                self.look(Subject::Host);
                self.look(incident.subject.clone());
                targets.iter().for_each(|unit| self.look(Subject::Unit(unit.clone())));
            }
            GuardName::Approval if refusal.hold != Hold::Denied => {
                self.propose(incident, remedy, targets);
            }
            GuardName::Pause
            | GuardName::Mode
            | GuardName::Protected
            | GuardName::Maintenance
            | GuardName::OperatorIntent
            | GuardName::Ownership
            | GuardName::RootCause
            | GuardName::Backoff
            | GuardName::Attempts
            | GuardName::Cost
            | GuardName::BlastRadius
            | GuardName::Approval => {}
        }
        let escalates = on_refusal(&refusal) == Reaction::Escalate && incident.escalated.is_none();
        let why = refusal.why.clone();
        self.hold(incident, remedy, refusal);
        if escalates {
            self.escalate(incident, why);
        }
    }

    pub(super) fn hold(&mut self, incident: &Incident, remedy: Remedy, refusal: Refusal) {
        let said = self.memory.incidents.get(&incident.id).and_then(|it| it.held.as_ref());
        // That something has to be looked at again, and just was asked for, is nothing a person has to read.
        let fleeting =
            refusal.guard == GuardName::Freshness && self.view.heard().is_ok() && !self.looked_in_vain();
        if !fleeting && said.is_none_or(|said| !said.same_reason(&refusal)) {
            self.record(RecordBody::Held { incident: incident.id, remedy, refusal });
        }
    }

    fn approval_state(&self, incident: &Incident, remedy: Remedy, targets: &[UnitName]) -> ApprovalState {
        if let Some(by) = self.memory.denied.get(&(incident.id, remedy)) {
            return ApprovalState::Denied { by: by.clone() };
        }
        let run = self.run_of(&incident.subject, targets);
        let others = others(&incident.subject, targets);
        let asked = self.memory.proposals.values().find(|(proposal, _)| {
            proposal.incident == incident.id
                && proposal.remedy == remedy
                && proposal.targets == others
                && run.as_ref().is_none_or(|run| *run == proposal.invocation)
        });
        match asked {
            Some((proposal, Answer::Approved)) if run.is_some() => ApprovalState::Granted(proposal.id),
            // What was agreed for one run is granted when it is known that this is it.
            Some((proposal, Answer::Approved | Answer::Open)) => ApprovalState::Waiting(proposal.id),
            None => ApprovalState::NotAsked,
        }
    }

    /// What a proposal is for: a unit's run, where it is known: a unit at work may not have been looked at. Nothing else
    /// runs.
    pub(super) fn run_of(&self, subject: &Subject, targets: &[UnitName]) -> Option<Reading<InvocationId>> {
        match subject.unit().or_else(|| targets.last()) {
            Some(unit) => {
                let status = &self.view.unit(unit)?.status;
                (status.details != Reading::Absent(Absence::NotObserved)).then(|| status.invocation())
            }
            None => Some(Reading::Absent(Absence::NotApplicable)),
        }
    }

    fn propose(&mut self, incident: &Incident, remedy: Remedy, targets: &[UnitName]) {
        if self.approval_state(incident, remedy, targets) != ApprovalState::NotAsked {
            return;
        }
        let Some(invocation) = self.run_of(&incident.subject, targets) else { return };
        let proposal = Proposal {
            id: self.memory.next_proposal(),
            incident: incident.id,
            remedy,
            subject: incident.subject.clone(),
            targets: others(&incident.subject, targets).to_vec(),
            invocation,
            expires: self.now + self.setup.policy.limits.proposal_lifetime,
        };
        let outdated: Vec<ProposalId> = self
            .memory
            .proposals
            .values()
            .filter(|(old, _)| old.incident == incident.id)
            .map(|(old, _)| old.id)
            .collect();
        for proposal in outdated {
            self.record(RecordBody::ProposalExpired { proposal });
        }
        self.wake_at(proposal.expires.boot);
        let notice = NoticeId::Proposal { incident: incident.id, proposal: proposal.id };
        let ticket = self.record(RecordBody::Proposed(proposal));
        self.owe(notice, ticket);
    }

    /// Gathers what the guards look at and hands it to `body`.
    pub(super) fn with_circumstances<T>(
        &self,
        subject: &Subject,
        rule: &Rule,
        approval: ApprovalState,
        body: impl FnOnce(&Circumstances<'_>) -> T,
    ) -> T {
        let nothing = History::default();
        let no_attempts = crate::guard::Attempts::default();
        let pauses: Vec<Pause> = self.memory.pauses.values().cloned().collect();
        let in_flight: Vec<InFlight> = self
            .memory
            .actions
            .values()
            .map(|action| InFlight {
                action: action.intent.action,
                subject: action.intent.subject.clone(),
                targets: action.intent.targets.clone(),
                disruptive: action.intent.remedy.is_disruptive(),
                applied: action.applied.is_some(),
            })
            .collect();
        body(&Circumstances {
            now: self.now,
            policy: &self.setup.policy,
            openings: &self.openings,
            view: &self.view,
            started: self.started,
            stepped: self.stepped,
            stopping: self.stopping,
            pauses: &pauses,
            operator_stopped: &self.memory.operator_stopped,
            in_flight: &in_flight,
            restraints: &self.memory.restraints,
            history: self.memory.histories.get(subject).unwrap_or(&nothing),
            rule_attempts: self.memory.rule_attempts.get(&rule.name).unwrap_or(&no_attempts),
            host_attempts: &self.memory.host_attempts,
            removed: &self.memory.removed,
            approval,
            faulty: &OpenFaults(&self.memory),
        })
    }
}

/// Whom a person is to know of besides the subject. What a unit's own repair touches along follows from it.
fn others<'a>(subject: &Subject, targets: &'a [UnitName]) -> &'a [UnitName] {
    match subject {
        Subject::Unit(_) => &[],
        Subject::Filesystem(_) | Subject::Host | Subject::Agent => targets,
    }
}

fn how_it_ended(incident: &Incident) -> (Resolution, &'static str) {
    // What was tried before it came back has not ended this.
    let since = incident.timeline.iter().rev().take_while(|entry| entry.what != CAME_BACK);
    let last = since.filter_map(|entry| entry.tried.as_ref()).next();
    match last.and_then(|tried| tried.verification.as_ref()) {
        Some(Verification::Confirmed { .. }) => (Resolution::Repaired, "repaired, and verified"),
        Some(Verification::Refuted { .. } | Verification::Inconclusive { .. }) | None => {
            (Resolution::ClearedByItself, "the fault is gone, and not by a repair that was verified")
        }
    }
}
