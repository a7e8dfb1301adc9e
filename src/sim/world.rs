//! The simulated service manager and its units: states, jobs and dependencies as systemd has them, and faults.
//!
//! Time is in milliseconds since the simulation began; the world never knows the agent's clocks.

mod steps;
mod telling;
mod unit;

use telling::origin;
pub(super) use telling::reading;
pub use unit::{Ailment, Unit};
pub(super) use unit::{Hand, Step};

use std::collections::BTreeSet;

use crate::model::{
    ActiveState, JobEvent, JobKind, JobResult, LoadState, MainExit, Reading, ServiceResult, SystemState,
    UnitJob, UnitName,
};

/// A moment of the simulation, milliseconds.
pub type Moment = u64;
/// A unit, by its place in the world.
pub type UnitIndex = usize;

/// systemd's default start limit: five starts in ten seconds.
const START_LIMIT: (usize, Moment) = (5, 10_000);
/// `TimeoutStartSec=`, shortened so that a hung start is seen to its end.
const START_TIMEOUT: Moment = 90_000;

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
            unit.stopped_along = false;
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
                let meant = hand == Hand::Operator || self.units[index].stopped_along;
                self.stop_along(self.dependants(index), hand, meant);
            }
        }
        job
    }

    fn stop_along(&mut self, others: Vec<UnitIndex>, hand: Hand, meant: bool) {
        for other in others {
            if self.units[other].is_up() {
                self.units[other].stopped_along = meant;
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
        self.stop_along(bound, Hand::Manager, false);
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

    /// The agent died: the manager no longer knows its jobs as anybody's in particular.
    pub fn orphan_jobs(&mut self) {
        for unit in &mut self.units {
            if let Some((_, _, hand @ Hand::Agent)) = &mut unit.job {
                *hand = Hand::Manager;
            }
        }
    }
}
