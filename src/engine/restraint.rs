//! Follows what is held back until it is let go: when the harm is gone, when a person wants it, or when its time is over.

use std::time::Duration;

use crate::decide::{Asked, HeldBack, Step, next_host_step, next_step};
use crate::model::{
    ActionId, ActiveState, BootTime, InForce, Incident, Peer, RecordBody, ReleasedBy, Remedy, Reply,
    release_units,
};
use crate::policy::Rule;

use super::{Effect, Engine};

/// For so long the harm must be gone. It doubles each time that it came back.
const CALM: Duration = Duration::from_mins(1);
/// It doubles no more often: the time of a restraint is its bound in any case.
const CALM_DOUBLES_MAX: u32 = 3;
/// Between two that are let go: whether the harm comes back shows in between.
const STEP: Duration = Duration::from_secs(15);
/// A release that failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(30);
/// After its time, until it counts as ended although nothing was heard of it: the timer's accuracy, and a slow host.
const LATE: Duration = Duration::from_secs(30);

/// A release that the shell was asked for.
#[derive(Clone, Debug)]
pub(super) struct Releasing {
    by: ReleasedBy,
    why: String,
}

/// What is known of what is held back beyond the records.
#[derive(Debug, Default)]
pub(super) struct Releases {
    under_way: std::collections::BTreeMap<ActionId, Releasing>,
    not_before: std::collections::BTreeMap<ActionId, BootTime>,
    /// What is to end whether the harm goes on or not, by whom and why: asked for, and not done yet.
    wanted: std::collections::BTreeMap<ActionId, Releasing>,
    /// Whose timers were seen, or must be there: when one is gone, its restraint has ended.
    timers: std::collections::BTreeSet<ActionId>,
    last: Option<BootTime>,
}

impl Engine {
    /// Those of the life before: in another boot they are gone; in this one systemd has let go of them when the agent ended
    /// (`ExecStopPost`), and what is left of them is taken away.
    pub(super) fn take_up_restraints(&mut self, same_boot: bool) {
        let all: Vec<ActionId> = self.memory.restraints.keys().copied().collect();
        for action in all {
            if same_boot {
                self.releases.timers.insert(action);
                let why = "the agent ended, and with it what it held back".to_owned();
                self.releases.wanted.insert(action, Releasing { by: ReleasedBy::Itself, why });
            } else {
                self.end_restraint(action, ReleasedBy::Boot, "the host was started anew".into());
            }
        }
    }

    pub(super) fn advance_restraints(&mut self) {
        // The last that came is the first to go.
        let all: Vec<InForce> = self.memory.restraints.values().rev().cloned().collect();
        for restraint in all {
            self.advance_restraint(&restraint);
        }
    }

    fn advance_restraint(&mut self, restraint: &InForce) {
        let action = restraint.action;
        let under_way = self.memory.actions.get(&action).is_some_and(|it| it.applied.is_none());
        if under_way || self.releases.under_way.contains_key(&action) {
            return;
        }
        if self.has_ended(restraint) {
            let why = "its time was over, or somebody started what ends it";
            return self.end_restraint(action, ReleasedBy::Itself, why.into());
        }
        if let Some(due) = self.due(restraint) {
            if due > self.now.boot {
                return self.wake_at(due);
            }
            let open = self.memory.incidents.get(&restraint.incident).is_some_and(|it| it.closed.is_none());
            let why = if open { "its time was over" } else { "the harm is gone" };
            let usual = Releasing { by: ReleasedBy::Agent, why: why.into() };
            let Releasing { by, why } = self.releases.wanted.get(&action).cloned().unwrap_or(usual);
            self.release(action, by, why);
        }
    }

    /// The next step about the host, given who is held back already.
    pub(super) fn next_host_step(&self, incident: &Incident, rule: &Rule) -> Step {
        let policy = &self.setup.policy;
        self.with_asked(incident, rule, |asked| next_host_step(incident, rule, policy, asked.held_back))
    }

    /// The next step about anything else.
    pub(super) fn next_unit_or_disk_step(&self, incident: &Incident, rule: &Rule) -> Step {
        let policy = &self.setup.policy;
        self.with_asked(incident, rule, |asked| next_step(incident, rule, policy, &self.view, asked))
    }

