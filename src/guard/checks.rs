//! The guards themselves, each a question with one reason to say no.

use std::time::Duration;

use crate::model::{
    ActiveState, BootTime, GuardName, Hold, HostActivity, InForce, JobOrigin, LoadState, Mode, MountPoint,
    PauseScope, Reading, Refusal, Risk, Subject, SystemState, Timestamp, UnitStatus,
};

use super::circumstances::{Answer, ApprovalState, Circumstances, Request, effective_mode};
use super::reach::Reach;
use super::root_cause;

/// What others are doing must have been looked at this recently: a package manager starts in a moment.
const ACTIVITY_FRESH: Duration = Duration::from_secs(3);

pub(super) fn ask(
    guard: GuardName,
    request: &Request<'_>,
    reach: &Reach<'_>,
    c: &Circumstances<'_>,
) -> Answer {
    match guard {
        GuardName::Pause => pause(request, reach, c),
        GuardName::Shutdown => shutdown(c),
        GuardName::Mode => mode(request, c),
        GuardName::OperatorIntent => operator_intent(request, c),
        GuardName::Freshness => freshness(request, reach, c),
        GuardName::WarmUp => warm_up(c),
        GuardName::Protected => protected(request, reach, c),
        GuardName::Maintenance => maintenance(request, reach, c),
        GuardName::PackageManager => package_manager(c),
        GuardName::Ownership => ownership(request, reach, c),
        GuardName::RootCause => root_cause_first(request, c),
        GuardName::Backoff => backoff(c),
        GuardName::Attempts => attempts(request, c),
        GuardName::Cost => cost(request, c),
        GuardName::Approval => approval(request, c),
        GuardName::BlastRadius => blast_radius(request, c),
    }
}

/// The guards that do not depend on the subject.
pub(super) fn standing(c: &Circumstances<'_>) -> Option<Refusal> {
    let whole_agent = c.pauses.iter().find(|pause| pause.scope == PauseScope::Agent);
    if let Some(pause) = whole_agent {
        return Some(paused(pause));
    }
    shutdown(c).and_then(|()| heard(c)).and_then(|()| warm_up(c)).and_then(|()| standing_window(c)).err()
}

fn no(guard: GuardName, hold: Hold, why: impl Into<String>) -> Refusal {
    Refusal { guard, hold, why: why.into() }
}

/// The moment on both clocks at which the boot clock shows `then`.
fn when(now: Timestamp, then: BootTime) -> Timestamp {
    now + now.boot.until(then)
}

fn paused(pause: &crate::model::Pause) -> Refusal {
    let why = format!("paused by {} ({}): {}", pause.by, pause.id, pause.reason);
    no(GuardName::Pause, Hold::Until(pause.until), why)
}

fn pause(request: &Request<'_>, reach: &Reach<'_>, c: &Circumstances<'_>) -> Answer {
    let applies = |scope: &PauseScope| match scope {
        PauseScope::Agent => true,
        PauseScope::Rule(rule) => *rule == request.rule.name,
        PauseScope::Unit(unit) => request.targets.contains(unit) || reach.taken_down().contains(unit),
    };
    match c.pauses.iter().find(|pause| applies(&pause.scope)) {
        Some(pause) => Err(paused(pause)),
        None => Ok(()),
    }
}

fn shutdown(c: &Circumstances<'_>) -> Answer {
    let refuse = |why| Err(no(GuardName::Shutdown, Hold::UntilChange, why));
    if c.stopping {
        return refuse("the agent is stopping");
    }
    match &c.view.activity {
        Reading::Value(HostActivity { system_state: Reading::Value(state), .. }) => match state {
            SystemState::Stopping => refuse("the host is shutting down"),
            SystemState::Maintenance => refuse("the host is in rescue or emergency mode"),
            SystemState::Starting | SystemState::Running | SystemState::Degraded => Ok(()),
        },
        // Whether it is known, and recent, is the freshness guard's question.
        Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => Ok(()),
    }
}

/// What is touched along with the unit has its say as well.
fn least_bold(request: &Request<'_>, c: &Circumstances<'_>) -> Mode {
    let modes = request.targets.iter().map(|target| effective_mode(c.policy, request.rule, target));
    modes.fold(request.rule.mode, Mode::min)
}

fn mode(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    match least_bold(request, c) {
        Mode::Observe => Err(no(
            GuardName::Mode,
            Hold::Denied,
            format!(
                "rule {} only observes {}; it would have used {}",
                request.rule.name, request.subject, request.remedy
            ),
        )),
        Mode::Approve | Mode::Auto => Ok(()),
    }
}

