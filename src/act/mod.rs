//! Carries out what a [`Permit`] allows, once, after checking identity and state again (guard 13).
//!
//! One file for each kind of remedy. Never decides: what it finds changed makes it withdraw, and a person or the
//! engine thinks again. Must not touch: the engine, the ledger, anything that the permit does not name.

mod holders;
mod logs;
mod recheck;
mod reload;
mod restart;
mod restrain;
mod room;
mod start;
mod stop;
mod task_unit;

#[cfg(test)]
mod tests;

use crate::guard::Permit;
use crate::manager::{ManagerError, Order, ServiceManager};
use crate::model::{Applied, JobResult, Remedy, Timestamp, UnitName};

pub use holders::{Holdings, ask_holders};
use recheck::Finding;
pub use restrain::release;
pub use room::{Consent, Premises, keep_reserve, make_room};

/// Uses the permit up. `now` is read when the call begins: an expired permit does nothing.
///
/// Bounded by the permit's deadline for each target, and the manager's own limits on its calls.
pub async fn carry_out(permit: Permit, manager: &dyn ServiceManager, now: Timestamp) -> Applied {
    if now.boot > permit.expires().boot {
        return Applied::Withdrawn { why: "its permit had expired".into() };
    }
    if let Some(restraint) = permit.remedy().restraint() {
        return restrain::carry_out(&permit, restraint, manager, now).await;
    }
    if permit.room().is_some() {
        return task_unit::carry_out(&permit, manager).await;
    }
    match recheck::subject(&permit, manager).await {
        Finding::AsJudged => {}
        Finding::NothingToDo => return Applied::AlreadySo,
        Finding::Changed(why) => return Applied::Withdrawn { why },
    }
    match permit.remedy() {
        Remedy::Reload => reload::carry_out(&permit, manager).await,
        Remedy::Start => start::carry_out(&permit, manager).await,
        Remedy::ResetAndStart => start::carry_out_after_reset(&permit, manager).await,
        Remedy::Restart | Remedy::RestartWithDependencies | Remedy::RestartCulprit => {
            restart::carry_out(&permit, manager).await
        }
        Remedy::Stop => stop::carry_out(&permit, manager).await,
        Remedy::ArchiveLogs
        | Remedy::RotateLogs
        | Remedy::VacuumJournal
        | Remedy::PruneRotatedLogs
        | Remedy::PruneCoreDumps
        | Remedy::CleanTemporaryFiles
        | Remedy::CleanPackageCache
        | Remedy::CleanContainerImages
        | Remedy::ReloadHolders
        | Remedy::SlowWriters
        | Remedy::RestartHolders
        | Remedy::LimitMemory
        | Remedy::LimitTasks
        | Remedy::Freeze => Applied::Failed { why: "it works on no unit".into() },
    }
}

/// One order, and what its end means.
async fn order(permit: &Permit, manager: &dyn ServiceManager, order: Order, unit: &UnitName) -> Applied {
    match manager.order(order, unit, permit.deadline()).await {
        Ok(result) => applied(result, order),
        Err(error) => failed(&error),
    }
}

fn applied(result: JobResult, order: Order) -> Applied {
    let failed = |how: &str| Applied::Failed { why: format!("its {} job {how}", order.as_str()) };
    match result {
        JobResult::Done => Applied::Changed,
        JobResult::Skipped => failed("was skipped: the unit's conditions do not hold"),
        JobResult::Canceled => failed("was canceled by somebody else"),
        JobResult::Timeout => failed("timed out"),
        JobResult::Failed => failed("failed"),
        JobResult::Dependency => failed("was given up because a dependency failed"),
        JobResult::Other => failed("ended in a way that is not known to this version"),
    }
}

fn failed(error: &ManagerError) -> Applied {
    match error {
        ManagerError::OutcomeUnknown { .. } | ManagerError::TimedOut { .. } => {
            Applied::Unknown { why: error.to_string() }
        }
        ManagerError::Unreachable { .. } | ManagerError::NoSuchUnit(_) | ManagerError::Refused { .. } => {
            Applied::Failed { why: error.to_string() }
        }
    }
}
