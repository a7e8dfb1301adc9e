//! The simulated service manager and its units: states, jobs and dependencies as systemd has them, and faults.
//!
//! Time is in milliseconds since the simulation began; the world never knows the agent's clocks.

use std::collections::{BTreeSet, VecDeque};

use crate::model::{
    Absence, ActiveState, Bytes, Id128, InvocationId, JobEvent, JobKind, JobOrigin, JobResult, LoadState,
    MainExit, PackageManager, Reading, RestartSetting, ServiceDetails, ServiceResult, ServiceType,
    SystemState, UnitDetails, UnitFileState, UnitJob, UnitName, UnitRelations, UnitStatus,
};

/// A moment of the simulation, milliseconds.
pub type Moment = u64;
/// A unit, by its place in the world.
pub type UnitIndex = usize;

/// systemd's default start limit: five starts in ten seconds.
const START_LIMIT: (usize, Moment) = (5, 10_000);
/// `TimeoutStartSec=`, shortened so that a hung start is seen to its end.
const START_TIMEOUT: Moment = 90_000;

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
    /// Scheduled steps of an older epoch are void.
    pub epoch: u32,
    pub changed_at: Moment,
    pub gone: bool,
    starts: VecDeque<Moment>,
    invocation_at_job: Option<u64>,
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

/// A disturbance of a unit that an act caused, for the checkers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance {
    pub unit: UnitIndex,
    pub what: Disturbed,
}

/// What was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbed {
    Started,
    /// Taken down while it was up.
    TakenDown,
}

/// The host's service manager.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub now: Moment,
    pub units: Vec<Unit>,
    pub system_state: Option<SystemState>,
    pub reloading: bool,
    pub package_manager: bool,
    /// Units that changed since they were last reported.
    pub changed: BTreeSet<UnitIndex>,
    /// Jobs that ended since they were last reported.
    pub ended: Vec<JobEvent>,
    /// Steps to be scheduled: unit, epoch, moment.
    pub upcoming: Vec<(UnitIndex, u32, Moment, Step)>,
    /// Jobs of the agent that ended: job number and result.
    pub done: Vec<(u32, JobResult)>,
    /// What the agent's hand has just done to units.
    pub disturbed: Vec<Disturbance>,
    next_job: u32,
    next_invocation: u64,
}

impl World {
    /// The unit of that name.
    #[must_use]
    pub fn index_of(&self, name: &UnitName) -> Option<UnitIndex> {
        self.units.iter().position(|unit| unit.name == *name && !unit.gone)
    }

    fn fresh_invocation(&mut self) -> u64 {
        self.next_invocation += 1;
        self.next_invocation
    }

    fn touch(&mut self, index: UnitIndex) {
        self.units[index].changed_at = self.now;
        self.changed.insert(index);
    }

    fn schedule(&mut self, index: UnitIndex, wait: Moment, step: Step) {
        let unit = &mut self.units[index];
        unit.epoch += 1;
        self.upcoming.push((index, unit.epoch, self.now + wait, step));
    }

    fn set(&mut self, index: UnitIndex, active: ActiveState, sub: &'static str) {
        let unit = &mut self.units[index];
        unit.active = active;
        unit.sub = sub;
        self.touch(index);
    }

    /// Every unit runs, as after a boot; nothing is in motion.
    pub fn boot(&mut self) {
        for index in 0..self.units.len() {
            let invocation = self.fresh_invocation();
            let unit = &mut self.units[index];
            unit.epoch += 1;
            unit.job = None;
            unit.restarting = false;
            unit.restarts = 0;
            unit.starts.clear();
            unit.invocation = Some(invocation);
            unit.kept_down = false;
            unit.hung = unit.hung && unit.hung_for_good;
            let starts = unit.load == LoadState::Loaded && !unit.gone;
            unit.active = ActiveState::Inactive;
            unit.sub = "dead";
            unit.result = ServiceResult::Success;
            unit.exit = MainExit::None;
            if starts {
                unit.active = ActiveState::Active;
                unit.sub = "running";
                if unit.ailment_at(self.now) != Ailment::None {
                    self.fail(index, ServiceResult::ExitCode, MainExit::Code(1));
                }
            }
        }
        self.changed.clear();
        self.ended.clear();
        self.done.clear();
        self.reloading = false;
        self.package_manager = false;
    }

