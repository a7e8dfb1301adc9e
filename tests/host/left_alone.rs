//! What somebody else wants, or is at, is left alone, and `explain` says why; when that is over, the agent goes on
//! by itself. That it stayed idle is proven by another unit, which failed later and was repaired.

use prunella::model::{GuardName, RecordBody};

use crate::agent::Agent;
use crate::harness::{Host, Suite, Tier, VmShape};

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("left_alone::by_hand", || by_hand(&Agent::install(Host::nspawn("by-hand"))));
    suite.nspawn_with_package("left_alone::systemd_at_it", || {
        systemd_at_it(&Agent::install(Host::nspawn("systemd")));
    });
    suite.nspawn_with_package("left_alone::conflict", || conflict(&Agent::install(Host::nspawn("conflict"))));
    suite.nspawn_with_package("left_alone::paused", || paused(&Agent::install(Host::nspawn("paused"))));
    suite.nspawn_with_package("left_alone::window", || window(&Agent::install(Host::nspawn("window"))));
    suite.nspawn_with_package("left_alone::package_manager", || {
        package_manager(&Agent::install(Host::nspawn("apt")));
    });
    suite.nspawn_with_package("left_alone::observed", || observed(&Agent::install(Host::nspawn("observed"))));
    suite.nspawn_with_package("left_alone::protected", || {
        protected(&Agent::install_with(Host::nspawn("protected"), SHIELDED));
    });
    suite.nspawn_with_package("left_alone::shutdown", || shutdown(&Agent::install(Host::nspawn("shutdown"))));
    suite.vm_in_full("left_alone::others_at_it", || {
        let agent = Agent::install(Host::vm("others", VmShape::default()));
        by_hand(&agent);
        systemd_at_it(&agent);
    });
    suite.vm_in_full("left_alone::held", || {
        let agent = Agent::install(Host::vm("held", VmShape::default()));
        paused(&agent);
        window(&agent);
        package_manager(&agent);
        observed(&agent);
    });
}

/// Seconds after which a hold ends by itself: long enough to be seen and explained before.
fn moment(agent: &Agent) -> u32 {
    match agent.tier() {
        Tier::Nspawn => 8,
        Tier::Vm => 45,
    }
}

/// Nothing was done about it, though the agent was at work after it.
fn assert_untouched(agent: &Agent, units: &[&str]) {
    let ledger = agent.check_ledger();
    for unit in units {
        assert_eq!(ledger.touches(unit), 0, "{unit} was touched");
    }
}

fn kill(agent: &Agent, unit: &str) {
    agent.ok(&format!("systemctl kill --kill-whom=main -s KILL {unit}"));
}

/// Held back by this guard, nothing done until `lift`, and repaired by itself after it.
fn held_until(agent: &Agent, unit: &str, guard: GuardName, says: &str, lift: impl FnOnce()) {
    agent.until_recorded(&format!("{guard} to hold {unit} back"), |it| it.was_held(unit, guard));
    agent.until_explained(unit, says);
    assert_eq!(agent.state(unit), "failed");
    assert_eq!(agent.ledger().touches(unit), 0);
    lift();
    agent.until_repaired(unit);
    agent.check_ledger();
}

fn by_hand(agent: &Agent) {
    agent.sleepers(&["clean", "masked", "disabled", "boot"]);
    let sulky = "[Service]\nExecStart=/usr/bin/python3 -c \"import signal, sys, time; \
         signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print('set', flush=True); time.sleep(10**6)\"\n";
    agent.services(&[("sulky", sulky)]);
    agent.ok("systemctl enable -q disabled && systemctl start sulky");
    agent.until("the handler to be set", || agent.ok("journalctl -o cat -u sulky").contains("set"));
    agent.ok("systemctl stop clean sulky; systemctl disable -q --now disabled");
    // Running and masked: what a person wants is that it does not come back.
    agent.ok("systemctl mask -q masked");
    kill(agent, "masked");
    assert_eq!(agent.state("sulky"), "failed", "a stop by hand that ends badly");
    for unit in ["clean", "sulky", "disabled"] {
        agent.until_explained(unit, "an operator stopped it");
    }
    agent.until_explained("masked", "masked");
    agent.assert_awake("canary-hand");
    assert_untouched(agent, &["clean", "sulky", "disabled", "masked"]);
    assert_eq!((agent.state("clean").as_str(), agent.state("sulky").as_str()), ("inactive", "failed"));

    // Started by hand again, it is cared for again.
    agent.ok("systemctl start clean sulky");
    let ended = |body: &RecordBody| matches!(body, RecordBody::OperatorStopEnded { unit } if unit.as_str() == "clean.service");
    agent.until_recorded("the start by hand to be noted", |it| it.has(ended));
    kill(agent, "clean");
    agent.until_repaired("clean");
}

