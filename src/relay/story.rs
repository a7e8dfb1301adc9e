//! The incidents that records tell of: what belongs to which, and what there is to tell people.
//!
//! Folded from the ledger alone, and so found again after any crash by reading it again from
//! [`Stories::needed_from`].

use std::collections::BTreeMap;

use crate::model::{
    ActionId, Applied, Delivery, Entry, IncidentId, Intent, Proposal, ProposalId, RecordBody, Resolution,
    Seq, Severity, Verification, WallTime,
};

/// Incidents remembered; beyond that the oldest goes, first of those that are over. As many as a storm on one host makes.
pub const STORIES_MAX: usize = 2000;
/// Acts of one incident that get a span of their own.
pub const ACTS_MAX: usize = 64;
/// Acts and questions of which it is remembered to which incident they belong: the newest, for an answer comes soon.
const TIES_MAX: usize = 4096;
/// Longest sentence that is passed on, characters.
const SENTENCE_CHARS_MAX: usize = 500;

/// One act, from its intent to its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub action: ActionId,
    pub remedy: String,
    pub intended: WallTime,
    pub applied: Option<(WallTime, &'static str)>,
    pub verified: Option<(WallTime, &'static str)>,
}

/// Why people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub severity: Severity,
    /// When they were called for first.
    pub since: WallTime,
    /// One sentence, of the newest.
    pub why: String,
    /// A question waits for an answer.
    pub question: Option<ProposalId>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Its first record: where to read from to find all of this again.
    pub from: Seq,
    pub opened: WallTime,
    pub rule: String,
    pub subject: String,
    pub severity: Severity,
    pub owner: Option<String>,
    pub what: String,
    pub acts: Vec<Act>,
    pub call: Option<Call>,
    /// The call holds: not once the fault has come back and the agent tries again.
    pub calling: bool,
    pub ended: Option<(WallTime, Resolution, Seq)>,
    /// A person has taken note.
    pub acknowledged: bool,
    /// How often the fault came back.
    pub returns: u32,
}

/// Of an incident whose beginning is not in the ledger any more.
const UNKNOWN: &str = "unknown";

impl Story {
    const fn begun(from: Seq, opened: WallTime) -> Self {
        Self {
            from,
            opened,
            rule: String::new(),
            subject: String::new(),
            severity: Severity::Ticket,
            owner: None,
            what: String::new(),
            acts: Vec::new(),
            call: None,
            calling: false,
            ended: None,
            acknowledged: false,
            returns: 0,
        }
    }
}

/// What one record means to whoever ships it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The incident that it belongs to, by its own word or by its act's or question's.
    pub incident: Option<IncidentId>,
    /// With this record the incident has ended.
    pub ended: bool,
}

/// All that are remembered.
#[derive(Clone, Debug, Default)]
pub struct Stories {
    stories: BTreeMap<IncidentId, Story>,
    actions: BTreeMap<ActionId, IncidentId>,
    questions: BTreeMap<ProposalId, IncidentId>,
}

/// A bounded piece of a sentence.
fn sentence(text: &str) -> String {
    text.chars().take(SENTENCE_CHARS_MAX).collect()
}

const fn applied_word(applied: &Applied) -> &'static str {
    match applied {
        Applied::Changed
        | Applied::Removed { .. }
        | Applied::Archived { .. }
        | Applied::Restrained { .. } => "changed",
        Applied::AlreadySo => "already-so",
        Applied::Withdrawn { .. } => "withdrawn",
        Applied::Failed { .. } => "failed",
        Applied::Unknown { .. } => "unknown",
    }
}

const fn verdict_word(verification: &Verification) -> &'static str {
    match verification {
        Verification::Confirmed { .. } => "confirmed",
        Verification::Refuted { .. } => "refuted",
        Verification::Inconclusive { .. } => "inconclusive",
    }
}

