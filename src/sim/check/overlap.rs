//! One disruptive act at a time on the host; one act of any kind at a time on a unit.

use std::collections::BTreeMap;

use crate::model::{ActionId, Remedy, UnitName};

use super::{Checker, Facts, Seen};

/// An act runs from its release until the engine hears of its end.
#[derive(Debug, Default)]
pub(super) struct Overlap {
    under_way: BTreeMap<ActionId, (Remedy, Vec<UnitName>)>,
}

impl Checker for Overlap {
    fn name(&self) -> &'static str {
        "one at a time"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Facts<'_>) -> Result<(), String> {
        match seen {
            Seen::Released { permit } => {
                let (action, remedy, targets) = (permit.action(), permit.remedy(), permit.targets());
                for (other, (their_remedy, theirs)) in &self.under_way {
                    if remedy.is_disruptive() && their_remedy.is_disruptive() {
                        return Err(format!(
                            "{action} ({remedy}) while {other} ({their_remedy}) is under way"
                        ));
                    }
                    if let Some(both) = targets.iter().find(|target| theirs.contains(target)) {
                        return Err(format!("{action} and {other} at once on {both}"));
                    }
                }
                self.under_way.insert(action, (remedy, targets.to_vec()));
            }
            Seen::Reported { action, .. } => {
                self.under_way.remove(action);
            }
            Seen::Died => self.under_way.clear(),
            _ => {}
        }
        Ok(())
    }
}