    fn new_job(&mut self, index: UnitIndex, kind: JobKind, hand: Hand) -> u32 {
        if let Some((_, _, _)) = self.units[index].job {
            self.end_job(index, JobResult::Canceled);
        }
        self.next_job += 1;
        let unit = &mut self.units[index];
        unit.invocation_at_job = unit.invocation;
        unit.job = Some((self.next_job, kind, hand));
        self.touch(index);
        self.next_job
    }

    fn end_job(&mut self, index: UnitIndex, result: JobResult) {
        let unit = &mut self.units[index];
        let Some((id, kind, hand)) = unit.job.take() else { return };
        let event = JobEvent {
            unit: unit.name.clone(),
            job: UnitJob { id, kind, origin: origin(hand) },
            result,
            invocation_before: reading(unit.invocation_at_job),
            invocation_after: reading(unit.invocation),
            active_after: Reading::Value(unit.active),
        };
        self.ended.push(event);
        if hand == Hand::Agent {
            self.done.push((id, result));
        }
        self.touch(index);
    }

    /// `systemctl start`. The number of the job, or why there is none.
    ///
    /// # Errors
    /// What the manager would say.
    pub fn start(&mut self, index: UnitIndex, hand: Hand) -> Result<u32, &'static str> {
        self.start_along(index, hand, &mut BTreeSet::new())
    }

    fn start_along(
        &mut self,
        index: UnitIndex,
        hand: Hand,
        seen: &mut BTreeSet<UnitIndex>,
    ) -> Result<u32, &'static str> {
        seen.insert(index);
        match self.units[index].load {
            LoadState::Masked => return Err("the unit is masked"),
            LoadState::Loaded => {}
            LoadState::Stub
            | LoadState::NotFound
            | LoadState::BadSetting
            | LoadState::Error
            | LoadState::Merged => return Err("the unit is not loaded"),
        }
        if matches!(self.units[index].job, Some((_, JobKind::Start | JobKind::Restart, _)))
            && let Some((id, ..)) = self.units[index].job
        {
            return Ok(id);
        }
        // What is pulled in has a job of its own, which says nothing of who is behind it.
        let behind = if seen.len() == 1 { hand } else { Hand::Manager };
        let job = self.new_job(index, JobKind::Start, behind);
        if self.units[index].is_up() {
            self.end_job(index, JobResult::Done);
            return Ok(job);
        }
        if hand == Hand::Agent {
            self.disturbed.push(Disturbance { unit: index, what: Disturbed::Started });
        }
        let pulled: Vec<UnitIndex> =
            self.needs(index).into_iter().chain(self.units[index].wants.iter().copied()).collect();
        for other in pulled {
            let needed = !self.units[other].is_up() && !self.units[other].gone;
            if needed && !seen.contains(&other) {
                // Its own failure shows when this unit begins.
                let _ = self.start_along(other, hand, seen);
            }
        }
        let rivals: Vec<UnitIndex> = self.units[index].conflicts.clone();
        for rival in rivals {
            if self.units[rival].is_up() {
                if hand == Hand::Agent {
                    self.disturbed.push(Disturbance { unit: rival, what: Disturbed::TakenDown });
                }
                // Somebody wants the other one: systemd does not start this one again, and neither may the agent.
                self.units[rival].kept_down = true;
                self.stop(rival, Hand::Manager);
            }
        }
        self.schedule(index, 1, Step::Begin);
        Ok(job)
    }

    /// `systemctl stop`.
    pub fn stop(&mut self, index: UnitIndex, hand: Hand) -> u32 {
        let job = self.new_job(index, JobKind::Stop, hand);
        if hand == Hand::Agent {
            self.disturbed.push(Disturbance { unit: index, what: Disturbed::TakenDown });
        }
        let unit = &mut self.units[index];
        unit.restarting = false;
        match unit.active {
            ActiveState::Inactive | ActiveState::Failed | ActiveState::Maintenance => {
                unit.epoch += 1;
                self.end_job(index, JobResult::Done);
            }
            ActiveState::Active
            | ActiveState::Reloading
            | ActiveState::Refreshing
            | ActiveState::Activating
            | ActiveState::Deactivating => {
                let wait = unit.stop_takes;
                self.set(index, ActiveState::Deactivating, "stop-sigterm");
                self.schedule(index, wait, Step::Stopped);
                self.stop_along(self.dependants(index), hand);
            }
        }
        job
    }

    fn stop_along(&mut self, others: Vec<UnitIndex>, hand: Hand) {
        for other in others {
            if self.units[other].is_up() {
                if hand == Hand::Agent {
                    self.disturbed.push(Disturbance { unit: other, what: Disturbed::TakenDown });
                }
                self.stop(other, Hand::Manager);
            }
        }
    }

    /// It went down by itself: what is bound to it is stopped (`BindsTo=`).
    fn drop_bound(&mut self, index: UnitIndex) {
        let bound = |unit: &Unit| unit.binds_to.contains(&index) && !unit.gone;
        let bound = (0..self.units.len()).filter(|other| bound(&self.units[*other])).collect();
        self.stop_along(bound, Hand::Manager);
    }

    /// Whether the manager has forgotten it: at rest, and of no interest to anybody.
    #[must_use]
    pub fn is_unloaded(&self, index: UnitIndex) -> bool {
        let unit = &self.units[index];
        let at_rest =
            |unit: &Unit| unit.unloads && unit.active == ActiveState::Inactive && unit.job.is_none();
        let refers = |other: &Unit| {
            let relations =
                [&other.requires, &other.wants, &other.binds_to, &other.part_of, &other.conflicts];
            !other.gone && !at_rest(other) && relations.into_iter().flatten().any(|to| *to == index)
        };
        unit.gone || at_rest(unit) && !self.units.iter().any(refers)
    }

    /// `systemctl restart`.
    ///
    /// # Errors
    /// What the manager would say.
    pub fn restart(&mut self, index: UnitIndex, hand: Hand) -> Result<u32, &'static str> {
        if !matches!(
            self.units[index].active,
            ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing | ActiveState::Activating
        ) {
            return self.start(index, hand);
        }
        if self.units[index].load == LoadState::Masked {
            return Err("the unit is masked");
        }
        let job = self.new_job(index, JobKind::Restart, hand);
        if hand == Hand::Agent {
            self.disturbed.push(Disturbance { unit: index, what: Disturbed::TakenDown });
            self.disturbed.push(Disturbance { unit: index, what: Disturbed::Started });
        }
        let wait = self.units[index].stop_takes;
        self.units[index].restarting = true;
        self.set(index, ActiveState::Deactivating, "stop-sigterm");
        self.schedule(index, wait, Step::Stopped);
        // Requires= hands a restart on.
        for dependant in self.dependants(index) {
            if self.units[dependant].is_up() {
                if hand == Hand::Agent {
                    let what = Disturbed::TakenDown;
                    self.disturbed.push(Disturbance { unit: dependant, what });
                }
                let _ = self.restart(dependant, Hand::Manager);
            }
        }
        Ok(job)
    }

    /// `systemctl reload`.
    ///
    /// # Errors
    /// What the manager would say.
    pub fn reload(&mut self, index: UnitIndex, hand: Hand) -> Result<u32, &'static str> {
        if !self.units[index].is_up() {
            return Err("the unit is not active");
        }
        let job = self.new_job(index, JobKind::Reload, hand);
        self.end_job(index, JobResult::Done);
        Ok(job)
    }

    /// `systemctl reset-failed`.
    pub fn reset_failed(&mut self, index: UnitIndex) {
        let unit = &mut self.units[index];
        unit.starts.clear();
        if unit.active == ActiveState::Failed {
            unit.result = ServiceResult::Success;
            self.set(index, ActiveState::Inactive, "dead");
        }
    }

    /// Units that a stop or restart of this one is handed on to.
    #[must_use]
    pub fn dependants(&self, index: UnitIndex) -> Vec<UnitIndex> {
        let requires = |unit: &Unit| {
            let on = [&unit.requires, &unit.binds_to, &unit.part_of];
            on.iter().any(|list| list.contains(&index)) && !unit.gone
        };
        (0..self.units.len()).filter(|other| requires(&self.units[*other])).collect()
    }

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

    fn fail_or_restart(&mut self, index: UnitIndex, result: ServiceResult, exit: MainExit) {
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

    fn fail(&mut self, index: UnitIndex, result: ServiceResult, exit: MainExit) {
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

    fn stopped(&mut self, index: UnitIndex) {
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
    fn needs(&self, index: UnitIndex) -> Vec<UnitIndex> {
        let unit = &self.units[index];
        unit.requires.iter().chain(&unit.binds_to).copied().collect()
    }

    fn begin(&mut self, index: UnitIndex) {
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

    /// What the manager tells of a unit.
    #[must_use]
    pub fn status(&self, index: UnitIndex) -> UnitStatus {
        let unit = &self.units[index];
        let needs: Vec<UnitIndex> = unit.requires.iter().chain(&unit.binds_to).copied().collect();
        let names =
            |list: &[UnitIndex]| list.iter().map(|other| self.units[*other].name.clone()).collect::<Vec<_>>();
        let absent = || Absence::NotApplicable;
        let runs = unit.is_up();
        let after = needs.iter().chain(&unit.wants).copied().collect::<Vec<_>>();
        let service = ServiceDetails {
            service_type: ServiceType::Notify,
            restart: unit.restart,
            result: unit.result.clone(),
            exit: unit.exit,
            restarts: unit.restarts,
            restart_prevented: unit.restart_prevented && !runs,
            main_pid: if runs { Reading::Value(1000) } else { Reading::Absent(absent()) },
            control_group: Reading::Absent(absent()),
            memory: if runs { Reading::Value(Bytes(1 << 20)) } else { Reading::Absent(absent()) },
            tasks: Reading::Absent(absent()),
            cpu_time: Reading::Absent(absent()),
            can_reload: unit.can_reload,
        };
        UnitStatus {
            name: unit.name.clone(),
            load: unit.load,
            active: unit.active,
            sub: unit.sub.to_owned(),
            job: match unit.job {
                Some((id, kind, hand)) => Reading::Value(UnitJob { id, kind, origin: origin(hand) }),
                None => Reading::Absent(absent()),
            },
            details: Reading::Value(UnitDetails {
                invocation: reading(unit.invocation),
                file_state: unit.file_state.clone(),
                relations: UnitRelations {
                    requires: names(&needs),
                    wants: names(&unit.wants),
                    after: names(&after),
                    conflicts: names(&unit.conflicts),
                    required_by: names(&self.dependants(index)),
                    binds_to: names(&unit.binds_to),
                    part_of: names(&unit.part_of),
                },
                service: Reading::Value(service),
            }),
        }
    }

    /// The lock of the package manager, as the senses read it.
    #[must_use]
    pub fn package_lock(&self) -> Reading<PackageManager> {
        if self.package_manager {
            Reading::Value(PackageManager {
                lock: "/var/lib/dpkg/lock-frontend".into(),
                pid: Reading::Value(4242),
            })
        } else {
            Reading::Absent(Absence::NotApplicable)
        }
    }

    /// The agent died: the manager no longer knows its jobs as anybody's in particular.
    pub fn orphan_jobs(&mut self) {
        for unit in &mut self.units {
            if let Some((_, _, hand @ Hand::Agent)) = &mut unit.job {
                *hand = Hand::Manager;
            }
        }
    }
}

const fn origin(hand: Hand) -> JobOrigin {
    match hand {
        Hand::Agent => JobOrigin::Agent,
        Hand::Operator | Hand::Manager => JobOrigin::Other,
    }
}

/// The run's identity as the manager tells it.
#[must_use]
pub(super) fn reading(invocation: Option<u64>) -> Reading<InvocationId> {
    match invocation {
        Some(number) => Reading::Value(InvocationId(Id128::from_bytes(u128::from(number).to_be_bytes()))),
        None => Reading::Absent(Absence::NotObserved),
    }
}
