//! The processes that scripts/bench measures among: `bench_load IDLE BUSY`.
//!
//! Forks so many that wait for ever and so many that work a moment each second, says so in one JSON line, and stays
//! until its standard input ends. Then it kills and reaps all of them; should it be killed itself, the kernel does.
#![expect(clippy::disallowed_methods, reason = "its children work by the clock, and sleep")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::io::Read;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

/// What a busy process works each second: a quiet service that answers a few requests.
const WORK: Duration = Duration::from_millis(3);
const EVER: Duration = Duration::from_secs(u32::MAX as u64);
/// So many pids are told, for checks that are made of single processes.
const TOLD: usize = 10;

mod raw {
    use rustix::process::Pid;

    #[expect(unsafe_code, reason = "fork(2) is not offered by any safe interface")]
    unsafe extern "C" {
        fn fork() -> i32;
    }

    /// `None` in the child.
    #[expect(unsafe_code, reason = "ten thousand programs to execute would take minutes and gigabytes")]
    pub(super) fn split() -> std::io::Result<Option<Pid>> {
        // SAFETY: this program has one thread, so no lock is held by another in the child's copy of the memory.
        let pid = unsafe { fork() };
        if pid < 0 { Err(std::io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Idle,
    Busy,
}

fn main() -> anyhow::Result<()> {
    let counts: Vec<usize> = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [idle, busy] = counts[..] else { anyhow::bail!("usage: bench_load IDLE BUSY") };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut children = Vec::with_capacity(idle + busy);
    let made = make(&mut children, Kind::Idle, idle).and_then(|()| make(&mut children, Kind::Busy, busy));
    match made {
        Ok(()) => {
            let told: Vec<i32> = children.iter().take(TOLD).map(|pid| pid.as_raw_nonzero().get()).collect();
            println!("{}", serde_json::json!({ "made": children.len(), "some": told }));
            // Whoever started this lets go of the other end, or is gone.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        }
        Err(error) => {
            println!("{}", serde_json::json!({ "made": children.len(), "error": error.to_string() }));
        }
    }
    for pid in &children {
        let _ = rustix::process::kill_process(*pid, Signal::KILL);
    }
    for pid in &children {
        let _ = rustix::process::waitpid(Some(*pid), WaitOptions::empty());
    }
    Ok(())
}

fn make(children: &mut Vec<Pid>, kind: Kind, count: usize) -> std::io::Result<()> {
    let parent = rustix::process::getpid();
    for _ in 0..count {
        match raw::split()? {
            Some(child) => children.push(child),
            None => live(kind, parent),
        }
    }
    Ok(())
}

/// A child's whole life.
fn live(kind: Kind, parent: Pid) -> ! {
    let bound = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // A parent that ended before that can't end this one.
    if bound.is_err() || rustix::process::getppid() != Some(parent) {
        std::process::exit(1);
    }
    loop {
        match kind {
            Kind::Idle => std::thread::sleep(EVER),
            Kind::Busy => {
                let begun = Instant::now();
                while begun.elapsed() < WORK {
                    std::hint::spin_loop();
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}
