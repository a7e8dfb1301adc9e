//! Memory that runs out and memory that thrashes: told before it is too late, with the culprit's name.
//!
//! In a VM: it takes a kernel of its own to exhaust, with control groups of version 2 and pressure.

use prunella::model::{BootTime, RecordBody};

use crate::agent::{Agent, figure};
use crate::harness::{Host, Suite, VmShape};

/// The shipped rule waits for more than one stall; this one for the first.
const RULE: &str = r#"
[[rule]]
name     = "first-stall"
subject  = "host"
when     = "memory_stalled_1m > 0"
severity = "ticket"
mode     = "observe"
"#;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm_with_package("pressure::memory_is_told_in_time", || {
        memory_is_told_in_time(&Agent::install(Host::vm("pressure", VmShape::default())));
    });
}

/// When the first incident of a rule was opened.
fn opened(agent: &Agent, wanted: &str) -> BootTime {
    let of = |body: &RecordBody| matches!(body, RecordBody::IncidentOpened { rule, .. } if rule.as_str() == wanted);
    let ledger = agent.until_recorded(wanted, |it| it.has(of));
    ledger.records().find(|it| of(&it.entry.body)).map(|it| it.entry.at.boot).expect("it was recorded")
}

fn millis(facts: &serde_json::Value, name: &str) -> BootTime {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since boot")]
    BootTime::from_millis(facts[name].as_f64().expect("a number") as i64)
}

fn memory_is_told_in_time(agent: &Agent) {
    agent.set_policy(RULE);
    // With the capability of its unit the agent gets windows of one second from a kernel that is as old as this.
    agent.until("all triggers to be set", || {
        let status: serde_json::Value =
            serde_json::from_str(&agent.ok("prunella status --json")).expect("it is JSON");
        let watches = status["stall_watches"].as_array().expect("a list");
        watches.len() == 3 && watches.iter().all(|watch| watch[1]["value"]["window"]["secs"] == 1)
    });
    // The sandbox lets it ask for the clock's state. (A container's own filter does not, so this is asked here.)
    let numbers = agent.ok("prunella host --json");
    assert!(numbers.contains(r#""clock":{"value":"#), "{numbers}");

    // A service that reads more than it may keep: it stalls itself, and nobody is killed. It makes its file itself,
    // so that the file's pages count as its own.
    agent.ok("systemd-run --quiet --unit=thrash -p MemoryMax=24M -p MemorySwapMax=0 bash -c \
         'head -c 40M /dev/zero > /var/tmp/data; while :; do cat /var/tmp/data > /dev/null; done'");
    let _ = opened(agent, "first-stall");
    agent.until("the culprit to be named", || {
        let top = agent.ok("prunella cgroups --sort pressure --limit 3");
        top.contains("/system.slice/thrash.service")
    });
    agent.ok("systemctl stop thrash");

    // All of memory, until the kernel kills.
    let end = agent.fault(&["exhaust", "hog"]);
    let told = opened(agent, "memory-running-out");
    let killed = millis(&end, "killed");
    figure(agent, "memory low told before the kernel killed", &format!("{:?}", killed.since(told)));
    assert!(told < killed, "told at {told:?}, killed at {killed:?}");
    agent.check_ledger();
}
