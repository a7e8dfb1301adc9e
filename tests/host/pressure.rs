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
    suite.vm_with_package("pressure::who_suffers_and_who_was_killed_is_known_at_once", || {
        let host = Host::vm("suffers", VmShape::default());
        who_suffers_and_who_was_killed_is_known_at_once(&Agent::install_with(host, UNIT_RULE));
    });
}

/// A unit that is followed, and the first wait that is told of it.
const UNIT_RULE: &str = r#"
protected = ["thrash.service"]

[[rule]]
name     = "unit-suffers"
subject  = "unit"
when     = "stalls_watched && memory_stalled_1m > 0"
severity = "ticket"
mode     = "observe"
"#;

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
        agent.ok("prunella status --json").matches(r#""window":{"secs":1,"#).count() == 3
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

fn who_suffers_and_who_was_killed_is_known_at_once(agent: &Agent) {
    let followed = || {
        let followed = r#""unit":"thrash.service","resource":"memory","watch":{"value""#;
        agent.ok("prunella status --json").contains(followed)
    };
    agent.ok("systemd-run --quiet --unit=thrash sleep 1000");
    agent.ok("systemd-run --quiet --unit=greedy -p MemoryMax=24M -p MemorySwapMax=0 bash -c \
         'until test -e /run/go; do sleep 0.2; done; exec tail /dev/zero'");
    // A walk over the groups finds them. Where the processor is emulated it costs so much that the next is minutes away;
    // the first comes with the start.
    agent.ok("systemctl restart prunellad");
    agent.until_ready();
    agent.until("the protected unit to be followed", followed);
    // A unit that is started anew has another group, and is followed again.
    agent.ok("systemctl stop thrash");
    agent.until("it to be followed no more", || !followed());
    agent.ok("systemd-run --quiet --unit=thrash -p MemoryMax=24M -p MemorySwapMax=0 bash -c \
         'head -c 40M /dev/zero > /var/tmp/data; while :; do cat /var/tmp/data > /dev/null; done'");
    let suffers = |body: &RecordBody| {
        matches!(body, RecordBody::IncidentOpened { rule, subject, .. }
            if rule.as_str() == "unit-suffers" && subject.to_string().contains("thrash.service"))
    };
    agent.until_recorded("who suffers", |it| it.has(suffers));
    agent.ok("systemctl stop thrash");

    // A service at its own limit: the kernel kills it. Both clocks are the journal's.
    let seen = || agent.ok("prunella cgroups --json --limit 1000").contains("/system.slice/greedy.service");
    agent.until("the group to be seen", seen);
    agent.ok("touch /run/go");
    let line = |of: &str, words: &str| {
        let find = format!("journalctl -q -o short-monotonic {of} --grep '{words}' | tail -n 1");
        agent.ok(&find).trim_start_matches('[').split(']').next().and_then(|at| at.trim().parse::<f64>().ok())
    };
    let known = || line("-u prunellad", "greedy.service.*killed for want|killed for want.*greedy.service");
    agent.until("the kill to be known", || known().is_some());
    let (killed, known) =
        (line("-k", "Memory cgroup out of memory: Killed").expect("the kernel says so"), known());
    figure(
        agent,
        "kill in a group known after",
        &format!("{:.1} ms", (known.expect("it is there") - killed) * 1000.0),
    );
    assert!(agent.ok("prunella cgroups --json --limit 1000").contains(r#""watches":{"watched":"#));
    agent.check_ledger();
}
