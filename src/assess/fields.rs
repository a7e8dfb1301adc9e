//! Readings by the names that the rule language uses. The list of names is `model::field`.

use std::time::Duration;

use crate::model::{
    Absence, ActiveState, FAR, FieldValue, FilesystemStatus, HostVitals, Human, KernelTrouble, LoadAverage,
    MainExit, Memory, Outlook, Owed, OwnUse, Pressure, PressureAverages, ProcessCounts, Reading, Resource,
    RestartSetting, RoomAnswer, ServiceDetails, Subject, Usage,
};

use super::host_fields;
use super::unit_facts::{RESTARTS_WINDOW, UnitFacts};
use super::view::View;

/// The field `name` of a subject. A name that is not in the schema is a mistake of the caller and reads as failed.
#[must_use]
pub fn read_field(view: &View, subject: &Subject, name: &str) -> Reading<FieldValue> {
    match subject {
        Subject::Host => match (kernel_field(name), stall_field(name), &view.vitals) {
            (Some(trouble), _, _) => view.kernel.count(trouble).map(number),
            (None, Some(resource), _) => view.stalls.stalled(resource).map(|time| number(time.as_secs())),
            (None, None, _) if PROCESS_FIELDS.contains(&name) => process_field(&view.processes, name),
            (None, None, _) if name == "forks_1m" => view.forks.last_minute().map(number),
            (None, None, _) if let Some(reading) = host_fields::field(&view.numbers, name) => reading,
            (None, None, Reading::Value(vitals)) => host_field(vitals, name),
            (None, None, Reading::Absent(reason)) => Reading::Absent(reason.clone()),
            (None, None, Reading::Failed(error)) => Reading::Failed(error.clone()),
        },
        Subject::Agent => match name {
            "policy_rejected" => Reading::Value(FieldValue::Bool(view.agent.policy_error.is_some())),
            "ledger_degraded" => Reading::Value(FieldValue::Bool(view.agent.ledger_degraded)),
            "senses_off" => {
                Reading::Value(number(u64::try_from(view.agent.senses_off()).unwrap_or(u64::MAX)))
            }
            "manager_lost" => Reading::Value(FieldValue::Bool(view.heard().is_err())),
            _ => match &view.agent.own {
                Reading::Value(own) => own_field(own, name),
                Reading::Absent(reason) => Reading::Absent(reason.clone()),
                Reading::Failed(error) => Reading::Failed(error.clone()),
            },
        },
        Subject::Filesystem(point) => match view.filesystems.one(point) {
            Reading::Value(_) if name == "full_in" => full_in(&view.filesystems.outlook(point)),
            Reading::Value(_) if name == "watched_for" => {
                Reading::Value(FieldValue::Duration(view.filesystems.watched(point)))
            }
            Reading::Value(status) => filesystem_field(status, name),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        },
        Subject::Unit(unit) => match view.unit(unit) {
            Some(facts) if name == "unresponsive" => unresponsive(view, facts),
            Some(_) if name == "dependency_failed" => {
                let given_up = view.owed.get(unit) == Some(&Owed::StartGivenUp);
                Reading::Value(FieldValue::Bool(given_up))
            }
            Some(_) if name == "left_behind" => {
                let left =
                    matches!(view.owed.get(unit), Some(Owed::StoppedAlong { with }) if view.is_up(with));
                Reading::Value(FieldValue::Bool(left))
            }
            Some(_) if name == "stalls_watched" => {
                Reading::Value(FieldValue::Bool(view.stalls_of(unit).is_some()))
            }
            Some(facts) => match (stall_field(name), view.stalls_of(unit)) {
                (Some(resource), Some(stalls)) => stalls.stalled(resource).map(|time| number(time.as_secs())),
                (Some(_), None) => Reading::Absent(Absence::NotObserved),
                (None, _) => unit_field(facts, name),
            },
            None => Reading::Absent(Absence::NotObserved),
        },
    }
}

/// Fields that choose whom a rule is about; what is wrong with the subject, they do not say.
const SELECTORS: &[&str] = &[
    "name",
    "kind",
    "load_state",
    "service_type",
    "probed",
    "stalls_watched",
    "mount_point",
    "source",
    "class",
    "fs_type",
    "watched_for",
];