fn operator_intent(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    for target in request.targets {
        if c.operator_stopped.contains(target) {
            return Err(no(
                GuardName::OperatorIntent,
                Hold::Denied,
                format!("an operator stopped {target}; it stays down until somebody starts it"),
            ));
        }
        if c.view.unit(target).is_some_and(|facts| facts.status.load == LoadState::Masked) {
            return Err(no(GuardName::OperatorIntent, Hold::Denied, format!("{target} is masked")));
        }
    }
    Ok(())
}

fn heard(c: &Circumstances<'_>) -> Answer {
    let stale = |why: String| Err(no(GuardName::Freshness, Hold::UntilChange, why));
    match c.view.heard() {
        Err(why) => stale(why.to_owned()),
        Ok(at) if c.now.boot.since(at) > c.policy.limits.stale_after => {
            stale("the service manager has been silent for too long".into())
        }
        Ok(_) => Ok(()),
    }
}

fn freshness(request: &Request<'_>, reach: &Reach<'_>, c: &Circumstances<'_>) -> Answer {
    if let Subject::Filesystem(point) = request.subject {
        room_is_known(point, c)?;
    }
    if !matches!(request.subject, Subject::Filesystem(_)) || !request.targets.is_empty() {
        heard(c)?;
    }
    for target in request.targets {
        let known = c.facts(target).and_then(|facts| match facts.status.details.why_not() {
            None if facts.unloaded => {
                Err(format!("{target} was unloaded by the service manager, and is to be read again"))
            }
            None => Ok(()),
            Some(why) => Err(format!("the details of {target} are unknown: {why}")),
        });
        known.map_err(|why| no(GuardName::Freshness, Hold::UntilChange, why))?;
    }
    // Whom those would pull along in their turn is not known either.
    for along in reach.taken_down().iter().chain(reach.started()) {
        if let Some(Reading::Failed(why)) = c.view.unit(along).map(|facts| &facts.status.details) {
            let why =
                format!("{} would take {along} along, whose details are unknown: {why}", request.subject);
            return Err(no(GuardName::Freshness, Hold::UntilChange, why));
        }
    }
    let recent = c.view.activity_at.is_some_and(|at| c.now.boot.since(at) <= ACTIVITY_FRESH);
    let unknown = match &c.view.activity {
        Reading::Value(activity) => {
            activity.system_state.why_not().map(|why| format!("the state of the system: {why}"))
        }
        Reading::Absent(_) | Reading::Failed(_) => c.view.activity.why_not(),
    };
    match unknown {
        None if recent => Ok(()),
        None => Err(no(
            GuardName::Freshness,
            Hold::UntilChange,
            "what others do on this host was not looked at lately",
        )),
        Some(why) => Err(no(
            GuardName::Freshness,
            Hold::UntilChange,
            format!("what others do on this host is unknown: {why}"),
        )),
    }
}

fn room_is_known(point: &MountPoint, c: &Circumstances<'_>) -> Answer {
    let stale = |why: String| Err(no(GuardName::Freshness, Hold::UntilChange, why));
    match c.view.filesystems.room(point) {
        Reading::Value((_, at)) if c.now.boot.since(at) > c.policy.limits.stale_after => {
            stale(format!("the room on {point} was not looked at lately"))
        }
        Reading::Value(_) => Ok(()),
        Reading::Absent(reason) => stale(format!("the room on {point} is unknown: {reason}")),
        Reading::Failed(error) => stale(format!("the room on {point} is unknown: {error}")),
    }
}

fn warm_up(c: &Circumstances<'_>) -> Answer {
    let limits = &c.policy.limits;
    let wait = |until: BootTime, why: &str| Err(no(GuardName::WarmUp, Hold::Until(when(c.now, until)), why));
    if let Reading::Value(HostActivity { system_state: Reading::Value(SystemState::Starting), .. }) =
        &c.view.activity
    {
        let end = BootTime::ZERO + limits.warm_up_boot;
        if c.now.boot < end {
            return wait(end, "the host is still starting");
        }
    }
    let settled = c.started + limits.warm_up_settle;
    if c.now.boot < settled {
        return wait(settled, "the agent has just started");
    }
    match c.stepped.map(|at| at + limits.warm_up_settle) {
        Some(end) if c.now.boot < end => wait(end, "the host has just resumed, or its clock was set"),
        Some(_) | None => Ok(()),
    }
}

fn protected(request: &Request<'_>, reach: &Reach<'_>, c: &Circumstances<'_>) -> Answer {
    match request.targets.iter().find(|target| c.policy.protects(target)) {
        Some(target) if !request.remedy.only_starts() || c.view.is_up(target) => Err(no(
            GuardName::Protected,
            Hold::Denied,
            format!("{target} is protected: it may be started when it is down, and nothing else"),
        )),
        Some(_) | None => match reach.taken_down().iter().find(|along| c.policy.protects(along)) {
            Some(along) => Err(no(
                GuardName::Protected,
                Hold::Denied,
                format!("{} would take {along} down with it, which is protected", request.remedy),
            )),
            None => Ok(()),
        },
    }
}

