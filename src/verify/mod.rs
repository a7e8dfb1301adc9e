//! Expectation + later samples → confirmed, refuted or inconclusive. Pure.
//!
//! Must not touch: the clock, the host, or what happens next.

use std::time::Duration;

use crate::assess::{UnitFacts, View};
use crate::model::{
    ActiveState, Applied, BootTime, Health, Human, Intent, Reading, Remedy, UnitName, Verification,
};

mod host;
mod room;

#[cfg(test)]
mod tests;

pub use host::judge_host;
pub use room::judge_room;

/// How long a request that was under way when the link to the service manager broke may still take to show itself as a
/// job. What the manager tells after a request on the same link, it tells after having taken it; the rest is for a link
/// that was made anew, whose order is not promised.
const LOST_AFTER: Duration = Duration::from_secs(3);

/// What one verification remembers between samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// When the act was over, or the agent took the verification up again.
    pub from: BootTime,
    /// Since when everything expected has held without interruption.
    holds_since: Option<BootTime>,
    /// The restart counter when it began to hold.
    restarts: Option<u32>,
}

impl Watch {
    /// Begins to watch.
    #[must_use]
    pub const fn new(from: BootTime) -> Self {
        Self { from, holds_since: None, restarts: None }
    }
}

/// How far a verification has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing can be said before then, unless a sample comes.
    Wait {
        until: BootTime,
    },
    /// The subject has to be read again: what holds was last seen too long ago to count.
    Look,
    Done(Verification),
}

/// Judges the act by what was seen after it.
pub fn judge(
    intent: &Intent,
    applied: &Applied,
    unit: &UnitName,
    view: &View,
    watch: &mut Watch,
    now: BootTime,
) -> Progress {
    let expectation = &intent.expectation;
    let deadline = watch.from + expectation.within + expectation.settle;
    if let Applied::Withdrawn { why } = applied {
        let why = format!("nothing was done: {why}");
        return Progress::Done(Verification::Inconclusive { why });
    }
    let seen = view.heard().ok().and_then(|_| view.unit(unit)).filter(|facts| facts.read_at >= watch.from);
    let Some(facts) = seen else {
        return match view.heard() {
            _ if now >= deadline => {
                let why = format!("no telemetry of {unit} came within {}", Human(now.since(watch.from)));
                Progress::Done(Verification::Inconclusive { why })
            }
            // The service manager is there, and the unit has not been read since: ask.
            Ok(_) => Progress::Look,
            Err(_) => Progress::Wait { until: deadline },
        };
    };
    match state_of(intent, applied, facts, watch) {
        State::Broken(why) => Progress::Done(Verification::Refuted { why: with_act(applied, why) }),
        State::Lost(why) => {
            watch.holds_since = None;
            watch.restarts = None;
            let sure = watch.from + LOST_AFTER;
            if facts.read_at >= sure {
                Progress::Done(Verification::Refuted { why: with_act(applied, why) })
            } else if now >= sure {
                Progress::Look
            } else {
                Progress::Wait { until: sure }
            }
        }
        State::Missing(_) | State::Blind(_) if now < deadline => {
            watch.holds_since = None;
            watch.restarts = None;
            Progress::Wait { until: deadline }
        }
        State::Missing(why) => Progress::Done(Verification::Refuted { why: with_act(applied, why) }),
        State::Blind(why) => Progress::Done(Verification::Inconclusive { why: with_act(applied, why) }),
        State::Holds { restarts } => {
            // Since the last of what has to hold was seen to hold.
            let answered = facts.probe.as_ref().filter(|_| expectation.probed).map(|probe| probe.at);
            let seen_at = answered.map_or(facts.read_at, |at| at.max(facts.read_at));
            let since = *watch.holds_since.get_or_insert(seen_at);
            let counter = *watch.restarts.get_or_insert(restarts);
            if restarts > counter {
                let why = format!("{unit} was restarted by its service manager while it settled");
                return Progress::Done(Verification::Refuted { why });
            }
            let settled = since + expectation.settle;
            if now < settled {
                Progress::Wait { until: settled }
            } else if facts.read_at < settled {
                Progress::Look
            } else {
                let why = format!("{unit} is {} since {}", what_holds(intent), Human(now.since(since)));
                Progress::Done(Verification::Confirmed { why })
            }
        }
    }
}

/// The act's own complaint explains more than the state that it left.
fn with_act(applied: &Applied, why: String) -> String {
    match applied {
        Applied::Failed { why: act } | Applied::Unknown { why: act } => format!("{why} ({act})"),
        Applied::Changed
        | Applied::Removed { .. }
        | Applied::Archived { .. }
        | Applied::Restrained { .. }
        | Applied::AlreadySo
        | Applied::Withdrawn { .. } => why,
    }
}

