//! Hosts that answer badly or hide much: nothing blocks, each reading that can't be had says why, and repairs go on.
//!
//! In VMs: it takes a kernel of its own to suspend a device, damage a file system, or boot as hosts did ten years ago.

use std::time::Duration;

use prunella::model::{IncidentId, RecordBody, Resolution};
use serde_json::Value;

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite, VmShape};

/// A command of an operator that takes so long hangs, on an emulated processor too.
const ANSWER: Duration = Duration::from_secs(60);
/// What an operator asks for, and the agent must answer whatever hangs.
const COMMANDS: [&[&str]; 6] = [
    &["prunella", "status"],
    &["prunella", "host"],
    &["prunella", "filesystems"],
    &["prunella", "top"],
    &["prunella", "cgroups"],
    &["prunella", "doctor"],
];
/// Of the unit: the loop feeds its watchdog within it, or is killed.
const WATCHDOG: Duration = Duration::from_secs(30);
const MOUNTS: usize = 2000;
const GROUPS: usize = 5000;

/// Serves a file system that hangs when it is stopped.
const FUSE: &str = include_str!("fuse.py");
/// The shipped rules about what hangs wait for minutes; this one does not.
const RULE: &str = r#"
[[rule]]
name     = "hangs-at-once"
subject  = "filesystem"
when     = "mount_point == '/mnt/a' && hangs"
severity = "ticket"
mode     = "auto"
"#;
/// A device that can be suspended, with a file system that the kernel makes read-only when it finds damage.
const SLOW_DISK: &str = r#"
mkdir -p /mnt/slow && truncate -s 64M /var/tmp/disk
disk=$(losetup -f --show /var/tmp/disk)
dmsetup create slow --table "0 131072 linear $disk 0"
mkfs.ext4 -q /dev/mapper/slow && mount -o errors=remount-ro /dev/mapper/slow /mnt/slow
"#;
/// A namespace of processes that hides nearly all, and a control-group tree that can't be written to.
const BLINDFOLD: &str = "[Service]\nProtectProc=ptraceable\nProtectControlGroups=yes\nCapabilityBoundingSet=\n\
     CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_SYS_RESOURCE CAP_SYSLOG\n";
const DROP_IN: &str = "/etc/systemd/system/prunellad.service.d/trial.conf";
/// As hosts were before cgroup v2 and PSI.
const OLD: &str = "psi=0 systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1";
/// A service that falls silent, asked by a command: without control groups of version 2 its process group must do.
const PROBED: &str = r#"
[[probe]]
name = "answers"
unit = "probed.service"
exec = ["/usr/bin/test", "!", "-e", "/run/silent"]
interval = "2s"
timeout = "1s"
failures = 2
grace = "0s"
"#;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm_with_package("environs::what_hangs", || {
        let agent = Agent::install_with(Host::vm("environs", VmShape::default()), RULE);
        let life = Life::of(&agent);
        let hung = hung_mounts(&agent);
        suspended_device(&agent);
        damage(&agent);
        mounts_recover(&agent, hung);
        life.assert_same(&agent);
        agent.check_ledger();
    });
    suite.vm_with_package("environs::what_is_many", || {
        let agent = Agent::install(Host::vm("many", VmShape::default()));
        many(&agent, &Life::of(&agent));
        agent.check_ledger();
    });
    suite.vm_with_package("environs::what_is_hidden_and_what_is_old", || {
        let shape = VmShape { append: OLD.to_owned(), cold: true, ..VmShape::default() };
        let agent = Agent::install_with(Host::vm("old", shape), PROBED);
        old(&agent);
        hidden(&agent);
        agent.check_ledger();
    });
}

/// One run of the agent.
struct Life {
    pid: String,
}

impl Life {
    fn of(agent: &Agent) -> Life {
        Life { pid: agent.ok("systemctl show -P MainPID prunellad") }
    }

    /// Neither the watchdog nor anything else has ended it.
    fn assert_same(&self, agent: &Agent) {
        assert_eq!(agent.ok("systemctl show -P NRestarts prunellad"), "0");
        assert_eq!(agent.ok("systemctl show -P MainPID prunellad"), self.pid);
    }

