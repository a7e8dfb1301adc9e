//! How records change what is held back.

use std::time::Duration;

use crate::model::{ActionId, Applied, InForce, Intent, ReleasedBy, Timestamp};

use super::Memory;

/// From the intent to the moment when what holds the unit back begins to count its time, at the most.
const BEGINS_WITHIN: Duration = Duration::from_mins(2);

impl Memory {
    /// It may be in force from here on: a crash may come between what is done and what is said of it.
    pub(super) fn restraint_intended(&mut self, intent: &Intent, at: Timestamp) {
        let (Some(lasts), Some(unit)) = (intent.lasts, intent.targets.last()) else { return };
        let restraint = InForce {
            action: intent.action,
            incident: intent.incident,
            remedy: intent.remedy,
            unit: unit.clone(),
            what: None,
            since: at,
            until: at + BEGINS_WITHIN + lasts,
        };
        self.restraints.insert(intent.action, restraint);
    }

    pub(super) fn restraint_applied(&mut self, action: ActionId, applied: &Applied) {
        match applied {
            Applied::Restrained { what, until } => {
                if let Some(restraint) = self.restraints.get_mut(&action) {
                    restraint.what = Some(what.clone());
                    restraint.until = *until;
                }
            }
            // It may be in force.
            Applied::Unknown { .. } => {}
            Applied::Changed
            | Applied::Removed { .. }
            | Applied::Archived { .. }
            | Applied::AlreadySo
            | Applied::Withdrawn { .. }
            | Applied::Failed { .. } => {
                self.restraints.remove(&action);
            }
        }
    }

    /// Who was let go by a person is not held back again in the same incident.
    pub(super) fn released(&mut self, action: ActionId, by: &ReleasedBy, why: &str, at: Timestamp) {
        let Some(restraint) = self.restraints.remove(&action) else { return };
        if let ReleasedBy::Operator { peer } = by {
            self.denied.insert((restraint.incident, restraint.remedy), peer.name.clone());
        }
        self.change(restraint.incident, at, format!("{restraint} undone: {why}"), |_| {});
    }
}
