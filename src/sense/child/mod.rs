//! The only place that makes child processes.
//!
//! Owns: how a program is found, started, bounded and ended. A child gets no shell, an environment of its own
//! making, `/` to stand in, umask 077, a session of its own, no descriptor of the agent's, no protection from the
//! OOM killer, and a deadline. Must not know what the program is for.
//!
//! A child that is run is ended as a whole: its process group and, where this process may make control groups,
//! the group that it was born in, which nothing can leave by forking or by `setsid`. There is no `PR_SET_PDEATHSIG`:
//! it fires at the end of the *thread* that forked, and the runtime's blocking threads come and go.

mod output;
mod place;
mod raw;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::procfs::{members_of, read_stat};
use super::watch::watch;

pub use output::{Captured, open_log};
pub use place::{ServiceCgroup, service_cgroup};

/// Where programs given without a directory are looked for, and the `PATH` of every child.
pub const CHILD_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes kept of each output stream of a child: enough for a status page of a service, small for a root daemon.
/// The rest is read and dropped, so that the child never blocks on a full pipe.
pub const CHILD_OUTPUT_MAX: usize = 64 * 1024;

/// How long output is still awaited after the child has ended: descendants that got away may hold the pipe for ever.
const DRAIN_MAX: Duration = Duration::from_millis(100);

/// Tries to reap a killed child and to remove its control group: a killed process is gone in a moment unless it is
/// stuck in the kernel, and then nothing helps.
const BURY_TRIES: u32 = 200;
const BURY_PAUSE: Duration = Duration::from_millis(25);

/// How often an end is looked for on kernels without pidfd (before 5.3).
const EXIT_POLL: Duration = Duration::from_millis(20);

/// A program with its bounds.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Program and arguments; the program absolute or to be found in [`CHILD_PATH`].
    pub argv: &'a [String],
    /// Variables beyond `PATH` and `LANG`.
    pub env: &'a [(&'a str, &'a str)],
    /// What it reads; nothing (`/dev/null`) when not given.
    pub stdin: Option<&'a [u8]>,
    /// From the call to the answer.
    pub deadline: Duration,
}

impl<'a> Job<'a> {
    /// Without input and extra variables.
    #[must_use]
    pub const fn new(argv: &'a [String], deadline: Duration) -> Self {
        Self { argv, env: &[], stdin: None, deadline }
    }

    /// The same with this on its standard input.
    #[must_use]
    pub const fn with_stdin(self, bytes: &'a [u8]) -> Self {
        Self { stdin: Some(bytes), ..self }
    }

    /// The same with these variables besides.
    #[must_use]
    pub const fn with_env(self, env: &'a [(&'a str, &'a str)]) -> Self {
        Self { env, ..self }
    }
}

/// How a process ended (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildExit {
    /// It called exit with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ChildExit {
    /// Exit code 0.
    #[must_use]
    pub const fn success(self) -> bool {
        matches!(self, Self::Code(0))
    }

    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            // wait(2) reports stops and continues only to those who ask; an unknown word is not a success.
            (None, None) => Self::Code(-1),
        }
    }
}

impl std::fmt::Display for ChildExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What a child that ended by itself left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildOutput {
    pub exit: ChildExit,
    pub stdout: Captured,
    pub stderr: Captured,
}

/// Why there is no answer of a child.
#[derive(Debug, Error)]
pub enum ChildError {
    /// An empty argv.
    #[error("no program is named")]
    Empty,
    /// Neither absolute nor in [`CHILD_PATH`].
    #[error("there is no program {0:?}")]
    NotFound(String),
    /// fork or exec failed: missing interpreter, no permission, no memory, no processes left …
    #[error("{program} can't be started")]
    Spawn { program: String, source: std::io::Error },
    /// Its log file can't be opened safely.
    #[error("the log file {path} can't be opened")]
    Log { path: PathBuf, source: std::io::Error },
    /// It was still running at its deadline and was killed.
    #[error("{program} did not end within {within:?}")]
    TimedOut { program: String, within: Duration, stderr: Captured },
}