    /// Processor time so far, milliseconds, and resident memory, KiB.
    fn cost(&self, agent: &Agent) -> (u64, u64) {
        let said = agent.ok(&format!(
            "awk '{{print ($14 + $15) * 10}}' /proc/{0}/stat; awk '/VmRSS/ {{print $2}}' /proc/{0}/status",
            self.pid
        ));
        let numbers: Vec<u64> = said.lines().map(|line| line.parse().expect("a number")).collect();
        (numbers[0], numbers[1])
    }
}

fn json(agent: &Agent, command: &str) -> Value {
    let said = agent.ok(&format!("prunella {command} --json"));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What came of asking this file system; null where none is known there.
fn filesystem(agent: &Agent, point: &str) -> Value {
    let all = json(agent, "filesystems");
    let list = all["filesystems"].as_array().expect("a list");
    list.iter().find(|it| it["mount_point"] == point).cloned().unwrap_or(Value::Null)
}

/// The first incident of this rule.
fn incident(ledger: &Ledger, wanted: &str) -> Option<IncidentId> {
    ledger.records().find_map(|record| {
        if let RecordBody::IncidentOpened { incident, rule, .. } = &record.entry.body
            && rule.as_str() == wanted
        {
            Some(*incident)
        } else {
            None
        }
    })
}

/// It went by itself.
fn is_over(ledger: &Ledger, rule: &str) -> bool {
    let of = incident(ledger, rule);
    let by_itself = |how: &Resolution| *how == Resolution::ClearedByItself;
    ledger.has(|it| {
        matches!(it, RecordBody::IncidentResolved { incident, how, .. } if Some(*incident) == of && by_itself(how))
    })
}

/// Threads of the agent that ask file systems.
fn asking(agent: &Agent) -> usize {
    agent.ok("cat /proc/$(systemctl show -P MainPID prunellad)/task/*/comm").matches("filesystems").count()
}

/// Whatever hangs, operators get their answers, and a unit that fails is repaired.
fn assert_at_work(agent: &Agent, during: &str) {
    for command in COMMANDS {
        let said = agent.exec_within(ANSWER, command);
        // 1: it answers, and something is wrong.
        assert!(matches!(said.code, 0 | 1), "{command:?} during {during}: {said}");
    }
    agent.assert_awake(&format!("canary-{during}"));
}

/// Two, so that one that is let go is told from one that is not. They hang until [`mounts_recover`]; returns the time
/// since boot at which they began to, milliseconds.
fn hung_mounts(agent: &Agent) -> i64 {
    agent.write("/usr/lib/fuse.py", FUSE);
    agent.ok("modprobe -a fuse loop dm_mod; mkdir -p /mnt/a /mnt/b
         for at in a b; do systemd-run -q --unit=fuse-$at python3 /usr/lib/fuse.py /mnt/$at; done");
    let room = |point: &str| filesystem(agent, point)["room"].clone();
    agent.until("both to answer", || {
        ["/mnt/a", "/mnt/b"].iter().all(|at| room(at)["usage"]["total"] == 1 << 30)
    });
    agent.ok("systemctl kill -s STOP fuse-a fuse-b");
    agent.until("both to hang", || ["/mnt/a", "/mnt/b"].iter().all(|at| room(at)["hangs"]["since"].is_i64()));
    agent.until_recorded("an incident of one", |it| incident(it, "hangs-at-once").is_some());
    assert_at_work(agent, "hung-mounts");
    assert_eq!(asking(agent), 2, "one thread for each that hangs");
    // The others are asked as if nothing were.
    assert!(room("/")["usage"]["total"].is_u64(), "{}", room("/"));
    room("/mnt/a")["hangs"]["since"].as_i64().expect("it hangs")
}

fn mounts_recover(agent: &Agent, hung: i64) {
    agent.until("the watchdog to have had its time", || {
        let now = json(agent, "filesystems")["now"]["boot_ms"].as_i64().expect("a time");
        u128::try_from(now - hung).is_ok_and(|it| it > WATCHDOG.as_millis())
    });
    assert_eq!(asking(agent), 2, "after many passes");
    let room = |point: &str| filesystem(agent, point)["room"].clone();
    agent.ok("systemctl kill -s CONT fuse-a");
    agent.until("the one to answer", || room("/mnt/a")["usage"]["total"].is_u64());
    agent.until_recorded("its end", |it| is_over(it, "hangs-at-once"));
    // The other program ends: its requests come back with an error, and so do all from then on.
    agent.ok("systemctl kill -s CONT fuse-b; systemctl stop fuse-b");
    agent.until("the other to be lost", || room("/mnt/b")["failed"].is_string());
    let why = room("/mnt/b")["failed"].to_string();
    figure(agent, "a FUSE mount whose program has ended", &why);
    assert!(why.contains("the program that serves it has ended"), "{why}");
    agent.ok("umount /mnt/b");
    agent.until("it to be gone", || filesystem(agent, "/mnt/b").is_null());
    agent.until("no thread to be stuck", || asking(agent) == 0);
}

/// What is written waits in the kernel, and nothing ends it; its room is still told, for ext4 knows it by heart.
fn suspended_device(agent: &Agent) {
    agent.ok(SLOW_DISK);
    agent.until("the disk to be seen", || !filesystem(agent, "/mnt/slow").is_null());
    agent.ok("dmsetup suspend slow; systemd-run -q --unit=writer sh -c 'echo x > /mnt/slow/x'");
    let blocked = || json(agent, "top")["counts"]["value"]["blocked"].as_u64();
    // Threads of the kernel may wait with it.
    agent.until("its writer to be stuck", || blocked() > Some(0));
    let pid = agent.ok("systemctl show -P MainPID writer");
    let look = agent.exec_within(ANSWER, &["prunella", "process", "--pss", "--json", &pid]);
    assert!(look.code == 0 && look.stdout.contains(r#""state":"D""#), "{look}");
    assert_at_work(agent, "suspended-device");
    let room = filesystem(agent, "/mnt/slow")["room"].clone();
    assert!(room["usage"]["total"].is_u64(), "{room}");
    agent.ok("dmsetup resume slow");
    agent.until("its writer to go on", || blocked() == Some(0));
}

/// The kernel finds damage and lets nobody write any more. This one (6.1) says so in its log and nowhere else: the mount
/// table goes on to call the file system writable.
fn damage(agent: &Agent) {
    agent.ok("echo 1 > /sys/fs/ext4/$(basename $(readlink /dev/mapper/slow))/trigger_fs_error");
    agent.until_recorded("the damage to be found", |it| incident(it, "filesystem-errors").is_some());
    let told = agent.ok("prunella records --json");
    // "(device dm-0)" or "(dm-0)", by the line that was read first.
    assert!(told.contains("dm-0)"), "the device is named: {told}");
    agent.ok("umount /mnt/slow && dmsetup remove slow");
    agent.until("it to be gone", || filesystem(agent, "/mnt/slow").is_null());
}

fn many(agent: &Agent, life: &Life) {
    let rest = |what: &str| {
        let (before, _) = life.cost(agent);
        // A span to measure over, and not a wait for anything.
        agent.ok("sleep 20");
        let (after, memory) = life.cost(agent);
        figure(agent, what, &format!("{} ms of CPU time in 20 s, {memory} KiB resident", after - before));
    };
    rest("the agent at rest");
    agent.ok(&format!(
        "mkdir -p /mnt/many && mount -t tmpfs none /mnt/many && mount --make-private /mnt/many && cd /mnt/many
         seq {MOUNTS} | xargs mkdir
         seq {MOUNTS} | sed 's|.*|none /mnt/many/& tmpfs size=64k 0 0|' > /run/many.fstab && mount -a -T /run/many.fstab
         mkdir /sys/fs/cgroup/many && cd /sys/fs/cgroup/many && seq {GROUPS} | xargs mkdir"
    ));
    agent.until("all mounts to be seen", || {
        json(agent, "filesystems")["filesystems"].as_array().is_some_and(|it| it.len() > MOUNTS)
    });
    agent.until("all groups to be seen", || {
        json(agent, "cgroups --limit 1")["total"].as_u64().is_some_and(|it| it > GROUPS as u64)
    });
    assert_at_work(agent, "many");
    rest(&format!("the agent with {MOUNTS} mounts and {GROUPS} control groups"));
    life.assert_same(agent);
}

/// Neither control groups of version 2 nor pressure.
fn old(agent: &Agent) {
    let service = "[Service]\nExecStart=/usr/bin/sleep infinity\nExecStartPre=/usr/bin/rm -f /run/silent\n";
    agent.services(&[("probed", service)]);
    agent.ok("systemctl start probed && touch /run/silent");
    agent.until_repaired("probed");
    assert_at_work(agent, "old");
    let lost = json(agent, "cgroups")["cgroups_lost"].to_string();
    figure(agent, "control groups of version 1", &lost);
    assert!(lost.contains("no cgroup version 2 is mounted"), "{lost}");
    let status = json(agent, "status");
    for resource in ["cpu_pressure", "memory_pressure", "io_pressure"] {
        assert_eq!(status["host"]["value"][resource]["absent"], "unsupported", "{resource}");
    }
    for watch in status["stall_watches"].as_array().expect("a list") {
        assert_eq!(watch[1]["absent"], "unsupported", "{watch}");
    }
    assert_limited(agent, &["control groups", "controllers", "pressure", "pressure triggers", "cgroup.kill"]);
}

/// `/sys` for reading only, `/proc` with most of it hidden.
fn hidden(agent: &Agent) {
    // The agent sees every process in spite of it: systemd's and its own capabilities say so.
    agent.ok("mount -o remount,ro /sys && mount -o remount,hidepid=2 /proc && systemctl restart prunellad");
    agent.until_ready();
    agent.until("every process to be seen", || {
        json(agent, "top")["counts"]["value"]["processes"].as_u64() > Some(20)
    });
    assert_at_work(agent, "read-only-sys");
    let devices = json(agent, "host")["numbers"]["value"]["devices"]["value"].clone();
    assert!(devices.as_array().is_some_and(|it| !it.is_empty()), "{devices}");

    agent.write(DROP_IN, BLINDFOLD);
    agent.ok("systemctl daemon-reload && systemctl restart prunellad");
    agent.until_ready();
    agent.until("the lack to be told", || json(agent, "top")["counts"]["failed"].is_string());
    let why = json(agent, "top")["counts"]["failed"].to_string();
    figure(agent, "processes of others, hidden", &why);
    assert!(why.contains("/proc is mounted with hidepid"), "{why}");
    let one = agent.exec_within(ANSWER, &["prunella", "process", "1"]);
    assert!(one.code != 0 && one.stderr.contains("hidden"), "{one}");
    // Its sandbox makes every mount that it sees read-only: that says nothing of the host's.
    agent.until("file systems to be seen", || !filesystem(agent, "/").is_null());
    assert_eq!(filesystem(agent, "/")["read_only"], Value::Bool(false));
    assert_limited(agent, &["processes", "capabilities"]);
    assert_at_work(agent, "hidden");
    agent.ok(&format!("rm {DROP_IN} && systemctl daemon-reload && systemctl restart prunellad"));
    agent.until_ready();
    agent.until("every process to be seen", || {
        json(agent, "top")["counts"]["value"]["processes"].as_u64() > Some(20)
    });
}

/// `doctor` says of each of these that it is limited.
fn assert_limited(agent: &Agent, names: &[&str]) {
    let said = agent.exec_within(ANSWER, &["prunella", "doctor"]).stdout;
    for name in names {
        let line = format!("{name}:");
        let state = said.lines().find(|it| it.contains(&line)).unwrap_or_else(|| panic!("no {name}: {said}"));
        assert!(state.starts_with("limited"), "{said}");
    }
}
