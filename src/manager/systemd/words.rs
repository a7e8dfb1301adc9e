//! systemd's words for states, kinds and results. `None` is a word that this version does not know; the callers say
//! what becomes of it.

use crate::model::{
    ActiveState, JobKind, JobResult, LoadState, RestartSetting, ServiceResult, ServiceType, SystemState,
    UnitFileState,
};

pub(super) fn load_state(word: &str) -> Option<LoadState> {
    Some(match word {
        "loaded" => LoadState::Loaded,
        "stub" => LoadState::Stub,
        "not-found" => LoadState::NotFound,
        "bad-setting" => LoadState::BadSetting,
        "error" => LoadState::Error,
        "merged" => LoadState::Merged,
        "masked" => LoadState::Masked,
        _ => return None,
    })
}

pub(super) fn active_state(word: &str) -> Option<ActiveState> {
    Some(match word {
        "active" => ActiveState::Active,
        "reloading" => ActiveState::Reloading,
        "inactive" => ActiveState::Inactive,
        "failed" => ActiveState::Failed,
        "activating" => ActiveState::Activating,
        "deactivating" => ActiveState::Deactivating,
        "maintenance" => ActiveState::Maintenance,
        "refreshing" => ActiveState::Refreshing,
        _ => return None,
    })
}

pub(super) fn file_state(word: &str) -> UnitFileState {
    match word {
        "enabled" => UnitFileState::Enabled,
        "disabled" => UnitFileState::Disabled,
        "static" => UnitFileState::Static,
        "masked" | "masked-runtime" => UnitFileState::Masked,
        "transient" => UnitFileState::Transient,
        "generated" => UnitFileState::Generated,
        other => UnitFileState::Other(other.to_owned()),
    }
}

pub(super) fn service_type(word: &str) -> Option<ServiceType> {
    Some(match word {
        "simple" => ServiceType::Simple,
        "exec" => ServiceType::Exec,
        "forking" => ServiceType::Forking,
        "oneshot" => ServiceType::Oneshot,
        "dbus" => ServiceType::Dbus,
        "notify" => ServiceType::Notify,
        "notify-reload" => ServiceType::NotifyReload,
        "idle" => ServiceType::Idle,
        _ => return None,
    })
}

pub(super) fn restart_setting(word: &str) -> Option<RestartSetting> {
    Some(match word {
        "no" => RestartSetting::No,
        "always" => RestartSetting::Always,
        "on-success" => RestartSetting::OnSuccess,
        "on-failure" => RestartSetting::OnFailure,
        "on-abnormal" => RestartSetting::OnAbnormal,
        "on-abort" => RestartSetting::OnAbort,
        "on-watchdog" => RestartSetting::OnWatchdog,
        _ => return None,
    })
}

pub(super) fn service_result(word: &str) -> ServiceResult {
    match word {
        "success" => ServiceResult::Success,
        "protocol" => ServiceResult::Protocol,
        "timeout" => ServiceResult::Timeout,
        "exit-code" => ServiceResult::ExitCode,
        "signal" => ServiceResult::Signal,
        "core-dump" => ServiceResult::CoreDump,
        "watchdog" => ServiceResult::Watchdog,
        "exec-condition" => ServiceResult::ExecCondition,
        "start-limit-hit" => ServiceResult::StartLimitHit,
        "oom-kill" => ServiceResult::OomKill,
        "resources" => ServiceResult::Resources,
        other => ServiceResult::Other(other.to_owned()),
    }
}

/// `JobType`; a restart that is in its second half says `start`.
pub(super) fn job_kind(word: &str) -> JobKind {
    match word {
        "start" => JobKind::Start,
        "stop" => JobKind::Stop,
        "restart" | "try-restart" => JobKind::Restart,
        "reload" | "reload-or-start" | "try-reload" => JobKind::Reload,
        _ => JobKind::Other,
    }
}

pub(super) fn job_result(word: &str) -> JobResult {
    match word {
        "done" => JobResult::Done,
        "canceled" => JobResult::Canceled,
        "timeout" => JobResult::Timeout,
        "failed" => JobResult::Failed,
        "dependency" => JobResult::Dependency,
        "skipped" => JobResult::Skipped,
        _ => JobResult::Other,
    }
}

/// `SystemState`. `stopping` covers every way down: `shutdown.target` is part of each of them.
pub(super) fn system_state(word: &str) -> Option<SystemState> {
    Some(match word {
        "initializing" | "starting" => SystemState::Starting,
        "running" => SystemState::Running,
        "degraded" => SystemState::Degraded,
        "maintenance" => SystemState::Maintenance,
        "stopping" => SystemState::Stopping,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for state in [
            "active",
            "reloading",
            "inactive",
            "failed",
            "activating",
            "deactivating",
            "maintenance",
            "refreshing",
        ] {
            assert_eq!(active_state(state).map(ActiveState::as_str), Some(state));
        }
        for state in ["loaded", "stub", "not-found", "bad-setting", "error", "merged", "masked"] {
            assert_eq!(load_state(state).map(LoadState::as_str), Some(state));
        }
        for kind in ["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"] {
            assert_eq!(service_type(kind).map(ServiceType::as_str), Some(kind));
        }
        for result in ["success", "protocol", "start-limit-hit", "oom-kill", "a-later-word"] {
            assert_eq!(service_result(result).as_str(), result);
        }
    }

    #[test]
    fn unknown_words_are_told_apart() {
        assert_eq!(active_state("levitating"), None);
        assert_eq!(load_state(""), None);
        assert_eq!(system_state("offline"), None);
        assert_eq!(job_kind("nop"), JobKind::Other);
        assert_eq!(job_result("frozen"), JobResult::Other);
    }
}
