//! A bus that dies, freezes or is crowded, and a service manager that starts itself anew: nothing is missed.

use std::time::Duration;

use crate::harness::{Host, NspawnShape, Suite};
use crate::ledger_facts::{Proven, install_agent, open_incidents, until_at_work};

/// A failure that nobody could tell of is found by the next reconciliation after the bus is back, at most 30 s later.
const FOUND_LATE: Duration = Duration::from_secs(120);
/// How long the bus is frozen.
const FROZEN: Duration = Duration::from_secs(30);
/// Units that a large host has.
const CROWD: u32 = 5_000;
/// Of those, so many fail.
const FAILING: u32 = 20;
/// Memory that one more unit may cost the agent, KiB: its name, state, relations and history.
const PER_UNIT_KIB_MAX: u64 = 8;
/// What the agent may hold, whatever the bus does, KiB: the allocator keeps some of the last large answer.
const SLACK_KIB_MAX: u64 = 16 * 1024;
/// Most of one core that the agent may use while 5,000 units are there and nothing happens, per mille.
const IDLE_CROWD_PERMILLE_MAX: u64 = 50;
/// Rounds of reload that a growing memory would show in.
const RELOADS: u32 = 10;

const SERVICES: &str = r#"
cat > /etc/systemd/system/svc@.service <<EOF
[Service]
ExecStart=sleep infinity
EOF
systemctl daemon-reload
systemctl start svc@1 svc@2 svc@3 svc@4 svc@5"#;

/// Units that are active and have no process, as most of a large host's.
const MAKE_CROWD: &str = r#"
cd /run/systemd/system; mkdir -p crowd.target.wants
printf '[Unit]\nDefaultDependencies=no\n' | tee crowd.target > crowd@.target
for i in $(seq "$1"); do echo "../crowd@.target crowd.target.wants/crowd@$i.target"; done | xargs -n2 ln -s
systemctl daemon-reload; systemctl start crowd.target"#;

/// Adds these trials.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("bus::killed", killed);
    suite.nspawn_with_package("bus::frozen", frozen);
    suite.nspawn_with_package("bus::manager_executes_itself_anew", reexecuted);
    suite.nspawn_with_package("bus::five_thousand_units", crowded);
}

fn ready(label: &str, shape: &NspawnShape) -> Host {
    let host = Host::nspawn_shaped(label, shape);
    host.ok(SERVICES);
    install_agent(&host);
    host
}

/// What the agent has used, read from outside of it.
#[derive(Clone, Copy, Debug)]
struct Usage {
    rss_kib: u64,
    cpu_ms: u64,
    uptime_ms: u64,
}

fn usage(host: &Host) -> Usage {
    let text = host
        .ok("p=/proc/$(systemctl show -P MainPID prunellad); awk '/^VmRSS/ {print $2}' $p/status; \
         awk '{print int(($14 + $15) * 10)}' $p/stat; awk '{print int($1 * 1000)}' /proc/uptime");
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    Usage { rss_kib: numbers[0], cpu_ms: numbers[1], uptime_ms: numbers[2] }
}

fn report(what: &str, before: Usage, after: Usage) {
    let (cpu, time) = (after.cpu_ms - before.cpu_ms, after.uptime_ms - before.uptime_ms);
    eprintln!("{what}: RSS {} -> {} KiB, CPU {cpu} ms in {time} ms", before.rss_kib, after.rss_kib);
}

fn agent_pid(host: &Host) -> String {
    host.ok("systemctl show -P MainPID prunellad")
}

/// Every one of these units was repaired by the agent, once, and nothing is open. A request that was lost between two
/// runs of systemd is made again.
fn all_repaired(host: &Host, units: &[String]) {
    let names = units.join(" ");
    host.wait_until(&format!("{names} to be repaired"), FOUND_LATE, || {
        let active = host.sh(&format!("systemctl is-active {names}"));
        active.stdout.lines().all(|line| line == "active")
            && active.code == 0
            && open_incidents(host) == Some(0)
    });
    let facts = Proven::of(host);
    for unit in units {
        assert_eq!(facts.heard_acts(unit), 1, "{unit} is repaired once");
    }
}

fn services(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("svc@{number}.service")).collect()
}

/// The process of a service is killed with a bare signal: nothing goes over the bus.
fn kill_main(unit: &str) -> String {
    format!("kill -KILL $(systemctl show -P MainPID {unit})")
}

/// The same while something else is under way.
fn kill_amid(unit: &str, command: &str) -> String {
    format!("pid=$(systemctl show -P MainPID {unit}); test $pid -gt 1; kill -KILL $pid & {command}; wait")
}

