//! `prunella explain`: why the agent acted, or which guard said no and until when.

use crate::model::{
    Absence, Condition, CulpritLook, Evidence, Incident, IncidentState, MainExit, Mode, PauseScope, Reading,
    Remedy, Severity, SpaceLook, StormLook, Subject, UnitName,
};
use crate::serve::{IncidentDetail, IncidentSummary, Status, Units, is_open};

use super::listing::state;
use super::page::{Page, Terminal, Tone, about, ago, ahead, clock, safe};
use super::sentence::{resolution, sentence};
use super::status::{held_now, refusal, title, tried, word};

/// The incident to show for a subject: the open one, or the latest that ended.
pub(super) fn pick<'a>(subject: &Subject, incidents: &'a [IncidentSummary]) -> Option<&'a IncidentSummary> {
    let of = |incident: &&IncidentSummary| incident.subject == *subject;
    incidents.iter().filter(of).max_by_key(|incident| (is_open(&incident.state), incident.id))
}

/// One incident.
pub(super) fn incident(detail: &IncidentDetail, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    match &detail.incident {
        Some(incident) => told(&mut page, incident, detail),
        None => page.line(Tone::Plain, "It ended long ago; this is what the ledger has of it."),
    }
    if detail.incident.is_none() {
        page.blank();
        for record in &detail.records {
            let at = clock(record.entry.at, detail.now);
            page.labelled(Tone::Faint, &at, &format!(" {}", sentence(&record.entry.body)));
        }
    }
    if let Some(error) = &detail.records_error {
        page.blank();
        page.labelled(Tone::Bad, "IMPAIRED", &safe(error));
    }
    page.finish()
}

fn told(page: &mut Page, incident: &Incident, detail: &IncidentDetail) {
    let now = detail.now;
    let summary = IncidentSummary::from(incident);
    let (tone, label) = word(&summary);
    page.labelled(tone, &label, &title(&summary));
    page.labelled(
        Tone::Faint,
        "rule",
        &format!("{} ({})", safe(incident.rule.as_str()), mode(incident.mode)),
    );
    page.labelled(Tone::Faint, "found", &safe(&incident.finding.what));
    page.labelled(
        Tone::Faint,
        "opened",
        &format!("{} ({})", ago(incident.opened, now), clock(incident.opened, now)),
    );
    page.blank();
    current(page, incident, detail);
    page.blank();
    page.line(Tone::Strong, "What happened");
    timeline(page, incident, detail);
    page.blank();
    match &incident.evidence {
        Some(evidence) => {
            page.line(Tone::Strong, "Evidence, taken before the first action");
            show(page, evidence);
        }
        None if incident.attempts == 0 => {
            page.line(Tone::Faint, "No action has begun, so no evidence was taken.");
        }
        None => page.line(Tone::Faint, "No evidence is at hand."),
    }
    if is_open(&incident.state)
        && let Some(unit) = incident.subject.unit()
    {
        page.blank();
        page.line(Tone::Strong, "Look for yourself");
        page.next(&format!("systemctl status {unit}"));
        page.next(&format!("journalctl -u {unit} -n 50"));
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe: it records what it would do, and does nothing",
        Mode::Approve => "approve: it asks before it acts",
        Mode::Auto => "auto: it repairs by itself",
    }
}

/// Why it stands where it stands.
fn current(page: &mut Page, incident: &Incident, detail: &IncidentDetail) {
    let now = detail.now;
    match &incident.state {
        IncidentState::Open => page.labelled(Tone::Busy, "now", "the next step is being decided"),
        IncidentState::Planned => page.labelled(Tone::Busy, "now", "the next step waits for the guards"),
        IncidentState::Acting { action } => {
            page.labelled(Tone::Busy, "now", &format!("{action} is under way"));
        }
        IncidentState::Verifying { action } => {
            page.labelled(Tone::Busy, "now", &format!("watching whether {action} helped"));
        }
        IncidentState::Resolved { how } => {
            let when = incident.closed.map(|then| format!(" {}", ago(then, now))).unwrap_or_default();
            page.labelled(Tone::Good, "now", &format!("over{when}: {}", resolution(*how)));
        }
        IncidentState::Escalated => {
            let when = incident.escalated.map(|then| format!(" {}", ago(then, now))).unwrap_or_default();
            let how = match incident.severity {
                Severity::Page => "was paged",
                Severity::Ticket => "was told",
            };
            let text = format!("a person {how}{when}: nothing on the ladder helped. Slow retries go on");
            page.labelled(Tone::Bad, "now", &text);
            page.next(&format!("prunella ack {}", incident.id));
        }
        IncidentState::Suppressed => page.labelled(Tone::Faint, "now", "held back"),
    }
    if let Some(held) = &incident.held {
        page.labelled(Tone::Busy, "held", &refusal(held, now));
    }
    if let Some(proposal) = &detail.proposal {
        let wants = format!(
            "to {} {}; expires {}",
            proposal.remedy,
            about(&proposal.subject, &proposal.targets),
            ahead(proposal.expires, now)
        );
        page.labelled(Tone::Busy, "asks", &wants);
        page.next(&format!("prunella approve {}", proposal.id));
        page.next(&format!("prunella deny {} --reason TEXT", proposal.id));
    }
    let ladder: Vec<_> = incident.ladder.iter().map(|remedy: &Remedy| remedy.name()).collect();
    let ladder =
        if ladder.is_empty() { "empty: only a person is told".into() } else { ladder.join(", then ") };
    page.labelled(Tone::Faint, "ladder", &ladder);
    page.labelled(Tone::Faint, "tried", &tried(&IncidentSummary::from(incident).tried));
}

