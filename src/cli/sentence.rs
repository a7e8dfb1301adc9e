//! A record as one sentence. Every kind has its own: a new kind does not compile without one.

use crate::model::{
    Applied, Bytes, Delivery, Evidence, Fate, Human, NoticeId, Owed, PauseScope, Peer, Reading, RecordBody,
    ReleasedBy, Removal, Resolution, StormLook, Verification,
};

use super::page::{about, safe, subject};

/// The sentence, fit for a terminal.
pub(super) fn sentence(body: &RecordBody) -> String {
    safe(&raw(body))
}

fn raw(body: &RecordBody) -> String {
    match body {
        RecordBody::ChainStarted { previous: None, .. } => "the ledger begins".into(),
        RecordBody::ChainStarted { previous: Some(old), .. } => {
            format!("a new ledger begins; the old one is kept as {}: {}", old.file, old.why)
        }
        RecordBody::AgentStarted { version, policy, .. } => {
            format!("agent {version} started with policy {policy}")
        }
        RecordBody::AgentStopping { why } => format!("agent stopping: {why}"),
        RecordBody::PolicyLoaded { digest, rules } => format!("policy {digest} in force, {rules} rules"),
        RecordBody::PolicyRejected { error } => {
            format!("a policy was refused: {}", error.lines().next().unwrap_or(""))
        }
        RecordBody::IncidentOpened { incident, rule, subject: of, finding, .. } => {
            format!("{incident} opened on {} by rule {rule}: {}", subject(of), finding.what)
        }
        RecordBody::IncidentReopened { incident, finding } => format!("{incident} is back: {}", finding.what),
        RecordBody::EvidenceTaken { incident, evidence } => {
            format!("{incident}: evidence taken, {}", amount(evidence))
        }
        RecordBody::Held { incident, remedy, refusal } => {
            format!("{incident}: {remedy} held by {}: {}", refusal.guard, refusal.why)
        }
        RecordBody::Proposed(proposal) => {
            let about = about(&proposal.subject, &proposal.targets);
            format!("{}: {} proposed for {about}", proposal.id, proposal.remedy)
        }
        RecordBody::Approved { proposal, by } => format!("{proposal} approved by {}", who(by)),
        RecordBody::Denied { proposal, by, reason } => format!("{proposal} denied by {}: {reason}", who(by)),
        RecordBody::ProposalExpired { proposal } => format!("{proposal} expired without an answer"),
        RecordBody::Intended(intent) => format!(
            "{}: {} on {}, attempt {}: {}",
            intent.action,
            intent.remedy,
            about(&intent.subject, &intent.targets),
            intent.attempt,
            intent.why
        ),
        RecordBody::Removing { action, removals } => match removals.as_slice() {
            [Removal { path, size, fate: Fate::Archived { archive, from }, .. }] => {
                format!("{action} archives {size} of {path} from byte {} on in {archive}", from.0)
            }
            removals => format!("{action} removes {}", removed(removals)),
        },
        RecordBody::Applied { action, applied } => format!("{action} {}", applied_words(applied)),
        RecordBody::Released { action, by, why } => {
            let by = match by {
                ReleasedBy::Agent | ReleasedBy::Itself | ReleasedBy::Boot => String::new(),
                ReleasedBy::Operator { peer } => format!(" by {}", who(peer)),
            };
            format!("{action} undone{by}: {why}")
        }
        RecordBody::Verified { action, verification, .. } => format!("{action} {}", verified(verification)),
        RecordBody::Escalated { incident, why, tried, .. } => {
            let tried = if tried.is_empty() { "nothing".into() } else { tried.join(", ") };
            format!("{incident} escalated: {why}; tried {tried}")
        }
        RecordBody::Told { notice, delivery } => told(*notice, delivery),
        RecordBody::Acknowledged { incident, by } => format!("{incident} acknowledged by {}", who(by)),
        RecordBody::IncidentResolved { incident, how, why } => {
            format!("{incident} over, {}: {why}", resolution(*how))
        }
        RecordBody::Paused { pause, scope, by, reason, .. } => {
            let scope = match scope {
                PauseScope::Agent => "the whole agent".to_owned(),
                PauseScope::Rule(rule) => format!("rule {rule}"),
                PauseScope::Unit(unit) => unit.to_string(),
            };
            format!("{pause}: {} paused {scope}: {reason}", who(by))
        }
        RecordBody::Resumed { pause, by: Some(by) } => format!("{pause} ended by {}", who(by)),
        RecordBody::Resumed { pause, by: None } => format!("{pause} ended by its time"),
        RecordBody::OperatorStopped { unit, .. } => {
            format!("{unit} was stopped on purpose; it is left alone")
        }
        RecordBody::OperatorStopEnded { unit } => format!("{unit} was started again; it is watched"),
        RecordBody::StartOwed { unit, because: Owed::StoppedAlong { with } } => {
            format!("{unit} was stopped along with {with}; it is started when that is back")
        }
        RecordBody::StartOwed { unit, because: Owed::StartGivenUp } => {
            format!(
                "the start of {unit} was given up because of a dependency; it is started when that is back"
            )
        }
        RecordBody::StartNoLongerOwed { unit } => format!("{unit} is no longer waited for"),
        RecordBody::StabilityProven { subject: of } => {
            format!("{} has been well for long enough; its attempts are forgotten", subject(of))
        }
        RecordBody::ClockStepped { forward, by } => {
            format!("the clock stepped {} by {}", if *forward { "forward" } else { "back" }, Human(*by))
        }
        RecordBody::LedgerRecovered { queued, lost } => {
            format!("records are durable again: {queued} had waited, {lost} were lost")
        }
        RecordBody::Pruned { through, records, unshipped: 0 } => {
            format!("{records} old records dropped, through {through}")
        }
        RecordBody::Pruned { through, records, unshipped } => {
            format!(
                "{records} old records dropped, through {through}; {unshipped} of them were never shipped"
            )
        }
    }
}

