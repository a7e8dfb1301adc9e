//! When all trouble is over, everything that can run does, and everything else is somebody's.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ActiveState, IncidentId, LoadState, Mode, RecordBody, RuleName, Subject};
use crate::sim::world::{Ailment, UnitIndex};

use super::holds::mode_of;
use super::{Checker, Facts, Seen};

#[derive(Debug, Default)]
pub(super) struct Liveness {
    open: BTreeMap<IncidentId, (RuleName, Subject)>,
    /// Somebody was told of it; if it comes back it is the same fault, and nobody is told twice.
    told: BTreeSet<IncidentId>,
    asked: BTreeSet<IncidentId>,
}

impl Checker for Liveness {
    fn name(&self) -> &'static str {
        "every incident ends"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        match seen {
            // What was not durable never was: the survivors tell.
            Seen::Survived => {
                self.open.clear();
                self.told.clear();
                self.asked.clear();
                facts.disk.entries().for_each(|entry| self.fold(&entry.body));
                Ok(())
            }
            Seen::Recorded { entry, .. } => {
                self.fold(&entry.body);
                Ok(())
            }
            Seen::TheEnd => self.at_the_end(facts),
            _ => Ok(()),
        }
    }
}

impl Liveness {
    fn fold(&mut self, body: &RecordBody) {
        match body {
            RecordBody::IncidentOpened { incident, rule, subject, .. } => {
                self.open.insert(*incident, (rule.clone(), subject.clone()));
            }
            RecordBody::IncidentReopened { incident, finding } => {
                self.open.insert(*incident, (finding.rule.clone(), finding.subject.clone()));
            }
            RecordBody::IncidentResolved { incident, .. } => {
                self.open.remove(incident);
                self.asked.remove(incident);
            }
            RecordBody::Escalated { incident, .. } => {
                self.told.insert(*incident);
            }
            RecordBody::Proposed(proposal) => {
                self.asked.insert(proposal.incident);
            }
            _ => {}
        }
    }

    fn at_the_end(&self, facts: &Facts<'_>) -> Result<(), String> {
        for index in 0..facts.world.units.len() {
            let unit = &facts.world.units[index];
            let failed = unit.active == ActiveState::Failed;
            let asked = |(incident, (_, subject)): (&IncidentId, &(RuleName, Subject))| {
                self.asked.contains(incident) && subject.unit() == Some(&unit.name)
            };
            let excused =
                self.open.iter().any(asked) || unit.gone || hindered(index, facts) || !failed && !unit.hung;
            if excused {
                continue;
            }
            return Err(format!(
                "{} could run and does not: it is {} ({})",
                unit.name,
                unit.active.as_str(),
                unit.sub
            ));
        }
        for (incident, (rule, subject)) in &self.open {
            let excused = self.told.contains(incident)
                || self.asked.contains(incident)
                || subject
                    .unit()
                    .and_then(|unit| facts.world.index_of(unit))
                    .is_some_and(|unit| hindered(unit, facts));
            if !excused {
                return Err(format!("{incident} ({rule} on {subject}) is still open and nobody knows"));
            }
        }
        Ok(())
    }
}

/// Whether there is a lasting reason why the agent may leave the unit as it is.
fn hindered(index: UnitIndex, facts: &Facts<'_>) -> bool {
    let unit = &facts.world.units[index];
    let lasting = match unit.ailment_at(facts.t) {
        Ailment::None => false,
        Ailment::Needs(other) => other != index && !facts.world.units[other].is_up(),
        Ailment::StartFails | Ailment::FallsOver { .. } | Ailment::StartHangs => true,
    };
    let lasting = lasting
        || unit.gone
        || unit.kept_down
        || unit.stopped_along
        || unit.restart_prevented
        || unit.load != LoadState::Loaded
        || unit.hung_for_good
        || facts.told.operator_stopped.contains(&unit.name)
        || mode_of(&unit.name, facts) != Mode::Auto
        || unit.hung && takes_down_protected(index, facts)
        || !unit.probed && unit.hung
        || unit.conflicts.iter().any(|rival| !is_down(facts.world.units[*rival].active));
    lasting
        || [&unit.requires, &unit.wants, &unit.binds_to, &unit.part_of].into_iter().flatten().any(|need| {
            let other = &facts.world.units[*need];
            // What requires a masked unit can't be started, though that one may still run.
            let masked = other.load == LoadState::Masked;
            masked || !other.is_up()
        })
}

/// Neither up, nor coming up or going down: what restarts for ever is never at rest.
const fn is_down(state: ActiveState) -> bool {
    matches!(state, ActiveState::Inactive | ActiveState::Failed)
}

/// Whether a restart would take down something protected: the unit itself, or what comes down with it. A person decides
/// then.
fn takes_down_protected(index: UnitIndex, facts: &Facts<'_>) -> bool {
    let mut reached = BTreeSet::from([index]);
    let mut queue = vec![index];
    while let Some(unit) = queue.pop() {
        if facts.wishes.protected.contains(&facts.world.units[unit].name) {
            return true;
        }
        for dependant in facts.world.dependants(unit) {
            if !is_down(facts.world.units[dependant].active) && reached.insert(dependant) {
                queue.push(dependant);
            }
        }
    }
    false
}
