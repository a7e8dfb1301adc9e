//! `prunella status`: what is wrong, what the agent does about it, what it waits for and until when.

use std::time::Duration;

use crate::model::{
    Hold, Human, IncidentState, OwnUse, PauseScope, Refusal, SenseNews, SenseState, Severity, Slowdown,
    Timestamp, Tried, Verification,
};
use crate::serve::{IncidentSummary, Status};

use super::exit::Exit;
use super::page::{Page, Terminal, Tone, about, ago, ahead, safe, subject};

/// The engine looks around far more often than this; a longer silence means that it is stuck.
const ENGINE_SILENT: Duration = Duration::from_secs(120);

/// Whether a person is needed.
pub(super) fn verdict(status: &Status) -> Exit {
    let person =
        status.incidents.iter().any(|i| i.state == IncidentState::Escalated || i.severity == Severity::Page);
    if person || !impairments(status).is_empty() { Exit::Attention } else { Exit::Ok }
}

/// What keeps the agent itself from working.
fn impairments(status: &Status) -> Vec<String> {
    let mut found = Vec::new();
    let silent = status.now.wall.since(status.at.wall);
    if silent > ENGINE_SILENT {
        let silent = Human(Duration::from_secs(silent.as_secs()));
        found.push(format!("the agent answers, but its loop has not moved for {silent}: it repairs nothing"));
    }
    if let Some(why) = &status.units_lost {
        found.push(format!("nothing is known of units, and none is repaired: {}", safe(why)));
    }
    if status.ledger_degraded {
        found.push(
            "records can't be written to the disk and wait in memory: they are lost if the agent ends now"
                .into(),
        );
    }
    for SenseNews { sense, state } in &status.senses_broken {
        let (how, why) = match state {
            SenseState::Working => continue,
            SenseState::Broken { why } => ("broke off and is begun anew", why),
            SenseState::Off { why } => ("broke off time and again and stays off", why),
        };
        found.push(format!("the sense of {} {how}: {}", sense.as_str(), safe(why)));
    }
    if status.policy_error.is_some() {
        found.push("the newest policy files were refused; the policy before stays in force:".into());
    }
    found
}

/// That the agent looks less often. Nothing is broken by that: people are told when it lasts.
fn slowed(status: &Status) -> Option<String> {
    let own = status.own.value().filter(|own| own.slowdown > Slowdown::NONE)?;
    let memory = own.memory.value().map(|memory| format!(" and {memory} of memory")).unwrap_or_default();
    Some(format!(
        "the agent takes too much of this host, so it looks {} times less often: {} of a processor{memory} in the \
         last minute, where it may take {} and {}",
        own.slowdown, own.cpu, own.budget.cpu, own.budget.memory
    ))
}

/// The page.
pub(super) fn render(status: &Status, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    headline(&mut page, status);
    impaired(&mut page, status);
    for incident in &status.incidents {
        page.blank();
        block(&mut page, incident, status);
    }
    restraints(&mut page, status);
    pauses(&mut page, status);
    page.blank();
    if let Some(why) = &status.history.failing {
        page.labelled(Tone::Busy, "history", &format!("not kept at present: {}", safe(why)));
    }
    let looked = ago(status.at, status.now);
    let manager = safe(&status.agent.manager);
    page.labelled(
        Tone::Faint,
        "watching",
        &format!(
            "{} by {manager}; last looked {looked}",
            plural(u64::try_from(status.units_seen).unwrap_or(u64::MAX), "unit")
        ),
    );
    page.labelled(Tone::Faint, "policy", &short(&status.policy_digest));
    let started = ago(status.agent.started, status.now);
    page.labelled(
        Tone::Faint,
        "agent",
        &format!("{}, pid {}, started {started}", safe(&status.agent.version), status.agent.pid),
    );
    if let Some(own) = status.own.value() {
        page.labelled(Tone::Faint, "it takes", &takes(own));
    }
    page.labelled(Tone::Faint, "so far", &counts(status));
    page.finish()
}

/// `0.04 % of a processor, 2.3 MiB of memory, 6 threads, 61 open files`
fn takes(own: &OwnUse) -> String {
    let mut parts = vec![format!("{:.2} % of a processor", own.cpu.0)];
    parts.extend(own.memory.value().map(|memory| format!("{memory} of memory")));
    parts.extend(own.threads.value().map(|threads| plural(*threads, "thread")));
    parts.extend(own.open_files.value().map(|files| plural(*files, "open file")));
    parts.join(", ")
}

