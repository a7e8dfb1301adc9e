#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Effect, Engine, Input, Memory, RecordTicket, Setup};
use crate::guard::Permit;
use crate::model::{
    ActionId, Applied, BootId, BootTime, Delivery, Entry, RecordBody, Sample, Subject, Timestamp, UnitName,
    UnitStatus, UnitsUpdate, WallTime,
};
use crate::policy::Policy;

const UNIT: &str = "web.service";
/// Host up for a while, so that no guard waits for its boot.
const BEGIN: i64 = 3_600;

fn boot() -> BootId {
    serde_json::from_value(json!("818568f6822d4e059063ce747b0ab951")).unwrap()
}

fn at(second: i64) -> Timestamp {
    let millis = (BEGIN + second) * 1000;
    Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(1_700_000_000_000 + millis))
}

fn status(active: &str) -> UnitStatus {
    let run = if active == "active" { "b2" } else { "47" };
    let text = json!({
        "name": UNIT, "load": "loaded", "active": active, "sub": "dead", "job": {"absent": "not-applicable"},
        "details": {"value": {
            "invocation": {"value": format!("{run}b783042e614bf686259026cb88d05d")}, "file_state": "static",
            "relations": {"requires": [], "wants": [], "after": [], "conflicts": []},
            "service": {"value": {
                "service_type": "simple", "restart": "no", "result": "signal", "exit": {"signal": 9}, "restarts": 0,
                "restart_prevented": false, "main_pid": {"absent": "not-applicable"},
                "control_group": {"absent": "not-applicable"}, "memory": {"absent": "not-applicable"},
                "tasks": {"absent": "not-applicable"}, "cpu_time": {"absent": "not-applicable"}, "can_reload": false,
            }},
        }},
    });
    serde_json::from_value(text).unwrap()
}

fn body(text: Value) -> RecordBody {
    serde_json::from_value(text).unwrap()
}

/// What the ledger says of an act whose intent was the last thing that got there.
fn cut_short() -> Memory {
    let subject = json!({"unit": UNIT});
    let finding = json!({"rule": "unit-failed", "subject": subject, "what": "it failed"});
    let bodies = [
        json!({"record": "incident-opened", "incident": "inc-1", "rule": "unit-failed", "subject": subject,
               "severity": "page", "mode": "auto", "owner": null, "ladder": ["reset-and-start"], "finding": finding}),
        json!({"record": "evidence-taken", "incident": "inc-1", "evidence": {
            "unit": {"absent": "not-observed"}, "log": {"absent": "not-observed"},
            "processes": {"absent": "not-observed"}}}),
        json!({"record": "intended", "action": "act-1", "incident": "inc-1", "rule": "unit-failed",
               "subject": subject, "remedy": "reset-and-start", "targets": [UNIT], "attempt": 1, "expectation": {
               "invocation_before": {"value": "47b783042e614bf686259026cb88d05d"}, "restarts_before": {"value": 0},
               "settle": {"secs": 3, "nanos": 0}, "within": {"secs": 30, "nanos": 0}, "probed": false},
               "approval": null, "why": "it failed"}),
    ];
    let mut memory = Memory::new();
    for text in bodies {
        memory.recover(&Entry { at: at(0), boot: boot(), body: body(text) });
    }
    memory
}

/// An agent that has just started, and what it records as time passes; every record is durable at once.
struct Life {
    engine: Engine,
    records: Vec<RecordBody>,
    looked: usize,
    acts: usize,
    permits: Vec<Permit>,
    /// What is to be let go.
    releases: Vec<ActionId>,
    /// What acts that remove files were told.
    went_on: Vec<Result<(), String>>,
    /// Records of removals are not durable at once.
    slow_disk: bool,
    waiting: Vec<RecordTicket>,
}

impl Life {
    fn start(memory: Memory) -> Life {
        Life::under(Policy::builtin().unwrap(), memory)
    }

    fn under(policy: Policy, memory: Memory) -> Life {
        let setup = Setup { policy: Arc::new(policy), seed: 1, boot: boot(), version: "test".to_owned() };
        let (engine, effects) = Engine::start(setup, memory, at(1));
        let mut life = Life {
            engine,
            records: Vec::new(),
            looked: 0,
            acts: 0,
            permits: Vec::new(),
            releases: Vec::new(),
            went_on: Vec::new(),
            slow_disk: false,
            waiting: Vec::new(),
        };
        life.take(effects, 1);
        life
    }

    fn handle(&mut self, input: Input, second: i64) {
        let effects = self.engine.handle(input, at(second));
        self.take(effects, second);
    }

    fn take(&mut self, effects: Vec<Effect>, second: i64) {
        for effect in effects {
            if let Effect::Record { ticket, entry, .. } = effect {
                let waits = self.slow_disk && matches!(entry.body, RecordBody::Removing { .. });
                self.records.push(entry.body);
                if waits {
                    self.waiting.push(ticket);
                    continue;
                }
                self.handle(Input::Recorded(ticket), second);
            } else if let Effect::Look(Subject::Unit(_)) = effect {
                self.looked += 1;
            } else if let Effect::Act(permit) = effect {
                self.acts += 1;
                self.permits.push(permit);
            } else if let Effect::Release { action } = effect {
                self.releases.push(action);
            } else if let Effect::GoOn { answer, .. } = effect {
                self.went_on.push(answer);
            }
        }
    }

