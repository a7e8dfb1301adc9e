//! Start a unit that is down.

use super::{Applied, ManagerError, Order, Permit, ServiceManager, failed, order};

pub(super) async fn carry_out(permit: &Permit, manager: &dyn ServiceManager) -> Applied {
    match permit.targets().last() {
        Some(unit) => order(permit, manager, Order::Start, unit).await,
        None => Applied::AlreadySo,
    }
}

/// The failure counters and the start limit are forgotten first; systemd refuses the start otherwise.
pub(super) async fn carry_out_after_reset(permit: &Permit, manager: &dyn ServiceManager) -> Applied {
    let Some(unit) = permit.targets().last() else { return Applied::AlreadySo };
    match manager.order(Order::ResetFailed, unit, permit.deadline()).await {
        // A unit at rest that no other refers to is unloaded, its failure with it: an agent that was killed between the
        // two orders leaves it so. The start loads it again, or says that it is gone for good.
        Ok(_) | Err(ManagerError::NoSuchUnit(_)) => order(permit, manager, Order::Start, unit).await,
        Err(error) => failed(&error),
    }
}
