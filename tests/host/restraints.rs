//! Who harms the host is held back by systemd's own means, and let go: by the agent, by a person, by its end, by the time
//! alone; and a unit that leaks is held and restarted before the kernel's killer comes.

use std::time::Duration;

use prunella::model::{Applied, Intent, RecordBody, ReleasedBy, Remedy, Resolution};

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite, VmShape, full_run};

/// Processes that do nothing are harm enough here: an emulated machine makes few.
const RULE: &str = r#"
[[rule]]
name     = "many-processes"
subject  = "host"
when     = "pids_percent > 8.0"
clear    = "pids_percent < 6.0"
ladder   = ["limit-tasks", "freeze"]
verify   = { within = "4s" }
severity = "ticket"
mode     = "auto"
[limits]
restrained_for = "120s"
[limits.attempts_per_subject]
count  = 50
window = "10m"
[limits.flapping]
count  = 50
window = "1h"
[limits.backoff]
first  = "1s"
factor = 1.0
cap    = "1s"
"#;
const LASTS: Duration = Duration::from_secs(120);
const BOMB: &str = "bomb.service";
/// Threads, for an emulated machine makes few processes.
const BOMB_SCRIPT: &str = r#"
import os, threading, time
limit = int(os.popen("cat /proc/sys/kernel/threads-max").read())
pid_max = int(os.popen("cat /proc/sys/kernel/pid_max").read())
threading.stack_size(64 * 1024)
made = 0
while made < min(limit, pid_max) * 0.12:
    try:
        threading.Thread(target=time.sleep, args=(100000,), daemon=True).start()
        made += 1
    except RuntimeError:
        time.sleep(1)
while True:
    time.sleep(100)
"#;
/// Where all is emulated, the agent's own work takes more of a processor.
const ROOM: &str = "[limits]\nagent_cpu_percent = 90.0\n";
/// The same as the shipped one, with another rung.
const RESTARTS: &str = r#"
[[rule]]
name     = "memory-running-out"
override = true
subject  = "host"
when     = "memory_left_percent < 15.0"
clear    = "memory_left_percent > 18.0"
ladder   = ["limit-memory", "restart-culprit"]
verify   = { within = "5s" }
severity = "ticket"
mode     = "auto"
"#;
/// Leaks when it runs for the first time.
const LEAK_SCRIPT: &str = r#"
import os, sys, time
if os.path.exists("/run/leaked"):
    while True:
        time.sleep(100)
open("/run/leaked", "w").close()
kept = []
while True:
    kept.append(bytearray(os.urandom(4096) * 256))
    time.sleep(0.25)
"#;

/// Data, none of which the agent may remove: as fast as a disk that is to be full in half a minute must be written to.
const FILLER: &str = "filler.service";
const FILLER_SCRIPT: &str = r#"
import os, time
part = os.urandom(1 << 20)
with open("/srv/data", "wb", buffering=0) as out:
    while True:
        room = os.statvfs("/srv")
        if room.f_bavail * room.f_frsize < 4 << 20:
            open("/run/it-is-full", "w").close()
            break
        if os.path.exists("/run/enough"):
            break
        out.write(part)
        time.sleep(0.02)
while True:
    time.sleep(100)
"#;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm_with_package("restraints::held_back_and_let_go", || {
        held_back_and_let_go(&Agent::install(Host::vm("restraints", VmShape::default())));
    });
    suite.vm_with_package("restraints::who_fills_a_disk_is_slowed_down", || {
        let shape = VmShape { disks: vec!["4G:/srv".into()], ..VmShape::default() };
        slowed_down(&Agent::install(Host::vm("filler", shape)));
    });
    suite.vm_in_full("restraints::a_leak_ends_before_the_killer_comes", || {
        leak(&Agent::install(Host::vm("leak", VmShape::default())));
    });
}

fn service(script: &str) -> String {
    format!("[Service]\nExecStart=/usr/bin/python3 {script}\nTasksMax=infinity\n")
}

fn frozen(agent: &Agent) -> bool {
    let group = agent.ok(&format!("systemctl show -P ControlGroup {BOMB}"));
    let events = agent.sh(&format!("cat /sys/fs/cgroup{}/cgroup.events", group.trim()));
    events.stdout.contains("frozen 1")
}

fn tasks_max(agent: &Agent) -> String {
    agent.ok(&format!("systemctl show -P TasksMax {BOMB}")).trim().to_owned()
}

/// Nothing is left of it: no limit, no drop-in, no timer.
fn is_free(agent: &Agent) -> bool {
    !frozen(agent)
        && tasks_max(agent) == "infinity"
        && agent.ok("find /run/systemd/system.control -name '*.conf' 2>/dev/null; true").trim().is_empty()
        && agent.ok("systemctl list-units --all --plain --no-legend 'prunella-release-*'").trim().is_empty()
}