    fn see(&mut self, units: UnitsUpdate, second: i64) {
        let activity = json!({
            "system_state": {"value": "running"}, "package_manager": {"absent": "not-observed"},
            "manager_reloading": false,
        });
        let activity = Some(serde_json::from_value(activity).unwrap());
        let sample = Sample { units: Some(units), activity, ..Sample::empty(at(second)) };
        self.handle(Input::Sample(sample), second);
    }

    fn resolved(&self) -> bool {
        self.records.iter().any(|record| matches!(record, RecordBody::IncidentResolved { .. }))
    }
}

/// The reset of a "reset and start" makes a failed unit look like one that was never started.
#[test]
fn an_act_that_got_no_further_than_its_reset_does_not_end_the_incident() {
    let mut life = Life::start(cut_short());
    for second in 1..=60 {
        life.see(UnitsUpdate::Complete(vec![status("inactive")]), second);
    }
    assert!(life.records.iter().any(|it| matches!(it, RecordBody::Verified { .. })), "{:?}", life.records);
    assert!(!life.resolved(), "the service is down: {:?}", life.records);
    assert_eq!(life.acts, 1, "and is started, once: {:?}", life.records);
    life.handle(Input::Acted { action: ActionId(2), applied: Applied::Changed }, 61);
    for second in 61..=66 {
        life.see(UnitsUpdate::Complete(vec![status("active")]), second);
    }
    assert!(life.resolved(), "{:?}", life.records);
}

/// A unit at rest that no other refers to is unloaded by systemd.
#[test]
fn a_unit_that_was_reset_and_unloaded_is_sought_and_then_given_up() {
    let mut life = Life::start(cut_short());
    life.see(UnitsUpdate::Complete(vec![status("inactive")]), 1);
    for second in 2..=6 {
        life.see(UnitsUpdate::Complete(vec![status("inactive")]), second);
    }
    let name = UnitName::parse(UNIT).unwrap();
    life.see(UnitsUpdate::Changed { statuses: Vec::new(), removed: vec![name] }, 7);
    assert!(!life.resolved(), "{:?}", life.records);
    let before = life.looked;
    for second in 8..=90 {
        life.see(UnitsUpdate::Complete(Vec::new()), second);
    }
    assert!(life.looked > before, "it is looked for");
    assert!(life.resolved(), "and in vain: {:?}", life.records);
}

/// Before the first list of units nothing is known of any of them.
#[test]
fn nobody_is_told_about_a_unit_before_it_was_seen() {
    let mut life = Life::start(cut_short());
    for second in 1..=40 {
        life.handle(Input::Tick, second);
    }
    let told = life.records.iter().any(|it| matches!(it, RecordBody::Escalated { .. }));
    assert!(!told && !life.resolved(), "{:?}", life.records);
}

/// Ledgers from before tellings were recorded: who was told then is not told again.
#[test]
fn an_old_escalation_counts_as_told_and_a_new_one_does_not() {
    let told_again = |count: Option<u32>| {
        let mut memory = cut_short();
        let mut escalated =
            json!({"record": "escalated", "incident": "inc-1", "severity": "page", "why": "it", "tried": []});
        if let Some(count) = count {
            escalated["count"] = json!(count);
        }
        memory.recover(&Entry { at: at(0), boot: boot(), body: body(escalated) });
        let life = Life::start(memory);
        life.records.iter().any(|it| matches!(it, RecordBody::Told { delivery: Delivery::NoChannel, .. }))
    };
    assert!(!told_again(None));
    assert!(told_again(Some(1)));
}

fn incident_of(life: &Life) -> crate::model::Incident {
    life.engine.snapshot().incidents.first().cloned().unwrap()
}

/// systemd 252 says `exit-code` where a `Restart=` loop ran into the start limit.
#[test]
fn a_loop_that_systemd_gave_up_is_called_that() {
    let found = |restarts: u32| {
        let mut life = Life::start(Memory::new());
        let mut failed = serde_json::to_value(status("failed")).unwrap();
        failed["details"]["value"]["service"]["value"]["restart"] = json!("on-failure");
        failed["details"]["value"]["service"]["value"]["restarts"] = json!(restarts);
        life.see(UnitsUpdate::Complete(vec![serde_json::from_value(failed).unwrap()]), 2);
        incident_of(&life).finding.what
    };
    assert!(found(5).contains("gave up restarting it (start limit)"), "{}", found(5));
    assert!(!found(0).contains("gave up"), "{}", found(0));
}