/// What a rule saw, for people: the fields that it names, with how the last run of a failed unit ended.
///
/// `active_state failed, result signal, exit_signal 9`
#[must_use]
pub fn describe(view: &View, subject: &Subject, names: &[&'static str]) -> String {
    let mut told: Vec<&str> = names.iter().copied().filter(|name| !SELECTORS.contains(name)).collect();
    if told.contains(&"active_state") {
        let how = ["result", "exit_code", "exit_signal"];
        told.extend(how.into_iter().filter(|name| !names.contains(name)));
    }
    let parts = told.into_iter().filter_map(|name| match read_field(view, subject, name) {
        // What is not so explains nothing.
        Reading::Value(FieldValue::Bool(false)) | Reading::Absent(_) | Reading::Failed(_) => None,
        Reading::Value(FieldValue::Bool(true)) => Some(name.to_owned()),
        Reading::Value(FieldValue::Int(number)) => Some(format!("{name} {number}")),
        Reading::Value(FieldValue::Float(number)) => Some(format!("{name} {number:.1}")),
        Reading::Value(FieldValue::Text(text)) => Some(format!("{name} {text}")),
        // So does an end that is not in sight.
        Reading::Value(FieldValue::Duration(time)) if time >= FAR => None,
        Reading::Value(FieldValue::Duration(time)) => {
            let seconds = Duration::from_secs(time.as_secs());
            Some(format!("{name} {}", Human(seconds)))
        }
    });
    let mut parts: Vec<String> = parts.collect();
    parts.extend(gave_up(view, subject).map(str::to_owned));
    parts.join(", ")
}

/// systemd 252 keeps the result of the last exit when a `Restart=` loop runs into the start limit: that it has given
/// up shows only in that the unit is failed although its setting would have it restarted once more.
fn gave_up(view: &View, subject: &Subject) -> Option<&'static str> {
    let status = &view.unit(subject.unit()?)?.status;
    let Reading::Value(service) = status.service() else { return None };
    let would_restart = match service.restart {
        RestartSetting::Always | RestartSetting::OnFailure => !service.restart_prevented,
        RestartSetting::No
        | RestartSetting::OnSuccess
        | RestartSetting::OnAbnormal
        | RestartSetting::OnAbort
        | RestartSetting::OnWatchdog => false,
    };
    let gave_up = status.active == ActiveState::Failed && would_restart && service.restarts > 0;
    gave_up.then_some("the service manager gave up restarting it (start limit)")
}

/// The trouble that a field of the host counts.
fn kernel_field(name: &str) -> Option<KernelTrouble> {
    Some(match name {
        "oom_kills_10m" => KernelTrouble::OomKill,
        "group_oom_kills_10m" => KernelTrouble::GroupOomKill,
        "hung_tasks_10m" => KernelTrouble::HungTask,
        "lockups_10m" => KernelTrouble::Lockup,
        "kernel_faults_10m" => KernelTrouble::KernelFault,
        "storage_errors_10m" => KernelTrouble::StorageError,
        "filesystem_errors_10m" => KernelTrouble::FilesystemError,
        "hardware_errors_10m" => KernelTrouble::HardwareError,
        "corrected_memory_errors_10m" => KernelTrouble::CorrectedMemoryError,
        "tables_full_10m" => KernelTrouble::TableFull,
        "link_troubles_10m" => KernelTrouble::LinkTrouble,
        "forks_refused_10m" => KernelTrouble::ForkRefused,
        "segfaults_10m" => KernelTrouble::Segfault,
        "overheated_10m" => KernelTrouble::Overheated,
        _ => return None,
    })
}

/// The resource whose waits a field of the host or of a unit sums.
fn stall_field(name: &str) -> Option<Resource> {
    Some(match name {
        "memory_stalled_1m" => Resource::Memory,
        "io_stalled_1m" => Resource::Io,
        "cpu_stalled_1m" => Resource::Cpu,
        _ => return None,
    })
}

fn unknown(name: &str) -> Reading<FieldValue> {
    Reading::Failed(format!("there is no field {name}"))
}

fn text(word: &str) -> Reading<FieldValue> {
    Reading::Value(FieldValue::Text(word.to_owned()))
}

