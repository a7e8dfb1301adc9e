//! The fields that policy rules may name, with type, unit and meaning: the schema of the rule language.
//!
//! `policy` checks rules against it at load, `assess` fills it from samples, the documentation lists it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SubjectKind;

/// The type of a field in the rule language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    Bool,
    Int,
    Float,
    Text,
    /// A length of time: compared with `duration('1h')`.
    Duration,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldValue {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Duration(Duration),
}

/// The value of a time that lies beyond all that can be told: longer than any that a policy may name.
pub const FAR: Duration = Duration::from_hours(100 * 366 * 24);

/// One field of one kind of subject.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    pub name: &'static str,
    pub field_type: FieldType,
    /// Meaning and unit, one line, for the documentation and for error messages.
    pub meaning: &'static str,
    /// The words it can hold, where they are few: a rule that compares with another is a mistake.
    pub words: &'static [&'static str],
}

const fn field(name: &'static str, field_type: FieldType, meaning: &'static str) -> FieldSpec {
    FieldSpec { name, field_type, meaning, words: &[] }
}

const ACTIVE_STATES: &[&str] =
    &["active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing"];
const SERVICE_TYPES: &[&str] =
    &["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"];
const RESULTS: &[&str] = &[
    "success",
    "protocol",
    "timeout",
    "exit-code",
    "signal",
    "core-dump",
    "watchdog",
    "exec-condition",
    "start-limit-hit",
    "oom-kill",
    "resources",
];
const KINDS: &[&str] = &[
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];
const LOAD_STATES: &[&str] = &["loaded", "stub", "not-found", "bad-setting", "error", "merged", "masked"];

/// Fields of a unit.
pub const UNIT_FIELDS: &[FieldSpec] = &[
    field("name", FieldType::Text, "the unit's full name"),
    FieldSpec {
        words: KINDS,
        ..field("kind", FieldType::Text, "the unit's kind: 'service', 'socket', 'timer' …")
    },
    FieldSpec { words: LOAD_STATES, ..field("load_state", FieldType::Text, "whether its file was loaded") },
    FieldSpec {
        words: ACTIVE_STATES,
        ..field("active_state", FieldType::Text, "'active', 'failed', 'inactive', 'activating' …")
    },
    field("sub_state", FieldType::Text, "the finer state: 'running', 'auto-restart', 'stop-sigterm' …"),
    FieldSpec {
        words: SERVICE_TYPES,
        ..field("service_type", FieldType::Text, "Type= of a service: 'simple', 'oneshot', 'notify' …")
    },
    FieldSpec {
        words: RESULTS,
        ..field("result", FieldType::Text, "how the last run ended: 'exit-code', 'signal', 'oom-kill' …")
    },
    field("exit_code", FieldType::Int, "exit code of the main process"),
    field("exit_signal", FieldType::Int, "signal that ended the main process"),
    field(
        "restarts",
        FieldType::Int,
        "restarts done by the service manager itself since the last manual start",
    ),
    field("restarts_10m", FieldType::Int, "of these, within the last ten minutes"),
    field("dependency_failed", FieldType::Bool, "its last start was given up because a dependency failed"),
    field(
        "left_behind",
        FieldType::Bool,
        "it was stopped because a unit that it is bound to failed, and that one is up again",
    ),
    field("probed", FieldType::Bool, "the policy has a probe for it"),
    field("probe_failures", FieldType::Int, "runs of its probe that failed in a row"),
    field("unresponsive", FieldType::Bool, "its probe failed as often in a row as its `failures` says"),
    field("memory_bytes", FieldType::Int, "memory of its control group, bytes"),
    field("tasks", FieldType::Int, "tasks in its control group"),
    field("cpu_percent", FieldType::Float, "CPU use, percent of one core, since the reading before"),
    field(
        "stalls_watched",
        FieldType::Bool,
        "the kernel tells of waits in its control group: it is protected or probed, and of the first 32 of these",
    ),
    field(
        "memory_stalled_1m",
        FieldType::Int,
        "seconds of the last minute in which its tasks waited long for memory",
    ),
    field(
        "io_stalled_1m",
        FieldType::Int,
        "seconds of the last minute in which its tasks waited long for storage",
    ),
];