const fn what_holds(intent: &Intent) -> &'static str {
    match (intent.remedy, intent.expectation.probed) {
        (Remedy::Stop, _) => "down",
        (_, true) => "active and answers its probe",
        (_, false) => "active",
    }
}

enum State {
    Holds {
        restarts: u32,
    },
    /// Not there yet; the deadline decides.
    Missing(String),
    /// What would tell is not to be had; the deadline makes it inconclusive.
    Blind(String),
    /// It can't come any more.
    Broken(String),
    /// Whoever was asked seems never to have heard of it, and a second look makes sure.
    Lost(String),
}

fn state_of(intent: &Intent, applied: &Applied, facts: &UnitFacts, watch: &Watch) -> State {
    let status = &facts.status;
    let word = status.active.as_str();
    if status.active == ActiveState::Failed && is_old_run(intent, facts) && !is_over(applied, facts) {
        return State::Missing(format!("{} has not been started anew", status.name));
    }
    match (intent.remedy, status.active) {
        (Remedy::Stop, ActiveState::Inactive | ActiveState::Failed) => State::Holds { restarts: 0 },
        (Remedy::Stop, _) => State::Missing(format!("{} is still {word}", status.name)),
        (_, ActiveState::Failed) => {
            State::Broken(format!("{} failed again{}", status.name, result_of(facts)))
        }
        (_, ActiveState::Active) => up(intent, facts, watch),
        (_, ActiveState::Inactive) if is_lost(intent, applied, facts) => {
            State::Lost(format!("{} is {word} ({}), and no job is to start it", status.name, status.sub))
        }
        (
            _,
            ActiveState::Inactive
            | ActiveState::Activating
            | ActiveState::Deactivating
            | ActiveState::Reloading
            | ActiveState::Refreshing
            | ActiveState::Maintenance,
        ) => State::Missing(format!("{} is {word} ({})", status.name, status.sub)),
    }
}

/// Whether a start or restart was to leave another run than the one that is seen.
fn is_old_run(intent: &Intent, facts: &UnitFacts) -> bool {
    let runs = (&intent.expectation.invocation_before, facts.status.invocation());
    intent.remedy.starts() && matches!(runs, (Reading::Value(before), Reading::Value(now)) if *before == now)
}

/// Whether a start whose outcome nobody knows has left no trace: no job, no run of its own.
fn is_lost(intent: &Intent, applied: &Applied, facts: &UnitFacts) -> bool {
    let unknown = matches!(applied, Applied::Unknown { .. });
    // A service that ends by itself may have done so already: that run is a trace.
    let no_run = is_old_run(intent, facts) || matches!(facts.status.invocation(), Reading::Absent(_));
    unknown && is_over(applied, facts) && no_run
}

/// Whether nothing more can come of the act: it failed, or nobody knows and no job is left. A reading from before
/// the act that is told late must not refute it.
fn is_over(applied: &Applied, facts: &UnitFacts) -> bool {
    match applied {
        Applied::Failed { .. } => true,
        Applied::Unknown { .. } => facts.status.job.value().is_none(),
        Applied::Changed
        | Applied::Removed { .. }
        | Applied::Archived { .. }
        | Applied::Restrained { .. }
        | Applied::AlreadySo
        | Applied::Withdrawn { .. } => false,
    }
}

fn result_of(facts: &UnitFacts) -> String {
    match facts.status.service() {
        Reading::Value(service) => format!(", result {}", service.result.as_str()),
        Reading::Absent(_) | Reading::Failed(_) => String::new(),
    }
}

fn up(intent: &Intent, facts: &UnitFacts, watch: &Watch) -> State {
    let expectation = &intent.expectation;
    let name = &facts.status.name;
    if is_old_run(intent, facts) {
        return State::Missing(format!("{name} is still in the run that was to be ended"));
    }
    if expectation.probed {
        let answer = facts.probe.as_ref().filter(|probe| probe.at >= watch.from);
        match answer.map(|probe| &probe.latest) {
            Some(Reading::Value(Health::Healthy { .. })) => {}
            Some(Reading::Value(Health::Unhealthy { why })) => {
                return State::Missing(format!("{name} is active, but its probe says: {why}"));
            }
            Some(Reading::Failed(error)) => {
                return State::Blind(format!("{name} is active, but its probe can't run: {error}"));
            }
            Some(Reading::Absent(_)) | None => {
                return State::Blind(format!("{name} is active, but its probe has not answered yet"));
            }
        }
    }
    State::Holds { restarts: facts.status.service().value().map_or(0, |service| service.restarts) }
}
