//! What an act does to others, and to whom it is done.

use crate::model::{ActionId, Remedy, UnitName};
use crate::sim::world::Disturbed;

use super::{Checker, Facts, Seen};

/// Nobody is hurt that was not meant, whatever the manager pulls along.
#[derive(Debug, Default)]
pub(super) struct Bystanders {
    /// The act that is nothing but an order to start these units. [`super::holds`] sees to it that nobody had stopped them
    /// when the engine let it go.
    ordered: Option<(ActionId, Vec<UnitName>)>,
}

impl Checker for Bystanders {
    fn name(&self) -> &'static str {
        "no harm to bystanders"
    }

    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String> {
        if let Seen::Released { permit } = seen
            && let Remedy::Start | Remedy::ResetAndStart = permit.remedy()
        {
            self.ordered = Some((permit.action(), permit.targets().to_vec()));
        }
        let Seen::Disturbed { action, disturbance } = seen else { return Ok(()) };
        let name = facts.name(disturbance.unit);
        match disturbance.what {
            // An operator's stop that comes between the order and its effect: whoever is last has it, as with two
            // operators.
            Disturbed::Started
                if self.ordered.as_ref().is_some_and(|(of, units)| of == action && units.contains(name)) =>
            {
                Ok(())
            }
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
