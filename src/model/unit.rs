//! The state of one unit, as its service manager tells it.
//!
//! Source of the words: systemd's `org.freedesktop.systemd1(5)`. Names that a future systemd adds are
//! kept as `Other` where the meaning is open, so that they are shown and never acted on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bytes, InvocationId, Reading, UnitName};

/// `LoadState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadState {
    Loaded,
    Stub,
    NotFound,
    BadSetting,
    Error,
    Merged,
    Masked,
}

impl LoadState {
    /// systemd's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Stub => "stub",
            Self::NotFound => "not-found",
            Self::BadSetting => "bad-setting",
            Self::Error => "error",
            Self::Merged => "merged",
            Self::Masked => "masked",
        }
    }
}

/// `ActiveState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActiveState {
    Active,
    Reloading,
    Inactive,
    Failed,
    Activating,
    Deactivating,
    Maintenance,
    Refreshing,
}

impl ActiveState {
    /// systemd's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Maintenance => "maintenance",
            Self::Refreshing => "refreshing",
        }
    }

    /// Doing its work, if only while it takes in a new configuration.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Active | Self::Reloading | Self::Refreshing)
    }
}

/// `UnitFileState`, as far as a decision depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitFileState {
    Enabled,
    Disabled,
    Static,
    Masked,
    Transient,
    Generated,
    /// Any other word (`indirect`, `alias`, `linked`, empty for a unit without a file …).
    Other(String),
}

/// `Type=` of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceType {
    Simple,
    Exec,
    Forking,
    Oneshot,
    Dbus,
    Notify,
    NotifyReload,
    Idle,
}

impl ServiceType {
    /// systemd's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Exec => "exec",
            Self::Forking => "forking",
            Self::Oneshot => "oneshot",
            Self::Dbus => "dbus",
            Self::Notify => "notify",
            Self::NotifyReload => "notify-reload",
            Self::Idle => "idle",
        }
    }
}

/// `Restart=` of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartSetting {
    No,
    Always,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    OnAbort,
    OnWatchdog,
}

/// `Result` of a service: how its last run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceResult {
    Success,
    Protocol,
    Timeout,
    ExitCode,
    Signal,
    CoreDump,
    Watchdog,
    ExecCondition,
    StartLimitHit,
    OomKill,
    Resources,
    /// A word that this version does not know.
    Other(String),
}

impl ServiceResult {
    /// systemd's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::CoreDump => "core-dump",
            Self::Watchdog => "watchdog",
            Self::ExecCondition => "exec-condition",
            Self::StartLimitHit => "start-limit-hit",
            Self::OomKill => "oom-kill",
            Self::Resources => "resources",
            Self::Other(word) => word,
        }
    }
}

/// How the main process ended (`ExecMainCode`, `ExecMainStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MainExit {
    /// It runs, or never ran.
    None,
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a job does to its unit (`Type` of a systemd job).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    Start,
    Stop,
    Restart,
    Reload,
    /// `verify-active`, `nop`, and what could no longer be asked because the job was over.
    Other,
}

/// How a job ended (`JobRemoved`'s result).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobResult {
    Done,
    Canceled,
    Timeout,
    Failed,
    Dependency,
    Skipped,
    /// `invalid`, `assert`, `unsupported`, `collected`, `once`, `frozen` …
    Other,
}

/// Who asked for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobOrigin {
    /// This agent.
    Agent,
    /// A person, another program, or the service manager itself.
    Other,
}

/// A job that is queued or running on a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitJob {
    /// Unique as long as the service manager runs.
    pub id: u32,
    /// What it does; [`JobKind::Other`] when it was gone before it could be asked.
    pub kind: JobKind,
    /// Who asked for it.
    pub origin: JobOrigin,
}

/// A job that ended. `kind` is the sensor's best knowledge; see [`JobEvent::stopped_the_unit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEvent {
    pub unit: UnitName,
    pub job: UnitJob,
    pub result: JobResult,
    /// The unit's run before the job was queued, where it was known.
    pub invocation_before: Reading<InvocationId>,
    /// The unit's run after the job had ended.
    pub invocation_after: Reading<InvocationId>,
    /// `ActiveState` after the job had ended.
    pub active_after: Reading<ActiveState>,
}

impl JobEvent {
    /// Whether somebody asked for the unit to be up: with success or not, but not taken back.
    #[must_use]
    pub fn asked_for_a_start(&self) -> bool {
        match (self.job.kind, self.result) {
            (_, JobResult::Canceled) | (JobKind::Stop | JobKind::Reload | JobKind::Other, _) => false,
            (
                JobKind::Start | JobKind::Restart,
                JobResult::Done
                | JobResult::Timeout
                | JobResult::Failed
                | JobResult::Dependency
                | JobResult::Skipped
                | JobResult::Other,
            ) => true,
        }
    }

