//! Have somebody make room whose business it is: logrotate, the journal, systemd-tmpfiles, the package manager, the
//! container runtime.
//!
//! Each is a unit of the package, run once: an operator sees it, can try it by hand, and changes it with a drop-in. What it
//! frees is measured afterwards.

use super::{Applied, Order, Permit, ServiceManager, UnitName, order};
use crate::model::Remedy;

const fn unit_of(remedy: Remedy) -> Option<&'static str> {
    match remedy {
        Remedy::RotateLogs => Some("prunella-rotate-logs.service"),
        Remedy::VacuumJournal => Some("prunella-vacuum-journal.service"),
        Remedy::CleanTemporaryFiles => Some("prunella-clean-temporary-files.service"),
        Remedy::CleanPackageCache => Some("prunella-clean-package-cache.service"),
        Remedy::CleanContainerImages => Some("prunella-clean-container-images.service"),
        Remedy::ReloadHolders
        | Remedy::SlowWriters
        | Remedy::RestartHolders
        | Remedy::ArchiveLogs
        | Remedy::PruneRotatedLogs
        | Remedy::PruneCoreDumps
        | Remedy::Reload
        | Remedy::Start
        | Remedy::ResetAndStart
        | Remedy::Restart
        | Remedy::RestartWithDependencies
        | Remedy::Stop
        | Remedy::LimitMemory
        | Remedy::LimitTasks
        | Remedy::Freeze
        | Remedy::RestartCulprit => None,
    }
}

pub(super) async fn carry_out(permit: &Permit, manager: &dyn ServiceManager) -> Applied {
    match unit_of(permit.remedy()).map(UnitName::parse) {
        Some(Ok(unit)) => order(permit, manager, Order::Start, &unit).await,
        Some(Err(error)) => Applied::Failed { why: error.to_string() },
        None => Applied::Failed { why: format!("{} is asked of no unit", permit.remedy()) },
    }
}