fn number(value: u64) -> FieldValue {
    FieldValue::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn unit_field(facts: &UnitFacts, name: &str) -> Reading<FieldValue> {
    let status = &facts.status;
    match name {
        "name" => text(status.name.as_str()),
        "kind" => text(status.name.kind().suffix()),
        "load_state" => text(status.load.as_str()),
        "active_state" => text(status.active.as_str()),
        "sub_state" => text(&status.sub),
        "restarts_10m" => {
            let recent = |at: &&crate::model::BootTime| facts.read_at.since(**at) <= RESTARTS_WINDOW;
            Reading::Value(number(facts.restarts.iter().filter(recent).count() as u64))
        }
        "probed" => Reading::Value(FieldValue::Bool(facts.probe.is_some())),
        "probe_failures" => match &facts.probe {
            Some(probe) => Reading::Value(FieldValue::Int(probe.failures.into())),
            None => Reading::Absent(Absence::NotApplicable),
        },
        "cpu_percent" => facts.cpu_percent.clone().map(FieldValue::Float),
        _ => match status.service() {
            Reading::Value(service) => service_field(service, name),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        },
    }
}

fn unresponsive(view: &View, facts: &UnitFacts) -> Reading<FieldValue> {
    match (&facts.probe, view.probe_limits.get(&facts.status.name)) {
        // It is starting: whether it hangs or is slow can't be told yet.
        (Some(probe), Some(limits))
            if !probe.answered && probe.failures > 0 && probe.at.since(facts.run_since) < limits.grace =>
        {
            Reading::Absent(Absence::TooEarly)
        }
        (Some(probe), Some(limits)) => Reading::Value(FieldValue::Bool(probe.failures >= limits.failures)),
        (None, Some(_)) => Reading::Absent(Absence::TooEarly),
        (_, None) => Reading::Absent(Absence::NotApplicable),
    }
}

fn service_field(service: &ServiceDetails, name: &str) -> Reading<FieldValue> {
    match (name, service.exit) {
        ("service_type", _) => text(service.service_type.as_str()),
        ("result", _) => text(service.result.as_str()),
        ("restarts", _) => Reading::Value(FieldValue::Int(service.restarts.into())),
        ("exit_code", MainExit::Code(code)) => Reading::Value(FieldValue::Int(code.into())),
        ("exit_signal", MainExit::Signal(signal)) => Reading::Value(FieldValue::Int(signal.into())),
        ("exit_code", MainExit::None | MainExit::Signal(_))
        | ("exit_signal", MainExit::None | MainExit::Code(_)) => Reading::Absent(Absence::NotApplicable),
        ("memory_bytes", _) => service.memory.clone().map(|memory| number(memory.0)),
        ("tasks", _) => service.tasks.clone().map(number),
        _ => unknown(name),
    }
}

fn host_field(vitals: &HostVitals, name: &str) -> Reading<FieldValue> {
    let load = |pick: fn(&LoadAverage) -> f64| vitals.load.as_ref().map(|load| FieldValue::Float(pick(load)));
    match name {
        "uptime_seconds" => vitals.uptime.clone().map(|uptime| number(uptime.as_secs())),
        "load_1m" => load(|load| load.one),
        "load_5m" => load(|load| load.five),
        "load_15m" => load(|load| load.fifteen),
        "processors" => vitals.processors.clone().map(|count| FieldValue::Int(count.into())),
        "memory_available_percent" => share(&vitals.memory, |m| (m.available.0, m.total.0)),
        "swap_free_percent" => share(&vitals.memory, |m| (m.swap_free.0, m.swap_total.0)),
        "memory_left_percent" => {
            share(&vitals.memory, |m| (m.available.0 + m.swap_free.0, m.total.0 + m.swap_total.0))
        }
        "cpu_pressure_some_avg60" => pressure(&vitals.cpu_pressure, |p| &p.some),
        "memory_pressure_some_avg60" => pressure(&vitals.memory_pressure, |p| &p.some),
        "memory_pressure_full_avg60" => pressure(&vitals.memory_pressure, |p| &p.full),
        "io_pressure_some_avg60" => pressure(&vitals.io_pressure, |p| &p.some),
        "io_pressure_full_avg60" => pressure(&vitals.io_pressure, |p| &p.full),
        _ => unknown(name),
    }
}

/// Fields of the host that come from the process table.
const PROCESS_FIELDS: &[&str] = &[
    "processes",
    "threads",
    "zombies",
    "zombies_of_one_parent",
    "blocked_processes",
    "blocked_longest_seconds",
];

fn process_field(counts: &Reading<ProcessCounts>, name: &str) -> Reading<FieldValue> {
    let pick: fn(&ProcessCounts) -> u64 = match name {
        "processes" => |counts| counts.processes.into(),
        "threads" => |counts| counts.threads,
        "zombies" => |counts| counts.zombies.into(),
        "zombies_of_one_parent" => {
            |counts| counts.zombie_parent.value().map_or(0, |parent| parent.zombies.into())
        }
        "blocked_processes" => |counts| counts.blocked.into(),
        "blocked_longest_seconds" => |counts| counts.blocked_longest.as_secs(),
        _ => return unknown(name),
    };
    counts.as_ref().map(|counts| number(pick(counts)))
}

fn filesystem_field(status: &FilesystemStatus, name: &str) -> Reading<FieldValue> {
    let flag = |value| Reading::Value(FieldValue::Bool(value));
    match name {
        "mount_point" => text(status.mount_point.as_str()),
        "source" => text(&status.source),
        "fs_type" => text(&status.fs_type),
        "class" => text(status.class.as_str()),
        "read_only" => flag(status.read_only),
        "forced_read_only" => status.forced_read_only.clone().map(FieldValue::Bool),
        "hangs" => match &status.room {
            RoomAnswer::Hangs { .. } => flag(true),
            RoomAnswer::Usage(_) => flag(false),
            RoomAnswer::Failed(error) => Reading::Failed(error.clone()),
        },
        _ => match &status.room {
            RoomAnswer::Usage(usage) => usage_field(usage, name),
            RoomAnswer::Hangs { .. } => Reading::Failed("it does not answer".into()),
            RoomAnswer::Failed(error) => Reading::Failed(error.clone()),
        },
    }
}

fn full_in(outlook: &Outlook) -> Reading<FieldValue> {
    match outlook {
        Outlook::TooEarly => Reading::Absent(Absence::TooEarly),
        Outlook::Steady => Reading::Value(FieldValue::Duration(FAR)),
        Outlook::Filling(filling) => Reading::Value(FieldValue::Duration(filling.full_in)),
        Outlook::Full(_) => Reading::Value(FieldValue::Duration(Duration::ZERO)),
    }
}

fn own_field(own: &OwnUse, name: &str) -> Reading<FieldValue> {
    match name {
        "cpu_percent" => Reading::Value(FieldValue::Float(own.cpu.0)),
        "memory_bytes" => own.memory.clone().map(|memory| number(memory.0)),
        "threads" => own.threads.clone().map(number),
        "open_files" => own.open_files.clone().map(number),
        "slowdown" => Reading::Value(number(own.slowdown.times().into())),
        _ => unknown(name),
    }
}

fn usage_field(usage: &Usage, name: &str) -> Reading<FieldValue> {
    match name {
        "used_percent" => usage.used().map(|used| FieldValue::Float(used.0)),
        "inodes_used_percent" => usage.inodes_used().map(|used| FieldValue::Float(used.0)),
        "available_bytes" => usage.of_size(number(usage.available.0)),
        "total_bytes" => usage.of_size(number(usage.total.0)),
        _ => unknown(name),
    }
}

fn share(memory: &Reading<Memory>, pick: fn(&Memory) -> (u64, u64)) -> Reading<FieldValue> {
    match memory.as_ref().map(pick) {
        // A host without swap has no share of it.
        Reading::Value((_, 0)) => Reading::Absent(Absence::NotApplicable),
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
        Reading::Value((part, whole)) => {
            Reading::Value(FieldValue::Float(part as f64 / whole as f64 * 100.0))
        }
        Reading::Absent(reason) => Reading::Absent(reason),
        Reading::Failed(error) => Reading::Failed(error),
    }
}

fn pressure(
    resource: &Reading<Pressure>,
    pick: fn(&Pressure) -> &Reading<PressureAverages>,
) -> Reading<FieldValue> {
    match resource {
        Reading::Value(resource) => pick(resource).clone().map(|line| FieldValue::Float(line.avg60.0)),
        Reading::Absent(reason) => Reading::Absent(reason.clone()),
        Reading::Failed(error) => Reading::Failed(error.clone()),
    }
}
