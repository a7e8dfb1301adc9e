//! What was recorded for people reaches them: at least once, and twice only with a crash in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{NoticeId, Proposal, RecordBody};
use crate::sim::world::Moment;

use super::{Checker, Facts, Seen};

/// The hook is tried for five minutes, and takes a while itself; the agent may be down for one.
const BY_THEN: Moment = 15 * 60_000;

#[derive(Debug, Default)]
pub(super) struct Tellings {
    /// Recorded, and since when it is owed.
    owed: BTreeMap<NoticeId, Moment>,
    /// Recorded as told, or as not to be told to anybody.
    settled: BTreeSet<NoticeId>,
    /// What people have heard, by its key: numbers of records that were lost are given again.
    heard: BTreeSet<String>,
    heard_in_this_life: BTreeSet<String>,
    keys: BTreeMap<NoticeId, String>,
}

impl Checker for Tellings {
    fn name(&self) -> &'static str {
        "people are told"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        match seen {
            Seen::Died => self.heard_in_this_life.clear(),
            // What was not durable never was: the survivors tell.
            Seen::Survived => {
                let before = std::mem::take(&mut self.owed);
                self.settled.clear();
                facts.disk.entries().for_each(|entry| self.fold(&entry.body, facts.t));
                for (notice, since) in &mut self.owed {
                    *since = before.get(notice).copied().unwrap_or(*since);
                }
            }
            Seen::Recorded { entry, .. } => self.fold(&entry.body, facts.t),
            Seen::Telling { notice } => {
                self.keys.insert(notice.id, notice.key.clone());
                if !facts.full_disk && !facts.disk.durable().any(|entry| recorded(&entry.body, notice.id)) {
                    return Err(format!("{} is told before its record is durable", notice.key));
                }
                if self.settled.contains(&notice.id) {
                    return Err(format!("{} is told again, and was recorded as told", notice.key));
                }
                if self.heard_in_this_life.contains(&notice.key) {
                    return Err(format!("{} is told twice without a crash", notice.key));
                }
            }
            Seen::Told { notice, present } => {
                self.heard.insert(notice.key.clone());
                if *present {
                    self.heard_in_this_life.insert(notice.key.clone());
                }
            }
            Seen::Over => return self.at_the_end(facts.t),
            _ => {}
        }
        Ok(())
    }
}

impl Tellings {
    fn fold(&mut self, body: &RecordBody, t: Moment) {
        match body {
            RecordBody::Escalated { incident, count, .. } => {
                let notice = NoticeId::Escalation { incident: *incident, count: *count };
                self.settled.remove(&notice);
                self.owed.insert(notice, t);
            }
            RecordBody::Proposed(Proposal { incident, id, .. }) => {
                let notice = NoticeId::Proposal { incident: *incident, proposal: *id };
                self.settled.remove(&notice);
                self.owed.insert(notice, t);
            }
            RecordBody::Told { notice, .. } => {
                self.owed.remove(notice);
                self.settled.insert(*notice);
            }
            RecordBody::Acknowledged { incident: of, .. } => self
                .owed
                .retain(|it, _| !matches!(it, NoticeId::Escalation { incident, .. } if incident == of)),
            RecordBody::Approved { proposal: of, .. }
            | RecordBody::Denied { proposal: of, .. }
            | RecordBody::ProposalExpired { proposal: of } => {
                self.owed
                    .retain(|it, _| !matches!(it, NoticeId::Proposal { proposal, .. } if proposal == of));
            }
            RecordBody::IncidentResolved { incident: of, .. } => {
                self.owed
                    .retain(|it, _| !matches!(it, NoticeId::Proposal { incident, .. } if incident == of));
            }
            _ => {}
        }
    }

    fn at_the_end(&self, t: Moment) -> Result<(), String> {
        let heard = |notice| self.keys.get(notice).is_some_and(|key| self.heard.contains(key));
        match self.owed.iter().find(|(notice, since)| **since + BY_THEN < t && !heard(notice)) {
            Some((notice, _)) => Err(format!("nobody was ever told of {notice:?}")),
            None => Ok(()),
        }
    }
}

/// Whether the record is the one that the notice tells of.
fn recorded(body: &RecordBody, notice: NoticeId) -> bool {
    match (body, notice) {
        (RecordBody::Escalated { incident: of, .. }, NoticeId::Escalation { incident, .. }) => {
            *of == incident
        }
        (RecordBody::Proposed(of), NoticeId::Proposal { proposal, .. }) => of.id == proposal,
        _ => false,
    }
}