fn systemd_at_it(agent: &Agent) {
    let own = "[Service]\nExecStart=/usr/bin/sleep infinity\nRestart=on-failure\nRestartSec=8\n";
    agent.services(&[("own", own)]);
    agent.ok("systemctl start own");
    kill(agent, "own");
    agent.until_explained("own", "about to restart it itself (Restart=)");
    agent.until("systemd to restart it", || agent.state("own") == "active");
    assert_eq!(agent.ok("systemctl show -P NRestarts own"), "1");
    agent.assert_awake("canary-own");
    assert_untouched(agent, &["own"]);
    assert_eq!(agent.ledger().found("own"), [], "systemd's own restart is no incident");
}

fn conflict(agent: &Agent) {
    agent.sleepers(&["rival"]);
    agent.ok("systemctl stop rival");
    let loser = "[Unit]\nConflicts=rival.service\n[Service]\nExecStart=/usr/bin/sleep infinity\n";
    agent.services(&[("loser", loser)]);
    agent.ok("systemctl start loser");
    // It fails while nobody acts, and the rival takes its place.
    agent.ok("prunella pause --for 10m --reason 'the trial prepares its case'");
    kill(agent, "loser");
    agent.until_recorded("loser to be found failed", |it| it.was_held("loser", GuardName::Pause));
    agent.ok("systemctl start rival && prunella resume");
    held_until(
        agent,
        "loser",
        GuardName::Ownership,
        "conflicts with rival.service, which is running",
        || {
            agent.assert_awake("canary-conflict");
            assert_untouched(agent, &["loser"]);
            assert_eq!(agent.state("rival"), "active");
            agent.ok("systemctl stop rival");
        },
    );
}

fn paused(agent: &Agent) {
    agent.sleepers(&["paused", "expiring"]);
    agent.ok("prunella pause --for 10m --reason 'moving the database'");
    kill(agent, "paused");
    held_until(agent, "paused", GuardName::Pause, "moving the database", || {
        agent.ok("prunella resume");
    });
    // For one unit, until it expires.
    agent.ok(&format!("prunella pause --unit expiring --for {}s --reason 'a moment'", moment(agent)));
    kill(agent, "expiring");
    held_until(agent, "expiring", GuardName::Pause, "a moment", || {});
}

fn window(agent: &Agent) {
    agent.sleepers(&["serviced", "ending"]);
    // It opens each minute for an hour, and is taken out of the policy.
    let always = "[[maintenance]]\nname = \"always\"\nunits = [\"serviced.service\"]\ncron = \"* * * * *\"\nlength = \"1h\"\n";
    agent.set_policy(always);
    kill(agent, "serviced");
    held_until(
        agent,
        "serviced",
        GuardName::Maintenance,
        "maintenance window \"always\" is open until",
        || {
            agent.assert_awake("canary-window");
            assert_untouched(agent, &["serviced"]);
            agent.set_policy("# no window");
        },
    );
    // It opened with the minute before this one, and ends in a moment. No window is shorter than a minute.
    let now = agent.ok("date -u -d '1 minute ago' '+%M %H %S'");
    let [minute, hour, second] = now.split(' ').collect::<Vec<_>>()[..] else { panic!("{now}") };
    let number = |text: &str| text.parse::<u32>().expect("date prints numbers");
    let length = 60 + number(second) + moment(agent);
    agent.set_policy(&format!(
        "[[maintenance]]\nname = \"ends\"\nunits = [\"ending.service\"]\ncron = \"{} {} * * *\"\nlength = \"{length}s\"\n",
        number(minute),
        number(hour),
    ));
    kill(agent, "ending");
    held_until(agent, "ending", GuardName::Maintenance, "maintenance window \"ends\" is open until", || {});
    agent.set_policy("# no window");
}