/// Fields of the host.
pub const HOST_FIELDS: &[FieldSpec] = &[
    field("uptime_seconds", FieldType::Int, "seconds since boot"),
    field("load_1m", FieldType::Float, "load average over one minute"),
    field("load_5m", FieldType::Float, "load average over five minutes"),
    field("load_15m", FieldType::Float, "load average over fifteen minutes"),
    field("processors", FieldType::Int, "processors on line"),
    field("memory_available_percent", FieldType::Float, "MemAvailable, percent of MemTotal"),
    field("swap_free_percent", FieldType::Float, "free swap, percent of all swap"),
    field(
        "memory_left_percent",
        FieldType::Float,
        "MemAvailable and free swap together, percent of MemTotal and all swap",
    ),
    field(
        "memory_stalled_1m",
        FieldType::Int,
        "seconds of the last minute in which tasks waited long for memory",
    ),
    field(
        "io_stalled_1m",
        FieldType::Int,
        "seconds of the last minute in which tasks waited long for storage",
    ),
    field(
        "cpu_stalled_1m",
        FieldType::Int,
        "seconds of the last minute in which tasks waited long for a processor",
    ),
    field("cpu_percent", FieldType::Float, "time that all processors worked, percent of all their time"),
    field("cpu_system_percent", FieldType::Float, "of it in the kernel, interrupts included"),
    field(
        "iowait_percent",
        FieldType::Float,
        "time of processors that were idle while a task waited for a disk",
    ),
    field("steal_percent", FieldType::Float, "time of processors that the hypervisor gave to others"),
    field("forks_per_second", FieldType::Float, "processes and threads made, those that ended at once too"),
    field("forks_1m", FieldType::Int, "of these, how many in the last minute, or since the agent began"),
    field("context_switches_per_second", FieldType::Float, "changes of the task that a processor runs"),
    field("running_tasks", FieldType::Float, "tasks that run or wait for a processor"),
    field("blocked_tasks", FieldType::Float, "tasks that wait for a disk"),
    field(
        "pids_percent",
        FieldType::Float,
        "processes and threads, percent of the kernel's lower limit of them",
    ),
    field("open_files_percent", FieldType::Float, "open files of the host, percent of fs.file-max"),
    field("conntrack_percent", FieldType::Float, "tracked connections, percent of nf_conntrack_max"),
    field("network_errors_per_second", FieldType::Float, "packets with errors on all network cards"),
    field("network_drops_per_second", FieldType::Float, "packets dropped on all network cards"),
    field("busiest_disk_percent", FieldType::Float, "time with a request on the busiest disk, percent"),
    field("clock_synchronised", FieldType::Bool, "the kernel's clock is kept in step with another one"),
    field(
        "clock_offset_ms",
        FieldType::Float,
        "what the kernel still has to correct; 0 where chrony does it",
    ),
    field("temperature_celsius", FieldType::Float, "the hottest sensor of the processors"),
    field("memory_errors_corrected", FieldType::Int, "memory errors that ECC corrected since boot"),
    field("memory_errors_uncorrected", FieldType::Int, "memory errors that ECC could not correct since boot"),
    field("cpu_pressure_some_avg60", FieldType::Float, "PSI, percent of time"),
    field("memory_pressure_some_avg60", FieldType::Float, "PSI, percent of time"),
    field("memory_pressure_full_avg60", FieldType::Float, "PSI, percent of time"),
    field("io_pressure_some_avg60", FieldType::Float, "PSI, percent of time"),
    field("io_pressure_full_avg60", FieldType::Float, "PSI, percent of time"),
    field(
        "oom_kills_10m",
        FieldType::Int,
        "processes killed because the host ran out of memory, in ten minutes",
    ),
    field("group_oom_kills_10m", FieldType::Int, "processes killed at their control group's limit of memory"),
    field("hung_tasks_10m", FieldType::Int, "messages of tasks that hang in the kernel, in ten minutes"),
    field(
        "lockups_10m",
        FieldType::Int,
        "messages of processors that are stuck in the kernel, in ten minutes",
    ),
    field("kernel_faults_10m", FieldType::Int, "faults of the kernel itself (BUG, oops), in ten minutes"),
    field("storage_errors_10m", FieldType::Int, "failed requests and resets of disks, in ten minutes"),
    field("filesystem_errors_10m", FieldType::Int, "damage that file systems found, in ten minutes"),
    field(
        "hardware_errors_10m",
        FieldType::Int,
        "machine checks and uncorrected memory errors, in ten minutes",
    ),
    field("corrected_memory_errors_10m", FieldType::Int, "memory errors that were corrected, in ten minutes"),
    field(
        "tables_full_10m",
        FieldType::Int,
        "messages of full kernel tables (conntrack, TCP memory, files), in ten minutes",
    ),
    field(
        "link_troubles_10m",
        FieldType::Int,
        "network links lost, and transmissions that timed out, in ten minutes",
    ),
    field(
        "forks_refused_10m",
        FieldType::Int,
        "control groups that reached their limit of tasks, in ten minutes",
    ),
    field("segfaults_10m", FieldType::Int, "programs that crashed, in ten minutes"),
    field("processes", FieldType::Int, "processes, kernel threads included"),
    field("threads", FieldType::Int, "threads of all processes"),
    field("zombies", FieldType::Int, "processes that have ended and were not reaped"),
    field("zombies_of_one_parent", FieldType::Int, "of these, the most that have the same parent"),
    field(
        "blocked_processes",
        FieldType::Int,
        "processes whose main thread sits in uninterruptible sleep (state D) since an earlier look; no kernel threads",
    ),
    field(
        "blocked_longest_seconds",
        FieldType::Int,
        "for how long the first of these has been seen so; looked at every 10 s to 5 min",
    ),
    field("overheated_10m", FieldType::Int, "messages of processors slowed by heat, in ten minutes"),
];

