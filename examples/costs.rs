//! What the agent's frequent work costs: one JSON line. `cargo run --release --example costs`.
#![expect(clippy::disallowed_methods, reason = "measures by the clock")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::time::{Duration, Instant};

use prunella::model::{Absence, FieldValue, Reading, SubjectKind};
use prunella::policy::{Predicate, Truth};
use prunella::sense::activity::ActivityReader;
use prunella::sense::host::{HostReader, Roots};

/// A rule as they are in the shipped policy.
const RULE: &str =
    "kind == 'service' && service_type != 'oneshot' && (active_state == 'failed' || dependency_failed)";
const EVALUATIONS: u32 = 1_000_000;
const PASSES: u32 = 10_000;

/// The time of one call.
fn cost(calls: u32, mut act: impl FnMut()) -> Duration {
    let begun = Instant::now();
    (0..calls).for_each(|_| act());
    begun.elapsed() / calls
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
    let host_pass = cost(PASSES, || drop(host.read()));
    let activity = ActivityReader::default();
    let activity_pass = cost(PASSES, || drop(activity.read()));
    println!(
        "{{\"rule_evaluation_ns\":{},\"host_pass_ns\":{},\"package_managers_pass_ns\":{}}}",
        evaluation.as_nanos(),
        host_pass.as_nanos(),
        activity_pass.as_nanos()
    );
    Ok(())
}