fn killed() {
    let host = ready("buskill", &NspawnShape::default());
    let (agent, before) = (agent_pid(&host), usage(&host));
    // The pid is asked for while there is a bus, and the signal sent when there is none.
    host.ok(
        "victims=$(systemctl show -P MainPID svc@1 svc@2); kill -KILL $(systemctl show -P MainPID dbus); \
         kill -KILL $victims",
    );
    host.wait_until("the bus to be back", FOUND_LATE, || {
        host.sh("systemctl start dbus && busctl list").code == 0
    });
    host.ok("systemctl restart dbus");
    host.ok(&kill_main("svc@3"));
    all_repaired(&host, &services(1..=3));
    assert_eq!(agent_pid(&host), agent, "the agent outlives its bus");
    report("bus killed and restarted", before, usage(&host));
}

fn frozen() {
    let host = ready("busfreeze", &NspawnShape::default());
    let (agent, before) = (agent_pid(&host), usage(&host));
    // systemctl has a way of its own to the service manager, as long as it is root's.
    let bus = host.ok("systemctl show -P MainPID dbus");
    let frozen_at = before.uptime_ms;
    host.ok(&format!("kill -STOP {bus}"));
    host.ok(&kill_main("svc@1"));
    host.wait_until("half of the freeze", FROZEN, || {
        usage(&host).uptime_ms >= frozen_at + u64::try_from(FROZEN.as_millis()).expect("fits") / 2
    });
    host.ok(&kill_main("svc@2"));
    host.wait_until("the end of the freeze", FROZEN * 2, || {
        usage(&host).uptime_ms >= frozen_at + u64::try_from(FROZEN.as_millis()).expect("fits")
    });
    report("during the freeze", before, usage(&host));
    host.ok(&format!("kill -CONT {bus}"));
    host.ok(&kill_main("svc@3"));
    all_repaired(&host, &services(1..=3));
    assert_eq!(
        agent_pid(&host),
        agent,
        "a frozen bus does not freeze the agent, or its watchdog had ended it"
    );
    report("bus frozen for 30 s", before, usage(&host));
}

fn reexecuted() {
    let host = ready("reexec", &NspawnShape::default());
    let (agent, before) = (agent_pid(&host), usage(&host));
    host.ok(&kill_amid("svc@1", "systemctl daemon-reexec"));
    all_repaired(&host, &services(1..=1));
    host.ok(&kill_amid("svc@2", "systemctl daemon-reload"));
    all_repaired(&host, &services(1..=2));
    for _ in 0..RELOADS {
        host.ok("systemctl daemon-reload; systemctl daemon-reexec");
    }
    host.ok(&kill_amid("svc@3", "systemctl daemon-reload; systemctl daemon-reexec"));
    all_repaired(&host, &services(1..=3));
    assert_eq!(agent_pid(&host), agent, "the agent outlives them");
    let after = usage(&host);
    report("daemon-reexec and daemon-reload", before, after);
    assert!(after.rss_kib < before.rss_kib + SLACK_KIB_MAX, "{before:?} {after:?}");
}

fn crowded() {
    let shape = NspawnShape { memory: Some("2G".to_owned()), ..NspawnShape::default() };
    let host = ready("crowd", &shape);
    let before = usage(&host);
    let made = host.exec(&["sh", "-ec", MAKE_CROWD, "crowd", &CROWD.to_string()]);
    assert!(made.code == 0, "{made}");
    until_sees(&host, CROWD);
    let crowd = usage(&host);
    report("5,000 units come", before, crowd);
    host.ok(&format!(
        "for i in $(seq 6 {FAILING}); do systemctl start --no-block svc@$i; done; \
                      systemctl start svc@{FAILING}"
    ));
    host.ok(&format!("kill -KILL $(for i in $(seq {FAILING}); do systemctl show -P MainPID svc@$i; done)"));
    all_repaired(&host, &services(1..=FAILING));
    let repaired = usage(&host);
    report("20 of them fail and are repaired", crowd, repaired);
    for _ in 0..2 {
        host.ok("systemctl daemon-reload");
    }
    until_at_work(&host);
    let start = usage(&host);
    host.wait_until("a minute with three reconciliations", FOUND_LATE, || {
        usage(&host).uptime_ms > start.uptime_ms + 60_000
    });
    let after = usage(&host);
    report("a minute of rest", start, after);
    let bound = before.rss_kib + u64::from(CROWD) * PER_UNIT_KIB_MAX + SLACK_KIB_MAX;
    assert!(after.rss_kib < bound && crowd.rss_kib < bound, "more than {bound} KiB: {crowd:?} {after:?}");
    let permille = (after.cpu_ms - start.cpu_ms) * 1000 / (after.uptime_ms - start.uptime_ms);
    assert!(permille <= IDLE_CROWD_PERMILLE_MAX, "{permille} per mille of a core while nothing happens");
}

fn until_sees(host: &Host, units: u32) {
    host.wait_until("the agent to see them all", FOUND_LATE, || {
        let seen = host.exec(&["prunella", "status", "--json"]).stdout;
        let status: serde_json::Value = serde_json::from_str(&seen).unwrap_or_default();
        status["units_seen"].as_u64().is_some_and(|seen| seen >= u64::from(units))
    });
}
