//! Ask the service to take in its configuration again.

use super::{Applied, Order, Permit, ServiceManager, order};

pub(super) async fn carry_out(permit: &Permit, manager: &dyn ServiceManager) -> Applied {
    match permit.targets().last() {
        Some(unit) => order(permit, manager, Order::Reload, unit).await,
        None => Applied::AlreadySo,
    }
}