impl Stories {
    /// Those that are remembered.
    pub fn iter(&self) -> impl Iterator<Item = (IncidentId, &Story)> {
        self.stories.iter().map(|(id, story)| (*id, story))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, incident: IncidentId) -> Option<&Story> {
        self.stories.get(&incident)
    }

    /// It is over, and nobody is left to be told.
    pub fn forget(&mut self, incident: IncidentId) {
        self.stories.remove(&incident);
        self.actions.retain(|_, of| *of != incident);
        self.questions.retain(|_, of| *of != incident);
    }

    /// The first record that must be read again to know all of this; `None` where nothing is remembered.
    #[must_use]
    pub fn needed_from(&self) -> Option<Seq> {
        self.stories.values().map(|story| story.from).min()
    }

    /// One more record, in order.
    pub fn take(&mut self, seq: Seq, entry: &Entry) -> Meaning {
        let incident = entry.body.incident().or_else(|| self.belongs(&entry.body));
        let meaning = Meaning { incident, ended: matches!(entry.body, RecordBody::IncidentResolved { .. }) };
        if let RecordBody::IncidentOpened { incident, rule, subject, severity, owner, finding, .. } =
            &entry.body
        {
            self.make_room();
            let story = Story {
                rule: rule.to_string(),
                subject: subject.to_string(),
                severity: *severity,
                owner: owner.clone(),
                what: sentence(&finding.what),
                ..Story::begun(seq, entry.at.wall)
            };
            self.stories.insert(*incident, story);
        } else if let Some(incident) = incident {
            self.find_again(incident, seq, entry);
            self.go_on(incident, seq, entry);
        }
        meaning
    }

