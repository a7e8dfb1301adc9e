//! Everything that must keep the agent's hands still, judged by what it was told.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{
    ActiveState, Command, HostActivity, Intent, JobOrigin, LoadState, Mode, PauseScope, Reading, RecordBody,
    Remedy, Reply, RuleName, SystemState, UnitName, UnitStatus,
};
use crate::sim::policy::WINDOW;
use crate::sim::world::Moment;

use super::steps::Steps;
use super::{Checker, Facts, Seen};

/// What others do must have been seen this recently.
const ACTIVITY_FRESH: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Holds;

impl Checker for Holds {
    fn name(&self) -> &'static str {
        "hands off"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let (what, found) = match seen {
            Seen::Recorded { entry, .. } => match &entry.body {
                RecordBody::Intended(intent) => (
                    format!("{} was intended", intent.action),
                    fresh(intent, facts).or_else(|| standing(&intent.targets, intent.remedy, facts)),
                ),
                _ => return Ok(()),
            },
            Seen::Released { permit } => (
                format!("{} was released", permit.action()),
                standing(permit.targets(), permit.remedy(), facts),
            ),
            _ => return Ok(()),
        };
        found.map_or(Ok(()), |why| Err(format!("{what} although {why}")))
    }
}

/// Stale or missing telemetry authorises nothing.
fn fresh(intent: &Intent, facts: &Facts<'_>) -> Option<String> {
    let now = facts.now.boot;
    let limits = &facts.policy.limits;
    match facts.told.heard {
        None => return Some("the service manager is not heard".into()),
        Some(at) if now.since(at) > limits.stale_after => {
            return Some(format!("the service manager was last heard {:?} ago", now.since(at)));
        }
        Some(_) => {}
    }
    for target in &intent.targets {
        match facts.told.unit(target).map(|status| &status.details) {
            Some(Reading::Value(_)) => {}
            Some(Reading::Absent(_) | Reading::Failed(_)) | None => {
                return Some(format!("nothing certain is known of {target}"));
            }
        }
    }
    match &facts.told.activity {
        Some((at, activity)) if now.since(*at) <= ACTIVITY_FRESH => match &activity.system_state {
            Reading::Value(_) => None,
            Reading::Absent(_) | Reading::Failed(_) => Some("the state of the system is unknown".into()),
        },
        Some(_) | None => Some("what others do was not looked at lately".into()),
    }
}

/// What holds for the host, then for each target.
fn standing(targets: &[UnitName], remedy: Remedy, facts: &Facts<'_>) -> Option<String> {
    let activity = facts.told.activity.as_ref().map(|(_, activity)| activity);
    warm_up(facts).or_else(|| others(activity, facts)).or_else(|| {
        targets.iter().find_map(|target| on_unit(target, remedy, facts)).or_else(|| {
            let subject = targets.last()?;
            root_cause(subject, targets, facts)
        })
    })
}

fn warm_up(facts: &Facts<'_>) -> Option<String> {
    let limits = &facts.policy.limits;
    let now = facts.now.boot;
    let within =
        |at: Option<crate::model::BootTime>| at.is_some_and(|at| now.since(at) < limits.warm_up_settle);
    if within(facts.told.started) {
        return Some("the agent has just started".into());
    }
    if within(facts.told.stepped) {
        return Some("the clock has just stepped".into());
    }
    let state = facts.told.activity.as_ref().map(|(_, activity)| &activity.system_state);
    let starting = state == Some(&Reading::Value(SystemState::Starting));
    let early = now.since(crate::model::BootTime::ZERO) < limits.warm_up_boot;
    (starting && early).then(|| "the host is still starting".into())
}

fn others(activity: Option<&HostActivity>, facts: &Facts<'_>) -> Option<String> {
    if facts.told.stopping {
        return Some("the agent was told to stop".into());
    }
    let activity = activity?;
    if let Reading::Value(SystemState::Stopping | SystemState::Maintenance) = &activity.system_state {
        return Some("the host is going down".into());
    }
    if let Reading::Value(_) = &activity.package_manager {
        return Some("a package manager is at work".into());
    }
    activity.manager_reloading.then(|| "the service manager is reloading".into())
}

fn on_unit(target: &UnitName, remedy: Remedy, facts: &Facts<'_>) -> Option<String> {
    if facts.told.operator_stopped.contains(target) {
        return Some(format!("an operator stopped {target}"));
    }
    if facts.wishes.observed.contains(target) {
        return Some(format!("{target} is only observed"));
    }
    let hour = facts.now.wall.unix_millis().rem_euclid(86_400_000) / 3_600_000;
    let (from, length) = WINDOW;
    let open = u64::try_from(hour).is_ok_and(|hour| (from..from + length).contains(&hour));
    if let Some(units) = &facts.wishes.window
        && open
        && (units.is_empty() || units.contains(target))
    {
        return Some(format!("the window of {target} is open"));
    }
    let status = facts.told.unit(target)?;
    if facts.wishes.protected.contains(target) && (!remedy.only_starts() || status.active.is_up()) {
        return Some(format!("{target} is protected from {remedy}"));
    }
    owned(target, status, facts)
}