fn window(c: &Circumstances<'_>, applies: impl Fn(&crate::policy::Maintenance) -> bool) -> Answer {
    let mut open = c.openings.open(c.policy, c.now.wall);
    let Some((window, until)) = open.find(|(window, _)| applies(window)) else { return Ok(()) };
    let until = c.now + until.since(c.now.wall);
    let why = format!("the maintenance window {:?} is open until {}", window.name, until.wall);
    Err(no(GuardName::Maintenance, Hold::Until(until), why))
}

fn standing_window(c: &Circumstances<'_>) -> Answer {
    window(c, |window| window.units.is_empty())
}

fn maintenance(request: &Request<'_>, reach: &Reach<'_>, c: &Circumstances<'_>) -> Answer {
    window(c, |window| {
        let covers = |target| window.units.iter().any(|pattern| pattern.matches(target));
        window.units.is_empty() || request.targets.iter().chain(reach.taken_down()).any(covers)
    })
}

fn package_manager(c: &Circumstances<'_>) -> Answer {
    let refuse = |why| Err(no(GuardName::PackageManager, Hold::UntilChange, why));
    match &c.view.activity {
        Reading::Value(HostActivity { package_manager: Reading::Value(holder), .. }) => {
            refuse(format!("a package manager is at work: it holds {}", holder.lock))
        }
        Reading::Value(HostActivity { package_manager: Reading::Absent(_), .. }) => Ok(()),
        Reading::Value(HostActivity { package_manager: Reading::Failed(error), .. })
        | Reading::Failed(error) => {
            refuse(format!("whether a package manager is at work can't be told: {error}"))
        }
        Reading::Absent(reason) => {
            refuse(format!("whether a package manager is at work can't be told: {reason}"))
        }
    }
}

fn ownership(request: &Request<'_>, reach: &Reach<'_>, c: &Circumstances<'_>) -> Answer {
    let wait = |why: String| Err(no(GuardName::Ownership, Hold::UntilChange, why));
    if let Reading::Value(activity) = &c.view.activity
        && activity.manager_reloading
        && !request.targets.is_empty()
    {
        return wait("the service manager is reloading its units".into());
    }
    for target in request.targets {
        let Some(facts) = c.view.unit(target) else { continue };
        let status = &facts.status;
        if let Reading::Value(job) = &status.job
            && job.origin == JobOrigin::Other
            && !may_hang(request, c, status)
        {
            return wait(format!("a job that is not the agent's is at work on {target}"));
        }
        if status.restart_is_pending() {
            return wait(format!("the service manager is about to restart {target} itself (Restart=)"));
        }
        if let Reading::Value(service) = status.service()
            && service.restart_prevented
        {
            let why = format!(
                "{target} ended in a way that it says not to restart it after (RestartPreventExitStatus=)"
            );
            return Err(no(GuardName::Ownership, Hold::Denied, why));
        }
        if let Reading::Value(details) = &status.details
            && let Some(rival) = details.relations.conflicts.iter().find(|name| runs_or_will(name, c))
        {
            return wait(format!("{target} conflicts with {rival}, which is running"));
        }
    }
    pulled_in(request, reach, c)
}

/// Whether a unit is up, on its way there, or has just been acted on and not been seen since.
fn runs_or_will(unit: &crate::model::UnitName, c: &Circumstances<'_>) -> bool {
    c.view.is_in_motion_or_up(unit) || c.in_flight.iter().any(|other| other.targets.contains(unit))
}

/// What is started along belongs to somebody as well.
fn pulled_in(request: &Request<'_>, reach: &Reach<'_>, c: &Circumstances<'_>) -> Answer {
    for along in reach.started() {
        if c.operator_stopped.contains(along) {
            let why = format!("{} would start {along} along, which an operator stopped", request.subject);
            return Err(no(GuardName::Ownership, Hold::Denied, why));
        }
        let details = c.view.unit(along).and_then(|facts| facts.status.details.value());
        let rivals = details.map(|details| details.relations.conflicts.as_slice()).unwrap_or_default();
        // What the act is to bring up is not up yet, and will be: this does not change by waiting.
        if let Some(target) = rivals.iter().find(|name| request.targets.contains(name)) {
            let why = format!("{} would start {along} along, which conflicts with {target}", request.subject);
            return Err(no(GuardName::Ownership, Hold::Denied, why));
        }
        if let Some(rival) = rivals.iter().find(|name| runs_or_will(name, c)) {
            let why = format!("{} would start {along} along, which conflicts with {rival}", request.subject);
            return Err(no(GuardName::Ownership, Hold::UntilChange, why));
        }
    }
    Ok(())
}

