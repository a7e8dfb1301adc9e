//! Take a unit out of service.

use super::{Applied, Order, Permit, ServiceManager, order};

pub(super) async fn carry_out(permit: &Permit, manager: &dyn ServiceManager) -> Applied {
    match permit.targets().last() {
        Some(unit) => order(permit, manager, Order::Stop, unit).await,
        None => Applied::AlreadySo,
    }
}
