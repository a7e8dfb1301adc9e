//! Attempts are counted where they land, in the world, over crashes and reboots.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{ActionId, GuardName, IncidentId, RecordBody, Remedy, RuleName, Subject};
use crate::policy::Budget;
use crate::sim::world::Moment;

use super::steps::Steps;
use super::{Checker, Facts, Seen};

fn millis(duration: Duration) -> Moment {
    Moment::try_from(duration.as_millis()).unwrap_or(Moment::MAX)
}

#[derive(Debug, Default)]
pub(super) struct Budgets {
    steps: Steps,
    intents: BTreeMap<ActionId, (RuleName, Subject)>,
    acts: Vec<(Moment, ActionId, RuleName, Subject)>,
}

impl Budgets {
    /// `late` is the longest from an intent, from which the engine counts, to its act: the lifetime of a permit.
    fn over(
        &self,
        budget: Budget,
        late: Moment,
        t: Moment,
        counts: impl Fn(&RuleName, &Subject) -> bool,
    ) -> bool {
        let from = t.saturating_sub(millis(budget.window).saturating_sub(late));
        let recent = self.acts.iter().filter(|(at, _, rule, subject)| *at > from && counts(rule, subject));
        recent.count() > usize::try_from(budget.count).unwrap_or(usize::MAX)
    }
}

impl Checker for Budgets {
    fn name(&self) -> &'static str {
        "attempts stay in their budget"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let limits = &facts.policy.limits;
        match seen {
            // What was done on a full disk may be forgotten with the agent.
            Seen::Survived if self.steps.is_lost(facts) || facts.full_disk => self.acts.clear(),
            Seen::Born if facts.set_unseen => self.acts.clear(),
            Seen::Recorded { entry, .. } => {
                self.steps.count(&entry.body);
                if let RecordBody::Intended(intent) = &entry.body {
                    self.intents.insert(intent.action, (intent.rule.clone(), intent.subject.clone()));
                }
            }
            Seen::Began { action, .. } => {
                let Some((rule, subject)) = self.intents.get(action).cloned() else {
                    return Err(format!("{action} began and was never intended"));
                };
                let longest = millis(limits.attempts_per_host.window);
                let late = millis(limits.permit_lifetime);
                self.acts.retain(|(at, ..)| at + longest > facts.t);
                self.acts.push((facts.t, *action, rule.clone(), subject.clone()));
                if self.over(limits.attempts_per_subject, late, facts.t, |_, it| *it == subject) {
                    return Err(format!("{action}: too many attempts on {subject}"));
                }
                if self.over(limits.attempts_per_rule, late, facts.t, |it, _| *it == rule) {
                    return Err(format!("{action}: too many attempts by {rule}"));
                }
                if self.over(limits.attempts_per_host, late, facts.t, |_, _| true) {
                    return Err(format!("{action}: too many attempts on the host"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Attempts on one subject come ever more slowly until it has proven stable.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    steps: Steps,
    subjects: BTreeMap<Subject, (u32, Moment)>,
    intents: BTreeMap<ActionId, Subject>,
    incidents: BTreeMap<IncidentId, Subject>,
    waived: std::collections::BTreeSet<Subject>,
}

impl Checker for Gaps {
    fn name(&self) -> &'static str {
        "gaps grow"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let backoff = &facts.policy.limits.backoff;
        match seen {
            Seen::Survived if self.steps.is_lost(facts) || facts.full_disk => self.subjects.clear(),
            Seen::Born if facts.set_unseen => self.subjects.clear(),
            Seen::Recorded { entry, .. } => match &entry.body {
                RecordBody::Intended(intent) => {
                    self.intents.insert(intent.action, intent.subject.clone());
                }
                RecordBody::IncidentOpened { incident, subject, .. } => {
                    self.incidents.insert(*incident, subject.clone());
                }
                RecordBody::Held { incident, refusal, .. } if refusal.guard == GuardName::RootCause => {
                    self.waived.extend(self.incidents.get(incident).cloned());
                }
                RecordBody::StabilityProven { subject } => {
                    let stable = millis(facts.policy.limits.stable_after);
                    let last = self.subjects.remove(subject);
                    if let (Some((_, at)), Some(_)) = (last, subject.unit())
                        && at + stable > facts.t
                    {
                        return Err(format!("{subject} is called stable too soon after an attempt"));
                    }
                }
                body @ RecordBody::ClockStepped { .. } => self.steps.count(body),
                _ => {}
            },
            Seen::Began { action, remedy, .. } => {
                let Some(subject) = self.intents.get(action).cloned() else { return Ok(()) };
                let (attempts, last) = self.subjects.get(&subject).copied().unwrap_or((0, 0));
                let waived = self.waived.remove(&subject);
                self.subjects.insert(subject.clone(), (attempts + 1, facts.t));
                if attempts == 0 || waived || *remedy == Remedy::Stop {
                    return Ok(());
                }
                let exponent = i32::try_from(attempts - 1).unwrap_or(i32::MAX);
                let gap = backoff.first.as_secs_f64() * backoff.factor.powi(exponent);
                let gap = millis(Duration::from_secs_f64(gap.min(backoff.cap.as_secs_f64())));
                if facts.t < last + gap {
                    let found = facts.t - last;
                    return Err(format!(
                        "{action} follows attempt {attempts} on {subject} after {found}ms, not {gap}ms"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