    /// Gathers who is held back, or must not be, and who was asked.
    pub(super) fn with_asked<T>(
        &self,
        incident: &Incident,
        rule: &Rule,
        body: impl FnOnce(Asked<'_>) -> T,
    ) -> T {
        let in_force: Vec<InForce> = self.memory.restraints.values().cloned().collect();
        let refused = rule.ladder.iter().copied();
        let refused: Vec<Remedy> =
            refused.filter(|remedy| self.memory.denied.contains_key(&(incident.id, *remedy))).collect();
        let held_back = HeldBack { in_force: &in_force, refused: &refused };
        body(Asked { holders: self.holders(incident), held_back })
    }

    /// Whether what ends it has done so.
    fn has_ended(&mut self, restraint: &InForce) -> bool {
        let action = restraint.action;
        let Some((timer, service)) = release_units(action) else { return false };
        let failed = self.view.unit(&service).is_some_and(|facts| facts.status.active == ActiveState::Failed);
        if failed {
            // It is tried again, for as long as it takes.
            return false;
        }
        let end = restraint.until.boot + LATE;
        self.wake_at(end);
        // systemd alone knows: its timer may be late, and the clocks differ.
        if self.view.heard().is_err() {
            return false;
        }
        if self.view.is_in_motion_or_up(&timer) || self.view.is_in_motion_or_up(&service) {
            self.releases.timers.insert(action);
            return false;
        }
        self.releases.timers.contains(&action) || self.now.boot >= end
    }

    /// When it is to be let go; none while its incident is open and its time not over.
    fn due(&self, restraint: &InForce) -> Option<BootTime> {
        let again = self.releases.not_before.get(&restraint.action).copied();
        if self.releases.wanted.contains_key(&restraint.action) {
            return Some(again.unwrap_or(self.now.boot));
        }
        let calm = match self.memory.incidents.get(&restraint.incident) {
            None => self.now.boot,
            Some(incident) => {
                let doubles = incident.recurrences.min(CALM_DOUBLES_MAX);
                match incident.closed {
                    Some(closed) => closed.boot + CALM * (1 << doubles),
                    // What was to end it by now has failed.
                    None if self.now.boot >= restraint.until.boot + LATE => self.now.boot,
                    None => return None,
                }
            }
        };
        let step = self.releases.last.map_or(calm, |last| last + STEP);
        Some(again.map_or(calm.max(step), |again| again.max(calm)))
    }

    fn release(&mut self, action: ActionId, by: ReleasedBy, why: String) {
        self.releases.last = Some(self.now.boot);
        self.releases.under_way.insert(action, Releasing { by, why });
        self.effects.push(Effect::Release { action });
    }

    /// The shell answers.
    pub(super) fn released(&mut self, action: ActionId, result: &Result<(), String>) {
        let Some(Releasing { by, why }) = self.releases.under_way.remove(&action) else { return };
        match result {
            Ok(()) => self.end_restraint(action, by, why),
            Err(_) => {
                let unit = self.memory.restraints.get(&action).map(|it| it.unit.clone());
                let is_gone = |unit| self.view.heard().is_ok() && self.view.unit(unit).is_none();
                if unit.as_ref().is_some_and(is_gone) {
                    return self.end_restraint(action, by, format!("{why}; the unit is no more"));
                }
                // Whoever wants it wants it still.
                self.releases.wanted.insert(action, Releasing { by, why });
                self.releases.not_before.insert(action, self.now.boot + AGAIN);
            }
        }
    }

    fn end_restraint(&mut self, action: ActionId, by: ReleasedBy, why: String) {
        self.releases.timers.remove(&action);
        self.releases.wanted.remove(&action);
        self.releases.not_before.remove(&action);
        self.record(RecordBody::Released { action, by, why });
    }

    /// A person has it undone: at once, and not again in the same incident.
    pub(super) fn undo(&mut self, by: Peer, action: ActionId) -> Reply {
        let Some(restraint) = self.memory.restraints.get(&action) else {
            return Reply::NotFound(format!("{action} holds nothing back: it ended, or never did"));
        };
        if self.memory.actions.get(&action).is_some_and(|it| it.applied.is_none()) {
            return Reply::Refused(format!("{action} is still being carried out"));
        }
        if self.releases.under_way.contains_key(&action) {
            return Reply::Refused(format!("{action} is being undone already"));
        }
        let done = format!("{restraint} is being undone");
        let why = format!("{} wanted it", by.name);
        self.release(action, ReleasedBy::Operator { peer: by }, why);
        Reply::Done(done)
    }
}
