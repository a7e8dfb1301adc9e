//! What happened, one line each, for a person who has to understand a failing run.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use crate::engine::Effect;
use crate::model::{Entry, Hold, Reading, RecordBody, Sample, Timestamp, UnitsUpdate};

/// The last so many lines are kept: the end of a run is where it went wrong.
const LINES_MAX: usize = 1000;

/// Lines, oldest first, bounded.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    lines: VecDeque<String>,
    dropped: u64,
    off: bool,
    /// What was last seen of each topic, so that nothing is told twice.
    seen: BTreeMap<String, String>,
}

impl Transcript {
    /// Keeps nothing: for many runs at full speed.
    #[must_use]
    pub fn off() -> Self {
        Self { off: true, ..Self::default() }
    }

    /// Adds a line at this moment of this boot. The text is only made when it is wanted.
    pub fn say(&mut self, now: Timestamp, what: impl FnOnce() -> String) {
        if self.off {
            return;
        }
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
            self.dropped += 1;
        }
        let millis = now.boot.millis();
        let (hours, rest) = (millis / 3_600_000, millis % 3_600_000);
        let (minutes, rest) = (rest / 60_000, rest % 60_000);
        self.lines.push_back(format!(
            "{hours:02}:{minutes:02}:{:02}.{:03}  {}",
            rest / 1000,
            rest % 1000,
            what()
        ));
    }

    /// Adds what the senses told, unless the same was the last that they told of this topic.
    pub(super) fn say_seen(&mut self, now: Timestamp, sample: &Sample) {
        if self.off {
            return;
        }
        let Some(line) = sample_line(sample) else { return };
        let topic = match (&sample.units, sample.probes.first()) {
            (Some(UnitsUpdate::Complete(_)), _) => Some(String::new()),
            (None, Some(probe)) => Some(probe.unit.as_str().to_owned()),
            (Some(_) | None, _) => None,
        };
        let repeated =
            topic.is_some_and(|topic| self.seen.insert(topic, line.clone()).as_ref() == Some(&line));
        if !repeated {
            self.say(now, || format!("seen: {line}"));
        }
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.dropped > 0 {
            let _ = writeln!(text, "({} earlier lines left out)", self.dropped);
        }
        for line in &self.lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// A sample in one line; `None` when it tells nothing that a person would want to read.
#[must_use]
fn sample_line(sample: &Sample) -> Option<String> {
    let mut parts = Vec::new();
    match &sample.units {
        None | Some(UnitsUpdate::Alive) => {}
        Some(UnitsUpdate::Complete(statuses)) => {
            let down: Vec<String> = statuses.iter().filter(|it| !it.active.is_up()).map(unit_words).collect();
            parts.push(if down.is_empty() {
                format!("all {} units are listed", statuses.len())
            } else {
                format!("all {} units are listed: {}", statuses.len(), down.join(", "))
            });
        }
        Some(UnitsUpdate::Changed { statuses, removed }) => {
            parts.extend(statuses.iter().map(unit_words));
            parts.extend(removed.iter().map(|name| format!("{name} is gone")));
        }
        Some(UnitsUpdate::NoSuchUnit(name)) => parts.push(format!("there is no unit {name}")),
        Some(UnitsUpdate::Lost { why }) => parts.push(format!("the service manager is lost: {why}")),
    }
    for job in &sample.jobs {
        let who = match job.job.origin {
            crate::model::JobOrigin::Agent => "own",
            crate::model::JobOrigin::Other => "foreign",
        };
        parts.push(
            format!("{who} {:?} job on {} ended: {:?}", job.job.kind, job.unit, job.result).to_lowercase(),
        );
    }
    for probe in &sample.probes {
        parts.push(match &probe.health {
            Reading::Value(crate::model::Health::Healthy { .. }) => {
                format!("probe of {}: healthy", probe.unit)
            }
            Reading::Value(crate::model::Health::Unhealthy { why }) => {
                format!("probe of {}: {why}", probe.unit)
            }
            Reading::Failed(error) => format!("probe of {} can't run: {error}", probe.unit),
            Reading::Absent(reason) => format!("probe of {}: {reason}", probe.unit),
        });
    }
    if let Some(activity) = &sample.activity {
        if let Reading::Value(lock) = &activity.package_manager {
            parts.push(format!("a package manager holds {}", lock.lock));
        }
        if activity.manager_reloading {
            parts.push("the manager is reloading".into());
        }
        if let Reading::Value(state) = &activity.system_state
            && *state != crate::model::SystemState::Running
        {
            parts.push(format!("the system is {state:?}").to_lowercase());
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn unit_words(status: &crate::model::UnitStatus) -> String {
    let result = match status.service() {
        Reading::Value(service) if !status.active.is_up() => format!(", {}", service.result.as_str()),
        Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => String::new(),
    };
    format!("{} is {} ({}{result})", status.name, status.active.as_str(), status.sub)
}

/// A record in one line.
#[must_use]
pub(super) fn record_line(entry: &Entry) -> String {
    match &entry.body {
        RecordBody::ChainStarted { .. } => "chain started".into(),
        RecordBody::AgentStarted { policy, .. } => format!("agent started with policy {policy}"),
        RecordBody::AgentStopping { why } => format!("agent stopping: {why}"),
        RecordBody::PolicyLoaded { digest, .. } => format!("policy {digest} in force"),
        RecordBody::PolicyRejected { error } => format!("policy rejected: {error}"),
        RecordBody::IncidentOpened { incident, rule, subject, finding, .. } => {
            format!("{incident} opened: {rule} on {subject}: {}", finding.what)
        }
        RecordBody::IncidentReopened { incident, finding } => {
            format!("{incident} reopened: {}", finding.what)
        }
        RecordBody::EvidenceTaken { incident, .. } => format!("{incident} evidence taken"),
        RecordBody::Held { incident, remedy, refusal } => {
            let until = match refusal.hold {
                Hold::Until(_) => "until a moment",
                Hold::UntilChange => "until something changes",
                Hold::Denied => "for good",
            };
            format!("{incident} {remedy} held {until} by {}: {}", refusal.guard, refusal.why)
        }
        RecordBody::Proposed(proposal) => {
            format!("{} {} proposed as {}", proposal.incident, proposal.remedy, proposal.id)
        }
        RecordBody::Approved { proposal, by } => format!("{proposal} approved by {}", by.name),
        RecordBody::Denied { proposal, by, reason } => format!("{proposal} denied by {}: {reason}", by.name),
        RecordBody::ProposalExpired { proposal } => format!("{proposal} expired"),
        RecordBody::Intended(intent) => format!(
            "{} {} intended: {} {} (attempt {})",
            intent.incident, intent.action, intent.remedy, intent.subject, intent.attempt
        ),
        RecordBody::Removing { action, removals } => format!("{action} removes {} files", removals.len()),
        RecordBody::Applied { action, applied } => format!("{action} applied: {applied:?}"),
        RecordBody::Released { action, by, .. } => format!("{action} undone: {by:?}"),
        RecordBody::Verified { action, verification, .. } => format!("{action} verified: {verification:?}"),
        RecordBody::Escalated { incident, severity, why, .. } => {
            format!("{incident} escalated ({severity:?}): {why}")
        }
        RecordBody::Told { notice, delivery } => {
            format!("{} told of the {}: {delivery:?}", notice.incident(), notice.kind())
        }
        RecordBody::Acknowledged { incident, by } => format!("{incident} acknowledged by {}", by.name),
        RecordBody::IncidentResolved { incident, how, why } => {
            format!("{incident} resolved ({how:?}): {why}")
        }
        RecordBody::Paused { pause, scope, .. } => format!("{pause} of {scope:?} in force"),
        RecordBody::Resumed { pause, by } => match by {
            Some(by) => format!("{pause} ended by {}", by.name),
            None => format!("{pause} is over"),
        },
        RecordBody::OperatorStopped { unit, .. } => format!("{unit} was stopped by an operator"),
        RecordBody::OperatorStopEnded { unit } => format!("{unit} is no longer kept down by an operator"),
        RecordBody::StartOwed { unit, because } => format!("{unit} is owed a start: {because:?}"),
        RecordBody::StartNoLongerOwed { unit } => format!("{unit} is no longer owed a start"),
        RecordBody::StabilityProven { subject } => format!("{subject} has proven stable"),
        RecordBody::ClockStepped { forward, by } => {
            format!("clock stepped {} by {}s", if *forward { "forward" } else { "back" }, by.as_secs())
        }
        RecordBody::LedgerRecovered { queued, lost } => {
            format!("ledger recovered: {queued} queued, {lost} lost")
        }
        RecordBody::Pruned { records, .. } => format!("{records} old records pruned"),
    }
}

/// An effect in one line.
#[must_use]
pub(super) fn effect_line(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Record { entry, .. } => Some(format!("  record  {}", record_line(entry))),
        Effect::Act(permit) => {
            let targets: Vec<String> = permit.targets().iter().map(ToString::to_string).collect();
            Some(format!("  act     {} {} {}", permit.action(), permit.remedy(), targets.join(", ")))
        }
        Effect::Tell { notice, .. } => {
            let what = match notice.id.kind() {
                "proposal" => "ask",
                _ => "page",
            };
            Some(format!("  {what:<7} {} about {}", notice.incident.id, notice.incident.subject))
        }
        Effect::Reply { reply, .. } => Some(format!("  reply   {reply:?}")),
        Effect::Release { action } => Some(format!("  undo    {action}")),
        Effect::TakeEvidence { .. } | Effect::Look(_) | Effect::GoOn { .. } => None,
    }
}
