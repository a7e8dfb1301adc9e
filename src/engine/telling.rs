//! Tells people, at least once: what was recorded is told until a hook took it, over crashes too.
//!
//! The record comes first, then the telling, then the record of it. What ends in between leaves a record without its
//! second half, and is told again by the next life under the same [`NoticeId`].

use std::time::Duration;

use crate::model::{BootTime, Channel, Delivery, Notice, NoticeId, RecordBody};

use super::{Effect, Engine, RecordTicket};

/// A hook that fails is tried so often: with the gaps below, over five minutes. What is longer away than that is noticed
/// by other means, and the ledger, the journal and the socket have told in any case.
const TRIES_MAX: u32 = 6;
/// The first gap; each further one is twice as long.
const FIRST_GAP: Duration = Duration::from_secs(10);

/// One thing on its way to people.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    tries: u32,
    /// Channels that have not taken it; none yet asked when empty.
    left: Vec<Channel>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its record is not durable yet.
    Recording(RecordTicket),
    /// With the hooks.
    Out,
    /// They failed; again then.
    Again(BootTime),
}

impl Engine {
    /// Will tell once the record is durable.
    pub(super) fn owe(&mut self, notice: NoticeId, ticket: RecordTicket) {
        let stage = Stage::Recording(ticket);
        self.tellings.insert(notice, Telling { tries: 0, left: Vec::new(), stage });
    }

    /// What an earlier life recorded and may not have told.
    pub(super) fn take_up_untold(&mut self, started: RecordTicket) {
        for notice in self.memory.untold.clone() {
            self.owe(notice, started);
        }
    }

    pub(super) fn tell_what_is_recorded(&mut self, through: RecordTicket) {
        let durable = |telling: &Telling| matches!(telling.stage, Stage::Recording(at) if at <= through);
        let ready: Vec<NoticeId> =
            self.tellings.iter().filter(|(_, telling)| durable(telling)).map(|(id, _)| *id).collect();
        ready.into_iter().for_each(|notice| self.tell(notice));
    }

    /// A person in need of help is told even if no record can be kept. A question is not asked: its number would be
    /// given again, to another.
    pub(super) fn tell_unrecorded(&mut self, ticket: RecordTicket) {
        let waiting: Vec<NoticeId> = self
            .tellings
            .iter()
            .filter(|(_, telling)| telling.stage == Stage::Recording(ticket))
            .map(|(id, _)| *id)
            .collect();
        for notice in waiting {
            match notice {
                NoticeId::Escalation { .. } => self.tell(notice),
                NoticeId::Proposal { .. } => {
                    self.tellings.remove(&notice);
                }
            }
        }
    }

    fn tell(&mut self, id: NoticeId) {
        let hooks = &self.setup.policy.escalation;
        let configured = Channel::ALL.into_iter().filter(|channel| match channel {
            Channel::File => hooks.file.is_some(),
            Channel::Exec => hooks.exec.is_some(),
        });
        let Some(telling) = self.tellings.get_mut(&id) else { return };
        let channels: Vec<Channel> =
            configured.filter(|it| telling.tries == 0 || telling.left.contains(it)).collect();
        if channels.is_empty() {
            // Those that had failed may have left the policy since: the others took it.
            let delivery = if telling.tries == 0 { Delivery::NoChannel } else { Delivery::Taken };
            return self.was_told(id, delivery);
        }
        telling.stage = Stage::Out;
        match self.notice(id) {
            Some(notice) => self.effects.push(Effect::Tell { notice: Box::new(notice), channels }),
            None => {
                self.tellings.remove(&id);
            }
        }
    }

    fn notice(&self, id: NoticeId) -> Option<Notice> {
        let incident = self.memory.incidents.get(&id.incident())?.as_ref().clone();
        match id {
            NoticeId::Escalation { count, .. } => Some(Notice::escalation(incident, count)),
            NoticeId::Proposal { proposal, .. } => {
                let (proposal, _) = self.memory.proposals.get(&proposal)?;
                Some(Notice::proposal(incident, proposal.clone()))
            }
        }
    }

    /// The hooks answer; `failed` names those that did not take it, with the reason.
    pub(super) fn told(&mut self, id: NoticeId, failed: &[(Channel, String)]) {
        let Some(telling) = self.tellings.get_mut(&id).filter(|it| it.stage == Stage::Out) else { return };
        if failed.is_empty() {
            return self.was_told(id, Delivery::Taken);
        }
        telling.tries += 1;
        telling.left = failed.iter().map(|(channel, _)| *channel).collect();
        let tries = telling.tries;
        if tries < TRIES_MAX {
            let gap = FIRST_GAP * 2_u32.pow(tries - 1);
            telling.stage = Stage::Again(self.now.boot + gap);
            return;
        }
        let why: Vec<String> =
            failed.iter().map(|(channel, why)| format!("{}: {why}", channel.as_str())).collect();
        self.was_told(id, Delivery::Undeliverable { tries, why: why.join("; ") });
    }

    fn was_told(&mut self, notice: NoticeId, delivery: Delivery) {
        self.tellings.remove(&notice);
        if self.memory.untold.contains(&notice) {
            self.record(RecordBody::Told { notice, delivery });
        }
    }

    /// Tries again what is due, and drops what nobody needs to hear any more: a question that was answered or expired, an
    /// escalation that somebody took note of.
    pub(super) fn tell_again(&mut self) {
        self.tellings.retain(|notice, _| self.memory.untold.contains(notice));
        let waiting: Vec<(NoticeId, BootTime)> = self
            .tellings
            .iter()
            .filter_map(|(id, telling)| match telling.stage {
                Stage::Again(at) => Some((*id, at)),
                Stage::Recording(_) | Stage::Out => None,
            })
            .collect();
        for (notice, at) in waiting {
            if at <= self.now.boot {
                self.tell(notice);
            } else {
                self.wake_at(at);
            }
        }
    }
}
