//! What the benchmark's programs share: the CPU time of a pass, and one JSON line of all of them.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Each pass is repeated until it used this much CPU time in all.
const SPAN: Duration = Duration::from_millis(60);
/// The median of fewer would be chance.
const PASSES_MIN: usize = 3;
/// No pass is so short that more would tell more.
const PASSES_MAX: usize = 5_000;

/// What was measured, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Measures(Vec<Value>);

impl Measures {
    /// CPU time of this process with all of its threads, of one call of `pass`, which returns how many subjects it
    /// read. The first call is not counted: it opens and allocates.
    pub(crate) fn take(&mut self, name: &str, mut pass: impl FnMut() -> anyhow::Result<usize>) {
        match median(&mut pass) {
            Ok((cpu, subjects, passes)) => self.0.push(json!({
                "name": name, "cpu_us": cpu.as_secs_f64() * 1e6, "subjects": subjects, "passes": passes
            })),
            Err(error) => self.lacks(name, &format!("{error:#}")),
        }
    }

    /// A row that can't be had here.
    pub(crate) fn lacks(&mut self, name: &str, why: &str) {
        self.0.push(json!({ "name": name, "why": why }));
    }

    /// For scripts/bench to read.
    #[expect(clippy::print_stdout, reason = "the result of the program")]
    pub(crate) fn print(self) {
        println!("{}", json!({ "measures": self.0 }));
    }
}

fn median(pass: &mut impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<(Duration, usize, usize)> {
    let mut subjects = pass()?;
    let begun = cpu_time()?;
    let mut taken = Vec::new();
    let mut before = begun;
    while taken.len() < PASSES_MIN || (before - begun < SPAN && taken.len() < PASSES_MAX) {
        subjects = pass()?;
        let after = cpu_time()?;
        taken.push(after - before);
        before = after;
    }
    taken.sort();
    Ok((taken[taken.len() / 2], subjects, taken.len()))
}

/// In nanoseconds, where `getrusage` rounds to microseconds.
fn cpu_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::ProcessCPUTime).try_into()?)
}
