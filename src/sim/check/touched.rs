//! What an act does to others, and to whom it is done.

use crate::model::{ActionId, Remedy};
use crate::sim::world::{Disturbed, UnitIndex};

use super::{Checker, Facts, Seen};

/// Nobody is hurt that was not meant, whatever the manager pulls along.
#[derive(Debug, Default)]
pub(super) struct Bystanders {
    /// The act that is nothing but an order to start this unit, which nobody had stopped when the order was given.
    ordered: Option<(ActionId, UnitIndex)>,
}

impl Checker for Bystanders {
    fn name(&self) -> &'static str {
        "no harm to bystanders"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        if let Seen::Began { action, remedy: Remedy::Start | Remedy::ResetAndStart, subject, .. } = seen
            && !facts.told.operator_stopped.contains(facts.name(*subject))
        {
            self.ordered = Some((*action, *subject));
        }
        let Seen::Disturbed { action, disturbance } = seen else { return Ok(()) };
        let name = facts.name(disturbance.unit);
        match disturbance.what {
            // An operator's stop that comes between the order and its effect: whoever is last has it, as with two
            // operators.
            Disturbed::Started if self.ordered == Some((*action, disturbance.unit)) => Ok(()),
            Disturbed::TakenDown if facts.wishes.protected.contains(name) => {
                Err(format!("{action} took down {name}, which is protected"))
            }
            Disturbed::Started if facts.told.operator_stopped.contains(name) => {
                Err(format!("{action} started {name}, which an operator had stopped"))
            }
            Disturbed::TakenDown | Disturbed::Started => Ok(()),
        }
    }
}

/// The run that is acted on is the run that was judged.
#[derive(Debug)]
pub(super) struct Identity;

impl Checker for Identity {
    fn name(&self) -> &'static str {
        "no mix-up"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        match seen {
            Seen::Began { action, subject, judged, current, .. } if judged != current => {
                let name = facts.name(*subject);
                Err(format!("{action} on {name} was judged for another run: {judged:?}, now {current:?}"))
            }
            _ => Ok(()),
        }
    }
}
