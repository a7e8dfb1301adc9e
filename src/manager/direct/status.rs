//! A service in the words of [`UnitStatus`].

use std::path::Path;
use std::time::Duration;

use super::definition::Known;
use super::phase::Phase;
use super::service::{Service, State, Step};
use crate::model::{
    Absence, ActiveState, Bytes, LoadState, MainExit, Reading, RestartSetting, ServiceDetails, ServiceResult,
    ServiceType, UnitDetails, UnitFileState, UnitRelations, UnitStatus,
};
use crate::sense::procfs::{CgroupMounts, catches_signal, family_of, read_bounded, read_stat};

/// `SIGHUP`, by which daemons are told to reload.
pub(super) const HANGUP: u32 = 1;
/// Longest `/proc/PID/status`.
const STATUS_MAX: usize = 16 * 1024;

pub(super) fn of(service: &Service, state: &State) -> UnitStatus {
    let (active, sub) = words(state);
    let unknown = match &state.phase {
        Phase::Unknown(why) => Some(why),
        Phase::Inactive
        | Phase::Running
        | Phase::Settling
        | Phase::Exited(_)
        | Phase::Stopped
        | Phase::Failed { .. } => None,
    };
    UnitStatus {
        name: service.definition.name.clone(),
        load: if unknown.is_some() { LoadState::Error } else { LoadState::Loaded },
        active,
        sub: sub.to_owned(),
        job: state.job.map_or(Reading::Absent(Absence::NotApplicable), Reading::Value),
        details: match unknown {
            Some(why) => Reading::Failed(why.clone()),
            None => Reading::Value(details(service, state)),
        },
    }
}

/// `ActiveState` and the finer one, in systemd's words where it has them. What is not known is `inactive`, which
/// invites nobody to act, beside a load state that says `error`.
fn words(state: &State) -> (ActiveState, &'static str) {
    match (state.step, &state.phase) {
        (_, Phase::Unknown(_)) => (ActiveState::Inactive, "unknown"),
        (Some(Step::Stopping), _) => (ActiveState::Deactivating, "stop"),
        (Some(Step::Reloading), Phase::Running) => (ActiveState::Reloading, "reload"),
        (_, Phase::Running) => (ActiveState::Active, "running"),
        (Some(Step::Starting), _) => (ActiveState::Activating, "start"),
        (_, Phase::Settling) => (ActiveState::Deactivating, "ended"),
        (_, Phase::Inactive | Phase::Exited(_) | Phase::Stopped) => (ActiveState::Inactive, "dead"),
        (_, Phase::Failed { .. }) => (ActiveState::Failed, "failed"),
    }
}

fn details(service: &Service, state: &State) -> UnitDetails {
    let definition = &service.definition;
    let (result, exit) = match &state.phase {
        Phase::Failed { result, exit, .. } => (result.clone(), *exit),
        Phase::Exited(exit) => (ServiceResult::Success, *exit),
        Phase::Unknown(_) | Phase::Inactive | Phase::Running | Phase::Settling | Phase::Stopped => {
            (ServiceResult::Success, MainExit::None)
        }
    };
    let proc = &service.shared.proc;
    let up = state.run.as_ref().filter(|_| state.phase == Phase::Running).map(|run| run.identity.pid);
    let figures = up.map(|pid| Figures::of(service, proc, pid));
    let none = || Absence::NotApplicable;
    UnitDetails {
        invocation: service.invocation(state),
        // It is in the policy: it is wanted.
        file_state: UnitFileState::Enabled,
        relations: UnitRelations {
            requires: definition.requires.clone(),
            after: definition.requires.clone(),
            ..UnitRelations::default()
        },
        service: Reading::Value(ServiceDetails {
            service_type: match Known::by(definition) {
                Known::Foreground => ServiceType::Exec,
                Known::PidFile(_) | Known::Status(_) | Known::NotAtAll => ServiceType::Forking,
            },
            restart: RestartSetting::No,
            result,
            exit,
            restarts: 0,
            restart_prevented: false,
            main_pid: up.map_or(Reading::Absent(none()), Reading::Value),
            control_group: figures
                .as_ref()
                .and_then(|figures| figures.group.clone())
                .map_or(Reading::Absent(Absence::Unsupported), Reading::Value),
            memory: figures.as_ref().map_or(Reading::Absent(none()), |figures| figures.memory.clone()),
            tasks: figures.as_ref().map_or(Reading::Absent(none()), |figures| figures.tasks.clone()),
            cpu_time: figures.as_ref().map_or(Reading::Absent(none()), |figures| figures.cpu_time.clone()),
            can_reload: definition.reload.is_some() || up.is_some_and(|pid| hangup_reloads(proc, pid)),
        }),
    }
}

/// Whether SIGHUP does anything but kill it.
pub(super) fn hangup_reloads(proc: &Path, pid: i32) -> bool {
    let status = read_bounded(&proc.join(format!("{pid}/status")), STATUS_MAX).unwrap_or_default();
    catches_signal(&status, HANGUP).unwrap_or(false)
}

/// Sums over the processes of a service: those of its control group where it lives in one of ours, else its main
/// process and the descendants. Shared memory counts in each.
struct Figures {
    group: Option<String>,
    memory: Reading<Bytes>,
    tasks: Reading<u64>,
    cpu_time: Reading<Duration>,
}

impl Figures {
    fn of(service: &Service, proc: &Path, main: i32) -> Self {
        let group = service.shared.cgroup(&service.definition.name).map(|group| group.path().to_owned());
        let inside = group.as_ref().and_then(|group| CgroupMounts::find(proc).pids(group).ok());
        let inside = inside.filter(|pids| pids.contains(&main));
        let group = group.filter(|_| inside.is_some());
        let pids = inside.unwrap_or_else(|| family_of(proc, main));
        let (mut pages, mut tasks, mut ticks) = (0_u64, 0_u64, 0_u64);
        for pid in pids {
            match read_stat(proc, pid) {
                Ok(Some(stat)) => {
                    pages = pages.saturating_add(stat.resident_pages);
                    tasks = tasks.saturating_add(stat.threads);
                    ticks = ticks.saturating_add(stat.cpu_ticks);
                }
                Ok(None) => {}
                Err(error) => {
                    let why = error.to_string();
                    let (memory, tasks) = (Reading::Failed(why.clone()), Reading::Failed(why.clone()));
                    return Self { group, memory, tasks, cpu_time: Reading::Failed(why) };
                }
            }
        }
        let hertz = rustix::param::clock_ticks_per_second().max(1);
        Self {
            group,
            memory: Reading::Value(Bytes(pages.saturating_mul(rustix::param::page_size() as u64))),
            tasks: Reading::Value(tasks),
            cpu_time: Reading::Value(Duration::from_millis(ticks.saturating_mul(1000) / hertz)),
        }
    }
}
