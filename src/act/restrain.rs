//! Hold a unit back for a time, and let go of it.
//!
//! The service manager is told how it ends before it begins: whatever becomes of the agent, the unit is let go.

use std::time::Duration;

use super::recheck::{self, Finding};
use super::{Applied, Order, Permit, ServiceManager, failed};
use crate::manager::{ManagerError, RestraintOrder};
use crate::model::{ActionId, ActiveState, JobResult, Reading, Restraint, Timestamp, release_units};

pub(super) async fn carry_out(
    permit: &Permit,
    restraint: Restraint,
    manager: &dyn ServiceManager,
    now: Timestamp,
) -> Applied {
    let (Some(unit), Some(lasts)) = (permit.targets().last(), permit.lasts()) else {
        return Applied::Failed { why: "its permit names no unit, or no time".into() };
    };
    let status = match manager.look(unit).await {
        Ok(status) => status,
        Err(error) => {
            return Applied::Withdrawn { why: format!("{unit} could not be looked at once more: {error}") };
        }
    };
    match status.active {
        ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing | ActiveState::Activating => {}
        ActiveState::Inactive
        | ActiveState::Failed
        | ActiveState::Deactivating
        | ActiveState::Maintenance => {
            return Applied::Withdrawn { why: format!("{unit} is {}", status.active.as_str()) };
        }
    }
    // Of one that is at work the run is not always known when it is judged.
    if let judged @ Reading::Value(_) = permit.invocation()
        && let Finding::Changed(why) = recheck::run(judged, &status)
    {
        return Applied::Withdrawn { why };
    }
    let place = permit.room().map(|room| &room.point);
    let order = RestraintOrder { unit, restraint, place, action: permit.action(), lasts };
    match manager.restrain(order).await {
        Ok(what) => Applied::Restrained { what, until: now + lasts },
        Err(error) => failed(&error),
    }
}

/// Lets go of what an act holds back, by the service that was made for it: it does what its timer would do.
///
/// # Errors
/// When it can't be told that the unit is as it was: a sentence. Its time ends it all the same.
pub async fn release(
    action: ActionId,
    manager: &dyn ServiceManager,
    deadline: Duration,
) -> Result<(), String> {
    let (timer, service) = release_units(action).ok_or_else(|| format!("no unit is named after {action}"))?;
    match manager.order(Order::Start, &service, deadline).await {
        Ok(JobResult::Done) => {}
        Ok(result) => return Err(format!("the job of {service} ended as {result:?}").to_lowercase()),
        // Its time was over in this moment: it was done.
        Err(ManagerError::NoSuchUnit(_)) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    }
    match manager.order(Order::Stop, &timer, deadline).await {
        // It would only do once more what was done.
        Ok(_) | Err(_) => Ok(()),
    }
}
