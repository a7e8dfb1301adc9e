//! Which rung of the ladder is next.

use crate::assess::View;
use crate::model::{
    ActiveState, GuardName, Hold, Incident, LoadState, Reading, Refusal, Remedy, ServiceResult, Subject,
    UnitName,
};
use crate::policy::{Policy, Rule};

use super::room::{self, Asked};

/// The next thing to do about an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the guards for this.
    Repair { remedy: Remedy, targets: Vec<UnitName> },
    /// Tell a person.
    Escalate { why: String },
    /// A person was told, and there is nothing to try: wait for the fault to go.
    Wait,
}

/// The next step, given where the incident stands; one of a file system also with those that hold deleted files on it.
///
/// A used-up ladder escalates once; after that its last rung is tried on, as slowly as the backoff says, because
/// causes go away without anybody telling the agent.
#[must_use]
pub fn next_step(incident: &Incident, rule: &Rule, policy: &Policy, view: &View, asked: Asked<'_>) -> Step {
    let told = incident.escalated.is_some();
    let escalate = |why: String| if told { Step::Wait } else { Step::Escalate { why } };
    let unit = match &incident.subject {
        Subject::Unit(unit) => unit,
        Subject::Filesystem(point) => return room::next_step(incident, rule, policy, view, (point, asked)),
        Subject::Host | Subject::Agent => return escalate(incident.finding.what.clone()),
    };
    let Some(facts) = view.unit(unit) else {
        // The agent has just started, or the manager is lost: nothing can be said yet.
        return Step::Wait;
    };
    if facts.status.details.value().is_none()
        && let Some(remedy) = rule.ladder.get(incident_rung(incident, rule.ladder.len()))
    {
        // Which rung fits can't be told either; the freshness guard has the unit read again.
        return Step::Repair { remedy: *remedy, targets: vec![unit.clone()] };
    }
    if let LoadState::NotFound | LoadState::BadSetting | LoadState::Error = facts.status.load {
        return escalate(format!(
            "{unit} can't be started: its load state is {}",
            facts.status.load.as_str()
        ));
    }
    let Some(remedy) = rung(incident, rule, unit, view) else {
        return escalate(if rule.ladder.is_empty() {
            incident.finding.what.clone()
        } else {
            "no remedy of the ladder fits this unit".into()
        });
    };
    if incident.attempts >= rule.attempts && !told {
        return Step::Escalate {
            why: format!("{} attempts did not bring it back for good", incident.attempts),
        };
    }
    if incident.recurrences >= policy.limits.flapping.count && !told {
        return Step::Escalate { why: format!("it came back {} times after a repair", incident.recurrences) };
    }
    Step::Repair { remedy, targets: targets(remedy, unit, policy, view) }
}

/// The rung for this attempt: past rungs that do not fit the unit.
fn rung(incident: &Incident, rule: &Rule, unit: &UnitName, view: &View) -> Option<Remedy> {
    let fitting: Vec<Remedy> = rule.ladder.iter().filter_map(|remedy| fit(*remedy, unit, view)).collect();
    fitting.get(incident_rung(incident, fitting.len())).copied()
}

/// The place of this attempt on a ladder of so many rungs: the last one is repeated.
fn incident_rung(incident: &Incident, rungs: usize) -> usize {
    usize::try_from(incident.attempts).unwrap_or(usize::MAX).min(rungs.saturating_sub(1))
}

/// The remedy as it suits the unit's state, or `None` when it can't help.
fn fit(remedy: Remedy, unit: &UnitName, view: &View) -> Option<Remedy> {
    let status = view.unit(unit).map(|facts| &facts.status)?;
    match (remedy, status.service()) {
        (Remedy::Reload, Reading::Value(service)) => {
            (service.can_reload && status.active == ActiveState::Active).then_some(remedy)
        }
        (Remedy::Reload, Reading::Absent(_) | Reading::Failed(_)) => None,
        // The start limit has to be forgotten first, or the start is refused.
        (Remedy::Start, Reading::Value(service)) if service.result == ServiceResult::StartLimitHit => {
            Some(Remedy::ResetAndStart)
        }
        (
            Remedy::Start
            | Remedy::ResetAndStart
            | Remedy::Restart
            | Remedy::RestartWithDependencies
            | Remedy::Stop,
            _,
        ) => Some(remedy),
        (
            Remedy::ArchiveLogs
            | Remedy::RotateLogs
            | Remedy::VacuumJournal
            | Remedy::PruneRotatedLogs
            | Remedy::PruneCoreDumps
            | Remedy::CleanTemporaryFiles
            | Remedy::CleanPackageCache
            | Remedy::CleanContainerImages
            | Remedy::ReloadHolders
            | Remedy::SlowWriters
            | Remedy::RestartHolders
            | Remedy::LimitMemory
            | Remedy::LimitTasks
            | Remedy::Freeze
            | Remedy::RestartCulprit,
            _,
        ) => None,
    }
}

/// What is touched, in order.
fn targets(remedy: Remedy, unit: &UnitName, policy: &Policy, view: &View) -> Vec<UnitName> {
    let mut targets = Vec::new();
    if remedy == Remedy::RestartWithDependencies {
        targets.extend(policy.tuning_of(unit).flat_map(|tuning| tuning.depends_on.iter().cloned()));
        if let Some(details) = view.unit(unit).and_then(|facts| facts.status.details.value()) {
            let down = details.relations.requires.iter().filter(|name| !view.is_up(name));
            targets.extend(down.cloned());
        }
        targets.retain(|target| target != unit);
        let mut seen = std::collections::BTreeSet::new();
        targets.retain(|target| seen.insert(target.clone()));
    }
    targets.push(unit.clone());
    targets
}

/// What a guard's no means for the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It waits, as a step that is planned.
    Wait,
    /// It is set aside: something else comes first, or somebody wants it so.
    Suppress,
    /// Nobody but a person can go on.
    Escalate,
}

/// How to take a refusal.
#[must_use]
pub const fn on_refusal(refusal: &Refusal) -> Reaction {
    match (refusal.guard, refusal.hold) {
        (GuardName::Mode | GuardName::OperatorIntent | GuardName::RootCause, _) => Reaction::Suppress,
        (GuardName::Protected | GuardName::Ownership, Hold::Denied) => Reaction::Escalate,
        (GuardName::Approval, Hold::Denied) => Reaction::Suppress,
        // A day's worth of files is gone and it is still full: that is for a person.
        (GuardName::Cost, _) => Reaction::Escalate,
        (
            GuardName::Pause
            | GuardName::Freshness
            | GuardName::WarmUp
            | GuardName::Protected
            | GuardName::Maintenance
            | GuardName::PackageManager
            | GuardName::Shutdown
            | GuardName::Ownership
            | GuardName::Backoff
            | GuardName::Attempts
            | GuardName::BlastRadius
            | GuardName::Approval,
            _,
        ) => Reaction::Wait,
    }
}
