//! One service: what is known of it, and the task that watches it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use sha2::{Digest, Sha256};
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::definition::Known;
use super::phase::{Before, PID_FILE_GRACE, Phase, after_sighting};
use super::pid_file::{Sighting, sight};
use super::record::{self, Record};
use super::{Shared, status};
use crate::manager::News;
use crate::model::{
    Absence, ActiveState, BootId, Id128, InvocationId, JobEvent, JobKind, JobOrigin, JobResult, MainExit,
    ProcessIdentity, Reading, ServiceResult, UnitJob, UnitStatus,
};
use crate::policy::ServiceDefinition;
use crate::sense::child::{self, ChildExit, Detached, Job};
use crate::sense::procfs::read_stat;

/// How often a service is looked at for what no pidfd tells: a pid file that appears, changes or goes.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// The same while a pid file may be about to go.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// How often a status command is run: it costs a process or ten.
pub(super) const STATUS_POLL: Duration = Duration::from_secs(5);
/// How long it may take.
pub(super) const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Signals by which a daemon ends in good order (systemd.service(5), `SuccessExitStatus=`): HUP, INT, PIPE, TERM.
const CLEAN_SIGNALS: [i32; 4] = [1, 2, 13, 15];

/// A run of the service with a process.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) identity: ProcessIdentity,
    /// Readable when it has ended; none when it had before it could be opened, or without pidfd.
    pub(super) watch: Option<Arc<AsyncFd<OwnedFd>>>,
    /// This manager is its parent.
    child: Option<Detached>,
}

impl Run {
    /// Opens the process and only then makes sure that it is the right one.
    fn adopt(shared: &Shared, identity: ProcessIdentity) -> Self {
        let opened = Pid::from_raw(identity.pid).and_then(|pid| child::pidfd(pid).ok());
        let run = Self { identity, watch: None, child: None };
        Self { watch: opened.filter(|_| run.is_alive(shared)), ..run }
    }

    /// Where it can't be found out, nothing has changed: no service is taken for dead by an agent in trouble.
    pub(super) fn is_alive(&self, shared: &Shared) -> bool {
        match read_stat(&shared.proc, self.identity.pid) {
            Ok(Some(stat)) => stat.start_ticks == self.identity.start_ticks && !stat.is_dead(),
            Ok(None) => false,
            Err(_) => true,
        }
    }
}

/// What an order is doing at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Starting,
    Stopping,
    Reloading,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) phase: Phase,
    settled_at: Option<Instant>,
    pub(super) run: Option<Run>,
    pub(super) record: Record,
    pub(super) job: Option<UnitJob>,
    pub(super) step: Option<Step>,
    /// What the listener was told last.
    told: Option<(Phase, Option<Step>, Reading<InvocationId>)>,
}

impl State {
    pub(super) fn enter(&mut self, phase: Phase) {
        match (&phase, self.settled_at) {
            (Phase::Settling, None) => self.settled_at = Some(clock() + PID_FILE_GRACE),
            (Phase::Settling, Some(_)) => {}
            (_, _) => self.settled_at = None,
        }
        self.phase = phase;
    }
}

/// One service of the policy.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) definition: ServiceDefinition,
    pub(super) shared: Arc<Shared>,
    pub(super) state: Mutex<State>,
    /// One order at a time.
    pub(super) turn: Mutex<()>,
    pub(super) wake: Notify,
}

impl Service {
    /// Remembers what the state folder knows; looks at nothing yet.
    pub(super) fn new(definition: ServiceDefinition, shared: Arc<Shared>) -> Self {
        let loaded = record::load(&shared.state_dir, &definition.name, shared.boot);
        let (record, trouble) = match loaded {
            Ok(record) => (record.unwrap_or_default(), None),
            Err(error) => (Record::default(), Some(format!("its record can't be read: {error}"))),
        };
        let identity = record.identity(&shared.proc, shared.boot);
        let run = identity.map(|identity| Run::adopt(&shared, identity));
        let phase = match (trouble, &run) {
            (Some(why), _) => Phase::Unknown(why),
            (None, _) if record.stopped => Phase::Stopped,
            (None, None) if record.epoch.is_none() => Phase::Inactive,
            // So it was; the first look tells what has become of it.
            (None, _) => Phase::Running,
        };
        let state = State { phase, settled_at: None, run, record, job: None, step: None, told: None };
        Self::with(definition, shared, state)
    }

