//! Carrying out orders on one service.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::time::Instant;

use super::definition::Known;
use super::phase::Phase;
use super::record::{self, Record};
use super::service::{Service, State, Step, boot_ticks, clock};
use super::{NAME, status};
use crate::manager::{ManagerError, News, Order};
use crate::model::{JobEvent, JobKind, JobOrigin, JobResult, MainExit, Reading, ServiceResult, UnitJob};
use crate::sense::child::{self, ChildError, ChildExit, Home, Job};

/// How often a pid file or an end is looked for while an order waits for it.
const WAIT_POLL: Duration = Duration::from_millis(20);
/// The same where looking means to run a status command.
const WAIT_STATUS_POLL: Duration = Duration::from_millis(500);
/// What a process may take to be gone after SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// What a reload command may take.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

impl Service {
    /// Carries out one order; others wait for their turn.
    pub(super) async fn order(
        self: Arc<Self>,
        order: Order,
        deadline: Duration,
    ) -> Result<JobResult, ManagerError> {
        let until = clock() + deadline;
        let Ok(_turn) = tokio::time::timeout_at(until, self.turn.lock()).await else {
            return Err(ManagerError::TimedOut { manager: NAME, within: deadline });
        };
        let kind = match order {
            Order::Start => JobKind::Start,
            Order::Stop => JobKind::Stop,
            Order::Restart => JobKind::Restart,
            Order::Reload => JobKind::Reload,
            // Nothing is counted here that could be forgotten.
            Order::ResetFailed => return Ok(JobResult::Done),
        };
        let job = UnitJob { id: self.shared.next_job(), kind, origin: JobOrigin::Agent };
        let invocation_before = {
            let mut state = self.state.lock().await;
            self.refresh(&mut state).await;
            state.job = Some(job);
            self.invocation(&state)
        };
        let work = async {
            match order {
                Order::Start => self.start(until).await,
                Order::Stop => self.stop(until).await,
                Order::Restart => match self.stop(until).await? {
                    JobResult::Done => self.start(until).await,
                    other => Ok(other),
                },
                Order::Reload => self.reload(until).await,
                Order::ResetFailed => Ok(JobResult::Done),
            }
        };
        let result = tokio::time::timeout_at(until, work).await.unwrap_or(Ok(JobResult::Timeout));
        let mut state = self.state.lock().await;
        (state.step, state.job) = (None, None);
        self.refresh(&mut state).await;
        if let Ok(result) = result {
            let event = JobEvent {
                unit: self.definition.name.clone(),
                job,
                result,
                invocation_before,
                invocation_after: self.invocation(&state),
                active_after: Reading::Value(status::of(&self, &state).active),
            };
            self.shared.news.push(News::JobEnded(event));
        }
        drop(state);
        // Another process to watch, or none.
        self.wake.notify_one();
        result
    }

    async fn start(&self, until: Instant) -> Result<JobResult, ManagerError> {
        let until = until.min(clock() + self.definition.start_timeout);
        let mut state = self.step(Step::Starting).await;
        match &state.phase {
            Phase::Running => return Ok(JobResult::Done),
            // A second copy beside one that nobody can see is worse than none.
            Phase::Unknown(why) => return Err(refused(why.clone())),
            Phase::Inactive | Phase::Settling | Phase::Exited(_) | Phase::Stopped | Phase::Failed { .. } => {}
        }
        let cgroup = self.shared.cgroup(&self.definition.name);
        let home = Home { log: self.definition.log_file.clone(), cgroup };
        let job = Job::new(&self.definition.start, until.saturating_duration_since(clock()));
        match Known::by(&self.definition) {
            Known::Foreground => self.start_foreground(&mut state, &job, &home).await,
            Known::PidFile(_) | Known::Status(_) | Known::NotAtAll => {
                drop(state);
                self.start_daemon(&job, &home, until).await
            }
        }
    }

    async fn start_foreground(
        &self,
        state: &mut State,
        job: &Job<'_>,
        home: &Home,
    ) -> Result<JobResult, ManagerError> {
        state.record = Record { not_before: Some(boot_ticks()), ..Record::default() };
        let (dir, unit, boot) = (&self.shared.state_dir, &self.definition.name, self.shared.boot);
        let file = record::begin(dir, unit, boot, &state.record)
            .map_err(|error| refused(format!("what is started can't be written down: {error}")))?;
        match child::spawn_detached(job, home, Some(file)).await {
            Ok(daemon) => {
                self.began(state, daemon);
                Ok(JobResult::Done)
            }
            Err(error) => {
                self.log_failure(&error);
                state.run = None;
                state.enter(failed(ServiceResult::Resources, MainExit::None));
                Ok(JobResult::Failed)
            }
        }
    }

