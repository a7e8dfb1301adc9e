//! Storms of short-lived processes for scripts/bench.
//!
//! `bench_storm make RATE SECONDS` forks so many a minute, each of which ends at once, and says how long a fork with the
//! wait for its end took. `bench_storm hook ROUNDS FORKS` does so at full speed, by turns with the agent's hook at the end
//! of every task and without it. Each prints one JSON line.
#![expect(clippy::disallowed_methods, reason = "forks by the clock, and measures")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::time::{Duration, Instant};

use prunella::sense::process::bpf::EndingHook;
use prunella::sense::storm::StormLooker;
use rustix::process::{Pid, WaitOptions, waitpid};

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
        _ => anyhow::bail!("usage: bench_storm make RATE SECONDS | hook ROUNDS FORKS"),
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
    let mut took = Vec::new();
    for n in 0..count {
        let due = begun + step * u32::try_from(n).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        took.push(one()?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(serde_json::json!({ "made": count, "seconds": seconds, "fork_us_p50": median(&mut took) }))
}

fn hook(rounds: u32, forks: u32) -> std::io::Result<serde_json::Value> {
    let hook = match StormLooker::load_hook() {
        Ok(hook) => hook,
        Err(why) => return Ok(serde_json::json!({ "why": why.to_string() })),
    };
    // Alternately one fork of each would measure the tying: blocks that are short beside the machine's own moods.
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(block(None, forks)?);
        with.push(block(Some(&hook), forks)?);
    }
    Ok(serde_json::json!({ "without_us": without, "with_us": with }))
}

fn block(hook: Option<&EndingHook>, forks: u32) -> std::io::Result<f64> {
    let tied = hook.map(EndingHook::tie).transpose()?;
    let mut took = (0..forks).map(|_| one()).collect::<Result<Vec<_>, _>>()?;
    drop(tied);
    Ok(median(&mut took))
}

/// Microseconds.
fn median(took: &mut [Duration]) -> f64 {
    took.sort_unstable();
    took.get(took.len() / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1e6)
}