    /// The same service under a new definition; keeps its run, as long as it is known in the same way.
    pub(super) fn successor(old: &Arc<Self>, definition: ServiceDefinition) -> Self {
        let shared = Arc::clone(&old.shared);
        let same = Known::by(&old.definition) == Known::by(&definition);
        // An order under way holds the state of the old one: what it does is in the record.
        match old.state.try_lock() {
            Ok(mut state) if same && state.job.is_none() => {
                let run = state.run.take();
                let (phase, record) = (state.phase.clone(), state.record.clone());
                let state = State { phase, settled_at: None, run, record, job: None, step: None, told: None };
                Self::with(definition, shared, state)
            }
            Ok(_) | Err(_) => Self::new(definition, shared),
        }
    }

    fn with(definition: ServiceDefinition, shared: Arc<Shared>, state: State) -> Self {
        let (state, turn) = (Mutex::new(state), Mutex::default());
        Self { definition, shared, state, turn, wake: Notify::new() }
    }

    /// Looks again and again, at once when its process ends.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            let (ends, pause) = {
                let mut state = self.state.lock().await;
                self.refresh(&mut state).await;
                let watch = state.run.as_ref().and_then(|run| run.watch.clone());
                let poll = match Known::by(&self.definition) {
                    Known::Status(_) => STATUS_POLL,
                    Known::Foreground | Known::PidFile(_) | Known::NotAtAll => POLL,
                };
                let left = state.settled_at.map(|at| at.saturating_duration_since(clock()));
                (
                    watch.filter(|_| state.phase == Phase::Running),
                    left.map_or(poll, |left| left.min(SETTLE_POLL)),
                )
            };
            let ended = async {
                match ends {
                    Some(watch) if watch.readable().await.is_ok() => {}
                    Some(_) | None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ended => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads it now, tells the listener of a change, and gives all details.
    pub(super) async fn observe(&self) -> UnitStatus {
        let mut state = self.state.lock().await;
        self.refresh(&mut state).await;
        status::of(self, &state)
    }

    /// Reads it now and tells the listener of a change.
    pub(super) async fn refresh(&self, state: &mut State) {
        let stopped = match Known::by(&self.definition) {
            Known::Foreground => {
                self.refresh_foreground(state);
                false
            }
            Known::PidFile(path) => self.refresh_pid_file(state, path),
            Known::Status(argv) => self.refresh_status(state, argv).await,
            Known::NotAtAll => {
                state.enter(Phase::Unknown("the policy does not say how it is known to be alive".into()));
                false
            }
        };
        if stopped && state.job.is_none() {
            self.tell_stopped(state);
        }
        let invocation = self.invocation(state);
        let now = (state.phase.clone(), state.step, invocation);
        if state.told.as_ref() != Some(&now) {
            state.told = Some(now);
            self.shared.news.push(News::Changed(vec![status::of(self, state)]));
        }
    }

    fn refresh_foreground(&self, state: &mut State) {
        let Some(run) = &mut state.run else { return };
        if state.phase != Phase::Running || run.is_alive(&self.shared) {
            return;
        }
        let exit = run.child.as_mut().and_then(|child| child.try_reap().ok().flatten());
        let failed = |result, exit| Phase::Failed { result, exit, left_pid_file: false };
        let phase = match exit {
            Some(ChildExit::Code(0)) => Phase::Exited(MainExit::Code(0)),
            Some(ChildExit::Signal(signal)) if CLEAN_SIGNALS.contains(&signal) => {
                Phase::Exited(MainExit::Signal(signal))
            }
            Some(ChildExit::Code(code)) => failed(ServiceResult::ExitCode, MainExit::Code(code)),
            Some(ChildExit::Signal(signal)) => failed(ServiceResult::Signal, MainExit::Signal(signal)),
            // Started by an agent before this one: somebody else reaped it.
            None => failed(ServiceResult::Other("unknown".into()), MainExit::None),
        };
        state.enter(phase);
    }

    fn refresh_pid_file(&self, state: &mut State, path: &std::path::Path) -> bool {
        let known = state.run.as_ref().map(|run| run.identity);
        let sighting = sight(&self.shared.proc, self.shared.boot, path, known);
        if let Sighting::Live(identity) = sighting
            && (known != Some(identity) || state.record.stopped)
        {
            state.run = Some(Run::adopt(&self.shared, identity));
            self.remember(state, false);
        }
        let run = state.run.as_ref().map(|run| (run.identity, run.is_alive(&self.shared)));
        let settled = state.settled_at.is_some_and(|at| at <= clock());
        let (phase, stopped) = after_sighting(&Before { phase: &state.phase, run, settled }, &sighting);
        if stopped {
            self.remember(state, true);
        }
        state.enter(phase);
        stopped
    }

    /// LSB Core, "Init Script Actions": 0 running, 1 and 2 dead with something left behind, 3 not running.
    async fn refresh_status(&self, state: &mut State, argv: &[String]) -> bool {
        let ran = child::run(&Job::new(argv, STATUS_TIMEOUT)).await;
        let was_up = match state.phase {
            Phase::Running | Phase::Failed { .. } => true,
            Phase::Unknown(_) | Phase::Inactive | Phase::Settling | Phase::Exited(_) | Phase::Stopped => {
                false
            }
        };
        let (phase, stopped) = match ran.map(|output| output.exit) {
            Ok(ChildExit::Code(0)) => (Phase::Running, false),
            Ok(ChildExit::Code(1 | 2)) => (Phase::failed_somehow(), false),
            // A start of our own that failed is no stop.
            Ok(ChildExit::Code(3)) if was_up && state.record.epoch.is_some() => (Phase::Stopped, true),
            Ok(ChildExit::Code(3)) if matches!(state.phase, Phase::Unknown(_)) => (Phase::Inactive, false),
            Ok(ChildExit::Code(3)) => (state.phase.clone(), false),
            Ok(other) => (Phase::Unknown(format!("{} gave {other}", argv[0])), false),
            Err(error) => (Phase::Unknown(error.to_string()), false),
        };
        if phase == Phase::Running && (state.phase != Phase::Running || state.record.epoch.is_none()) {
            state.record = Record { epoch: Some(boot_millis()), ..Record::default() };
            self.remember(state, false);
        }
        if stopped {
            self.remember(state, true);
        }
        state.enter(phase);
        stopped
    }

    /// A foreground program was started.
    pub(super) fn began(&self, state: &mut State, child: Detached) {
        let pid = child.pid();
        // Not reaped yet: even one that has ended is still listed.
        let start_ticks = match read_stat(&self.shared.proc, pid) {
            Ok(Some(stat)) => stat.start_ticks,
            Ok(None) | Err(_) => state.record.not_before.unwrap_or_default(),
        };
        let identity = ProcessIdentity { pid, start_ticks, boot: self.shared.boot };
        state.run = Some(Run { identity, watch: child.pidfd(), child: Some(child) });
        self.remember(state, false);
        state.enter(Phase::Running);
    }

    /// Writes down the present run and whether it was stopped on purpose.
    pub(super) fn remember(&self, state: &mut State, stopped: bool) {
        if let Some(run) = &state.run {
            state.record.pid = Some(run.identity.pid);
            state.record.start_ticks = Some(run.identity.start_ticks);
        }
        state.record.stopped = stopped;
        let (dir, unit) = (&self.shared.state_dir, &self.definition.name);
        if let Err(error) = record::save(dir, unit, self.shared.boot, &state.record) {
            tracing::warn!(%unit, %error, "what is known of a service can't be written down");
        }
    }

    /// Somebody else took it down: told as the job that it would be elsewhere.
    fn tell_stopped(&self, state: &State) {
        let invocation = self.invocation(state);
        self.shared.news.push(News::JobEnded(JobEvent {
            unit: self.definition.name.clone(),
            job: UnitJob { id: self.shared.next_job(), kind: JobKind::Stop, origin: JobOrigin::Other },
            result: JobResult::Done,
            invocation_before: invocation.clone(),
            invocation_after: invocation,
            active_after: Reading::Value(ActiveState::Inactive),
        }));
    }

    /// The present or the last run.
    pub(super) fn invocation(&self, state: &State) -> Reading<InvocationId> {
        match (&state.run, state.record.epoch) {
            (Some(run), _) => Reading::Value(of_process(run.identity)),
            (None, Some(epoch)) => {
                let name = self.definition.name.as_str().as_bytes();
                Reading::Value(digest(self.shared.boot, &[name, &epoch.to_le_bytes()]))
            }
            (None, None) => Reading::Absent(Absence::NotApplicable),
        }
    }
}

/// The invocation of a run that is known by its process.
pub(super) fn of_process(identity: ProcessIdentity) -> InvocationId {
    digest(identity.boot, &[&identity.pid.to_le_bytes(), &identity.start_ticks.to_le_bytes()])
}

fn digest(boot: BootId, parts: &[&[u8]]) -> InvocationId {
    let mut hash = Sha256::new_with_prefix(boot.0.bytes());
    for part in parts {
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    InvocationId(Id128::from_bytes(id))
}

#[expect(clippy::disallowed_methods, reason = "the grace of a pid file runs on the runtime's clock")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

/// Milliseconds since boot, suspend included.
fn boot_millis() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Clock ticks since boot, as `/proc/PID/stat` counts them.
pub(super) fn boot_ticks() -> u64 {
    boot_millis() * rustix::param::clock_ticks_per_second() / 1000
}