fn timeline(page: &mut Page, incident: &Incident, detail: &IncidentDetail) {
    for entry in &incident.timeline {
        let at = clock(entry.at, detail.now);
        let mut text = safe(&entry.what);
        if let Some(tried) = &entry.tried {
            // The verdict has an entry of its own, at its own time.
            text.push_str(&format!(" ({})", tried.action));
        }
        page.labelled(Tone::Faint, &at, &text);
    }
}

fn show(page: &mut Page, evidence: &Evidence) {
    match &evidence.unit {
        // The host is no unit.
        Reading::Absent(Absence::NotApplicable) => {}
        Reading::Value(unit) => {
            let mut text = state(unit);
            if let Reading::Value(service) = unit.service() {
                match service.exit {
                    MainExit::None => {}
                    MainExit::Code(code) => text.push_str(&format!(", exit code {code}")),
                    MainExit::Signal(signal) => text.push_str(&format!(", signal {signal}")),
                }
                text.push_str(&format!(", {} automatic restarts", service.restarts));
                if let Reading::Value(memory) = &service.memory {
                    text.push_str(&format!(", {memory}"));
                }
            }
            page.labelled(Tone::Faint, "unit", &text);
        }
        Reading::Absent(_) | Reading::Failed(_) => missing(page, "unit", &evidence.unit),
    }
    if evidence.space != Reading::Absent(Absence::NotApplicable) {
        return lines(page, "taken by", &evidence.space.as_ref().map(SpaceLook::lines));
    }
    if evidence.disk != Reading::Absent(Absence::NotApplicable) {
        lines(page, "disk", &evidence.disk);
        return lines(page, "kernel", &evidence.log);
    }
    lines(page, "log", &evidence.log);
    lines(page, "processes", &evidence.processes);
    if evidence.culprits != Reading::Absent(Absence::NotApplicable) {
        lines(page, "taken by", &evidence.culprits.as_ref().map(CulpritLook::lines));
    }
    if evidence.storm != Reading::Absent(Absence::NotApplicable) {
        lines(page, "made by", &evidence.storm.as_ref().map(StormLook::lines));
    }
}

fn lines(page: &mut Page, label: &str, reading: &Reading<Vec<String>>) {
    match reading {
        Reading::Value(lines) if lines.is_empty() => page.labelled(Tone::Faint, label, "none"),
        Reading::Value(lines) => {
            for (n, line) in lines.iter().enumerate() {
                page.labelled(Tone::Faint, if n == 0 { label } else { "" }, &safe(line));
            }
        }
        Reading::Absent(_) | Reading::Failed(_) => missing(page, label, reading),
    }
}

fn missing<T>(page: &mut Page, label: &str, reading: &Reading<T>) {
    let why = reading.why_not().unwrap_or_default();
    page.labelled(Tone::Faint, label, &format!("none: {}", safe(&why)));
}

/// A unit without an incident: what is known, and why it is left alone.
pub(super) fn unit(unit: &UnitName, units: &Units, status: &Status, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    let now = status.now;
    let view = units.units.iter().find(|view| view.status.name == *unit);
    page.line(Tone::Strong, unit.as_str());
    let known = match (view, &units.units_lost) {
        (_, Some(why)) => format!("nothing is known of any unit: {}", safe(why)),
        (Some(view), None) => state(&view.status),
        (None, None) => "at rest, as far as the agent sees, or there is no such unit".to_owned(),
    };
    page.labelled(Tone::Faint, "state", &known);
    page.labelled(Tone::Faint, "incidents", "none, open or recent");
    let why = why_alone(unit, units, status);
    for reason in &why {
        page.labelled(Tone::Busy, "left alone", reason);
    }
    if why.is_empty() && view.is_none() {
        page.labelled(
            Tone::Faint,
            "now",
            "no rule finds fault with it; if one does, the agent acts by that rule",
        );
    }
    let subject = Subject::Unit(unit.clone());
    for view in status.conditions.iter().filter(|view| view.subject == subject) {
        let text = match &view.condition {
            Condition::Pending { .. } => "true, but not for long enough yet".to_owned(),
            Condition::Firing { .. } => "true".to_owned(),
            Condition::Clearing { .. } => "no longer true, not yet counted as over".to_owned(),
            Condition::Unknown { why, .. } => format!("can't be said: {}", safe(why)),
        };
        page.labelled(Tone::Busy, "rule", &format!("{}: {text}", safe(view.rule.as_str())));
    }
    page.labelled(Tone::Faint, "looked", &ago(units.at, now));
    page.next(&format!("systemctl status {unit}"));
    page.finish()
}

/// Every reason there is not to touch it.
pub(super) fn why_alone(unit: &UnitName, units: &Units, status: &Status) -> Vec<String> {
    let now = status.now;
    let mut why = Vec::new();
    let said =
        units.units.iter().find(|view| view.status.name == *unit).and_then(|view| view.left_alone.as_ref());
    why.extend(said.map(|said| safe(said)));
    if said.is_none() && units.operator_stopped.contains(unit) {
        why.push("an operator stopped it on purpose; it stays down until somebody starts it".into());
    }
    for pause in &status.pauses {
        if pause.scope == PauseScope::Unit(unit.clone()) {
            why.push(format!(
                "{} paused it: {}; ends {}",
                safe(&pause.by),
                safe(&pause.reason),
                ahead(pause.until, now)
            ));
        }
    }
    why.extend(held_now(status).map(|held| refusal(held, now)));
    why
}
