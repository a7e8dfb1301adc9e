//! A storm of short-lived processes: the incident begins with a look at who makes them, which may not come.

use serde_json::json;

use super::*;
use crate::model::{Absence, Evidence, MeanPeak, Reading, STORM_LOOK_WITHIN, StormLook, StormWay, TaskRates};

/// Made each second.
const RATE: u64 = 500;

/// A sample each ten seconds, as the host is told.
pub(super) fn sample(second: i64, rate: u64) -> Sample {
    let absent = json!({"absent": "not-observed"});
    let names =
        ["cpu", "memory", "swap", "open_files", "pids", "conntrack", "sockets", "clock", "temperature"];
    let more = ["memory_errors", "network", "interfaces", "devices", "inventory", "tasks"];
    let mut numbers: serde_json::Map<_, _> =
        names.into_iter().chain(more).map(|name| (name.to_owned(), absent.clone())).collect();
    numbers.insert("over".into(), json!({"secs": 10, "nanos": 0}));
    numbers.insert("interfaces_left_out".into(), json!(0));
    numbers.insert("devices_left_out".into(), json!(0));
    let mut numbers: crate::model::HostNumbers = serde_json::from_value(numbers.into()).unwrap();
    let still = MeanPeak::default();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let forks = MeanPeak { mean: rate as f64, peak: rate as f64 };
    let made = 100_000 + RATE * second.unsigned_abs();
    let tasks = TaskRates { forks, context_switches: still, running: still, blocked: still, made };
    numbers.tasks = Reading::Value(tasks);
    Sample { numbers: Some(Arc::new(numbers)), ..Sample::empty(at(second)) }
}

/// Until the incident is there.
fn stormy() -> Life {
    let mut life = Life::start(Memory::new());
    for second in [10, 20, 30, 40] {
        life.handle(Input::Sample(sample(second, RATE)), second);
    }
    life
}

fn evidence(life: &Life) -> Option<&Evidence> {
    life.records.iter().find_map(|record| {
        let RecordBody::EvidenceTaken { evidence, .. } = record else { return None };
        Some(&**evidence)
    })
}

fn look() -> StormLook {
    StormLook {
        way: StormWay::EndingHook,
        refused: None,
        over: std::time::Duration::from_secs(1),
        made: Reading::Value(RATE),
        ended: Reading::Value(RATE),
        ended_threads: Reading::Value(0),
        counted: RATE,
        brief: RATE,
        uncounted: 0,
        young: Reading::Value(0),
        makers: Vec::new(),
    }
}

#[test]
fn a_storm_is_looked_at_before_anybody_is_told() {
    let mut life = stormy();
    let incident = incident_of(&life);
    assert_eq!(incident.rule.as_str(), "process-storm");
    assert!(incident.finding.what.contains("forks_1m 10000"), "{}", incident.finding.what);
    assert_eq!(evidence(&life), None, "it waits for the look");
    let taken = Evidence::of_host(Reading::Absent(Absence::NotObserved), Reading::Value(look()));
    life.handle(Input::EvidenceTaken { incident: incident.id, evidence: taken.into() }, 42);
    assert_eq!(evidence(&life).map(|it| &it.storm), Some(&Reading::Value(look())));
    life.handle(Input::Sample(sample(50, 80)), 50);
    assert!(life.resolved(), "{:?}", life.records);
}

#[test]
fn a_look_that_does_not_come_is_given_up() {
    let mut life = stormy();
    life.handle(Input::Tick, 41 + i64::try_from(STORM_LOOK_WITHIN.as_secs()).unwrap());
    assert!(matches!(evidence(&life).map(|it| &it.storm), Some(Reading::Failed(_))), "{:?}", life.records);
}

#[test]
fn a_burst_is_no_storm() {
    let mut life = Life::start(Memory::new());
    for (second, rate) in [(10, 5), (20, 900), (30, 20), (40, 900), (50, 20)] {
        life.handle(Input::Sample(sample(second, rate)), second);
    }
    assert!(life.engine.snapshot().incidents.is_empty(), "{:?}", life.records);
}
