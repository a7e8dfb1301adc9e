//! A unit's D-Bus properties, turned into our vocabulary. Pure: maps in, values out.
//!
//! A property that is missing is one that this systemd does not offer. A word of `ActiveState` or `LoadState` that
//! this version does not know makes the unit `maintenance` or `error` with its details failed: it is shown with the
//! reason, every condition over it is unknown, and nothing acts on it.

use std::collections::BTreeMap;
use std::time::Duration;

use zbus::{ObjectPath, Variant};

use super::{path, words};
use crate::model::{
    Absence, ActiveState, Bytes, Id128, InvocationId, LoadState, MainExit, Reading, ServiceDetails,
    UnitDetails, UnitJob, UnitKind, UnitName, UnitRelations, UnitStatus,
};

/// `CLD_EXITED`, `CLD_KILLED` and `CLD_DUMPED` of `sigaction(2)`, as `ExecMainCode` holds them.
const CLD_EXITED: i32 = 1;
const CLD_KILLED: i32 = 2;
const CLD_DUMPED: i32 = 3;
/// How systemd writes "not known" and "no limit" into 64 bits.
const NOT_KNOWN: u64 = u64::MAX;

/// The properties of one interface, as `GetAll` and `PropertiesChanged` carry them.
pub(super) struct Properties<'m>(pub BTreeMap<&'m str, Variant<'m>>);

impl Properties<'_> {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        text(self.0.get(name)?)
    }

    pub(super) fn u32(&self, name: &str) -> Option<u32> {
        self.0.get(name)?.downcast_ref().ok()
    }

    pub(super) fn i32(&self, name: &str) -> Option<i32> {
        self.0.get(name)?.downcast_ref().ok()
    }

    pub(super) fn u64(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.downcast_ref().ok()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.downcast_ref().ok()
    }

    /// Unit names; those that do not parse are left out (a relation to a snapshot or busname of old).
    fn units(&self, name: &str) -> Vec<UnitName> {
        let Some(Variant::Array(array)) = self.0.get(name) else { return Vec::new() };
        array.iter().filter_map(|value| UnitName::parse(text(value)?).ok()).collect()
    }

    /// `InvocationID`; empty where the unit never ran, or is of a kind that does not run.
    pub(super) fn invocation(&self) -> Option<InvocationId> {
        let Variant::Array(array) = self.0.get("InvocationID")? else { return None };
        let bytes: Vec<u8> = array.iter().map(|byte| u8::try_from(byte).ok()).collect::<Option<_>>()?;
        bytes.try_into().ok().map(|bytes| InvocationId(Id128::from_bytes(bytes)))
    }

    /// The number of the job on the unit, zero for none; `None` when the property is not there.
    pub(super) fn job(&self) -> Option<u32> {
        let Variant::Structure(pair) = self.0.get("Job")? else { return None };
        match pair.fields() {
            [Variant::U32(id), Variant::ObjectPath(at)] => Some(if *id == 0 { 0 } else { job_of(*id, at) }),
            _ => None,
        }
    }
}

fn text<'v>(value: &'v Variant<'_>) -> Option<&'v str> {
    if let Variant::Str(text) = value { Some(text.as_str()) } else { None }
}

/// The two fields of `Job` agree; where they do not, the path is what the job can be asked by.
fn job_of(id: u32, at: &ObjectPath<'_>) -> u32 {
    path::to_job(at.as_str()).unwrap_or(id)
}

/// The words of `LoadState` and `ActiveState`, and the complaint about one that is not known.
pub(super) fn states(load: &str, active: &str) -> (LoadState, ActiveState, Option<String>) {
    let complaint =
        |what: &str, word: &str| format!("systemd says {what}={word:?}, which this version does not know");
    match (words::load_state(load), words::active_state(active)) {
        (Some(load), Some(active)) => (load, active, None),
        (Some(load), None) => (load, ActiveState::Maintenance, Some(complaint("ActiveState", active))),
        (None, Some(active)) => (LoadState::Error, active, Some(complaint("LoadState", load))),
        (None, None) => (LoadState::Error, ActiveState::Maintenance, Some(complaint("ActiveState", active))),
    }
}

/// A whole unit. `service` are the properties of the Service interface or why there are none.
///
/// # Errors
/// When a property that every unit has is missing: a sentence.
pub(super) fn status(
    unit: &Properties<'_>,
    service: Reading<Properties<'_>>,
    job: Reading<UnitJob>,
) -> Result<UnitStatus, String> {
    let text = |name: &str| unit.text(name).ok_or_else(|| format!("the unit has no property {name}"));
    let id = text("Id")?;
    let name = UnitName::parse(id).map_err(|error| format!("{id:?}: {error}"))?;
    let (load, active, complaint) = states(text("LoadState")?, text("ActiveState")?);
    let sub = text("SubState")?.to_owned();
    let details = match complaint {
        Some(complaint) => Reading::Failed(complaint),
        None => Reading::Value(details(&name, unit, service)),
    };
    Ok(UnitStatus { name, load, active, sub, job, details })
}