/// A unit that neither comes up nor goes down has the job on it that does not end: the fault itself. Whether it hangs
/// or works is for a person to say, so that this is only asked where one is.
fn may_hang(request: &Request<'_>, c: &Circumstances<'_>, status: &UnitStatus) -> bool {
    let midway = matches!(status.active, ActiveState::Activating | ActiveState::Deactivating);
    midway && !request.remedy.only_starts() && asks_a_person(request, c)
}

/// What a unit does while the agent itself holds it back is no fault of its own: it may not answer in time, or at all.
fn not_held_back(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    if request.subject.unit().is_none() {
        return Ok(());
    }
    let is_held = |it: &&InForce| request.targets.contains(&it.unit) && c.view.is_in_motion_or_up(&it.unit);
    let Some(restraint) = c.restraints.values().find(is_held) else { return Ok(()) };
    let until = restraint.until;
    let why = format!("{} is held back by the agent itself: {restraint}", restraint.unit);
    Err(no(GuardName::RootCause, Hold::Until(until), why))
}

fn root_cause_first(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    not_held_back(request, c)?;
    // What is taken down for another's sake has to come up again.
    let taken_down = request.targets.last().filter(|_| request.remedy.takes_down());
    match request.subject.unit().or(taken_down).and_then(|unit| root_cause::find(unit, c)) {
        // It is repaired along with the unit.
        Some((dependency, _)) if request.targets.contains(&dependency) => Ok(()),
        Some((dependency, why)) => Err(no(
            GuardName::RootCause,
            Hold::UntilChange,
            format!("{} needs {dependency}, and {why}", request.subject),
        )),
        None => Ok(()),
    }
}

fn backoff(c: &Circumstances<'_>) -> Answer {
    match c.history.not_before {
        Some(then) if c.now.boot < then.boot && !c.history.waived => Err(no(
            GuardName::Backoff,
            Hold::Until(then),
            format!("waiting after attempt {}, until {}", c.history.level, then.wall),
        )),
        Some(_) | None => Ok(()),
    }
}

fn attempts(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    let limits = &c.policy.limits;
    let mut on_subject = limits.attempts_per_subject;
    if let Subject::Filesystem(_) = request.subject {
        // Its rungs are tried once each: the budget bounds what is repeated, and cuts off no ladder.
        on_subject.count = on_subject.count.max(u32::try_from(request.rule.ladder.len()).unwrap_or(u32::MAX));
    }
    let budgets = [
        (&c.history.attempts, on_subject, format!("on {}", request.subject)),
        (c.rule_attempts, limits.attempts_per_rule, format!("by rule {}", request.rule.name)),
        (c.host_attempts, limits.attempts_per_host, "on this host".to_owned()),
    ];
    for (attempts, budget, of_what) in budgets {
        if let Some(room) = attempts.room_at(budget, c.now.boot) {
            let window = crate::model::Human(budget.window);
            let why = format!("{} attempts {of_what} in {window} are used up", budget.count);
            return Err(no(GuardName::Attempts, Hold::Until(when(c.now, room)), why));
        }
    }
    Ok(())
}

/// What is removed does not come back: there is a bound for a day, whatever the rules say.
fn cost(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    if !request.remedy.removes_files() {
        return Ok(());
    }
    match c.removed.left(c.now.boot) {
        Ok(_) => Ok(()),
        Err(room) => {
            let why = "as many files were removed in the last 24 hours as may be in a day";
            Err(no(GuardName::Cost, Hold::Until(when(c.now, room)), why))
        }
    }
}

fn asks_a_person(request: &Request<'_>, c: &Circumstances<'_>) -> bool {
    least_bold(request, c) == Mode::Approve || request.remedy.risk() == Risk::High
}

fn approval(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    if !asks_a_person(request, c) {
        return Ok(());
    }
    let refuse = |hold, why| Err(no(GuardName::Approval, hold, why));
    match &c.approval {
        ApprovalState::Granted(_) => Ok(()),
        ApprovalState::NotAsked => {
            refuse(Hold::UntilChange, format!("{} needs a person's approval", request.remedy))
        }
        ApprovalState::Waiting(proposal) => refuse(
            Hold::UntilChange,
            format!("{} waits for approval: prunella approve {proposal}", request.remedy),
        ),
        ApprovalState::Denied { by } => refuse(Hold::Denied, format!("{by} denied {}", request.remedy)),
    }
}

fn blast_radius(request: &Request<'_>, c: &Circumstances<'_>) -> Answer {
    let refuse = |why: String| Err(no(GuardName::BlastRadius, Hold::UntilChange, why));
    for other in c.in_flight {
        if other.subject == *request.subject
            || other.targets.iter().any(|unit| request.targets.contains(unit))
        {
            return refuse(format!("another action on {} is under way", other.subject));
        }
        if other.disruptive && !other.applied && request.remedy.is_disruptive() {
            return refuse("another disruptive action is under way on this host".into());
        }
    }
    Ok(())
}