fn owned(target: &UnitName, status: &UnitStatus, facts: &Facts<'_>) -> Option<String> {
    if status.load == LoadState::Masked {
        return Some(format!("{target} is masked"));
    }
    if let Reading::Value(job) = &status.job
        && job.origin == JobOrigin::Other
    {
        return Some(format!("a foreign job is at work on {target}"));
    }
    if status.active == ActiveState::Activating && status.sub == "auto-restart" {
        return Some(format!("the manager is about to restart {target}"));
    }
    let Reading::Value(details) = &status.details else { return None };
    if let Reading::Value(service) = &details.service
        && service.restart_prevented
    {
        return Some(format!("{target} is not to be restarted after this exit"));
    }
    let rival = details.relations.conflicts.iter().find(|rival| facts.told.is_up(rival));
    rival.map(|rival| format!("{target} conflicts with {rival}"))
}

/// A dependant waits for what it requires.
fn root_cause(subject: &UnitName, targets: &[UnitName], facts: &Facts<'_>) -> Option<String> {
    let needs = facts.told.requires(subject);
    let down = needs.iter().find(|need| {
        facts.told.is_failed(need) && !targets.contains(need) && !leads_back(need, subject, facts)
    });
    down.map(|need| format!("{subject} requires {need}, which has failed"))
}

fn leads_back(from: &UnitName, to: &UnitName, facts: &Facts<'_>) -> bool {
    let mut seen = BTreeSet::from([from.clone()]);
    let mut queue = vec![from.clone()];
    while let Some(unit) = queue.pop() {
        let Some(index) = facts.world.index_of(&unit) else { continue };
        let unit = &facts.world.units[index];
        for need in unit.requires.iter().chain(&unit.wants).chain(&unit.binds_to) {
            let name = facts.name(*need).clone();
            if name == *to {
                return true;
            }
            if seen.insert(name.clone()) {
                queue.push(name);
            }
        }
    }
    false
}

/// What a person paused, by the answers that they got.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    steps: Steps,
    asked: Moment,
    /// What, until when, and whether it was promised on a full disk.
    pauses: Vec<(PauseScope, Moment, bool)>,
    rules: std::collections::BTreeMap<crate::model::ActionId, RuleName>,
}

impl Checker for Pauses {
    fn name(&self) -> &'static str {
        "a pause is kept"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        let (action, targets) = match seen {
            Seen::Replied { command, reply: Reply::Done(_) } => {
                match command {
                    Command::Pause { scope, length, .. } => {
                        let length = Moment::try_from(length.as_millis()).unwrap_or(Moment::MAX);
                        self.pauses.push((scope.clone(), self.asked + length, facts.full_disk));
                    }
                    Command::Resume { .. } => self.pauses.clear(),
                    Command::Approve { .. }
                    | Command::Deny { .. }
                    | Command::Acknowledge { .. }
                    | Command::Undo { .. } => {}
                }
                return Ok(());
            }
            Seen::Asked { command: Command::Pause { .. } } => {
                self.asked = facts.t;
                return Ok(());
            }
            // Until it is answered, either is right.
            Seen::Asked { command: Command::Resume { .. } } => {
                self.pauses.clear();
                return Ok(());
            }
            Seen::Died => {
                self.pauses.retain(|(_, _, full_disk)| !full_disk);
                return Ok(());
            }
            // Over a boot its end is told by the wall clock alone.
            Seen::Survived => {
                if self.steps.is_lost(facts) {
                    self.pauses.clear();
                }
                return Ok(());
            }
            Seen::Born => {
                if facts.set_unseen {
                    self.pauses.clear();
                }
                return Ok(());
            }
            Seen::Recorded { entry, .. } => match &entry.body {
                body @ RecordBody::ClockStepped { .. } => {
                    self.steps.count(body);
                    return Ok(());
                }
                RecordBody::Intended(intent) => {
                    self.rules.insert(intent.action, intent.rule.clone());
                    (intent.action, intent.targets.as_slice())
                }
                _ => return Ok(()),
            },
            Seen::Released { permit } => (permit.action(), permit.targets()),
            _ => return Ok(()),
        };
        let rule = self.rules.get(&action);
        let covers = |scope: &PauseScope| match scope {
            PauseScope::Agent => true,
            PauseScope::Rule(paused) => Some(paused) == rule,
            PauseScope::Unit(unit) => targets.contains(unit),
        };
        let paused = self.pauses.iter().find(|(scope, until, _)| facts.t < *until && covers(scope));
        match paused {
            Some((scope, ..)) => Err(format!("{action} although {scope:?} is paused")),
            None => Ok(()),
        }
    }
}

/// What the policy allows of a unit, from the wishes it was made of.
pub(super) fn mode_of(unit: &UnitName, facts: &Facts<'_>) -> Mode {
    if facts.wishes.observed.contains(unit) {
        Mode::Observe
    } else if facts.wishes.approved.contains(unit) {
        Mode::Approve
    } else {
        Mode::Auto
    }
}