fn details(name: &UnitName, unit: &Properties<'_>, service: Reading<Properties<'_>>) -> UnitDetails {
    let together = |names: &[&str]| {
        let mut all: Vec<UnitName> = names.iter().flat_map(|name| unit.units(name)).collect();
        all.sort();
        all.dedup();
        all
    };
    let can_reload = unit.flag("CanReload").unwrap_or(false);
    UnitDetails {
        invocation: unit.invocation().map_or(Reading::Absent(Absence::NotApplicable), Reading::Value),
        file_state: words::file_state(unit.text("UnitFileState").unwrap_or_default()),
        relations: UnitRelations {
            requires: together(&["Requires", "Requisite", "BindsTo"]),
            wants: together(&["Wants"]),
            after: together(&["After"]),
            conflicts: together(&["Conflicts", "ConflictedBy"]),
            required_by: together(&["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"]),
            binds_to: together(&["BindsTo"]),
            part_of: together(&["PartOf"]),
        },
        service: if name.kind() == UnitKind::Service {
            match service {
                Reading::Value(service) => service_details(&service, can_reload),
                Reading::Absent(reason) => Reading::Absent(reason),
                Reading::Failed(error) => Reading::Failed(error),
            }
        } else {
            Reading::Absent(Absence::NotApplicable)
        },
    }
}

/// The service part; `Failed` when a setting has a word that this version does not know.
fn service_details(service: &Properties<'_>, can_reload: bool) -> Reading<ServiceDetails> {
    let word = |name: &str| service.text(name).unwrap_or_default();
    let unknown = |name: &str| {
        Reading::Failed(format!("systemd says {name}={:?}, which this version does not know", word(name)))
    };
    let Some(service_type) = words::service_type(word("Type")) else { return unknown("Type") };
    let Some(restart) = words::restart_setting(word("Restart")) else { return unknown("Restart") };
    let main_pid = match service.u32("MainPID") {
        None => Reading::Absent(Absence::Unsupported),
        Some(0) => Reading::Absent(Absence::NotApplicable),
        Some(pid) => {
            i32::try_from(pid).map_or_else(|_| Reading::Failed(format!("MainPID={pid}")), Reading::Value)
        }
    };
    let control_group = match service.text("ControlGroup") {
        None => Reading::Absent(Absence::Unsupported),
        Some("") => Reading::Absent(Absence::NotApplicable),
        Some(group) => Reading::Value(group.to_owned()),
    };
    // systemd says "not known" both without accounting and without a control group to account for.
    let amount = |name: &str| match service.u64(name) {
        Some(NOT_KNOWN) | None => match control_group {
            Reading::Absent(Absence::NotApplicable) => Reading::Absent(Absence::NotApplicable),
            Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => {
                Reading::Absent(Absence::Unsupported)
            }
        },
        Some(amount) => Reading::Value(amount),
    };
    let exit = main_exit(service.i32("ExecMainCode"), service.i32("ExecMainStatus"));
    Reading::Value(ServiceDetails {
        service_type,
        restart,
        result: words::service_result(word("Result")),
        exit,
        restarts: service.u32("NRestarts").unwrap_or(0),
        restart_prevented: restart_prevented(service, exit),
        main_pid,
        memory: amount("MemoryCurrent").map(Bytes),
        tasks: amount("TasksCurrent"),
        cpu_time: amount("CPUUsageNSec").map(Duration::from_nanos),
        control_group,
        can_reload,
    })
}

fn main_exit(code: Option<i32>, status: Option<i32>) -> MainExit {
    match (code, status) {
        (Some(CLD_EXITED), Some(status)) => MainExit::Code(status),
        (Some(CLD_KILLED | CLD_DUMPED), Some(status)) => MainExit::Signal(status),
        (Some(_) | None, Some(_) | None) => MainExit::None,
    }
}

/// Whether `RestartPreventExitStatus=` (exit codes, signals) lists this exit. What the setting says, no judgement.
fn restart_prevented(service: &Properties<'_>, exit: MainExit) -> bool {
    let Some(Variant::Structure(lists)) = service.0.get("RestartPreventExitStatus") else { return false };
    let [codes, signals] = lists.fields() else { return false };
    let lists = |list: &Variant<'_>, status: i32| {
        let Variant::Array(array) = list else { return false };
        array.iter().any(|entry| matches!(entry, Variant::I32(listed) if *listed == status))
    };
    match exit {
        MainExit::None => false,
        MainExit::Code(code) => lists(codes, code),
        MainExit::Signal(signal) => lists(signals, signal),
    }
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