    /// An incident that comes back, or that people are called for, is known again, whatever was forgotten of it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "others say nothing that an incident could be known by"
    )]
    fn find_again(&mut self, incident: IncidentId, seq: Seq, entry: &Entry) {
        if self.stories.contains_key(&incident) {
            return;
        }
        let known = match &entry.body {
            RecordBody::IncidentReopened { finding, .. } => {
                Some((finding.rule.to_string(), finding.subject.to_string(), finding.what.clone()))
            }
            RecordBody::Proposed(proposal) => {
                Some((UNKNOWN.to_owned(), proposal.subject.to_string(), UNKNOWN.to_owned()))
            }
            RecordBody::Escalated { why, .. } => Some((UNKNOWN.to_owned(), UNKNOWN.to_owned(), why.clone())),
            _ => None,
        };
        if let Some((rule, subject, what)) = known {
            self.make_room();
            let what = sentence(&what);
            self.stories.insert(incident, Story { rule, subject, what, ..Story::begun(seq, entry.at.wall) });
        }
    }

    fn belongs(&self, body: &RecordBody) -> Option<IncidentId> {
        match body {
            RecordBody::Applied { action, .. }
            | RecordBody::Verified { action, .. }
            | RecordBody::Removing { action, .. }
            | RecordBody::Released { action, .. } => self.actions.get(action).copied(),
            RecordBody::Approved { proposal, .. }
            | RecordBody::Denied { proposal, .. }
            | RecordBody::ProposalExpired { proposal } => self.questions.get(proposal).copied(),
            RecordBody::ChainStarted { .. }
            | RecordBody::AgentStarted { .. }
            | RecordBody::AgentStopping { .. }
            | RecordBody::PolicyLoaded { .. }
            | RecordBody::PolicyRejected { .. }
            | RecordBody::IncidentOpened { .. }
            | RecordBody::IncidentReopened { .. }
            | RecordBody::EvidenceTaken { .. }
            | RecordBody::Held { .. }
            | RecordBody::Proposed(_)
            | RecordBody::Intended(_)
            | RecordBody::Escalated { .. }
            | RecordBody::Told { .. }
            | RecordBody::Acknowledged { .. }
            | RecordBody::IncidentResolved { .. }
            | RecordBody::Paused { .. }
            | RecordBody::Resumed { .. }
            | RecordBody::OperatorStopped { .. }
            | RecordBody::OperatorStopEnded { .. }
            | RecordBody::StartOwed { .. }
            | RecordBody::StartNoLongerOwed { .. }
            | RecordBody::StabilityProven { .. }
            | RecordBody::ClockStepped { .. }
            | RecordBody::LedgerRecovered { .. }
            | RecordBody::Pruned { .. } => None,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most records change nothing that people are told of")]
    fn go_on(&mut self, incident: IncidentId, seq: Seq, entry: &Entry) {
        let at = entry.at.wall;
        match &entry.body {
            RecordBody::Intended(Intent { action, .. }) => {
                self.actions.insert(*action, incident);
                while self.actions.len() > TIES_MAX {
                    self.actions.pop_first();
                }
            }
            RecordBody::Proposed(Proposal { id, .. }) => {
                self.questions.insert(*id, incident);
                while self.questions.len() > TIES_MAX {
                    self.questions.pop_first();
                }
            }
            _ => {}
        }
        let Some(story) = self.stories.get_mut(&incident) else { return };
        match &entry.body {
            RecordBody::IncidentReopened { finding, .. } => {
                story.what = sentence(&finding.what);
                story.ended = None;
                story.calling = false;
                story.returns = story.returns.saturating_add(1);
            }
            RecordBody::Intended(intent) => {
                // A record may be read twice.
                let known = story.acts.iter().any(|act| act.action == intent.action);
                if !known && story.acts.len() < ACTS_MAX {
                    story.acts.push(Act {
                        action: intent.action,
                        remedy: intent.remedy.to_string(),
                        intended: at,
                        applied: None,
                        verified: None,
                    });
                }
            }
            RecordBody::Applied { action, applied } => {
                if let Some(act) = story.acts.iter_mut().find(|act| act.action == *action) {
                    act.applied = Some((at, applied_word(applied)));
                }
            }
            RecordBody::Verified { action, verification, .. } => {
                if let Some(act) = story.acts.iter_mut().find(|act| act.action == *action) {
                    act.verified = Some((at, verdict_word(verification)));
                }
            }
            RecordBody::Escalated { severity, why, .. } => {
                let since = story.call.as_ref().map_or(at, |call| call.since);
                let question = story.call.as_ref().and_then(|call| call.question);
                story.call = Some(Call { severity: *severity, since, why: sentence(why), question });
                story.acknowledged = false;
                story.calling = true;
            }
            RecordBody::Proposed(proposal) => {
                let why = format!(
                    "may the agent carry out {}? Answer with: prunella approve {}",
                    proposal.remedy, proposal.id
                );
                let call = story.call.get_or_insert(Call {
                    severity: Severity::Ticket,
                    since: at,
                    why: String::new(),
                    question: None,
                });
                call.why = why;
                call.question = Some(proposal.id);
                story.calling = true;
            }
            RecordBody::Approved { proposal, .. }
            | RecordBody::Denied { proposal, .. }
            | RecordBody::ProposalExpired { proposal } => {
                if let Some(call) = story.call.as_mut().filter(|call| call.question == Some(*proposal)) {
                    call.question = None;
                }
            }
            RecordBody::Acknowledged { .. } => story.acknowledged = true,
            RecordBody::IncidentResolved { how, .. } => story.ended = Some((at, *how, seq)),
            RecordBody::Told {
                delivery: Delivery::Taken | Delivery::NoChannel | Delivery::Undeliverable { .. },
                ..
            } => {}
            _ => {}
        }
    }

    fn make_room(&mut self) {
        while self.stories.len() >= STORIES_MAX {
            let over = self.stories.iter().find(|(_, story)| story.ended.is_some()).map(|(id, _)| *id);
            let Some(oldest) = over.or_else(|| self.stories.keys().next().copied()) else { return };
            self.forget(oldest);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::model::{
        BootId, BootTime, Finding, Id128, Mode, Peer, RuleName, Subject, Timestamp, UnitName,
    };

    /// A record at a second.
    pub(in crate::relay) fn at(second: i64, body: RecordBody) -> Entry {
        let millis = second * 1000;
        Entry {
            at: Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(millis)),
            boot: BootId(Id128::from_bytes([1; 16])),
            body,
        }
    }

    pub(in crate::relay) fn opened(incident: u64) -> RecordBody {
        let subject = Subject::Unit(UnitName::parse("web.service").unwrap());
        let rule = RuleName::new("unit-failed");
        RecordBody::IncidentOpened {
            incident: IncidentId(incident),
            rule: rule.clone(),
            subject: subject.clone(),
            severity: Severity::Ticket,
            mode: Mode::Auto,
            owner: Some("shop".into()),
            ladder: vec![],
            finding: Finding { rule, subject, what: "it failed".into() },
        }
    }

    pub(in crate::relay) fn escalated(incident: u64, severity: Severity) -> RecordBody {
        let why = "nothing helped".into();
        RecordBody::Escalated { incident: IncidentId(incident), severity, why, tried: vec![], count: 1 }
    }

    pub(in crate::relay) fn resolved(incident: u64) -> RecordBody {
        let (how, why) = (Resolution::Repaired, "well again".into());
        RecordBody::IncidentResolved { incident: IncidentId(incident), how, why }
    }

    pub(in crate::relay) fn told(stories: &mut Stories, records: Vec<RecordBody>) {
        for (n, body) in (1..).zip(records) {
            stories.take(Seq(n), &at(n.cast_signed(), body));
        }
    }

    #[test]
    fn an_incident_that_people_are_called_for_and_that_ends() {
        let mut stories = Stories::default();
        let by = Peer { uid: 0, pid: 1, name: "root".into() };
        let incident = IncidentId(4);
        told(
            &mut stories,
            vec![
                opened(4),
                escalated(4, Severity::Page),
                RecordBody::Acknowledged { incident, by },
                resolved(4),
            ],
        );
        let story = stories.get(incident).unwrap();
        let call = story.call.clone().unwrap();
        assert_eq!((call.severity, call.since.unix_millis()), (Severity::Page, 2000));
        assert!(story.acknowledged);
        assert_eq!(
            story.ended.map(|(at, how, _)| (at.unix_millis(), how)),
            Some((4000, Resolution::Repaired))
        );
        assert_eq!(stories.needed_from(), Some(Seq(1)));
        stories.forget(incident);
        assert_eq!(stories.needed_from(), None);
    }

    #[test]
    fn who_is_called_for_is_known_again_whatever_was_forgotten() {
        let mut stories = Stories::default();
        told(&mut stories, vec![opened(1), resolved(1)]);
        stories.forget(IncidentId(1));
        let RecordBody::IncidentOpened { finding, .. } = opened(1) else { unreachable!("it opens") };
        let again = RecordBody::IncidentReopened { incident: IncidentId(1), finding };
        told(&mut stories, vec![again, escalated(1, Severity::Page), escalated(2, Severity::Page)]);
        let story = stories.get(IncidentId(1)).unwrap();
        assert_eq!(
            (story.rule.as_str(), story.subject.as_str(), story.calling),
            ("unit-failed", "web.service", true)
        );
        assert!(
            stories.get(IncidentId(2)).is_some_and(|story| story.calling && story.what == "nothing helped")
        );
    }

    #[test]
    fn memory_is_bounded_and_those_that_are_over_go_first() {
        let mut stories = Stories::default();
        let max = STORIES_MAX as u64;
        told(
            &mut stories,
            (1..=max).map(opened).chain([resolved(7), opened(max + 1), opened(max + 2)]).collect(),
        );
        assert_eq!(stories.iter().count(), STORIES_MAX);
        assert!(stories.get(IncidentId(7)).is_none() && stories.get(IncidentId(1)).is_none());
        assert!(stories.get(IncidentId(2)).is_some());
    }
}
