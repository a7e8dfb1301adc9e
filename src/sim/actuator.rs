//! Carries out permits as the real one does: once, after a last look, with a deadline; and lies when told to.

use std::time::Duration;

use crate::guard::Permit;
use crate::model::{ActionId, Applied, JobResult, Remedy};

use super::check::Seen;
use super::hazard::Weather;
use super::options::Sabotage;
use super::run::{Event, Run, Running};
use super::world::{Hand, Moment};

fn millis(duration: Duration) -> Moment {
    u64::try_from(duration.as_millis()).unwrap_or(Moment::MAX)
}

impl Run {
    pub(super) fn start_act(&mut self, permit: &Permit) {
        let targets = permit.targets().iter().filter_map(|name| self.world.index_of(name)).collect();
        let running = Running {
            action: permit.action(),
            remedy: permit.remedy(),
            targets,
            invocation: permit.invocation().clone(),
            expires: permit.expires().boot,
            deadline: millis(permit.deadline()),
            at: 0,
            job: None,
            begun: false,
        };
        let wait = match (self.scripted, self.in_weather(Weather::Slow)) {
            (true, _) => 2,
            (false, true) => self.rng.range(1, 9000),
            (false, false) => self.rng.range(1, 10),
        };
        let (action, life) = (running.action, self.life);
        if let Some(agent) = &mut self.agent {
            agent.running.insert(action, running);
        }
        self.later(wait, Event::Begin(life, action));
    }

    /// [`Sabotage::SecondAct`]: what was under way is done again.
    pub(super) fn again(&mut self, mut running: Running) {
        running.at = 0;
        running.job = None;
        let (action, life) = (running.action, self.life);
        if let Some(agent) = &mut self.agent {
            agent.running.insert(action, running);
        }
        self.later(1, Event::Begin(life, action));
    }

    fn running(&mut self, action: ActionId) -> Option<&mut Running> {
        self.agent.as_mut()?.running.get_mut(&action)
    }

    /// The last look, then the first order.
    pub(super) fn begin_act(&mut self, action: ActionId) {
        let now = self.now().boot;
        let Some(running) = self.running(action) else { return };
        // Only [`Sabotage::SecondAct`] begins anything twice, and it asks no questions.
        let again = running.begun;
        if now > running.expires && !again {
            return self.finish(action, Applied::Withdrawn { why: "the permit expired".into() });
        }
        running.begun = true;
        let deadline = running.deadline;
        let (remedy, judged, subject) =
            (running.remedy, running.invocation.clone(), running.targets.last().copied());
        let Some(subject) = subject else {
            return self.finish(action, Applied::Withdrawn { why: "it no longer exists".into() });
        };
        let unit = &self.world.units[subject];
        if self.options.sabotage != Some(Sabotage::BlindActuator) && !again {
            if super::world::reading(unit.invocation) != judged {
                let why = "it was started anew in between".to_owned();
                return self.finish(action, Applied::Withdrawn { why });
            }
            if remedy.only_starts() && unit.is_up() {
                return self.finish(action, Applied::AlreadySo);
            }
            if unit.job.is_some_and(|(_, _, hand)| hand != Hand::Agent) {
                let why = "another job is at work on it".to_owned();
                return self.finish(action, Applied::Withdrawn { why });
            }
        }
        let current = super::world::reading(unit.invocation);
        self.see(&Seen::Began { action, remedy, subject, judged: &judged, current: &current });
        if self.in_weather(Weather::Lying) && self.rng.per_mille(300) {
            // It says so, and it is not so.
            return self.finish(action, Applied::Changed);
        }
        self.later(deadline, Event::Overdue(self.life, action));
        self.next_order(action);
    }

    /// Gives the order for the next target; the end of its job goes on from there.
    fn next_order(&mut self, action: ActionId) {
        let Some(running) = self.running(action) else { return };
        let (remedy, target) = (running.remedy, running.targets.get(running.at).copied());
        let Some(target) = target else { return self.finish(action, Applied::Changed) };
        running.at += 1;
        let job = match remedy {
            Remedy::Reload => self.world.reload(target, Hand::Agent),
            Remedy::Start => self.world.start(target, Hand::Agent),
            Remedy::ResetAndStart => {
                self.world.reset_failed(target);
                self.world.start(target, Hand::Agent)
            }
            Remedy::Restart | Remedy::RestartWithDependencies => self.world.restart(target, Hand::Agent),
            Remedy::Stop => Ok(self.world.stop(target, Hand::Agent)),
            Remedy::ArchiveLogs
            | Remedy::RotateLogs
            | Remedy::VacuumJournal
            | Remedy::PruneRotatedLogs
            | Remedy::PruneCoreDumps
            | Remedy::CleanTemporaryFiles
            | Remedy::CleanPackageCache
            | Remedy::CleanContainerImages
            | Remedy::ReloadHolders
            | Remedy::SlowWriters
            | Remedy::RestartHolders => Err("the simulated host has no file systems"),
            Remedy::LimitMemory | Remedy::LimitTasks | Remedy::Freeze | Remedy::RestartCulprit => {
                Err("nobody harms the simulated host")
            }
        };
        for disturbance in std::mem::take(&mut self.world.disturbed) {
            self.see(&Seen::Disturbed { action, disturbance });
        }
        match job {
            Ok(job) => {
                if let Some(running) = self.running(action) {
                    running.job = Some(job);
                }
            }
            Err(why) => self.finish(action, Applied::Failed { why: why.into() }),
        }
    }

    pub(super) fn job_done(&mut self, job: u32, result: JobResult) {
        let Some(agent) = &self.agent else { return };
        let Some(action) = agent.running.values().find(|it| it.job == Some(job)).map(|it| it.action) else {
            return;
        };
        match result {
            JobResult::Done => self.next_order(action),
            JobResult::Canceled
            | JobResult::Timeout
            | JobResult::Failed
            | JobResult::Dependency
            | JobResult::Skipped
            | JobResult::Other => {
                let why = format!("the job ended as {result:?}").to_lowercase();
                self.finish(action, Applied::Failed { why });
            }
        }
    }

    pub(super) fn overdue(&mut self, action: ActionId) {
        if self.running(action).is_some() {
            self.finish(action, Applied::Unknown { why: "the job did not end in time".into() });
        }
    }

    fn finish(&mut self, action: ActionId, applied: Applied) {
        let Some(agent) = &mut self.agent else { return };
        if agent.running.remove(&action).is_none() {
            return;
        }
        let lying = self.in_weather(Weather::Lying) && self.rng.per_mille(300);
        let applied = match applied {
            Applied::Changed | Applied::AlreadySo | Applied::Failed { .. } if lying => {
                Applied::Unknown { why: "the answer got lost".into() }
            }
            applied @ (Applied::Changed
            | Applied::Removed { .. }
            | Applied::Archived { .. }
            | Applied::Restrained { .. }
            | Applied::AlreadySo
            | Applied::Failed { .. }
            | Applied::Withdrawn { .. }
            | Applied::Unknown { .. }) => applied,
        };
        let wait = match (self.scripted, self.in_weather(Weather::Slow)) {
            (true, _) => 1,
            (false, true) => self.rng.range(1, 5000),
            (false, false) => self.rng.range(1, 5),
        };
        if self.in_weather(Weather::Echo) {
            self.later(wait + 3, Event::Report(self.life, action, applied.clone()));
        }
        self.later(wait, Event::Report(self.life, action, applied));
    }
}