/// Runs a program to its end and kills whatever it leaves behind. Dropping the future kills it as well.
///
/// # Errors
/// When it can't be started or does not end in time. An exit code other than 0 is an answer, not an error.
pub async fn run(job: &Job<'_>) -> Result<ChildOutput, ChildError> {
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let run = async {
        let setup = raw::Setup::new(job)?.capturing().inside(place::scope());
        let mut running = Running::spawn(setup).await?;
        let pipes = output::Pipes::take(&mut running.child, job.stdin, &mut stdout, &mut stderr);
        tokio::pin!(pipes);
        let closed = tokio::select! {
            () = &mut pipes => true,
            () = running.ended() => false,
        };
        running.ended().await;
        running.kill();
        if !closed {
            // Ends at once unless a descendant escaped with the pipe in its hands.
            let _ = tokio::time::timeout(DRAIN_MAX, pipes).await;
        }
        running.reap().map_err(|source| ChildError::Spawn { program: job.argv[0].clone(), source })
    };
    match tokio::time::timeout(job.deadline, run).await {
        Ok(exit) => Ok(ChildOutput { exit: exit?, stdout, stderr }),
        Err(_) => Err(ChildError::TimedOut { program: job.argv[0].clone(), within: job.deadline, stderr }),
    }
}

/// Where a daemon that is meant to stay lives.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// Gets its output, appended; `/dev/null` when not given.
    pub log: Option<PathBuf>,
    /// Born in it: out of the agent's own group, so that nobody who stops the agent stops the daemon.
    pub cgroup: Option<ServiceCgroup>,
}

/// Runs a command that leaves a daemon behind. What it started stays when it succeeds or fails by itself; at its
/// deadline the whole process group is killed.
///
/// # Errors
/// As [`run`], and when the log file can't be opened.
pub async fn run_starter(job: &Job<'_>, home: &Home) -> Result<ChildExit, ChildError> {
    let run = async {
        let mut running = Running::spawn(raw::Setup::new(job)?.at(home)?).await?;
        running.ended().await;
        running.reap().map_err(|source| ChildError::Spawn { program: job.argv[0].clone(), source })
    };
    match tokio::time::timeout(job.deadline, run).await {
        Ok(exit) => exit,
        Err(_) => Err(ChildError::TimedOut {
            program: job.argv[0].clone(),
            within: job.deadline,
            stderr: Captured::default(),
        }),
    }
}

/// Starts a daemon that stays in the foreground. It outlives the agent. `record`, an open file, gets its pid as a
/// decimal line written by the child itself before it becomes the program: a crash of the agent at any point can't
/// lose a daemon that runs.
///
/// # Errors
/// When it can't be started or its log can't be opened. Its deadline is not looked at.
pub async fn spawn_detached(
    job: &Job<'_>,
    home: &Home,
    record: Option<OwnedFd>,
) -> Result<Detached, ChildError> {
    let setup = raw::Setup::new(job)?.at(home)?.staying(record);
    Ok(Detached(Running::spawn(setup).await?))
}

/// A daemon that this process started. Dropping it leaves it alone.
#[derive(Debug)]
pub struct Detached(Running);

impl Detached {
    /// Its pid: valid until it is reaped.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid.as_raw_pid()
    }

    /// Readable when it has ended; none on kernels without pidfd.
    #[must_use]
    pub fn pidfd(&self) -> Option<Arc<AsyncFd<OwnedFd>>> {
        self.0.pidfd.clone()
    }

    /// How it ended, if it has; reaps it.
    ///
    /// # Errors
    /// When somebody else reaped it.
    pub fn try_reap(&mut self) -> std::io::Result<Option<ChildExit>> {
        self.0.try_reap()
    }
}

/// A child that has not been reaped: its pid can't be anybody else's.
#[derive(Debug)]
struct Running {
    child: Child,
    pid: Pid,
    pidfd: Option<Arc<AsyncFd<OwnedFd>>>,
    scope: Option<place::Scope>,
    exit: Option<ChildExit>,
    /// Not killed on drop.
    stays: bool,
}

impl Running {
    /// Forks on a thread that may block: fork copies page tables, entering a control group takes kernel locks.
    async fn spawn(setup: raw::Setup) -> Result<Self, ChildError> {
        let program = setup.program.display().to_string();
        let fail = |source| ChildError::Spawn { program, source };
        let spawned = tokio::task::spawn_blocking(move || {
            let (child, scope, stays) = setup.spawn()?;
            let pid = Pid::from_child(&child);
            Ok(Self { child, pid, pidfd: None, scope, exit: None, stays })
        });
        let mut running = match spawned.await {
            Ok(spawned) => spawned.map_err(fail)?,
            Err(gone) => return Err(fail(std::io::Error::other(gone))),
        };
        running.pidfd = pidfd(running.pid).ok();
        Ok(running)
    }

