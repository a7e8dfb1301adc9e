//! Plan step → [`Permit`] or a refusal. The only maker of a permit.
//!
//! Every guard fails closed: what it needs and does not know is a no, with the reason. Pure: must not touch
//! the clock, the host, or the engine's state beyond what it is handed.

mod budget;
mod checks;
mod circumstances;
mod permit;
mod reach;
mod root_cause;

#[cfg(test)]
pub(crate) mod mutation;
#[cfg(test)]
mod tests;

use crate::model::{GuardName, Refusal};

use reach::Reach;

pub use budget::{Attempts, History, RemovedLately};
pub use circumstances::{ApprovalState, Circumstances, Faults, InFlight, Request};
pub use permit::Permit;

/// Asks every guard in order; the first no is the answer.
///
/// # Errors
/// The refusal, for the operator and the ledger.
pub fn judge(request: &Request<'_>, circumstances: &Circumstances<'_>) -> Result<Permit, Refusal> {
    let reach = Reach::of(request, circumstances);
    for guard in GuardName::ALL {
        #[cfg(test)]
        if mutation::is_broken(guard) {
            continue;
        }
        checks::ask(guard, request, &reach, circumstances)?;
    }
    Ok(Permit::new(request, circumstances))
}

/// Asks again, at the moment of release, whatever may have changed since the permit was given: the record of an
/// intent can take seconds to reach the disk. Not asked again is what the intent itself has changed (attempts,
/// backoff, blast radius, approval) and how old the readings are, which a slow disk must not make a reason.
///
/// # Errors
/// The refusal that now stands.
pub fn still_permitted(request: &Request<'_>, circumstances: &Circumstances<'_>) -> Result<(), Refusal> {
    let reach = Reach::of(request, circumstances);
    for guard in GuardName::ALL {
        let ask_again = match guard {
            GuardName::Pause
            | GuardName::Mode
            | GuardName::OperatorIntent
            | GuardName::Protected
            | GuardName::Maintenance
            | GuardName::Ownership
            | GuardName::RootCause
            | GuardName::Shutdown
            | GuardName::WarmUp
            | GuardName::PackageManager => true,
            GuardName::Backoff
            | GuardName::Attempts
            | GuardName::Cost
            | GuardName::Approval
            | GuardName::BlastRadius
            | GuardName::Freshness => false,
        };
        #[cfg(test)]
        let ask_again = ask_again && !mutation::is_broken(guard);
        if ask_again {
            checks::ask(guard, request, &reach, circumstances)?;
        }
    }
    Ok(())
}

/// A no that holds for every subject at present, for the status page.
#[must_use]
pub fn standing_refusal(circumstances: &Circumstances<'_>) -> Option<Refusal> {
    checks::standing(circumstances)
}
