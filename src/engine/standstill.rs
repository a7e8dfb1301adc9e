//! Incidents about which nothing is done for now: who is told of it, and what is looked for again.

use std::time::Duration;

use crate::decide::{looks_for_culprits, with_takers};
use crate::model::{GuardName, Hold, Incident, Mode, Subject};
use crate::policy::Rule;

use super::Engine;
use super::memory::CAME_BACK;

/// Who is to blame is looked for again after this, and later on at the most after that: each look is on record.
const LOOKED_AGAIN_FIRST: Duration = Duration::from_secs(30);
const LOOKED_AGAIN_MOST: Duration = Duration::from_mins(10);
/// A disk that fills and whose repair is held back for so long is told of: the shipped rules give it half of that to be
/// sure.
const TOLD_WHEN_HELD: Duration = Duration::from_mins(2);

impl Engine {
    /// Who is to blame may show later: it is looked for again while the harm lasts, more and more seldom.
    pub(super) fn look_again(&mut self, incident: &Incident, rule: &Rule) {
        if !looks_for_culprits(rule) {
            return;
        }
        let since = self.now.boot.since(incident.opened.boot);
        let gap = (since / 4).clamp(LOOKED_AGAIN_FIRST, LOOKED_AGAIN_MOST);
        let looked = *self.looked.entry(incident.id).or_insert(self.now.boot);
        if self.now.boot >= looked + gap {
            self.looked.insert(incident.id, self.now.boot);
            self.wait_for_evidence(incident.id);
        } else {
            self.wake_at(looked + gap);
        }
    }

    /// A disk that fills, and a host that is harmed, are told of in time, whatever holds their repair back, unless a person
    /// wants it so or is asked already.
    pub(super) fn held_for_long(&mut self, incident: &Incident, rule: &Rule) -> Option<String> {
        match &incident.subject {
            Subject::Filesystem(_) => {}
            Subject::Host if !rule.ladder.is_empty() => {}
            Subject::Host | Subject::Agent | Subject::Unit(_) => return None,
        }
        let held = incident.held.as_ref().filter(|_| incident.escalated.is_none())?;
        match (held.guard, held.hold) {
            // The rule may; it is the one to blame that may not be touched.
            (GuardName::Mode, _) if incident.subject == Subject::Host && rule.mode == Mode::Auto => {}
            // It is told of by another.
            (GuardName::Pause | GuardName::Mode | GuardName::RootCause, _)
            | (GuardName::Approval, Hold::Until(_) | Hold::UntilChange) => return None,
            _ => {}
        }
        let came_back = incident.timeline.iter().rev().find(|entry| entry.what == CAME_BACK);
        let since = came_back.map_or(incident.opened, |entry| entry.at).boot;
        let until = since + TOLD_WHEN_HELD;
        if self.now.boot < until {
            self.wake_at(until);
            return None;
        }
        let why =
            format!("{}; its repair is held back by {}: {}", incident.finding.what, held.guard, held.why);
        Some(with_takers(why, incident, rule))
    }
}
