//! Stop and start; what the unit depends on first, when the permit says so.

use super::{Applied, Order, Permit, ServiceManager, order};

/// Stops at the first target that does not come back: its dependants could not either.
pub(super) async fn carry_out(permit: &Permit, manager: &dyn ServiceManager) -> Applied {
    for unit in permit.targets() {
        match order(permit, manager, Order::Restart, unit).await {
            Applied::Changed
            | Applied::Removed { .. }
            | Applied::Archived { .. }
            | Applied::Restrained { .. }
            | Applied::AlreadySo => {}
            Applied::Failed { why } => return Applied::Failed { why: format!("{unit}: {why}") },
            Applied::Unknown { why } => return Applied::Unknown { why: format!("{unit}: {why}") },
            Applied::Withdrawn { why } => return Applied::Withdrawn { why: format!("{unit}: {why}") },
        }
    }
    Applied::Changed
}
