//! Runs the simulation: `scripts/sim --help`. An example, so that it is not shipped.
#![expect(clippy::disallowed_methods, reason = "measures how long the runs take")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use prunella::sim::{Options, Outcome, run};

/// Lives many small hosts through many small disasters and checks that the agent never does harm.
#[derive(Debug, Parser)]
#[command(
    name = "sim",
    after_help = "Exit codes: 0 no violation, 1 a violation (its seed and story are printed)."
)]
struct Arguments {
    /// Repeat exactly this seed and print its story.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run this many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Simulated hours: of the one seed, or of all seeds together.
    #[arg(long)]
    hours: Option<u64>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Go on after a violation, up to this many.
    #[arg(long, default_value_t = 1)]
    keep_going: u64,
    /// End the agent at this effect boundary (with `--seed`).
    #[arg(long)]
    crash_at: Option<u64>,
    /// End it by cutting the power.
    #[arg(long, requires = "crash_at")]
    power: bool,
}

/// Hours that a single seed lives when nothing else is asked.
const HOURS_OF_ONE: u64 = 50;

fn tell(seed: u64, hours: u64, outcome: &Outcome) {
    print!("{}", outcome.transcript.text());
    for violation in &outcome.violations {
        println!("seed {seed}: {violation}");
    }
    println!("repeat: scripts/sim --seed {seed} --hours {hours}");
}

fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    let hours = arguments.hours.unwrap_or(HOURS_OF_ONE);
    let crash_at = arguments.crash_at.map(|at| (at, arguments.power));
    let outcome = run(Options { transcript: true, crash_at, ..Options::random(seed, hours) });
    tell(seed, hours, &outcome);
    println!("{:?}", outcome.stats);
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        return one(&arguments, seed);
    }
    let hours = arguments.hours.map_or(HOURS_OF_ONE, |hours| hours.div_ceil(arguments.seeds.max(1)));
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.seeds;
    let failed = Mutex::new(Vec::<u64>::new());
    let enough = AtomicBool::new(false);
    let counts: [AtomicU64; 8] = Default::default();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(Options::random(seed, hours));
                    let stats = outcome.stats;
                    let values = [
                        1,
                        stats.simulated,
                        stats.handled,
                        stats.acts,
                        stats.crashes,
                        stats.incidents,
                        stats.repaired,
                        stats.pages,
                    ];
                    for (count, value) in counts.iter().zip(values) {
                        count.fetch_add(value, Ordering::Relaxed);
                    }
                    if let Some(violation) = outcome.violations.first() {
                        eprintln!("seed {seed}: {violation}");
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push(seed);
                        if failed.len() as u64 >= arguments.keep_going {
                            enough.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let wall = begun.elapsed().as_secs_f64();
    let [seeds, simulated, handled, acts, crashes, incidents, repaired, pages] =
        counts.map(AtomicU64::into_inner);
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if arguments.keep_going == 1
        && let Some(seed) = failed.first()
    {
        let outcome = run(Options { transcript: true, ..Options::random(*seed, hours) });
        tell(*seed, hours, &outcome);
    }
    println!(
        "{seeds} seeds, {} simulated hours, {} violations; {handled} engine calls, {incidents} incidents, \
         {acts} acts, {repaired} repaired, {pages} pages, {crashes} crashes of the agent; {wall:.1} s",
        simulated / 3_600_000,
        failed.len(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
