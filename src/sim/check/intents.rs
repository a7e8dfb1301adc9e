//! No act without its intent on the disk; every act once; records in order.

use std::collections::BTreeSet;

use crate::engine::RecordTicket;
use crate::model::{ActionId, RecordBody};

use super::{Checker, Facts, Seen};

#[derive(Debug, Default)]
pub(super) struct Intents {
    released: BTreeSet<ActionId>,
    begun: BTreeSet<ActionId>,
    /// Acts on a full disk: their intents may be lost with the agent, which is said loudly.
    undurable: BTreeSet<ActionId>,
}

impl Checker for Intents {
    fn name(&self) -> &'static str {
        "intent first, act once"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        match seen {
            Seen::Released { permit } => {
                let action = permit.action();
                let is_it = |body: &RecordBody| matches!(body, RecordBody::Intended(intent) if intent.action == action);
                let durable = facts.disk.durable().rev().any(|entry| is_it(&entry.body));
                if !durable {
                    self.undurable.insert(action);
                    if !facts.full_disk {
                        return Err(format!("{action} was released and its intent is not on the disk"));
                    }
                }
                if !self.released.insert(action) && !self.undurable.contains(&action) {
                    return Err(format!("{action} was released twice"));
                }
                Ok(())
            }
            Seen::Began { action, .. } => {
                if !self.begun.insert(*action) && !self.undurable.contains(action) {
                    return Err(format!("{action} was carried out twice"));
                }
                Ok(())
            }
            Seen::Survived => {
                let intents = facts.disk.entries().filter_map(|entry| match &entry.body {
                    RecordBody::Intended(intent) => Some(intent.action),
                    _ => None,
                });
                let kept: BTreeSet<ActionId> = intents.collect();
                match self.released.difference(&kept).find(|it| !self.undurable.contains(it)) {
                    Some(action) => Err(format!("the intent of {action} was durable and is lost")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Tickets count up from one in each life.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: Option<RecordTicket>,
}

impl Checker for Order {
    fn name(&self) -> &'static str {
        "records in order"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Facts<'_>) -> Result<(), String> {
        match seen {
            Seen::Born => self.last = None,
            Seen::Recorded { ticket, .. } => {
                let expected = RecordTicket(self.last.map_or(1, |last| last.0 + 1));
                if *ticket != expected {
                    return Err(format!("ticket {} follows {:?}", ticket.0, self.last));
                }
                self.last = Some(*ticket);
            }
            Seen::FoldDiffers { what } => {
                return Err(format!("the engine remembers what its records do not say: {what}"));
            }
            _ => {}
        }
        Ok(())
    }
}
