//! People are told once, and not again until the subject has proven stable.

use std::collections::BTreeMap;

use crate::model::{RecordBody, RuleName, Subject};
use crate::sim::world::Moment;

use super::{Checker, Facts, Seen};

/// A fault that comes and goes is one fault for this long.
const SAME_FAULT: Moment = 600_000;

#[derive(Debug, Default)]
pub(super) struct Pages {
    incidents: BTreeMap<crate::model::IncidentId, (RuleName, Subject)>,
    /// Told at; and when the fault was last known to be over.
    told: BTreeMap<(RuleName, Subject), (Moment, Option<Moment>)>,
}

impl Checker for Pages {
    fn name(&self) -> &'static str {
        "one page"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        if matches!(seen, Seen::Survived) && facts.full_disk {
            // What was done on a full disk may be forgotten with the agent.
            self.told.clear();
        }
        let Seen::Recorded { entry, .. } = seen else { return Ok(()) };
        match &entry.body {
            RecordBody::IncidentOpened { incident, rule, subject, .. } => {
                self.incidents.insert(*incident, (rule.clone(), subject.clone()));
            }
            RecordBody::StabilityProven { subject } => self.told.retain(|(_, of), _| of != subject),
            RecordBody::PolicyLoaded { .. } => self.told.clear(),
            RecordBody::IncidentResolved { incident, .. } => {
                if let Some(key) = self.incidents.get(incident)
                    && let Some((_, over)) = self.told.get_mut(key)
                {
                    *over = Some(facts.t);
                }
            }
            RecordBody::Escalated { incident, .. } => {
                let Some(key) = self.incidents.get(incident).cloned() else {
                    return Err(format!("{incident} was escalated and never opened"));
                };
                let before = self.told.insert(key.clone(), (facts.t, None));
                if let Some((_, over)) = before
                    && over.is_none_or(|over| facts.t < over + SAME_FAULT)
                {
                    return Err(format!("{incident} ({} on {}) was escalated again", key.0, key.1));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
