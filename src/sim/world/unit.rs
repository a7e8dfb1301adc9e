//! One simulated unit: its state, its settings, and what ails it.

use std::collections::VecDeque;

use crate::model::{
    ActiveState, JobKind, LoadState, MainExit, RestartSetting, ServiceResult, UnitFileState, UnitName,
};

use super::{Moment, UnitIndex};

/// Who is behind a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    Agent,
    Operator,
    Manager,
}

/// Why a unit does not run as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    None,
    /// Every start ends with an exit code.
    StartFails,
    /// It starts, and falls over after so long.
    FallsOver {
        after: Moment,
    },
    /// A start never gets anywhere.
    StartHangs,
    /// It can't start while that unit is down, and the manager does not know.
    Needs(UnitIndex),
}

/// What a unit does next by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its job begins, once what it requires is up.
    Begin,
    Started,
    StartFailed,
    StartTimedOut,
    Stopped,
    FallsOver,
    /// systemd's own `Restart=`.
    AutoRestart,
}

/// One unit.
#[derive(Clone, Debug)]
pub struct Unit {
    pub name: UnitName,
    pub load: LoadState,
    pub active: ActiveState,
    pub sub: &'static str,
    pub invocation: Option<u64>,
    pub file_state: UnitFileState,
    pub requires: Vec<UnitIndex>,
    pub wants: Vec<UnitIndex>,
    pub conflicts: Vec<UnitIndex>,
    pub binds_to: Vec<UnitIndex>,
    pub part_of: Vec<UnitIndex>,
    /// No other refers to it and it is not enabled: at rest, it is unloaded.
    pub unloads: bool,
    pub restart: RestartSetting,
    pub restart_prevented: bool,
    pub result: ServiceResult,
    pub exit: MainExit,
    pub restarts: u32,
    pub can_reload: bool,
    pub probed: bool,
    /// It answers its probe so long after its run began.
    pub answers_after: Moment,
    /// When its run began.
    pub began: Moment,
    pub start_takes: Moment,
    pub stop_takes: Moment,
    pub restart_wait: Moment,
    pub job: Option<(u32, JobKind, Hand)>,
    /// A restart job is in its stop half.
    pub restarting: bool,
    /// This stop ends as failed (the process exits with a code on SIGTERM).
    pub fails_on_stop: bool,
    pub ailment: Ailment,
    /// When the ailment goes by itself; `None` is never.
    pub ails_until: Option<Moment>,
    pub hung: bool,
    /// A restart does not cure the hang.
    pub hung_for_good: bool,
    /// A person wants it down: the truth, whether the agent can know it or not.
    pub kept_down: bool,
    /// It was taken down along with one that a person stopped, and not started since. He who stops a unit means what hangs on
    /// it as well.
    pub stopped_along: bool,
    /// Scheduled steps of an older epoch are void.
    pub epoch: u32,
    pub changed_at: Moment,
    pub gone: bool,
    pub(super) starts: VecDeque<Moment>,
    pub(super) invocation_at_job: Option<u64>,
}

impl Unit {
    /// A healthy service that runs.
    #[must_use]
    pub fn new(name: UnitName) -> Self {
        Self {
            name,
            load: LoadState::Loaded,
            active: ActiveState::Active,
            sub: "running",
            invocation: None,
            file_state: UnitFileState::Enabled,
            requires: Vec::new(),
            wants: Vec::new(),
            conflicts: Vec::new(),
            binds_to: Vec::new(),
            part_of: Vec::new(),
            unloads: false,
            restart: RestartSetting::No,
            restart_prevented: false,
            result: ServiceResult::Success,
            exit: MainExit::None,
            restarts: 0,
            can_reload: false,
            probed: false,
            answers_after: 0,
            began: 0,
            start_takes: 300,
            stop_takes: 200,
            restart_wait: 100,
            job: None,
            restarting: false,
            fails_on_stop: false,
            ailment: Ailment::None,
            ails_until: None,
            hung: false,
            hung_for_good: false,
            kept_down: false,
            stopped_along: false,
            epoch: 0,
            changed_at: 0,
            gone: false,
            starts: VecDeque::new(),
            invocation_at_job: None,
        }
    }

    /// Whether it does its work, as the manager sees it.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.active.is_up()
    }

    /// What is wrong with it at this moment.
    #[must_use]
    pub fn ailment_at(&self, now: Moment) -> Ailment {
        if self.ails_until.is_some_and(|until| until <= now) { Ailment::None } else { self.ailment }
    }
}
