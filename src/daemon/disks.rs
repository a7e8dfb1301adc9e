//! How a disk fares: what the kernel knows, and what the disk's own records say where there is a program to read them.

use std::path::Path;
use std::time::Duration;

use crate::manager::{Order, ServiceManager};
use crate::model::{Absence, DeviceNumber, Evidence, JobResult, Reading, UnitName};
use crate::sense::disk_health::{DiskHealth, disk_health};

const SYS: &str = "/sys";
/// Disks whose own records are read: each is a program that runs for a moment.
const ASKED_MAX: usize = 2;
/// The last that smartctl says: its verdict, attributes, the last errors.
const LINES_MAX: usize = 60;

/// Within this time, as far as it goes; what the kernel knows is there at once.
pub(super) async fn evidence(
    manager: &dyn ServiceManager,
    device: DeviceNumber,
    source: String,
    hangs: bool,
    deadline: Duration,
) -> Evidence {
    let none = || Reading::Absent(Absence::NotApplicable);
    let health = tokio::task::spawn_blocking(move || disk_health(Path::new(SYS), device, &source));
    let disk = match health.await {
        Ok(Reading::Value(DiskHealth { mut lines, disks })) => {
            if hangs {
                lines.push("its own records were not read: it does not answer".to_owned());
            } else {
                let asked = disks.iter().take(ASKED_MAX);
                for disk in asked {
                    lines.extend(own_records(manager, disk, deadline / 2).await);
                }
            }
            Reading::Value(lines)
        }
        // Nothing can be known of it beside what the kernel's log says.
        Ok(Reading::Absent(_)) => Reading::Value(Vec::new()),
        Ok(Reading::Failed(why)) => Reading::Failed(why),
        Err(error) => Reading::Failed(format!("the look broke off: {error}")),
    };
    Evidence::of_disk(none(), disk)
}

/// By a unit of the package that runs smartctl once and has the rights for it, which the agent has not.
async fn own_records(manager: &dyn ServiceManager, disk: &str, deadline: Duration) -> Vec<String> {
    let not = |why: String| vec![format!("{disk}: its own records were not read: {why}")];
    let unit = match UnitName::parse(format!("prunella-disk-health@{}.service", disk.replace('!', "-"))) {
        Ok(unit) => unit,
        Err(error) => return not(error.to_string()),
    };
    match manager.order(Order::Start, &unit, deadline).await {
        Ok(JobResult::Done) => {}
        Ok(JobResult::Skipped) => return not("smartctl is not installed".to_owned()),
        Ok(result) => return not(format!("{unit} ended so: {result:?}")),
        Err(error) => return not(error.to_string()),
    }
    match manager.last_lines(&unit, LINES_MAX).await {
        Reading::Value(lines) if lines.is_empty() => not("smartctl said nothing".to_owned()),
        Reading::Value(lines) => lines.into_iter().map(|line| format!("{disk}: {line}")).collect(),
        Reading::Absent(reason) => not(reason.to_string()),
        Reading::Failed(why) => not(why),
    }
}
