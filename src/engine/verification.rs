//! Follows every act to its verdict.

use std::sync::Arc;

use crate::decide::{gap_after, has_untried_host_rung, has_untried_rung};
use crate::model::{ActionId, Applied, BootTime, IncidentId, RecordBody, Subject};
use crate::verify::{Progress, Watch, judge, judge_host, judge_room};

use super::Engine;

impl Engine {
    /// An act that was under way when the agent ended: whether it happened is for verification to find out. It is
    /// not tried again blindly.
    pub(super) fn take_up_open_actions(&mut self) {
        let unfinished: Vec<(ActionId, bool)> =
            self.memory.actions.iter().map(|(id, action)| (*id, action.applied.is_some())).collect();
        for (action, applied) in unfinished {
            if applied {
                self.watches.insert(action, Watch::new(self.now.boot));
            } else {
                self.acted(action, Applied::Unknown { why: "the agent ended while it was under way".into() });
            }
        }
    }

    /// The actuator reports.
    pub(super) fn acted(&mut self, action: ActionId, applied: Applied) {
        let waiting = self.memory.actions.get(&action).is_some_and(|known| known.applied.is_none());
        if !waiting {
            // A second report of one act changes nothing.
            return;
        }
        self.urgent.remove(&action);
        self.watches.insert(action, Watch::new(self.now.boot));
        self.record(RecordBody::Applied { action, applied });
    }

    /// An act whose report does not come can't hold up everything else for ever.
    fn give_up_lost_acts(&mut self) {
        let limits = &self.setup.policy.limits;
        // The actuator's own deadline does not run on while the machine sleeps.
        let awake = self.stepped.unwrap_or(self.started);
        let longest = limits.permit_lifetime + limits.act_deadline + REPORT_MARGIN;
        let waiting: Vec<(ActionId, BootTime)> = self
            .memory
            .actions
            .values()
            .filter(|action| action.applied.is_none())
            .map(|action| (action.intent.action, action.begun.boot.max(awake) + longest))
            .collect();
        for (action, until) in waiting {
            if until <= self.now.boot {
                self.permits.retain(|_, permit| permit.action() != action);
                self.acted(action, Applied::Unknown { why: "no report of it came".into() });
            } else {
                self.wake_at(until);
            }
        }
    }

    pub(super) fn verify(&mut self) {
        self.give_up_lost_acts();
        let actions: Vec<ActionId> = self.watches.keys().copied().collect();
        for action in actions {
            self.verify_action(action);
        }
    }

    fn verify_action(&mut self, action: ActionId) {
        let known = self.memory.actions.get(&action);
        let (Some(known), Some(mut watch)) = (known, self.watches.get(&action).copied()) else {
            self.watches.remove(&action);
            return;
        };
        let Some(applied) = &known.applied else { return };
        let subject = known.intent.subject.clone();
        let progress = match &subject {
            Subject::Unit(unit) => judge(&known.intent, applied, unit, &self.view, &mut watch, self.now.boot),
            Subject::Filesystem(point) => {
                // A rule that left the policy calls nothing over.
                let asked = Self::rule_of(&self.setup.policy, &known.intent.rule).is_some();
                let over = asked && self.is_cleared(&known.intent.rule, &subject);
                judge_room(&known.intent, applied, point, &self.view, over, watch, self.now.boot)
            }
            Subject::Host => {
                let asked = Self::rule_of(&self.setup.policy, &known.intent.rule).is_some();
                let over = asked && self.is_cleared(&known.intent.rule, &subject);
                judge_host(&known.intent, applied, over, watch, self.now.boot)
            }
            Subject::Agent => return,
        };
        self.watches.insert(action, watch);
        match progress {
            Progress::Wait { until } => self.wake_at(until),
            Progress::Look => self.look(subject),
            Progress::Done(verification) => {
                self.watches.remove(&action);
                let withdrawn = matches!(
                    self.memory.actions.get(&action).and_then(|known| known.applied.as_ref()),
                    Some(Applied::Withdrawn { .. })
                );
                let holders =
                    self.memory.actions.get(&action).filter(|it| it.intent.remedy.asks_users_of_a_disk());
                if let Some(incident) = holders.filter(|_| withdrawn).map(|it| it.intent.incident) {
                    self.pass_over_holders(incident);
                }
                let gap = if withdrawn { self.gap_withdrawn(action) } else { self.gap(action, &subject) };
                let not_before = self.now + gap;
                self.record(RecordBody::Verified { action, verification, not_before });
                self.touched.insert(subject);
                self.assess();
            }
        }
    }

    fn gap(&mut self, action: ActionId, subject: &Subject) -> std::time::Duration {
        if let Some(known) = self.memory.actions.get(&action) {
            self.withdrawn.remove(&known.intent.incident);
        }
        let policy = Arc::clone(&self.setup.policy);
        let intent = self.memory.actions.get(&action).map(|known| &known.intent);
        let incident = intent.and_then(|intent| self.memory.incidents.get(&intent.incident));
        let rule = intent.and_then(|intent| Self::rule_of(&policy, &intent.rule));
        if let Some((incident, rule)) = incident.zip(rule) {
            let untried = match subject {
                Subject::Filesystem(point) => self.with_asked(incident, rule, |asked| {
                    has_untried_rung(incident, rule, &policy, &self.view, (point, asked))
                }),
                Subject::Host => self.with_asked(incident, rule, |asked| {
                    has_untried_host_rung(incident, rule, &policy, asked.held_back)
                }),
                Subject::Unit(_) | Subject::Agent => false,
            };
            if untried {
                // Another rung is another remedy, and the harm goes on meanwhile.
                return NEXT_RUNG_GAP;
            }
        }
        let level = self.memory.histories.get(subject).map_or(1, |history| history.level);
        gap_after(level.max(1), &policy.limits.backoff, self.setup.seed, subject)
    }

    /// The news of the change is on its way; where it is no news, it is asked ever less often.
    fn gap_withdrawn(&mut self, action: ActionId) -> std::time::Duration {
        let Some(intent) = self.memory.actions.get(&action).map(|known| &known.intent) else {
            return WITHDRAWN_GAP_MAX;
        };
        let times = self.withdrawn.entry(intent.incident).or_insert(0);
        let gap = WITHDRAWN_GAP.saturating_mul(1_u32.checked_shl(*times).unwrap_or(u32::MAX));
        *times = times.saturating_add(1);
        gap.min(WITHDRAWN_GAP_MAX)
    }

    /// The act under way or being verified in an incident.
    pub(super) fn action_of(&self, incident: IncidentId) -> Option<ActionId> {
        self.memory
            .actions
            .values()
            .find(|action| action.intent.incident == incident)
            .map(|it| it.intent.action)
    }
}

/// After an act was withdrawn because the subject had changed.
const WITHDRAWN_GAP: std::time::Duration = std::time::Duration::from_secs(1);
/// After many in a row: each takes four records.
const WITHDRAWN_GAP_MAX: std::time::Duration = std::time::Duration::from_mins(1);

/// Between two rungs of a file system's ladder, or the host's: room that was made shows at once.
const NEXT_RUNG_GAP: std::time::Duration = std::time::Duration::from_millis(250);

/// The actuator keeps to its deadline; its report may take this much longer.
const REPORT_MARGIN: std::time::Duration = std::time::Duration::from_secs(10);