    /// Pends until it has ended; does not reap, so that its process group can still be named safely.
    async fn ended(&self) {
        if let Some(pidfd) = &self.pidfd
            && pidfd.readable().await.is_ok()
        {
            return;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while let Ok(None) = rustix::process::waitid(WaitId::Pid(self.pid), options) {
            tokio::time::sleep(EXIT_POLL).await;
        }
    }

    /// Kills what is left of it. Only before it is reaped.
    fn kill(&self) {
        if self.exit.is_some() {
            return;
        }
        if let Some(scope) = &self.scope {
            scope.kill();
        }
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        // It may not have reached its own session yet.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
    }

    /// Where no control group holds it: its session has those that made a process group of their own, as
    /// `timeout(1)` does. The session's number can't be another's before its leader is reaped. Reads all of `/proc`,
    /// and so is kept for children that did not end by themselves.
    fn kill_session(&self) {
        let (proc, session) = (Path::new("/proc"), self.pid.as_raw_pid());
        for member in members_of(proc, session) {
            let Some(pid) = Pid::from_raw(member) else { continue };
            let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
                continue;
            };
            // Whoever has the number now, the descriptor is of the process that is looked at here.
            let same =
                read_stat(proc, member).is_ok_and(|stat| stat.is_some_and(|stat| stat.session == session));
            if same {
                let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
            }
        }
    }

    fn try_reap(&mut self) -> std::io::Result<Option<ChildExit>> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait()?.map(ChildExit::of);
        }
        Ok(self.exit)
    }

    /// After [`Running::ended`]: does not block.
    fn reap(&mut self) -> std::io::Result<ChildExit> {
        match self.try_reap()? {
            Some(exit) => Ok(exit),
            None => Err(std::io::Error::other("it ended and can't be reaped")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exit.is_none() && !self.stays {
            if self.scope.is_none() {
                self.kill_session();
            }
            self.kill();
        }
        let unreaped = self.exit.is_none().then_some(self.pid);
        let scope = self.scope.take();
        if unreaped.is_none() && scope.as_ref().is_none_or(|scope| scope.remove()) {
            return;
        }
        // Without a runtime this process is ending, and init reaps.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.stays {
            runtime.spawn(bury(unreaped, scope));
        } else if let Some(pidfd) = self.pidfd.take() {
            // Nobody asks how it ends any more; a zombie would stay all the same.
            runtime.spawn(async move {
                if pidfd.readable().await.is_ok() {
                    bury(unreaped, scope).await;
                }
            });
        }
    }
}

/// Reaps a killed child and removes its control group, in a bounded number of tries.
async fn bury(mut pid: Option<Pid>, mut scope: Option<place::Scope>) {
    for _ in 0..BURY_TRIES {
        if let Some(dead) = pid
            && !matches!(
                rustix::process::waitid(WaitId::Pid(dead), WaitIdOptions::EXITED | WaitIdOptions::NOHANG),
                Ok(None)
            )
        {
            pid = None;
        }
        scope = scope.filter(|scope| !scope.remove());
        if pid.is_none() && scope.is_none() {
            return;
        }
        tokio::time::sleep(BURY_PAUSE).await;
    }
    tracing::warn!(?pid, ?scope, "a killed child does not go away");
}

/// A descriptor for a process that becomes readable when it ends (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// `ESRCH` when there is no such process; `ENOSYS` on older kernels.
pub fn pidfd(pid: Pid) -> std::io::Result<Arc<AsyncFd<OwnedFd>>> {
    let descriptor = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK)
        .or_else(|_| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))?;
    Ok(Arc::new(watch(descriptor, Interest::READABLE)?))
}

/// The file that would be executed for this name.
///
/// # Errors
/// When it is neither absolute nor found.
pub fn resolve(program: &str) -> Result<PathBuf, ChildError> {
    let path = Path::new(program);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let executable = |path: &PathBuf| {
        let runs = rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
        runs && path.is_file()
    };
    // A relative path with a slash would depend on where the agent happens to stand.
    let found = (!program.is_empty() && !program.contains('/'))
        .then(|| CHILD_PATH.split(':').map(|dir| Path::new(dir).join(program)).find(executable))
        .flatten();
    found.ok_or_else(|| ChildError::NotFound(program.to_owned()))
}
