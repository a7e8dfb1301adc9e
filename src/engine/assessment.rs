//! Rules over subjects: raises, keeps and ends incidents.

use std::sync::Arc;

use crate::assess::{ProbeLimits, advance, describe, read_field};
use crate::model::{Condition, Finding, Reading, RecordBody, Resolution, Subject, UnitName};
use crate::policy::{Openings, Policy, Rule};

use super::Engine;

/// Whether a rule speaks of a subject.
fn applies(rule: &Rule, subject: &Subject) -> bool {
    if rule.subject != subject.kind() {
        return false;
    }
    match subject {
        Subject::Host | Subject::Agent | Subject::Filesystem(_) => true,
        Subject::Unit(unit) => {
            let named = rule.units.is_empty() || rule.units.iter().any(|pattern| pattern.matches(unit));
            named && !rule.except.iter().any(|pattern| pattern.matches(unit))
        }
    }
}

impl Engine {
    /// After a restart the conditions are not known, but their incidents are: they count as firing until a
    /// sample says otherwise.
    pub(super) fn take_up_open_conditions(&mut self) {
        let open: Vec<_> =
            self.memory.open_incidents().map(|it| (it.rule.clone(), it.subject.clone())).collect();
        for key in open {
            let unknown = Condition::Unknown {
                since: self.now.boot,
                why: "the agent has just started".into(),
                was_firing: true,
            };
            self.conditions.insert(key, unknown);
        }
    }

    /// Assesses what was touched, and what is waiting for its time.
    pub(super) fn assess(&mut self) {
        let mut subjects = std::mem::take(&mut self.touched);
        for ((_, subject), condition) in &self.conditions {
            if matches!(condition, Condition::Pending { .. }) {
                subjects.insert(subject.clone());
            }
        }
        let policy = Arc::clone(&self.setup.policy);
        for subject in &subjects {
            self.assess_subject(&policy, subject);
        }
    }

    fn assess_subject(&mut self, policy: &Policy, subject: &Subject) {
        match subject {
            Subject::Unit(unit) if self.view.unit(unit).is_none() => {
                // Gone only if the service manager is heard and does not list it.
                if self.view.heard().is_ok() {
                    self.subject_gone(subject, &format!("{unit} no longer exists"));
                }
                return;
            }
            Subject::Unit(unit) => self.note_operator_start(&unit.clone()),
            Subject::Filesystem(point) => {
                if let Reading::Absent(_) = self.view.filesystems.one(point) {
                    self.subject_gone(subject, &format!("nothing is mounted at {point} any more"));
                    return;
                }
            }
            Subject::Host | Subject::Agent => {}
        }
        for rule in policy.rules.iter().filter(|rule| applies(rule, subject)) {
            self.assess_rule(rule, subject);
        }
    }

    fn assess_rule(&mut self, rule: &Rule, subject: &Subject) {
        let key = (rule.name.clone(), subject.clone());
        let before = self.conditions.get(&key);
        let read = |name: &str| read_field(&self.view, subject, name);
        let when = rule.when.evaluate(read);
        let clear = match before {
            // At rest nothing is to be cleared: half the evaluations saved.
            None | Some(Condition::Pending { .. } | Condition::Unknown { was_firing: false, .. }) => {
                crate::policy::Truth::False
            }
            Some(Condition::Firing { .. } | Condition::Clearing { .. } | Condition::Unknown { .. }) => {
                rule.clear.evaluate(read)
            }
        };
        let (after, _) = advance(before, &when, &clear, rule.hold_for, self.now.boot);
        match &after {
            Some(condition) => {
                if let Condition::Pending { since } = condition {
                    self.wake_at(*since + rule.hold_for);
                }
                self.conditions.insert(key, condition.clone());
            }
            None => {
                self.conditions.remove(&key);
            }
        }
        // Not only when it is raised: a condition goes on firing through an operator's stop, which ends its
        // incident. When it clears, the incident ends in `advance_incidents`, once no act on it is under way.
        if matches!(after, Some(Condition::Firing { .. })) {
            self.raise(rule, subject);
        }
    }