/// A repair of the first fault does not make the second one repaired.
#[test]
fn a_fault_that_came_back_and_went_by_itself_was_not_repaired() {
    let mut memory = cut_short();
    let finding = json!({"rule": "unit-failed", "subject": {"unit": UNIT}, "what": "it failed"});
    for text in [
        json!({"record": "applied", "action": "act-1", "applied": {"applied": "changed"}}),
        json!({"record": "verified", "action": "act-1",
               "verification": {"verification": "confirmed", "why": "it is active"},
               "not_before": serde_json::to_value(at(0)).unwrap()}),
        json!({"record": "incident-resolved", "incident": "inc-1", "how": "repaired", "why": "repaired"}),
        json!({"record": "incident-reopened", "incident": "inc-1", "finding": finding}),
    ] {
        memory.recover(&Entry { at: at(0), boot: boot(), body: body(text) });
    }
    let mut life = Life::start(memory);
    life.see(UnitsUpdate::Complete(vec![status("active")]), 2);
    let by_itself = |record: &RecordBody| {
        matches!(record, RecordBody::IncidentResolved { how: crate::model::Resolution::ClearedByItself, .. })
    };
    assert!(life.records.iter().any(by_itself), "{:?}", life.records);
}

/// It says so itself, once it has lasted, and again when it is over.
#[test]
fn an_agent_that_takes_too_much_is_told_of() {
    let mut life = Life::start(Memory::new());
    let mut own = |slowdown: u32, second: i64| {
        let own = json!({
            "cpu": 9.0, "window": {"secs": 60, "nanos": 0}, "memory": {"value": 1000}, "threads": {"value": 5},
            "open_files": {"value": 9}, "budget": {"cpu": 5.0, "memory": 2000}, "slowdown": slowdown,
        });
        life.handle(Input::OwnUse(serde_json::from_value(own).unwrap()), second);
        let about_itself = |it: &&crate::model::Incident| it.subject == Subject::Agent;
        life.engine.snapshot().incidents.iter().find(about_itself).map(|it| it.state.as_str())
    };
    assert_eq!(own(2, 60), None);
    assert_eq!(own(4, 300), None);
    assert_eq!(own(8, 361), Some("escalated"), "nothing can be done about it but to tell");
    assert_eq!(own(2, 900), Some("escalated"));
    assert_eq!(own(1, 960), Some("resolved"));
}

/// A reading that was under way when the unit stopped may be told after the stop.
#[test]
fn a_late_word_of_the_run_that_was_stopped_is_no_start() {
    let ended =
        |life: &Life| life.records.iter().any(|it| matches!(it, RecordBody::OperatorStopEnded { .. }));
    let mut life = Life::start(Memory::new());
    life.see(UnitsUpdate::Complete(vec![status("active")]), 2);
    life.see(UnitsUpdate::Changed { statuses: vec![status("inactive")], removed: Vec::new() }, 3);
    let run = json!({"value": "b2b783042e614bf686259026cb88d05d"});
    let stopped = json!({
        "unit": UNIT, "job": {"id": 7, "kind": "stop", "origin": "other"}, "result": "done",
        "invocation_before": run, "invocation_after": {"absent": "not-observed"},
        "active_after": {"absent": "not-observed"},
    });
    let jobs = vec![serde_json::from_value(stopped).unwrap()];
    life.handle(Input::Sample(Sample { jobs, ..Sample::empty(at(4)) }), 4);
    assert!(
        life.records.iter().any(|it| matches!(it, RecordBody::OperatorStopped { .. })),
        "{:?}",
        life.records
    );
    life.see(UnitsUpdate::Changed { statuses: vec![status("active")], removed: Vec::new() }, 5);
    assert!(!ended(&life), "{:?}", life.records);
    let mut anew = serde_json::to_value(status("active")).unwrap();
    anew["details"]["value"]["invocation"]["value"] = json!("c3b783042e614bf686259026cb88d05d");
    let statuses = vec![serde_json::from_value(anew).unwrap()];
    life.see(UnitsUpdate::Changed { statuses, removed: Vec::new() }, 6);
    assert!(ended(&life), "{:?}", life.records);
}

#[path = "storm_tests.rs"]
mod storms;

#[path = "restraint_tests.rs"]
mod restraints;

#[path = "filesystem_tests.rs"]
mod filesystems;

#[path = "removal_tests.rs"]
mod removals;

/// An answer of the probe of the unit, which is down.
fn refused(second: i64) -> Input {
    let text = json!({"probe": "web", "unit": UNIT, "health": {"value": {"unhealthy": {"why": "connection refused"}}}});
    let probes = vec![serde_json::from_value(text).unwrap()];
    Input::Sample(Sample { probes, ..Sample::empty(at(second)) })
}

#[test]
fn an_answer_that_says_nothing_new_still_lets_time_pass() {
    let mut life = Life::start(Memory::new());
    life.see(UnitsUpdate::Complete(vec![status("failed")]), 2);
    life.handle(refused(3), 3);
    let due =
        life.engine.next_deadline().expect("it waits for its evidence, and for the agent to have settled");
    let due = due.since(BootTime::ZERO).as_secs().cast_signed() - BEGIN;
    let before = (life.records.len(), life.looked);
    for second in 4..due {
        life.handle(refused(second), second);
    }
    assert_eq!((life.records.len(), life.looked), before);
    life.handle(refused(due + 1), due + 1);
    assert_ne!((life.records.len(), life.looked), before);
}
