//! The simulated ledger: what is still in memory, what is written, what is on the disk, and what a crash leaves.

use crate::engine::RecordTicket;
use crate::model::{Durability, Entry};

use super::rng::Rng;

/// How safe a record is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Safety {
    /// In the agent's memory.
    Queued,
    /// In the kernel's: survives the agent.
    Written,
    /// Survives the power.
    Synced,
}

#[derive(Clone, Debug)]
struct Stored {
    entry: Entry,
    ticket: RecordTicket,
    asked: Durability,
    safety: Safety,
}

/// The records, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    stored: Vec<Stored>,
    /// First record of the present life of the agent.
    life_from: usize,
    /// First record that is not synced: all before it are, for a commit takes everything up to a ticket.
    unsynced: usize,
}

impl Disk {
    /// Takes a record in.
    pub(super) fn push(&mut self, entry: Entry, ticket: RecordTicket, asked: Durability) {
        self.stored.push(Stored { entry, ticket, asked, safety: Safety::Queued });
    }

    /// A commit of everything up to `ticket` of this life; synced when any of it asked for that.
    pub(super) fn commit(&mut self, ticket: RecordTicket) {
        let from = self.life_from.max(self.unsynced);
        let waiting = self.stored.get_mut(from..).unwrap_or_default();
        let count = waiting.iter().take_while(|it| it.ticket <= ticket).count();
        let waiting = waiting.get_mut(..count).unwrap_or_default();
        let sync = waiting.iter().any(|it| it.asked == Durability::Synced);
        for it in waiting {
            it.safety = it.safety.max(if sync { Safety::Synced } else { Safety::Written });
        }
        if sync {
            self.unsynced = from + count;
        }
    }

    /// The newest ticket that is not committed yet, with whether anything waits for a sync.
    #[must_use]
    pub(super) fn waiting(&self) -> Option<(RecordTicket, bool)> {
        let queued = self.stored.iter().rev().take_while(|it| it.safety == Safety::Queued);
        let mut newest = None;
        let mut sync = false;
        for it in queued {
            newest = newest.or(Some(it.ticket));
            sync |= it.asked == Durability::Synced;
        }
        newest.map(|ticket| (ticket, sync))
    }

    /// What the end of the agent leaves: what is written after a kill; after a power cut everything synced, and
    /// of what was written later a part, without a gap.
    pub(super) fn crash(&mut self, power: bool, rng: &mut Rng) {
        let kept = |least: Safety, stored: &[Stored]| {
            stored.iter().rposition(|it| it.safety >= least).map_or(0, |last| last + 1)
        };
        let mut keep = kept(Safety::Written, &self.stored);
        if power {
            let synced = kept(Safety::Synced, &self.stored);
            keep = synced + rng.index(keep - synced + 1);
        }
        self.stored.truncate(keep);
        for it in &mut self.stored {
            it.safety = Safety::Synced;
        }
        self.life_from = self.stored.len();
        self.unsynced = self.stored.len();
    }

    /// Every record, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.stored.iter().map(|it| &it.entry)
    }

    /// The records that survive a power cut at this moment.
    pub(super) fn durable(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let last = self.stored.iter().rposition(|it| it.safety == Safety::Synced).map_or(0, |last| last + 1);
        self.stored.iter().take(last).map(|it| &it.entry)
    }
}
