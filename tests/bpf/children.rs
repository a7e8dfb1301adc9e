//! Processes of known kinds, played by this program itself.
#![expect(unsafe_code, reason = "a main thread that ends before the others has no safe form")]

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::thread;

use crate::storms::{self, STORM};

/// The first argument of a child; its kind follows.
pub(crate) const MARK: &str = "--play";

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Six threads, four of which compute for a while and then stay.
    Threads,
    /// The main thread has ended, another stays.
    Headless,
    /// Starts threads that compute for a moment and end, over and over.
    Churn,
    /// Starts processes that end, and reaps them all at once, over and over.
    Reaper,
    /// Writes and syncs a megabyte, then stays.
    Writer,
    /// Ended, and nobody asks how.
    Zombie,
    /// Stopped by a signal.
    Stopped,
}

impl Kind {
    const ALL: [(Self, &str); 7] = [
        (Self::Threads, "threads"),
        (Self::Headless, "headless"),
        (Self::Churn, "churn"),
        (Self::Reaper, "reaper"),
        (Self::Writer, "writer"),
        (Self::Zombie, "zombie"),
        (Self::Stopped, "stopped"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).expect("all are listed").1
    }
}

/// A child that is killed with its value.
pub(crate) struct Played {
    child: Child,
    /// Its end ends the child.
    _input: Option<ChildStdin>,
}

impl Played {
    /// Starts one, and waits until it is what it shall be.
    pub(crate) fn start(kind: Kind) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([MARK, kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let mut line = [0; 6];
        child.stdout.take().expect("it is piped").read_exact(&mut line).expect("it says that it is ready");
        let input = child.stdin.take();
        let played = Self { child, _input: input };
        match kind {
            Kind::Zombie => played.becomes('Z'),
            Kind::Headless => played.becomes('Z'),
            Kind::Stopped => {
                let pid = rustix::process::Pid::from_child(&played.child);
                rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it can be stopped");
                played.becomes('T');
            }
            Kind::Threads | Kind::Churn | Kind::Reaper | Kind::Writer => {}
        }
        played
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    fn becomes(&self, state: char) {
        let path = format!("/proc/{}/stat", self.pid());
        for _ in 0..100_000 {
            let stat = std::fs::read_to_string(&path).expect("it is there");
            if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(state)) {
                return;
            }
            thread::yield_now();
        }
        panic!("{path} does not show {state}");
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When this process is a child: plays it.
pub(crate) fn act() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(MARK) {
        return None;
    }
    let wanted = arguments.next().unwrap_or_default();
    if wanted == STORM {
        storms::play();
        return Some(ExitCode::SUCCESS);
    }
    let (kind, _) = Kind::ALL.into_iter().find(|(_, name)| *name == wanted)?;
    match kind {
        Kind::Threads => {
            let workers: Vec<_> = (0..4).map(|_| thread::spawn(|| compute(20_000_000))).collect();
            workers.into_iter().for_each(|worker| worker.join().expect("computes"));
            for _ in 0..4 {
                thread::spawn(|| {
                    compute(5_000_000);
                    thread::park();
                });
            }
            thread::spawn(thread::park);
        }
        Kind::Headless => {
            thread::spawn(|| {
                compute(20_000_000);
                until_told();
                std::process::exit(0);
            });
            ready();
            // SAFETY: ends this thread alone; nothing on its stack is owed to anyone, for no thread is scoped.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        Kind::Churn => {
            thread::spawn(|| {
                loop {
                    let few: Vec<_> = (0..8).map(|_| thread::spawn(|| compute(100_000))).collect();
                    few.into_iter().for_each(|one| one.join().expect("computes"));
                }
            });
        }
        Kind::Reaper => {
            thread::spawn(|| {
                loop {
                    reap_at_once();
                }
            });
        }
        Kind::Writer => {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&vec![7; 1 << 20]).and_then(|()| file.sync_all()).expect("written");
        }
        Kind::Zombie => {
            ready();
            return Some(ExitCode::SUCCESS);
        }
        Kind::Stopped => {}
    }
    ready();
    until_told();
    Some(ExitCode::SUCCESS)
}

fn reap_at_once() {
    let children: Vec<i32> = (0..64)
        // SAFETY: all that the child does is to end, which is safe after a fork of a program with threads.
        .map(|_| match unsafe { libc::fork() } {
            // SAFETY: ends the child, and runs nothing of the parent's.
            0 => unsafe { libc::_exit(0) },
            child => child,
        })
        .collect();
    for child in &children {
        // SAFETY: takes no memory but its own; WNOWAIT leaves it a zombie.
        unsafe {
            let mut how = std::mem::zeroed();
            libc::waitid(libc::P_PID, child.unsigned_abs(), &raw mut how, libc::WEXITED | libc::WNOWAIT);
        }
    }
    for child in children {
        // SAFETY: waits for a child of this process alone, and takes no memory.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
}

fn compute(turns: u64) {
    let mut sum = 0_u64;
    for turn in 0..turns {
        sum = black_box(sum.wrapping_mul(31).wrapping_add(turn));
    }
}

fn ready() {
    let mut out = std::io::stdout();
    out.write_all(b"ready\n").and_then(|()| out.flush()).expect("the parent listens");
}

fn until_told() {
    let _ = std::io::stdin().read(&mut [0]);
}
