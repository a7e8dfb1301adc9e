//! Files that an act is about to remove or archive: on record before, and no further than is needed.

use std::time::Duration;

use crate::model::{ActionId, MountPoint, RecordBody, Remedy, Removal, Subject, Usage};

use super::{Effect, Engine, RecordTicket};

/// Files that an act may remove while records are only in memory: it may be their own disk that is full, and these few may
/// be what makes room for them. Thousands more would push older records out.
const REMOVED_DEGRADED: u64 = 1000;
/// A file system that would be full so soon is soon where it was: what is lost to nobody goes on beyond the threshold.
const FILLS_SOON: Duration = Duration::from_mins(10);

impl Engine {
    /// An act asks whether it may go on. Its own measure of the room is the freshest there is.
    pub(super) fn removing(&mut self, action: ActionId, usage: Usage, removals: Vec<Removal>) {
        let subject = self.memory.actions.get(&action).map(|known| known.intent.subject.clone());
        if let Some(Subject::Filesystem(point)) = &subject {
            if self.fills_soon(action, point) {
                self.urgent.insert(action);
            }
            self.view.filesystems.take_room(point, usage, self.now.boot);
            self.touched.extend(subject);
            self.assess();
        }
        let removes = removals.iter().any(|it| it.fate.is_gone());
        match self.within_bounds(action, removes).and_then(|()| self.may_remove(action)) {
            Ok(()) => {
                let ticket = self.record(RecordBody::Removing { action, removals });
                self.removals.insert(ticket, action);
            }
            Err(why) => self.effects.push(Effect::GoOn { action, answer: Err(why) }),
        }
    }

    /// Everything up to `ticket` is on the disk.
    pub(super) fn go_on_with_removals(&mut self, ticket: RecordTicket) {
        let waiting = self.removals.split_off(&RecordTicket(ticket.0 + 1));
        for action in std::mem::replace(&mut self.removals, waiting).into_values() {
            // What was asked of a person or decided meanwhile holds.
            let answer = self.may_remove(action);
            self.effects.push(Effect::GoOn { action, answer });
        }
    }

    /// The record of it can't be kept.
    pub(super) fn removal_unrecorded(&mut self, ticket: RecordTicket) {
        if let Some(action) = self.removals.remove(&ticket) {
            let answer = Err("what was to be removed could not be recorded".into());
            self.effects.push(Effect::GoOn { action, answer });
        }
    }

    /// No removal begins any more.
    pub(super) fn end_removals(&mut self, why: &str) {
        for action in std::mem::take(&mut self.removals).into_values() {
            self.effects.push(Effect::GoOn { action, answer: Err(why.to_owned()) });
        }
    }

    /// Not asked again of what is on record by then.
    fn within_bounds(&self, action: ActionId, removes: bool) -> Result<(), String> {
        if removes && self.memory.removed.left(self.now.boot).is_err() {
            return Err("as many files were removed in the last 24 hours as may be in a day".into());
        }
        let so_far = self.memory.actions.get(&action).map_or(0, |known| known.removing);
        if self.view.agent.ledger_degraded && so_far >= REMOVED_DEGRADED {
            return Err("the ledger can't be written to, and what memory holds for it is bounded".into());
        }
        Ok(())
    }

    /// Asked before the act shows in it.
    fn fills_soon(&self, action: ActionId, point: &MountPoint) -> bool {
        let remedy = self.memory.actions.get(&action).map(|known| known.intent.remedy);
        let filling = self.view.filesystems.outlook(point);
        remedy == Some(Remedy::ArchiveLogs) && filling.filling().is_some_and(|it| it.full_in < FILLS_SOON)
    }

    fn may_remove(&self, action: ActionId) -> Result<(), String> {
        let known = self.memory.actions.get(&action).filter(|known| known.applied.is_none());
        let Some(intent) = known.map(|known| &known.intent) else {
            return Err("the act was given up".into());
        };
        if Self::rule_of(&self.setup.policy, &intent.rule).is_none() {
            return Err("its rule left the policy".into());
        }
        if self.is_cleared(&intent.rule, &intent.subject) && !self.urgent.contains(&action) {
            return Err("there is room enough".into());
        }
        self.still_wanted(action)
    }
}