fn status(agent: &Agent) -> String {
    agent.sh("prunella status").stdout
}

fn released(ledger: &Ledger) -> Vec<ReleasedBy> {
    let by =
        |body: &RecordBody| if let RecordBody::Released { by, .. } = body { Some(by.clone()) } else { None };
    ledger.records().filter_map(|record| by(&record.entry.body)).collect()
}

const fn intended(body: &RecordBody) -> Option<&Intent> {
    if let RecordBody::Intended(intent) = body { Some(intent) } else { None }
}

fn held_back_and_let_go(agent: &Agent) {
    agent.write("/usr/lib/bomb.py", BOMB_SCRIPT);
    agent.services(&[("bomb", &service("/usr/lib/bomb.py"))]);
    agent.set_policy(RULE);
    let start = || {
        agent.ok(&format!("systemctl restart {BOMB}"));
        agent.wait_until("it to stand still", Duration::from_secs(120), || frozen(agent));
    };

    // Limited first, then frozen; told of; and let go when a person says so.
    start();
    assert_ne!(tasks_max(agent), "infinity");
    agent.until("people to be told", || agent.ledger().has(|it| matches!(it, RecordBody::Escalated { .. })));
    let said = status(agent);
    assert!(said.contains("HELD BACK") && said.contains("bomb.service"), "{said}");
    let action = |remedy: Remedy| {
        let ledger = agent.ledger();
        let found = ledger.records().filter_map(|record| intended(&record.entry.body));
        found.filter(|intent| intent.remedy == remedy).last().expect("it was done").action
    };
    agent.ok(&format!("prunella undo {}", action(Remedy::Freeze)));
    agent.until("it to run again", || !frozen(agent));
    assert_ne!(tasks_max(agent), "infinity", "the other one is still in force");
    agent.ok(&format!("prunella undo {}", action(Remedy::LimitTasks)));
    agent.until("all to be as it was", || is_free(agent));
    agent.until("that to be on record", || released(&agent.ledger()).len() == 2);
    assert!(released(&agent.ledger()).iter().all(|by| matches!(by, ReleasedBy::Operator { .. })));

    // The agent ends, by whatever way, and nobody stays frozen.
    agent.ok(&format!("systemctl stop {BOMB}"));
    agent.until("the incident to end", || {
        agent.ledger().has(|it| matches!(it, RecordBody::IncidentResolved { .. }))
    });
    start();
    agent.ok("mkdir -p /run/systemd/system/prunellad.service.d");
    agent.write("/run/systemd/system/prunellad.service.d/stay-down.conf", "[Service]\nRestart=no\n");
    agent.ok("systemctl daemon-reload; systemctl kill -s KILL prunellad");
    agent.until("what it held back to be let go", || is_free(agent));

    agent.ok(&format!("systemctl stop {BOMB}"));
    if full_run() {
        freed_by_time(agent, start);
    }

    // The agent learns of it.
    agent.ok(&format!(
        "systemctl stop {BOMB}; rm -r /run/systemd/system/prunellad.service.d; systemctl daemon-reload"
    ));
    agent.ok("systemctl reset-failed prunellad; systemctl start prunellad");
    agent.until_ready();
    agent.until("all to be on record", || !status(agent).contains("HELD BACK"));
    agent.check_ledger();
}

/// Even if nothing is done at the agent's end: by time alone.
fn freed_by_time(agent: &Agent, start: impl Fn()) {
    agent.write(
        "/run/systemd/system/prunellad.service.d/stay-down.conf",
        "[Service]\nRestart=no\nExecStopPost=\n",
    );
    agent.ok("systemctl daemon-reload; systemctl reset-failed prunellad; systemctl start prunellad");
    agent.until_ready();
    start();
    agent.ok("systemctl kill -s KILL prunellad");
    assert!(frozen(agent), "nobody lets go of it");
    agent.wait_until("its time to be over", LASTS + Duration::from_secs(60), || is_free(agent));
    assert_eq!(agent.state("bomb"), "active", "it lives");
}

