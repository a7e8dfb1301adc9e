//! What units do by themselves: they crash, come up, go down, and are started again by their manager.

use crate::model::{ActiveState, JobResult, LoadState, MainExit, RestartSetting, ServiceResult};

use super::{Ailment, START_LIMIT, START_TIMEOUT, Step, UnitIndex, World};

impl World {
    /// The main process ends. `Restart=` may follow.
    pub fn crash(&mut self, index: UnitIndex, result: ServiceResult, exit: MainExit) {
        let unit = &mut self.units[index];
        unit.hung = unit.hung && unit.hung_for_good;
        if unit.job.is_some() {
            unit.result = result.clone();
            unit.exit = exit;
            let stopping = unit.active == ActiveState::Deactivating;
            if stopping {
                return;
            }
        }
        self.fail_or_restart(index, result, exit);
    }

    pub(super) fn fail_or_restart(&mut self, index: UnitIndex, result: ServiceResult, exit: MainExit) {
        let unit = &mut self.units[index];
        let again = match unit.restart {
            RestartSetting::No => false,
            RestartSetting::Always | RestartSetting::OnFailure => !unit.restart_prevented,
            RestartSetting::OnAbnormal
            | RestartSetting::OnAbort
            | RestartSetting::OnWatchdog
            | RestartSetting::OnSuccess => false,
        };
        if again && unit.load == LoadState::Loaded {
            unit.result = result;
            unit.exit = exit;
            let wait = unit.restart_wait;
            self.set(index, ActiveState::Activating, "auto-restart");
            self.end_job(index, JobResult::Failed);
            self.schedule(index, wait, Step::AutoRestart);
            self.drop_bound(index);
        } else {
            self.fail(index, result, exit);
        }
    }

    pub(super) fn fail(&mut self, index: UnitIndex, result: ServiceResult, exit: MainExit) {
        let unit = &mut self.units[index];
        unit.epoch += 1;
        unit.result = result;
        unit.exit = exit;
        unit.restarting = false;
        self.set(index, ActiveState::Failed, "failed");
        self.end_job(index, JobResult::Failed);
        self.drop_bound(index);
    }

    /// A step falls due. Steps of an older epoch do nothing.
    pub fn step(&mut self, index: UnitIndex, epoch: u32, step: Step) {
        if self.units[index].epoch != epoch || self.units[index].gone {
            return;
        }
        match step {
            Step::Begin => self.begin(index),
            Step::AutoRestart => {
                self.units[index].restarts += 1;
                self.begin(index);
            }
            Step::Started => {
                self.set(index, ActiveState::Active, "running");
                self.units[index].kept_down = false;
                self.units[index].stopped_along = false;
                self.units[index].result = ServiceResult::Success;
                self.units[index].exit = MainExit::None;
                self.end_job(index, JobResult::Done);
                if let Ailment::FallsOver { after } = self.units[index].ailment_at(self.now) {
                    self.schedule(index, after, Step::FallsOver);
                }
            }
            Step::StartFailed => self.fail_or_restart(index, ServiceResult::ExitCode, MainExit::Code(1)),
            Step::StartTimedOut => self.fail_or_restart(index, ServiceResult::Timeout, MainExit::Signal(15)),
            Step::FallsOver => self.crash(index, ServiceResult::Signal, MainExit::Signal(11)),
            Step::Stopped => self.stopped(index),
        }
    }

    pub(super) fn stopped(&mut self, index: UnitIndex) {
        let unit = &mut self.units[index];
        unit.hung = unit.hung && unit.hung_for_good;
        if std::mem::take(&mut unit.restarting) {
            self.set(index, ActiveState::Inactive, "dead");
            return self.schedule(index, 1, Step::Begin);
        }
        if unit.fails_on_stop {
            unit.result = ServiceResult::ExitCode;
            unit.exit = MainExit::Code(143);
            self.set(index, ActiveState::Failed, "failed");
        } else {
            unit.result = ServiceResult::Success;
            self.set(index, ActiveState::Inactive, "dead");
        }
        self.units[index].epoch += 1;
        self.end_job(index, JobResult::Done);
    }

    /// `Requires=` and `BindsTo=`.
    pub(super) fn needs(&self, index: UnitIndex) -> Vec<UnitIndex> {
        let unit = &self.units[index];
        unit.requires.iter().chain(&unit.binds_to).copied().collect()
    }

    pub(super) fn begin(&mut self, index: UnitIndex) {
        let now = self.now;
        let needs = self.needs(index);
        for need in needs {
            let other = &self.units[need];
            if other.is_up() {
                continue;
            }
            if other.job.is_some() || other.active == ActiveState::Activating {
                // A cycle is broken by dropping the wait, as systemd drops a job.
                let circular = other.requires.contains(&index);
                if !circular {
                    return self.schedule(index, 200, Step::Begin);
                }
            } else {
                return self.end_job(index, JobResult::Dependency);
            }
        }
        let unit = &mut self.units[index];
        while unit.starts.front().is_some_and(|at| at + START_LIMIT.1 <= now) {
            unit.starts.pop_front();
        }
        if unit.starts.len() >= START_LIMIT.0 {
            return self.fail(index, ServiceResult::StartLimitHit, MainExit::Code(1));
        }
        unit.starts.push_back(now);
        let takes = unit.start_takes;
        let needed_is_down = |other: UnitIndex, world: &Self| !world.units[other].is_up();
        self.units[index].invocation = Some(self.fresh_invocation());
        self.units[index].began = now;
        self.set(index, ActiveState::Activating, "start");
        match self.units[index].ailment_at(now) {
            Ailment::None | Ailment::FallsOver { .. } => self.schedule(index, takes, Step::Started),
            Ailment::StartFails => self.schedule(index, takes, Step::StartFailed),
            Ailment::StartHangs => self.schedule(index, START_TIMEOUT, Step::StartTimedOut),
            Ailment::Needs(other) if needed_is_down(other, self) => {
                self.schedule(index, takes, Step::StartFailed);
            }
            Ailment::Needs(_) => self.schedule(index, takes, Step::Started),
        }
    }
}
