//! What needs `unsafe`: between fork and exec, and descriptors without an owner.
#![expect(clippy::disallowed_methods, reason = "children are made here and nowhere else")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};

use super::place::{Scope, ServiceCgroup};
use super::{CHILD_PATH, ChildError, Home, Job, open_log, resolve};

/// Everything that is decided before the fork.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) program: PathBuf,
    command: Command,
    scope: Option<Scope>,
    cgroup: Option<OwnedFd>,
    record: Option<OwnedFd>,
    /// Outlives its handle, from the moment that it is forked.
    stays: bool,
}

impl Setup {
    pub(super) fn new(job: &Job<'_>) -> Result<Self, ChildError> {
        let (name, arguments) = job.argv.split_first().ok_or(ChildError::Empty)?;
        let program = resolve(name)?;
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", CHILD_PATH)
            .env("LANG", "C.UTF-8")
            .envs(job.env.iter().copied())
            .current_dir("/")
            .stdin(if job.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self { program, command, scope: None, cgroup: None, record: None, stays: false })
    }

    pub(super) fn capturing(mut self) -> Self {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self
    }

    pub(super) fn inside(mut self, scope: Option<Scope>) -> Self {
        self.scope = scope;
        self
    }

    pub(super) fn at(mut self, home: &Home) -> Result<Self, ChildError> {
        if let Some(path) = &home.log {
            let fail = |source| ChildError::Log { path: path.clone(), source };
            let log = open_log(path).map_err(fail)?;
            let second = log.try_clone().map_err(fail)?;
            self.command.stdout(Stdio::from(log)).stderr(Stdio::from(second));
        }
        // A daemon outside of its group is worse off, and better than none.
        self.cgroup = home.cgroup.as_ref().and_then(ServiceCgroup::entry);
        Ok(self)
    }

    pub(super) fn staying(mut self, record: Option<OwnedFd>) -> Self {
        self.record = record;
        self.stays = true;
        self
    }

    /// Forks and executes. Blocks until the program runs or has failed to.
    pub(super) fn spawn(self) -> std::io::Result<(Child, Option<Scope>, bool)> {
        keep_inherited_descriptors_from_children();
        let Self { mut command, scope, cgroup, record, stays, .. } = self;
        let entry = match (&scope, cgroup) {
            (Some(scope), _) => scope.entry(),
            (None, entry) => entry,
        };
        let exposed = is_shielded_from_oom_killer();
        let prepare = move || {
            rustix::process::setsid()?;
            rustix::process::umask(Mode::from_raw_mode(0o077));
            if let Some(entry) = &entry {
                // "0" is the writer itself (cgroups(7)). Refused: it stays where it is.
                let _ = rustix::io::write(entry, b"0");
            }
            if exposed {
                expose_to_oom_killer();
            }
            if let Some(record) = &record {
                write_pid(record.as_fd())?;
            }
            Ok(())
        };
        #[expect(
            unsafe_code,
            reason = "setsid, umask and the control group of a child have no safe way in std"
        )]
        // SAFETY: after a fork of a threaded process only async-signal-safe work is allowed. `prepare` makes bare
        // system calls through rustix's linux_raw backend and touches its own stack: no allocation, no lock,
        // no panic; `io::Error` from an errno does not allocate.
        let command = unsafe { command.pre_exec(prepare) };
        Ok((command.spawn()?, scope, stays))
    }
}

/// `pid=NUMBER\n` without allocating.
fn write_pid(record: BorrowedFd<'_>) -> std::io::Result<()> {
    let mut line = *b"pid=0000000000\n";
    let mut rest = rustix::process::getpid().as_raw_pid().unsigned_abs();
    for digit in line[4..14].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    rustix::io::write(record, &line)?;
    Ok(())
}

/// A service must not inherit the agent's own protection: the kernel would rather kill everything else.
fn expose_to_oom_killer() {
    let path = c"/proc/self/oom_score_adj";
    if let Ok(file) = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::io::write(&file, b"0");
    }
}

fn is_shielded_from_oom_killer() -> bool {
    static SHIELDED: OnceLock<bool> = OnceLock::new();
    *SHIELDED.get_or_init(|| {
        std::fs::read("/proc/self/oom_score_adj").is_ok_and(|score| score.first() == Some(&b'-'))
    })
}

/// Everything that Rust opens closes at exec; what the agent's own parent left open may not.
fn keep_inherited_descriptors_from_children() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
        for entry in entries.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            let Some(number) = number.filter(|number| *number > std::io::stderr().as_raw_fd()) else {
                continue;
            };
            #[expect(unsafe_code, reason = "descriptors that nobody in this process owns have only a number")]
            // SAFETY: borrowed for two fcntl calls. If the number was closed meanwhile they fail, if it was
            // reused they set what is set on it anyway.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            if let Ok(flags) = rustix::io::fcntl_getfd(descriptor) {
                let _ = rustix::io::fcntl_setfd(descriptor, flags | rustix::io::FdFlags::CLOEXEC);
            }
        }
    });
}
