//! Storms of short-lived processes for scripts/bench.
//!
//! `bench_storm make RATE SECONDS` forks so many a minute, each of which ends at once. The other two fork at full speed,
//! and say how long a fork with the wait for its end takes, by turns without something and with it: `bench_storm hook
//! ROUNDS FORKS` the agent's hook at the end of every task, `bench_storm beside PID ROUNDS FORKS` that process, which is
//! stopped meanwhile. Each prints one JSON line.
#![expect(clippy::disallowed_methods, reason = "forks by the clock, and measures")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::time::{Duration, Instant};

use prunella::sense::storm::StormLooker;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

mod raw {
    use rustix::process::Pid;

    #[expect(unsafe_code, reason = "fork(2) and _exit(2) are not offered by any safe interface")]
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(status: i32) -> !;
    }

    /// A child that ends at once.
    #[expect(unsafe_code, reason = "programs to execute would cost more than what is measured")]
    pub(super) fn brief() -> std::io::Result<Pid> {
        // SAFETY: this program has one thread, so no lock is held by another in the child's copy of the memory; and the
        // child does nothing but end.
        unsafe {
            let pid = fork();
            if pid == 0 {
                _exit(0);
            }
            Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(std::io::Error::last_os_error)
        }
    }
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = words.iter().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let told = match (words.first().map(String::as_str), &numbers[..]) {
        (Some("make"), &[rate, seconds]) if rate > 0 => make(rate, seconds)?,
        (Some("hook"), &[rounds, forks]) if forks > 0 => hook(rounds, forks)?,
        (Some("beside"), &[pid, rounds, forks]) if forks > 0 => beside(pid, rounds, forks)?,
        _ => anyhow::bail!(
            "usage: bench_storm make RATE SECONDS | hook ROUNDS FORKS | beside PID ROUNDS FORKS"
        ),
    };
    println!("{told}");
    Ok(())
}

/// One fork and the wait for its end.
fn one() -> std::io::Result<Duration> {
    let begun = Instant::now();
    let child: Pid = raw::brief()?;
    waitpid(Some(child), WaitOptions::empty())?;
    Ok(begun.elapsed())
}

fn make(rate: u32, seconds: u32) -> std::io::Result<serde_json::Value> {
    let count = u64::from(rate) * u64::from(seconds) / 60;
    let (begun, step) = (Instant::now(), Duration::from_secs(60) / rate);
    for n in 0..count {
        let due = begun + step * u32::try_from(n).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        one()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(serde_json::json!({ "made": count, "seconds": seconds }))
}

fn hook(rounds: u32, forks: u32) -> std::io::Result<serde_json::Value> {
    let hook = match StormLooker::load_hook() {
        Ok(hook) => hook,
        Err(why) => return Ok(serde_json::json!({ "why": why.to_string() })),
    };
    let mut tied = None;
    by_turns(rounds, forks, |with| {
        tied = with.then(|| hook.tie()).transpose()?;
        Ok(())
    })
}

fn beside(pid: u32, rounds: u32, forks: u32) -> std::io::Result<serde_json::Value> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidInput)?;
    let told = by_turns(rounds, forks, |with| {
        Ok(kill_process(pid, if with { Signal::CONT } else { Signal::STOP })?)
    });
    kill_process(pid, Signal::CONT)?;
    told
}

/// Blocks of forks that are short beside the machine's own moods; before each, `turn` is told whether it is one with.
fn by_turns(
    rounds: u32,
    forks: u32,
    mut turn: impl FnMut(bool) -> std::io::Result<()>,
) -> std::io::Result<serde_json::Value> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (is_with, place) in [(false, &mut without), (true, &mut with)] {
            turn(is_with)?;
            let mut took = (0..forks).map(|_| one()).collect::<Result<Vec<_>, _>>()?;
            place.push(median(&mut took));
        }
    }
    turn(false)?;
    Ok(serde_json::json!({ "without_us": without, "with_us": with }))
}

/// Microseconds.
fn median(took: &mut [Duration]) -> f64 {
    took.sort_unstable();
    took.get(took.len() / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1e6)
}