fn counts(status: &Status) -> String {
    let c = &status.counts;
    format!(
        "{}: {} repaired, {} cleared by themselves, {} escalated; {}: {} confirmed, {} refuted, {} inconclusive",
        plural(c.incidents, "incident"),
        c.repaired,
        c.cleared_by_themselves,
        c.escalated,
        plural(c.actions, "action"),
        c.confirmed,
        c.refuted,
        c.inconclusive
    )
}

pub(super) fn plural(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn headline(page: &mut Page, status: &Status) {
    let count = |wanted: fn(&IncidentSummary) -> bool| {
        u64::try_from(status.incidents.iter().filter(|i| wanted(i)).count()).unwrap_or(u64::MAX)
    };
    let escalated = count(|i| i.state == IncidentState::Escalated);
    let working =
        count(|i| matches!(i.state, IncidentState::Acting { .. } | IncidentState::Verifying { .. }));
    let open = count(|_| true);
    let mut parts = Vec::new();
    if escalated > 0 {
        parts.push(format!("{} a person: no remedy helped", needs(escalated)));
    }
    if working > 0 {
        parts.push(format!("{} under way", plural(working, "repair")));
    }
    let rest = open - escalated - working;
    if rest > 0 {
        parts.push(format!("{} waiting", plural(rest, "incident")));
    }
    if !status.proposals.is_empty() {
        let n = u64::try_from(status.proposals.len()).unwrap_or(u64::MAX);
        parts.push(format!("{} to answer", plural(n, "proposal")));
    }
    let impaired = !impairments(status).is_empty();
    let (tone, text) = match (verdict(status), parts.is_empty()) {
        (Exit::Attention, true) => {
            (Tone::Bad, "Nothing is known to be broken, but the agent is impaired".to_owned())
        }
        (_, true) if held_now(status).is_some() => {
            (Tone::Busy, "Nothing is known to be broken; repairs are held back".into())
        }
        (_, true) => (Tone::Good, "All is well: nothing to repair".into()),
        (Exit::Attention, false) if impaired => {
            (Tone::Bad, format!("{}; the agent is impaired", parts.join(", ")))
        }
        (Exit::Attention, false) => (Tone::Bad, parts.join(", ")),
        (_, false) => (Tone::Busy, parts.join(", ")),
    };
    page.line(tone, &format!("{text}."));
}

fn needs(n: u64) -> String {
    if n == 1 { "1 incident needs".into() } else { format!("{n} incidents need") }
}

fn impaired(page: &mut Page, status: &Status) {
    let found = impairments(status);
    if !found.is_empty() {
        page.blank();
    }
    for what in found {
        page.labelled(Tone::Bad, "IMPAIRED", &what);
    }
    if let Some(error) = &status.policy_error {
        let lines: Vec<String> = error.lines().map(|line| format!("  {}", safe(line))).collect();
        page.block(&lines.join("\n"));
        page.next("prunella check /etc/prunella");
    }
    if let Some(slowed) = slowed(status) {
        page.blank();
        page.labelled(Tone::Busy, "SLOWED", &slowed);
    }
    if let Some(held) = held_now(status) {
        page.blank();
        page.labelled(Tone::Busy, "HELD", &format!("every repair: {}", refusal(held, status.now)));
    }
}

/// The word for where an incident stands, with its colour.
pub(super) fn word(incident: &IncidentSummary) -> (Tone, String) {
    let (tone, word) = match &incident.state {
        IncidentState::Open | IncidentState::Planned if incident.proposal.is_some() => (Tone::Busy, "asks"),
        IncidentState::Open | IncidentState::Planned if incident.held.is_some() => (Tone::Busy, "held"),
        IncidentState::Open
        | IncidentState::Planned
        | IncidentState::Acting { .. }
        | IncidentState::Verifying { .. } => (Tone::Busy, incident.state.as_str()),
        IncidentState::Escalated => (Tone::Bad, incident.state.as_str()),
        IncidentState::Suppressed => (Tone::Faint, incident.state.as_str()),
        IncidentState::Resolved { .. } => (Tone::Good, incident.state.as_str()),
    };
    (tone, word.to_uppercase())
}

/// `reset-and-start (refuted, 2 times), restart (no verdict yet)`
pub(super) fn tried(tried: &[Tried]) -> String {
    let mut groups: Vec<(String, u32)> = Vec::new();
    for one in tried {
        let verdict = match &one.verification {
            None => "no verdict yet",
            Some(Verification::Confirmed { .. }) => "confirmed",
            Some(Verification::Refuted { .. }) => "refuted",
            Some(Verification::Inconclusive { .. }) => "inconclusive",
        };
        let text = format!("{} ({verdict}", one.remedy);
        match groups.last_mut() {
            Some((last, n)) if *last == text => *n += 1,
            Some(_) | None => groups.push((text, 1)),
        }
    }
    if groups.is_empty() {
        return "nothing yet".into();
    }
    let words = groups
        .into_iter()
        .map(|(text, n)| if n == 1 { format!("{text})") } else { format!("{text}, {n} times)") });
    words.collect::<Vec<_>>().join(", ")
}

/// The no that holds for every unit. One whose time is over is not told: the agent has not had to look since.
pub(super) fn held_now(status: &Status) -> Option<&Refusal> {
    status.held.as_ref().filter(|held| match held.hold {
        Hold::Until(then) => then.wall > status.now.wall,
        Hold::UntilChange | Hold::Denied => true,
    })
}

/// A digest as far as people compare it.
fn short(digest: &str) -> String {
    const SHOWN: usize = 12;
    safe(digest.get(..SHOWN).unwrap_or(digest))
}

/// The guard's no, and until when.
pub(super) fn refusal(refusal: &Refusal, now: Timestamp) -> String {
    let until = match refusal.hold {
        Hold::Until(then) => format!("asks again {}", ahead(then, now)),
        Hold::UntilChange => "asks again when that changes".into(),
        Hold::Denied => "stays so until a person acts or the fault goes".into(),
    };
    format!("{} says no: {}; {until}", refusal.guard, safe(&refusal.why))
}

fn block(page: &mut Page, incident: &IncidentSummary, status: &Status) {
    let now = status.now;
    let proposal = status.proposals.iter().find(|proposal| Some(proposal.id) == incident.proposal);
    let (tone, label) = word(incident);
    page.labelled(tone, &label, &title(incident));
    page.under(&format!(
        "{}; for {}",
        safe(&incident.what),
        ago(incident.opened, now).trim_end_matches(" ago")
    ));
    let tried = tried(&incident.tried);
    let told =
        incident.escalated.map(|then| format!("; told a person {}", ago(then, now))).unwrap_or_default();
    match &incident.state {
        IncidentState::Acting { action } => page.under(&format!("{action} is under way; tried {tried}")),
        IncidentState::Verifying { action } => {
            page.under(&format!("tried {tried}; watching whether {action} helped"));
        }
        IncidentState::Open
        | IncidentState::Planned
        | IncidentState::Escalated
        | IncidentState::Suppressed
        | IncidentState::Resolved { .. } => page.under(&format!("tried {tried}{told}")),
    }
    if let Some(proposal) = proposal {
        let about = about(&proposal.subject, &proposal.targets);
        page.under(&format!(
            "wants to {} {about}; expires {}",
            proposal.remedy,
            ahead(proposal.expires, now)
        ));
        page.next(&format!("prunella approve {}", proposal.id));
        page.next(&format!("prunella deny {} --reason TEXT", proposal.id));
        return;
    }
    if let Some(held) = &incident.held {
        page.under(&refusal(held, now));
    }
    if incident.state == IncidentState::Escalated {
        page.next(&format!("prunella explain {}", incident.id));
    }
}

/// `inc-12  api.service  page, owner team-payments`
pub(super) fn title(incident: &IncidentSummary) -> String {
    let mut title =
        format!("{}  {}  {}", incident.id, subject(&incident.subject), severity(incident.severity));
    if let Some(owner) = &incident.owner {
        title.push_str(&format!(", owner {}", safe(owner)));
    }
    if incident.recurrences > 0 {
        title.push_str(&format!(", came back {}", times(incident.recurrences)));
    }
    title
}

pub(super) fn times(n: u32) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Ticket => "ticket",
        Severity::Page => "page",
    }
}

/// Who is held back, and what ends it.
fn restraints(page: &mut Page, status: &Status) {
    for it in &status.restraints {
        page.blank();
        let what = it.what.as_deref().unwrap_or("it is not known yet whether it is");
        let until = ahead(it.until, status.now);
        page.labelled(Tone::Busy, "HELD BACK", &format!("{}  {}", it.unit, it.remedy));
        page.under(&format!("{} by {}; ends {until}", safe(what), it.action));
        page.next(&format!("prunella undo {}", it.action));
    }
}

fn pauses(page: &mut Page, status: &Status) {
    for pause in &status.pauses {
        page.blank();
        let scope = match &pause.scope {
            PauseScope::Agent => "the whole agent".to_owned(),
            PauseScope::Rule(rule) => format!("rule {}", safe(rule.as_str())),
            PauseScope::Unit(unit) => unit.to_string(),
        };
        page.labelled(Tone::Busy, "PAUSED", &format!("{}  {scope}", pause.id));
        page.under(&format!(
            "by {}: {}; ends {}",
            safe(&pause.by),
            safe(&pause.reason),
            ahead(pause.until, status.now)
        ));
        page.next(&format!("prunella resume {}", pause.id));
    }
}
