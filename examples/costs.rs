//! What the agent's frequent work costs: one JSON line. `cargo run --release --example costs`.
#![expect(clippy::disallowed_methods, reason = "measures by the clock")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use prunella::model::{Absence, FieldValue, Reading, SubjectKind};
use prunella::policy::{Predicate, Truth};
use prunella::sense::activity::ActivityReader;
use prunella::sense::host::{HostReader, PassTime, Roots};
use rustix::time::{ClockId, clock_gettime};

/// A rule as they are in the shipped policy.
const RULE: &str =
    "kind == 'service' && service_type != 'oneshot' && (active_state == 'failed' || dependency_failed)";
const EVALUATIONS: u32 = 1_000_000;
const PASSES: u32 = 5_000;
const ROUNDS: usize = 5;

/// The time of one call.
fn cost(calls: u32, mut act: impl FnMut()) -> Duration {
    let begun = Instant::now();
    (0..calls).for_each(|_| act());
    begun.elapsed() / calls
}

/// CPU time of one call.
fn cpu_cost(calls: u32, mut act: impl FnMut()) -> Duration {
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let begun = used();
    (0..calls).for_each(|_| act());
    used().saturating_sub(begun) / calls
}

/// What a pass can't do without: the system calls, on the same files.
struct Floor {
    files: Vec<File>,
    buffer: Vec<u8>,
}

impl Floor {
    /// Those of the files of each second that this host has.
    fn open() -> Self {
        let paths = [
            "stat",
            "meminfo",
            "loadavg",
            "sys/fs/file-nr",
            "sys/net/netfilter/nf_conntrack_count",
            "diskstats",
            "net/dev",
        ];
        let files = paths.iter().filter_map(|path| File::open(format!("/proc/{path}")).ok()).collect();
        Self { files, buffer: vec![0; 16 * 1024] }
    }

    fn read(&mut self) {
        for file in &self.files {
            let read = file.read_at(&mut self.buffer, 0);
            assert!(read.is_ok_and(|length| length > 0), "a file of /proc is empty");
        }
    }
}

/// The fields of a healthy service.
fn field(name: &str) -> Reading<FieldValue> {
    let text = |word: &str| Reading::Value(FieldValue::Text(word.into()));
    match name {
        "kind" => text("service"),
        "service_type" => text("notify"),
        "active_state" => text("active"),
        "dependency_failed" => Reading::Value(FieldValue::Bool(false)),
        _ => Reading::Absent(Absence::NotApplicable),
    }
}

fn main() -> anyhow::Result<()> {
    let rule = Predicate::compile(RULE, SubjectKind::Unit)?;
    anyhow::ensure!(rule.evaluate(field) == Truth::False, "a healthy service does not match");
    let evaluation = cost(EVALUATIONS, || {
        std::hint::black_box(std::hint::black_box(&rule).evaluate(field));
    });
    let mut host = HostReader::new(&Roots::default())?;
    // Once before: what is there is found, the files are open.
    let mut second = 0;
    let mut pass = || {
        // The slow files are read each thirtieth time, as they are by the clock.
        second += 1;
        let time = Duration::from_secs(second);
        host.pass(PassTime { boot: time, awake: time });
    };
    pass();
    let mut floor = Floor::open();
    // In turns: a busy machine is unfair to both alike.
    let mut rounds: Vec<(Duration, Duration)> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((cpu_cost(PASSES, &mut pass), cpu_cost(PASSES, || floor.read())));
    }
    rounds.sort_by_key(|(pass, _)| *pass);
    let (host_pass, bare_reads) = rounds[ROUNDS / 2];
    let host_told = cpu_cost(PASSES, || drop(host.tell()));
    let activity = ActivityReader::default();
    let activity_pass = cost(PASSES, || drop(activity.read()));
    println!(
        "{{\"rule_evaluation_ns\":{},\"host_pass_ns\":{},\"host_bare_reads_ns\":{},\"host_told_ns\":{},\
         \"package_managers_pass_ns\":{}}}",
        evaluation.as_nanos(),
        host_pass.as_nanos(),
        bare_reads.as_nanos(),
        host_told.as_nanos(),
        activity_pass.as_nanos()
    );
    Ok(())
}
