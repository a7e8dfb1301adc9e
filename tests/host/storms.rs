//! A service that makes short-lived processes: noted, and named, from within the agent's own sandbox.
//!
//! In a VM by the hook on ending tasks, which is tied without capabilities; in a container, whose pids are others than
//! the kernel's, by what is reaped.

use prunella::model::{IncidentId, Reading, RecordBody, StormLook, StormWay};

use crate::agent::Agent;
use crate::harness::{Host, Suite, VmShape};

/// The shipped rule takes hundreds a second; an emulated machine makes a few dozen.
const RULE: &str = r#"
[[rule]]
name     = "few-forks"
subject  = "host"
when     = "forks_per_second > 15.0 && forks_1m > 100"
severity = "ticket"
mode     = "observe"
"#;
const UNIT: &str = "storm.service";

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("storms::the_maker_is_likely", || {
        let agent = Agent::install(Host::nspawn("storms"));
        the_maker_is_named(&agent, StormWay::Scan);
    });
    suite.vm_with_package("storms::the_maker_is_certain", || {
        let agent = Agent::install(Host::vm("storms", VmShape::default()));
        the_maker_is_named(&agent, StormWay::EndingHook);
    });
}

/// What the look of the rule's first incident told.
fn look(agent: &Agent) -> (IncidentId, StormLook) {
    let taken = |body: &RecordBody| {
        let RecordBody::EvidenceTaken { incident, evidence } = body else { return None };
        Some((*incident, evidence.storm.value()?.clone()))
    };
    let ledger = agent.until_recorded("a look at the storm", |it| it.has(|body| taken(body).is_some()));
    ledger.records().find_map(|it| taken(&it.entry.body)).expect("it was recorded")
}

fn the_maker_is_named(agent: &Agent, way: StormWay) {
    agent.until("the way to be known", || agent.ok("prunella doctor; true").contains(way.as_str()));
    agent.ok(&format!("systemd-run --quiet --unit={UNIT} bash -c 'while :; do /bin/true; done'"));
    agent.set_policy(RULE);
    let (incident, look) = look(agent);
    assert_eq!(look.way, way, "{look:?}");
    assert!(look.made.value().is_some_and(|made| *made > 0), "{look:?}");
    let pid = agent.ok(&format!("systemctl show -P MainPID {UNIT}"));
    let maker = look.makers.iter().find(|it| it.pid.to_string() == pid.trim());
    let maker = maker.unwrap_or_else(|| panic!("{pid} is not named: {look:?}"));
    assert_eq!(maker.name, "bash", "{look:?}");
    // Below a host with control groups of version 1 a container's units are not what their groups are called.
    if way == StormWay::EndingHook {
        assert_eq!(maker.unit, Reading::Value(UNIT.into()), "{look:?}");
    }
    agent.until_explained(&incident.to_string(), &format!("{} bash", maker.pid));
    agent.ok(&format!("systemctl stop {UNIT}"));
    agent.check_ledger();
}
