//! People are told once, and not again until the subject has proven stable.

use std::collections::BTreeMap;

use crate::model::{Incident, IncidentId, NoticeId, RecordBody, RuleName, Subject};
use crate::sim::world::Moment;

use super::steps::Steps;
use super::{Checker, Facts, Seen};

/// A fault that comes and goes is one fault for this long.
const SAME_FAULT: Moment = 600_000;

#[derive(Debug, Default)]
pub(super) struct Pages {
    incidents: BTreeMap<IncidentId, (RuleName, Subject)>,
    /// The incident that was told of, and when the fault was last known to be over.
    told: BTreeMap<(RuleName, Subject), (IncidentId, Option<Moment>)>,
    /// When each fault was over. Not forgotten with what was told: people may be told of it long after, where the way to
    /// them is broken.
    over: BTreeMap<IncidentId, Moment>,
    steps: Steps,
}

impl Checker for Pages {
    fn name(&self) -> &'static str {
        "one page"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let entry = match seen {
            Seen::Recorded { entry, .. } => {
                self.steps.count(&entry.body);
                entry
            }
            Seen::Survived => {
                if self.steps.is_lost(facts) {
                    self.forget_what_is_over();
                }
                if facts.full_disk {
                    // What was done on a full disk may be forgotten with the agent.
                    self.told.clear();
                }
                return Ok(());
            }
            Seen::Born if facts.set_unseen => {
                self.forget_what_is_over();
                return Ok(());
            }
            // What counts is what people get: a record that a power cut takes has told nobody.
            Seen::Telling { notice } => {
                return match notice.id {
                    NoticeId::Escalation { .. } => self.told_of(&notice.incident, facts.t),
                    NoticeId::Proposal { .. } => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        match &entry.body {
            RecordBody::IncidentOpened { incident, rule, subject, .. } => {
                self.incidents.insert(*incident, (rule.clone(), subject.clone()));
            }
            RecordBody::StabilityProven { subject } => self.told.retain(|(_, of), _| of != subject),
            RecordBody::PolicyLoaded { .. } => self.told.clear(),
            RecordBody::IncidentResolved { incident, .. } => {
                self.over.insert(*incident, facts.t);
                if let Some(key) = self.incidents.get(incident)
                    && let Some((told_of, over)) = self.told.get_mut(key)
                    // Another incident of the same kind is another fault, and nobody was told of that one.
                    && told_of == incident
                {
                    *over = Some(facts.t);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Pages {
    /// How long ago can't be told by any clock that the agent has.
    fn forget_what_is_over(&mut self) {
        self.told.retain(|_, (_, over)| over.is_none());
    }

    fn told_of(&mut self, incident: &Incident, t: Moment) -> Result<(), String> {
        let key = (incident.rule.clone(), incident.subject.clone());
        let before = self.told.get(&key).copied();
        let over = match (incident.closed, before) {
            (None, _) => None,
            // Told once more, over a crash: the fault was over when it was.
            (Some(_), Some((of, Some(over)))) if of == incident.id => Some(over),
            // The record of it may take longer than the fault.
            (Some(_), _) => Some(self.over.get(&incident.id).copied().unwrap_or(t)),
        };
        self.told.insert(key, (incident.id, over));
        match before {
            // A repeat of the same is not this checker's business.
            Some((before, _)) if before == incident.id => Ok(()),
            Some((_, over)) if over.is_none_or(|over| t < over + SAME_FAULT) => Err(format!(
                "{} ({} on {}) was escalated again",
                incident.id, incident.rule, incident.subject
            )),
            Some(_) | None => Ok(()),
        }
    }
}