    /// Done when the daemon that the command leaves behind shows itself.
    async fn start_daemon(
        &self,
        job: &Job<'_>,
        home: &Home,
        until: Instant,
    ) -> Result<JobResult, ManagerError> {
        let give_up = async |phase, result| {
            let mut state = self.state.lock().await;
            // The last word has the sighting: it may be up in spite of its command.
            self.refresh(&mut state).await;
            if state.phase == Phase::Running {
                return Ok(JobResult::Done);
            }
            state.enter(phase);
            Ok(result)
        };
        match child::run_starter(job, home).await {
            Ok(ChildExit::Code(0)) => {}
            Ok(ChildExit::Code(code)) => {
                let phase = failed(ServiceResult::ExitCode, MainExit::Code(code));
                return give_up(phase, JobResult::Failed).await;
            }
            Ok(ChildExit::Signal(signal)) => {
                let phase = failed(ServiceResult::Signal, MainExit::Signal(signal));
                return give_up(phase, JobResult::Failed).await;
            }
            Err(error @ ChildError::TimedOut { .. }) => {
                self.log_failure(&error);
                if let Some(group) = &home.cgroup {
                    group.kill_all();
                }
                return give_up(failed(ServiceResult::Timeout, MainExit::None), JobResult::Timeout).await;
            }
            Err(
                error @ (ChildError::Empty
                | ChildError::NotFound(_)
                | ChildError::Spawn { .. }
                | ChildError::Log { .. }),
            ) => {
                self.log_failure(&error);
                return give_up(failed(ServiceResult::Resources, MainExit::None), JobResult::Failed).await;
            }
        }
        let pause = self.pause();
        while clock() < until {
            {
                let mut state = self.state.lock().await;
                self.refresh(&mut state).await;
                if state.phase == Phase::Running {
                    return Ok(JobResult::Done);
                }
            }
            tokio::time::sleep(pause).await;
        }
        give_up(failed(ServiceResult::Timeout, MainExit::None), JobResult::Timeout).await
    }

    async fn stop(&self, until: Instant) -> Result<JobResult, ManagerError> {
        let state = self.step(Step::Stopping).await;
        match &state.phase {
            Phase::Unknown(why) => return Err(refused(why.clone())),
            Phase::Running => {}
            Phase::Inactive | Phase::Settling | Phase::Exited(_) | Phase::Stopped | Phase::Failed { .. } => {
                return Ok(self.stopped(state));
            }
        }
        let known = state.run.as_ref().map(|run| (run.identity, run.watch.clone()));
        drop(state);
        let until = until.min(clock() + self.definition.stop_timeout);
        let signal = |signal| match &known {
            Some((_, Some(watch))) => rustix::process::pidfd_send_signal(watch.get_ref(), signal).is_ok(),
            // No pidfd on this kernel: the identity was checked by the look just before.
            Some((identity, None)) => Pid::from_raw(identity.pid)
                .is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok()),
            None => false,
        };
        if let Some(argv) = &self.definition.stop {
            let job = Job::new(argv, until.saturating_duration_since(clock()));
            if let Err(error) = child::run(&job).await {
                self.log_failure(&error);
            }
        } else if signal(Signal::TERM) {
            // One that is stopped (SIGSTOP) takes no other signal, as systemd knows too.
            signal(Signal::CONT);
        } else if known.is_none() {
            return Err(refused("it has neither a stop command nor a process that is known".into()));
        }
        if !self.gone_by(until).await {
            if !signal(Signal::KILL) || !self.gone_by(clock() + KILL_WAIT).await {
                return Ok(JobResult::Failed);
            }
        }
        if let Some(group) = self.shared.cgroup(&self.definition.name) {
            group.kill_all();
        }
        Ok(self.stopped(self.state.lock().await))
    }

    fn stopped(&self, mut state: tokio::sync::MutexGuard<'_, State>) -> JobResult {
        self.remember(&mut state, true);
        state.enter(Phase::Stopped);
        JobResult::Done
    }

    /// Whether it is down before then.
    async fn gone_by(&self, until: Instant) -> bool {
        let pause = self.pause();
        loop {
            {
                let mut state = self.state.lock().await;
                self.refresh(&mut state).await;
                if state.phase != Phase::Running {
                    return true;
                }
            }
            if clock() >= until {
                return false;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn reload(&self, until: Instant) -> Result<JobResult, ManagerError> {
        let state = self.step(Step::Reloading).await;
        if state.phase != Phase::Running {
            return Err(refused("it does not run".into()));
        }
        let run = state.run.as_ref().map(|run| (run.identity.pid, run.watch.clone()));
        drop(state);
        if let Some(argv) = &self.definition.reload {
            let limit = until.saturating_duration_since(clock()).min(RELOAD_TIMEOUT);
            return Ok(match child::run(&Job::new(argv, limit)).await {
                Ok(output) if output.exit.success() => JobResult::Done,
                Ok(_) => JobResult::Failed,
                Err(error @ ChildError::TimedOut { .. }) => {
                    self.log_failure(&error);
                    JobResult::Timeout
                }
                Err(error) => {
                    self.log_failure(&error);
                    JobResult::Failed
                }
            });
        }
        match run {
            Some((pid, Some(watch))) if status::hangup_reloads(&self.shared.proc, pid) => {
                match rustix::process::pidfd_send_signal(watch.get_ref(), Signal::HUP) {
                    Ok(()) => Ok(JobResult::Done),
                    Err(_) => Ok(JobResult::Failed),
                }
            }
            Some(_) | None => Err(refused("it has no reload command and SIGHUP would end it".into())),
        }
    }

    /// Shows what is being done, and gives the state as it is now.
    async fn step(&self, step: Step) -> tokio::sync::MutexGuard<'_, State> {
        let mut state = self.state.lock().await;
        state.step = Some(step);
        self.refresh(&mut state).await;
        state
    }

    fn pause(&self) -> Duration {
        match Known::by(&self.definition) {
            Known::Status(_) => WAIT_STATUS_POLL,
            Known::Foreground | Known::PidFile(_) | Known::NotAtAll => WAIT_POLL,
        }
    }

    fn log_failure(&self, error: &ChildError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(unit = %self.definition.name, %error, cause, "a command of a service failed");
    }
}

const fn failed(result: ServiceResult, exit: MainExit) -> Phase {
    Phase::Failed { result, exit, left_pid_file: false }
}

const fn refused(why: String) -> ManagerError {
    ManagerError::Refused { manager: NAME, why }
}