    /// Whether this job took the unit down on purpose.
    ///
    /// A stop job says so itself. A job that was too quick to be asked is a stop when it succeeded, left
    /// the unit down, and began no new run: a start that crashes at once leaves a new invocation behind.
    #[must_use]
    pub fn stopped_the_unit(&self) -> bool {
        match self.job.kind {
            JobKind::Stop => true,
            JobKind::Start | JobKind::Restart | JobKind::Reload => false,
            JobKind::Other => {
                let down = matches!(
                    self.active_after,
                    Reading::Value(ActiveState::Inactive | ActiveState::Failed | ActiveState::Deactivating)
                );
                let same_run = match (&self.invocation_before, &self.invocation_after) {
                    (Reading::Value(before), Reading::Value(after)) => before == after,
                    _ => false,
                };
                self.result == JobResult::Done && down && same_run
            }
        }
    }
}

/// Ordering and requirement relations, by name (`Requires=` and its kin).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRelations {
    /// `Requires=`, `Requisite=` and `BindsTo=` together: without them the unit can't run.
    pub requires: Vec<UnitName>,
    /// `Wants=`.
    pub wants: Vec<UnitName>,
    /// `After=`.
    pub after: Vec<UnitName>,
    /// `Conflicts=`, both ways.
    pub conflicts: Vec<UnitName>,
    /// `RequiredBy=`, `RequisiteOf=`, `BoundBy=` and `ConsistsOf=`: stopped or restarted along with it.
    #[serde(default)]
    pub required_by: Vec<UnitName>,
    /// `BindsTo=` alone (they are among `requires` too): stopped when one of them goes down, however it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binds_to: Vec<UnitName>,
    /// `PartOf=`: stopped and restarted along with one of them, when somebody stops or restarts that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub part_of: Vec<UnitName>,
}

/// What only a service has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceDetails {
    pub service_type: ServiceType,
    pub restart: RestartSetting,
    pub result: ServiceResult,
    pub exit: MainExit,
    /// `NRestarts`: restarts that the service manager did by itself since the last manual start.
    pub restarts: u32,
    /// The exit is listed in `RestartPreventExitStatus=`: its author says not to start it again.
    pub restart_prevented: bool,
    /// `MainPID`, absent when there is none.
    pub main_pid: Reading<i32>,
    /// `ControlGroup`, absent when there is none.
    pub control_group: Reading<String>,
    pub memory: Reading<Bytes>,
    pub tasks: Reading<u64>,
    /// CPU time since the unit started (`CPUUsageNSec`).
    pub cpu_time: Reading<Duration>,
    pub can_reload: bool,
}

/// What is read about a unit that deserves a closer look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitDetails {
    pub invocation: Reading<InvocationId>,
    pub file_state: UnitFileState,
    pub relations: UnitRelations,
    /// `Absent(NotApplicable)` for a unit that is not a service.
    pub service: Reading<ServiceDetails>,
}

/// One unit in one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitStatus {
    pub name: UnitName,
    pub load: LoadState,
    pub active: ActiveState,
    /// The finer state, a word of the unit's kind (`running`, `auto-restart`, `stop-sigterm` …).
    pub sub: String,
    /// The job on it, `Absent(NotApplicable)` when there is none.
    pub job: Reading<UnitJob>,
    /// Read for units that are not at rest, are probed, or are about to be acted on.
    pub details: Reading<UnitDetails>,
}

impl UnitStatus {
    /// The service part, with the reason when there is none.
    #[must_use]
    pub fn service(&self) -> Reading<&ServiceDetails> {
        match &self.details {
            Reading::Value(details) => details.service.as_ref(),
            Reading::Absent(reason) => Reading::Absent(reason.clone()),
            Reading::Failed(error) => Reading::Failed(error.clone()),
        }
    }

    /// The present run, with the reason when it is not known.
    #[must_use]
    pub fn invocation(&self) -> Reading<InvocationId> {
        match &self.details {
            Reading::Value(details) => details.invocation.clone(),
            Reading::Absent(reason) => Reading::Absent(reason.clone()),
            Reading::Failed(error) => Reading::Failed(error.clone()),
        }
    }

    /// Whether the service manager will start it again by itself (`Restart=`).
    #[must_use]
    pub fn restart_is_pending(&self) -> bool {
        self.active == ActiveState::Activating && self.sub.starts_with("auto-restart")
    }
}