    fn raise(&mut self, rule: &Rule, subject: &Subject) {
        if let Subject::Unit(unit) = subject
            && self.memory.operator_stopped.contains(unit)
        {
            return;
        }
        if self.memory.open_incident_of(&rule.name, subject).is_some() {
            return;
        }
        let finding = Finding {
            rule: rule.name.clone(),
            subject: subject.clone(),
            what: describe(&self.view, subject, rule.when.fields()),
        };
        let key = (rule.name.clone(), subject.clone());
        // A fault that comes and goes is one fault, whether the agent or somebody else made it go.
        let stable_after = self.setup.policy.limits.stable_after;
        let recent = |id: &crate::model::IncidentId| {
            self.memory.incidents.get(id).is_some_and(|it| {
                let ended = it.closed.map_or(self.now.boot, |at| at.boot);
                self.memory.histories.contains_key(subject) || self.now.boot.since(ended) < stable_after
            })
        };
        let again = self.memory.current.get(&key).copied().filter(recent);
        let incident = if let Some(incident) = again {
            self.record(RecordBody::IncidentReopened { incident, finding });
            incident
        } else {
            let incident = self.memory.next_incident();
            let owner = match subject {
                Subject::Unit(unit) => self.owner_of(unit).or_else(|| rule.owner.clone()),
                Subject::Host | Subject::Agent | Subject::Filesystem(_) => rule.owner.clone(),
            };
            self.record(RecordBody::IncidentOpened {
                incident,
                rule: rule.name.clone(),
                subject: subject.clone(),
                severity: rule.severity,
                mode: rule.mode,
                owner,
                ladder: rule.ladder.clone(),
                finding,
            });
            incident
        };
        self.ask_for_evidence(incident);
    }

    fn owner_of(&self, unit: &UnitName) -> Option<String> {
        self.setup.policy.tuning_of(unit).find_map(|tuning| tuning.owner.clone())
    }

    /// Ends every incident of a subject that no longer is anything to care for.
    fn subject_gone(&mut self, subject: &Subject, why: &str) {
        self.conditions.retain(|(_, of), _| of != subject);
        self.well_since.remove(subject);
        let hidden =
            self.memory.open_incidents().any(|it| it.subject == *subject && self.is_hidden_by_reset(it));
        if !hidden {
            self.end_incidents_of(subject, why);
        }
    }

    pub(super) fn end_incidents_of(&mut self, subject: &Subject, why: &str) {
        let ended: Vec<_> =
            self.memory.open_incidents().filter(|it| it.subject == *subject).map(|it| it.id).collect();
        for incident in ended {
            if self.action_of(incident).is_some() {
                // Its verification ends first.
                continue;
            }
            self.withdrawn.remove(&incident);
            self.record(RecordBody::IncidentResolved {
                incident,
                how: Resolution::SubjectGone,
                why: why.to_owned(),
            });
        }
    }

    pub(super) fn take_policy(&mut self, policy: Arc<Policy>) {
        self.view.agent.policy_error = None;
        self.record(RecordBody::PolicyLoaded { digest: policy.digest.clone(), rules: policy.rules.len() });
        self.conditions.retain(|(rule, _), _| policy.rules.iter().any(|kept| kept.name == *rule));
        self.openings = Openings::at(&policy, self.now.wall);
        self.setup.policy = policy;
        self.note_probe_limits();
        self.touch_everything();
    }

    pub(super) fn reject_policy(&mut self, error: String) {
        self.view.agent.policy_error = Some(error.clone());
        self.record(RecordBody::PolicyRejected { error });
        self.touched.insert(Subject::Agent);
    }

    pub(super) fn note_probe_limits(&mut self) {
        let probes = self.setup.policy.probes.iter();
        self.view.probe_limits = probes
            .map(|probe| {
                let limits = ProbeLimits { failures: probe.failures, grace: probe.grace };
                (probe.unit.clone(), limits)
            })
            .collect();
    }

    fn touch_everything(&mut self) {
        self.touched.extend(self.view.units().map(|facts| Subject::Unit(facts.status.name.clone())));
        let filesystems = self.view.filesystems.points().into_iter().flatten();
        self.touched.extend(filesystems.map(|point| Subject::Filesystem(point.clone())));
        self.touched.extend([Subject::Host, Subject::Agent]);
    }

    /// The rule of an incident, if the policy still has it.
    pub(super) fn rule_of<'a>(policy: &'a Policy, name: &crate::model::RuleName) -> Option<&'a Rule> {
        policy.rules.iter().find(|rule| rule.name == *name)
    }

    /// Whether the fault behind an incident is over, by its own rule's clear threshold.
    pub(super) fn is_cleared(&self, rule: &crate::model::RuleName, subject: &Subject) -> bool {
        !self.conditions.contains_key(&(rule.clone(), subject.clone()))
    }

    /// Whether any rule has something against the subject.
    pub(super) fn is_well(&self, subject: &Subject) -> bool {
        let troubled = self.conditions.iter().any(|((_, of), condition)| {
            of == subject && !matches!(condition, Condition::Unknown { was_firing: false, .. })
        });
        !troubled
            && match subject {
                Subject::Unit(unit) => self.view.heard().is_ok() && self.view.is_up(unit),
                Subject::Filesystem(point) => self.view.filesystems.one(point).value().is_some(),
                Subject::Host | Subject::Agent => true,
            }
    }
}