const FILESYSTEM_CLASSES: &[&str] = &["disk", "memory", "network", "fuse", "unknown"];

/// Fields of a file system.
pub const FILESYSTEM_FIELDS: &[FieldSpec] = &[
    field("mount_point", FieldType::Text, "where it is mounted"),
    field("source", FieldType::Text, "what is mounted: '/dev/vda1', 'server:/export' …"),
    field("fs_type", FieldType::Text, "the kernel's name for its kind: 'ext4', 'xfs', 'nfs4', 'tmpfs' …"),
    FieldSpec {
        words: FILESYSTEM_CLASSES,
        ..field("class", FieldType::Text, "where its bytes live: 'disk', 'memory', 'network' …")
    },
    field(
        "used_percent",
        FieldType::Float,
        "space in use as df counts it: what is kept for root counts as used",
    ),
    field("available_bytes", FieldType::Int, "space that is free for everybody, bytes"),
    field("total_bytes", FieldType::Int, "its size, bytes"),
    field("inodes_used_percent", FieldType::Float, "inodes in use, where their number is fixed"),
    field("read_only", FieldType::Bool, "nobody may write to it"),
    field(
        "forced_read_only",
        FieldType::Bool,
        "mounted to be written to, and made read-only by the kernel since: damage",
    ),
    field("hangs", FieldType::Bool, "it was asked for its room and has not answered since"),
    field(
        "full_in",
        FieldType::Duration,
        "until space or inodes run out as it fills at present; a hundred years where no end is in sight",
    ),
    field("watched_for", FieldType::Duration, "for how long its room was watched: what `full_in` rests on"),
];

/// Fields of the agent itself.
pub const AGENT_FIELDS: &[FieldSpec] = &[
    field("policy_rejected", FieldType::Bool, "the newest policy files could not be loaded"),
    field("ledger_degraded", FieldType::Bool, "records can't be made durable"),
    field("manager_lost", FieldType::Bool, "the service manager can't be heard"),
    field("senses_off", FieldType::Int, "senses that broke off time and again and stay off"),
    field(
        "cpu_percent",
        FieldType::Float,
        "what the agent itself took, percent of one processor, in a minute",
    ),
    field("memory_bytes", FieldType::Int, "memory of the agent itself that no file backs, bytes"),
    field("threads", FieldType::Int, "threads of the agent itself"),
    field("open_files", FieldType::Int, "files that the agent itself has open"),
    field(
        "slowdown",
        FieldType::Int,
        "how many times less often it looks, since it takes too much: 1, 2, 4 or 8",
    ),
];

/// The fields that a rule about this kind of subject may name.
#[must_use]
pub const fn fields_of(kind: SubjectKind) -> &'static [FieldSpec] {
    match kind {
        SubjectKind::Unit => UNIT_FIELDS,
        SubjectKind::Host => HOST_FIELDS,
        SubjectKind::Agent => AGENT_FIELDS,
        SubjectKind::Filesystem => FILESYSTEM_FIELDS,
    }
}