/// A package whose installation waits for a file.
const SLOW_PACKAGE: &str = r"
mkdir -p /root/slow/DEBIAN
printf 'Package: slow\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: takes its time\n' \
    > /root/slow/DEBIAN/control
printf '#!/bin/sh\ntouch /run/slow-began\nwhile [ ! -e /run/slow-go ]; do sleep 0.1; done\n' > /root/slow/DEBIAN/preinst
chmod 755 /root/slow/DEBIAN/preinst
dpkg-deb -Znone -b /root/slow /root/slow.deb
systemd-run -q --unit=slow-install apt-get install -qy /root/slow.deb
";

fn package_manager(agent: &Agent) {
    agent.sleepers(&["updated"]);
    agent.ok(SLOW_PACKAGE);
    agent.until("the package to be half installed", || agent.sh("test -e /run/slow-began").code == 0);
    kill(agent, "updated");
    held_until(agent, "updated", GuardName::PackageManager, "a package manager is at work", || {
        agent.ok("touch /run/slow-go");
    });
    agent.ok("dpkg -s slow");
}

fn observed(agent: &Agent) {
    agent.set_policy("[[unit]]\nunits = [\"watched.service\"]\nmode = \"observe\"\n");
    agent.sleepers(&["watched"]);
    kill(agent, "watched");
    agent.until_recorded("the rule to hold itself back", |it| it.was_held("watched", GuardName::Mode));
    agent.until_explained("watched", "it would have used reset-and-start");
    agent.assert_awake("canary-observed");
    assert_untouched(agent, &["watched"]);
    assert_eq!(agent.ledger().escalations("watched"), 0, "a shadow disturbs nobody");
    // The operator lets it act.
    agent.set_policy("# no tuning");
    agent.until_repaired("watched");
}

const SHIELDED: &str = r#"
protected = ["shield.service"]
[[probe]]
name = "shield"
unit = "shield.service"
http = "http://127.0.0.1:8080/"
interval = "1s"
timeout = "500ms"
failures = 2
grace = "0s"
"#;

fn protected(agent: &Agent) {
    let shield = "[Service]\nExecStart=/usr/bin/python3 /usr/lib/fault.py serve 8080\n";
    agent.services(&[("shield", shield)]);
    agent.ok("systemctl start shield");
    let pid = agent.ok("systemctl show -P MainPID shield");
    assert_ne!(pid, "0", "it runs");
    agent.ok(&format!("kill -STOP {pid}"));
    agent.until_recorded("a person to be told", |it| it.escalations("shield") > 0);
    assert!(agent.ledger().was_held("shield", GuardName::Protected));
    agent.until_explained("shield", "is protected");
    agent.assert_awake("canary-protected");
    assert_untouched(agent, &["shield"]);
    assert_eq!(agent.ledger().escalations("shield"), 1);
    assert_eq!(agent.ok("systemctl show -P MainPID shield"), pid);
    // Down, it may be started.
    agent.ok(&format!("kill -KILL {pid}"));
    agent.until_repaired("shield");
}

/// While the host goes down, a unit that fails on its way is not started again.
fn shutdown(agent: &Agent) {
    let angry = "[Service]\nExecStart=/usr/bin/sleep infinity\nExecStopPost=/bin/false\n";
    // It keeps the host from being down at once, and the agent, which ends after it, at work.
    let slow = "[Unit]\nAfter=prunellad.service\n[Service]\nExecStart=/usr/bin/sleep infinity\nExecStop=/usr/bin/sleep 4\n";
    agent.services(&[("angry", angry), ("slow", slow)]);
    agent.ok("systemctl start angry slow");
    agent.ok("mkdir -p /var/log/journal && systemctl restart systemd-journald");
    agent.exec(&["systemctl", "poweroff"]);
    agent.until("the host to be down", || agent.exec(&["true"]).code == 255);
    agent.boot_again();
    agent.until_ready();
    assert_untouched(agent, &["angry", "slow"]);
    let stopped = |body: &RecordBody| matches!(body, RecordBody::AgentStopping { .. });
    assert!(agent.ledger().has(stopped), "it ended in good order");
    agent.assert_awake("canary-shutdown");
}