fn told(notice: NoticeId, delivery: &Delivery) -> String {
    let what = match notice {
        NoticeId::Escalation { incident, .. } => format!("the escalation of {incident}"),
        NoticeId::Proposal { proposal, .. } => format!("the question {proposal}"),
    };
    match delivery {
        Delivery::Taken => format!("people were told of {what}"),
        Delivery::NoChannel => format!("no [escalation] hook is set to tell people of {what}"),
        Delivery::Undeliverable { tries, why } => {
            format!("nobody could be told of {what} in {tries} tries: {why}")
        }
    }
}

fn who(peer: &Peer) -> String {
    format!("{} (uid {})", peer.name, peer.uid)
}

fn amount(evidence: &Evidence) -> String {
    if let Reading::Value(look) = &evidence.space {
        let files = look.files.iter().map(|file| (file.bytes, &file.path));
        let deleted =
            look.deleted.value().into_iter().flat_map(|it| &it.largest).map(|file| (file.bytes, &file.path));
        return files.chain(deleted).max().map_or("no file".into(), |(bytes, path)| {
            format!("the largest file is {} with {bytes}", safe(&path.to_string()))
        });
    }
    if let Reading::Failed(why) = &evidence.space {
        return format!("and none of who fills it: {}", safe(why));
    }
    let lines = |reading: &Reading<Vec<String>>| match reading {
        Reading::Value(lines) => lines.len().to_string(),
        Reading::Absent(_) | Reading::Failed(_) => "no".into(),
    };
    let storm = evidence.storm.value().map_or(String::new(), |look| format!(", {}", made_by(look)));
    format!("{} log lines, {} processes{storm}", lines(&evidence.log), lines(&evidence.processes))
}

/// Who makes the most processes.
fn made_by(look: &StormLook) -> String {
    look.makers.first().map_or("no maker of processes".into(), |first| {
        format!("most processes made by {} {} ({})", first.pid, safe(&first.name), first.share)
    })
}

fn applied_words(applied: &Applied) -> String {
    match applied {
        Applied::Changed => "carried out".into(),
        Applied::Removed { files, freed, inodes_freed, why } => {
            format!("removed {files} files, which freed {freed} and {inodes_freed} inodes: {why}")
        }
        Applied::Archived { logs, content, freed, why } => {
            format!("archived {content} of {logs} logs, which freed {freed}: {why}")
        }
        Applied::Restrained { what, until } => format!("{what}, until {} at the latest", until.wall),
        Applied::AlreadySo => "had nothing to do".into(),
        Applied::Withdrawn { why } => format!("withdrawn: {why}"),
        Applied::Failed { why } => format!("failed: {why}"),
        Applied::Unknown { why } => format!("may or may not have happened: {why}"),
    }
}

/// The first and how many more; the record has them all.
fn removed(removals: &[Removal]) -> String {
    let bytes = Bytes(removals.iter().fold(0, |sum: u64, it| sum.saturating_add(it.allocated.0)));
    match removals {
        [] => "nothing".into(),
        [one] => format!("{} ({bytes})", one.path),
        [first, more @ ..] => format!("{} and {} more files ({bytes})", first.path, more.len()),
    }
}

fn verified(verification: &Verification) -> String {
    match verification {
        Verification::Confirmed { why } => format!("confirmed: {why}"),
        Verification::Refuted { why } => format!("refuted: {why}"),
        Verification::Inconclusive { why } => format!("inconclusive: {why}"),
    }
}

/// How an incident ended.
pub(super) const fn resolution(how: Resolution) -> &'static str {
    match how {
        Resolution::Repaired => "repaired by the agent and verified",
        Resolution::ClearedByItself => "cleared by itself",
        Resolution::SubjectGone => "its subject is gone or was taken out of service",
        Resolution::RuleGone => "its rule left the policy",
    }
}