fn slowed_down(agent: &Agent) {
    agent.write("/usr/lib/filler.py", FILLER_SCRIPT);
    agent.set_policy(ROOM);
    let limit = || agent.ok(&format!("systemctl show -P IOWriteBandwidthMax {FILLER}")).trim().to_owned();
    let free = || -> u64 {
        let free = agent.ok("df --output=avail -B1 /srv | tail -1");
        free.trim().parse().expect("a number")
    };
    agent.services(&[("filler", "[Service]\nExecStart=/usr/bin/python3 /usr/lib/filler.py\n")]);
    // More is left then than the kernel takes into memory before it makes a writer wait.
    agent.ok(&format!("fallocate -l 3100M /srv/old && systemctl start {FILLER}"));
    agent.until_recorded("it to be slowed down", |ledger| {
        ledger.has(|it| matches!(it, RecordBody::Applied { applied: Applied::Restrained { .. }, .. }))
    });
    assert!(limit().contains("/srv"), "{}", limit());
    assert_eq!(done(&agent.ledger()), [(Remedy::SlowWriters, FILLER.to_owned())]);
    // What it has written by then is still in memory.
    let slow = || {
        let before = free();
        agent.ok("sleep 10");
        before.saturating_sub(free()) / 10
    };
    let mut rate = slow();
    agent.wait_until("the disk to fill more slowly", Duration::from_secs(120), || {
        rate = slow();
        rate < 2 << 20
    });
    figure(agent, "a writer that was slowed down to 1 MiB/s: bytes a second", &rate.to_string());
    agent
        .until("a person to be told", || agent.ledger().has(|it| matches!(it, RecordBody::Escalated { .. })));
    assert_eq!(agent.sh("test -e /run/it-is-full").code, 1, "it was slowed down too late");
    assert_eq!(agent.state("filler"), "active");
    // Somebody makes room, and it is as it was.
    agent.ok("touch /run/enough; truncate -s 0 /srv/data");
    agent.wait_until("it to be as it was", Duration::from_secs(240), || limit().is_empty());
    assert_eq!(agent.state("filler"), "active");
    agent.check_ledger();
}

fn done(ledger: &Ledger) -> Vec<(Remedy, String)> {
    let intents = ledger.records().filter_map(|record| intended(&record.entry.body));
    intents.map(|intent| (intent.remedy, intent.targets[0].to_string())).collect()
}

fn leak(agent: &Agent) {
    agent.write("/usr/lib/leak.py", LEAK_SCRIPT);
    agent.services(&[("leak", &service("/usr/lib/leak.py"))]);
    agent.sleepers(&["bystander"]);
    let bystander = agent.ok("systemctl show -P MainPID bystander");
    let killed = "grep oom_kill /proc/vmstat";
    let before = agent.ok(killed);
    let high = || agent.ok("systemctl show -P MemoryHigh leak").trim().to_owned();
    let limited = |ledger: &Ledger| {
        ledger.has(|it| matches!(it, RecordBody::Applied { applied: Applied::Restrained { .. }, .. }))
    };

    // By the shipped policy it is kept from growing, and a person is told. The host has memory to go on with.
    agent.set_policy(ROOM);
    agent.ok("systemctl start leak");
    let ledger = agent.until_recorded("the leak to be held", limited);
    assert_eq!(done(&ledger), [(Remedy::LimitMemory, "leak.service".to_owned())]);
    assert_ne!(high(), "infinity");
    agent
        .until("a person to be told", || agent.ledger().has(|it| matches!(it, RecordBody::Escalated { .. })));
    let left = "awk '/MemTotal/ {all=$2} /MemAvailable/ {print int(100 * $2 / all)}' /proc/meminfo";
    let then: u32 = agent.ok(left).trim().parse().expect("a number");
    agent.ok("sleep 30");
    let now: u32 = agent.ok(left).trim().parse().expect("a number");
    figure(
        agent,
        "memory left, percent, when a leak was held / half a minute later",
        &format!("{then} / {now}"),
    );
    assert!(now + 2 >= then, "it goes on: {then} % were left, {now} % are");
    assert_eq!(agent.ok(killed), before, "the kernel's killer came");
    // Somebody ends it: it is as it was, for whatever is started next.
    agent.ok("systemctl stop leak; rm /run/leaked");
    agent.wait_until("it to be as it was", Duration::from_secs(240), || high() == "infinity");

    // With a restart as the next rung, what it holds is had back.
    agent.set_policy(&format!("{RESTARTS}{ROOM}"));
    agent.ok("systemctl start leak");
    let ledger = agent.until_recorded("the leak to be over", |ledger| {
        ledger.has(|it| matches!(it, RecordBody::IncidentResolved { how: Resolution::Repaired, .. }))
    });
    let all = done(&ledger);
    figure(agent, "a leak of up to 4 MB/s on 512 MiB: done", &format!("{all:?}"));
    assert!(all.iter().all(|(_, unit)| unit == "leak.service"), "{all:?}");
    assert_eq!(all.last().map(|(remedy, _)| *remedy), Some(Remedy::RestartCulprit), "{all:?}");
    assert_eq!(agent.ok(killed), before, "the kernel's killer came");
    assert_eq!(agent.state("leak"), "active");
    assert_eq!(agent.ok("systemctl show -P MainPID bystander"), bystander);
    agent.check_ledger();
}
