//! What people have yet to be told.

use crate::model::{Delivery, IncidentId, NoticeId, ProposalId, Timestamp};

use super::Memory;

impl Memory {
    /// An escalation was recorded. Ledgers from before tellings were recorded have no count: those count as told.
    pub(super) fn owe_escalation(&mut self, incident: IncidentId, count: u32) {
        if count > 0 {
            self.untold.insert(NoticeId::Escalation { incident, count });
        }
    }

    pub(super) fn told(&mut self, notice: NoticeId, delivery: &Delivery, at: Timestamp) {
        self.untold.remove(&notice);
        let what = match (notice, delivery) {
            (_, Delivery::NoChannel) => return,
            (NoticeId::Escalation { .. }, Delivery::Taken) => "the hook was told".to_owned(),
            (NoticeId::Proposal { proposal, .. }, Delivery::Taken) => {
                format!("the hook was told of {proposal}")
            }
            (_, Delivery::Undeliverable { tries, why }) => {
                self.counts.undeliverable += 1;
                format!("the hook could not be told of the {} in {tries} tries: {why}", notice.kind())
            }
        };
        self.change(notice.incident(), at, what, |_| {});
    }

    /// A person took note without being told.
    pub(super) fn escalation_is_known(&mut self, of: IncidentId) {
        self.untold
            .retain(|notice| !matches!(*notice, NoticeId::Escalation { incident, .. } if incident == of));
    }

    /// The question does not wait for an answer any more.
    pub(super) fn proposal_is_settled(&mut self, of: ProposalId) {
        self.untold
            .retain(|notice| !matches!(*notice, NoticeId::Proposal { proposal, .. } if proposal == of));
    }
}
