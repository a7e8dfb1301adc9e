//! Facts → checks. Pure.

mod sight;

use crate::model::Reading;

use super::{AgentSeen, CgroupLayout, Check, CheckState, Facts, StateFolder, Surroundings};
use CheckState::{Limited, Missing, Ok as Fine, Unknown};
use sight::{broken_senses, history, pressure, processes, storms, triggers, unit_triggers};

/// Capabilities (capabilities(7)) that the agent works with, and what is lost without.
const CAPABILITIES: [(u32, &str, &str); 3] = [
    (2, "CAP_DAC_READ_SEARCH", "files of other users can't be read"),
    (5, "CAP_KILL", "processes of other users can't be signalled"),
    (19, "CAP_SYS_PTRACE", "details of other users' processes can't be read"),
];

/// Controllers that say what a unit uses, and limit it.
const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];

const PRESSURES: [&str; 3] = ["cpu", "memory", "io"];

const GROUPS: [&str; 2] = ["prunella", "prunella-admin"];

fn check(
    name: &'static str,
    state: CheckState,
    found: impl Into<String>,
    consequence: impl Into<String>,
) -> Check {
    Check { name, state, found: found.into(), consequence: consequence.into(), remedy: None }
}

impl Check {
    fn remedy(mut self, remedy: &str) -> Self {
        self.remedy = Some(remedy.to_owned());
        self
    }
}

/// One that could not be found out.
fn unseen<T>(name: &'static str, reading: &Reading<T>, otherwise: &str) -> Check {
    check(name, Unknown, reading.why_not().unwrap_or_default(), otherwise)
}

/// Every check, in the order in which an operator asks.
#[must_use]
pub fn assess(facts: &Facts) -> Vec<Check> {
    let mut checks =
        vec![agent(facts), manager(facts), bus(facts), cgroups(facts), controllers(facts), pressure(facts)];
    checks.extend([processes(facts), storms(facts), triggers(facts), unit_triggers(facts)]);
    checks.extend(broken_senses(facts));
    checks.extend(kernel(facts));
    checks.extend([
        capabilities(facts),
        journal(facts),
        groups(facts),
        state_folder(facts),
        ledger(facts),
        history(facts),
        clock(facts),
        package_managers(facts),
        surroundings(facts),
    ]);
    checks
}

fn agent(facts: &Facts) -> Check {
    match &facts.agent {
        AgentSeen::Answers(agent) => {
            let found =
                format!("version {} answers on {}, pid {}", agent.version, facts.socket.display(), agent.pid);
            check("agent", Fine, found, format!("faults are repaired, through {}", agent.manager))
        }
        AgentSeen::Silent(why) => {
            check("agent", Limited, why, "nothing is repaired now").remedy("systemctl enable --now prunellad")
        }
        AgentSeen::Declines(why) => {
            check("agent", Unknown, why, "it runs; how it fares is not seen as this user")
        }
    }
}

fn manager(facts: &Facts) -> Check {
    let init = facts.init.value().map_or("an unknown program", String::as_str);
    match &facts.systemd {
        Reading::Value(true) => {
            let version = facts.bus.value().map(|version| format!(" {version}")).unwrap_or_default();
            check(
                "service manager",
                Fine,
                format!("systemd{version}"),
                "every unit is watched and can be repaired",
            )
        }
        Reading::Value(false) => check(
            "service manager",
            Limited,
            format!("{init} is process 1, not systemd"),
            "only services that the policy describes are watched; the agent supervises them itself",
        )
        .remedy("describe services under [[service]] in /etc/prunella/policy.d"),
        Reading::Absent(_) | Reading::Failed(_) => {
            unseen("service manager", &facts.systemd, "whether systemd's units can be repaired is not known")
        }
    }
}

fn bus(facts: &Facts) -> Check {
    match (&facts.bus, &facts.systemd) {
        (Reading::Value(_), _) => {
            check("system bus", Fine, "systemd answers on it", "failures are seen within a second")
        }
        (_, Reading::Value(false)) => {
            check("system bus", Fine, "not needed without systemd", "services are watched directly")
        }
        (Reading::Absent(_), _) => unseen("system bus", &facts.bus, "whether units can be seen is not known"),
        (Reading::Failed(why), _) => {
            check("system bus", Missing, why, "the agent sees no unit and repairs none")
                .remedy("systemctl status dbus.socket dbus.service")
        }
    }
}

fn cgroups(facts: &Facts) -> Check {
    match &facts.cgroups {
        Reading::Value(cgroups) => match cgroups.layout {
            CgroupLayout::Unified => check(
                "control groups",
                Fine,
                "version 2",
                "use of memory, CPU and tasks is known for each unit",
            ),
            CgroupLayout::Hybrid => check(
                "control groups",
                Limited,
                "version 2 for names only, controllers in version 1",
                "use of memory and CPU is not known for units; there is no pressure of single units",
            )
            .remedy("boot with systemd.unified_cgroup_hierarchy=1"),
            CgroupLayout::Legacy => check(
                "control groups",
                Limited,
                "version 1",
                "processes of a unit are found, their use of memory and CPU is not",
            )
            .remedy("boot with systemd.unified_cgroup_hierarchy=1"),
        },
        Reading::Absent(_) => check(
            "control groups",
            Limited,
            "none are mounted",
            "left-over processes of a unit can't be told from others, and resources are not known for units",
        ),
        Reading::Failed(_) => {
            unseen("control groups", &facts.cgroups, "whether units' resources are known is not")
        }
    }
}

fn controllers(facts: &Facts) -> Check {
    let name = "controllers";
    match &facts.cgroups {
        Reading::Value(cgroups) if cgroups.layout == CgroupLayout::Unified => {
            let has = |wanted: &&str| cgroups.controllers.iter().any(|controller| controller == wanted);
            let lacking: Vec<_> = CONTROLLERS.into_iter().filter(|wanted| !has(wanted)).collect();
            if lacking.is_empty() {
                check(name, Fine, CONTROLLERS.join(", "), "resources can be read and limited")
            } else {
                check(
                    name,
                    Limited,
                    format!("without {}", lacking.join(", ")),
                    "rules about these resources of units say nothing",
                )
            }
        }
        Reading::Value(_) | Reading::Absent(_) => {
            check(name, Limited, "no controllers of version 2", "rules about resources of units say nothing")
        }
        Reading::Failed(_) => unseen(name, &facts.cgroups, "whether resources can be read is not known"),
    }
}

fn kernel(facts: &Facts) -> Vec<Check> {
    let since = |major, minor| match &facts.kernel {
        Reading::Value(version) => Reading::Value(*version >= (major, minor)),
        Reading::Absent(reason) => Reading::Absent(reason.clone()),
        Reading::Failed(error) => Reading::Failed(error.clone()),
    };
    // What was tried says more than a version number: a sandbox may forbid what the kernel can.
    let tried = |live: &Reading<bool>, by_version: Reading<bool>| match live {
        Reading::Value(works) => Reading::Value(*works),
        Reading::Absent(_) | Reading::Failed(_) => by_version,
    };
    let version = facts
        .kernel
        .value()
        .map_or_else(|| "kernel of unknown version".into(), |(a, b)| format!("kernel {a}.{b}"));
    let feature = |name, has: Reading<bool>, first: &str, with: &str, without: &str, state| match has {
        Reading::Value(true) => check(name, Fine, version.clone(), with),
        Reading::Value(false) => {
            check(name, state, format!("not offered ({version}, first in {first})"), without)
        }
        Reading::Absent(_) | Reading::Failed(_) => unseen(name, &has, without),
    };
    let one_by_one = "probes and hooks that overrun are ended one process after the other";
    vec![
        feature(
            "pidfd",
            tried(&facts.pidfd, since(5, 3)),
            "5.3",
            "a process can't be mistaken for another that got its number",
            "the agent can't watch processes that it starts: its own services and exec probes don't run",
            Limited,
        ),
        feature(
            "openat2",
            tried(&facts.openat2, since(5, 6)),
            "5.6",
            "there for later versions; nothing in this one needs it",
            "nothing in this version needs it",
            Fine,
        ),
        match &facts.cgroups {
            Reading::Value(cgroups) if cgroups.layout == CgroupLayout::Legacy => {
                check("cgroup.kill", Limited, "only control groups of version 2 have it", one_by_one)
            }
            Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => feature(
                "cgroup.kill",
                since(5, 14),
                "5.14",
                "probes and hooks that overrun are ended at once, with all their children",
                one_by_one,
                Limited,
            ),
        },
        feature(
            "statmount",
            since(6, 8),
            "6.8",
            "there for later versions; nothing in this one needs it",
            "nothing in this version needs it",
            Fine,
        ),
    ]
}

fn capabilities(facts: &Facts) -> Check {
    let name = "capabilities";
    match &facts.capabilities {
        Reading::Value(held) => {
            let lacking: Vec<_> =
                CAPABILITIES.into_iter().filter(|(bit, ..)| held & (1 << bit) == 0).collect();
            if lacking.is_empty() {
                return check(name, Fine, "the agent has what it needs", "every process can be judged");
            }
            let names: Vec<_> = lacking.iter().map(|(_, name, _)| *name).collect();
            let losses: Vec<_> = lacking.iter().map(|(.., loss)| *loss).collect();
            check(name, Limited, format!("the agent has no {}", names.join(", ")), losses.join("; "))
                .remedy("systemctl cat prunellad: CapabilityBoundingSet=")
        }
        Reading::Absent(_) => check(
            name,
            Unknown,
            "the agent's process is not known",
            "whether it may read and signal what it must is seen when it runs",
        ),
        Reading::Failed(_) => {
            unseen(name, &facts.capabilities, "whether the agent may do its work is not known")
        }
    }
}

fn journal(facts: &Facts) -> Check {
    let name = "journal";
    let without = "incidents carry no log lines as evidence; repairs go on";
    match (&facts.journalctl, &facts.journal) {
        (Reading::Value(true), Reading::Value(place)) => {
            let kept = if place.starts_with("/run") { "lost at reboot" } else { "kept over reboots" };
            check(name, Fine, format!("{place}, {kept}"), "incidents carry the unit's last lines")
        }
        (Reading::Value(false), _) => check(name, Limited, "there is no journalctl", without),
        (_, Reading::Absent(_)) => check(name, Limited, "no journal is kept", without),
        (_, Reading::Failed(_)) => unseen(name, &facts.journal, without),
        (Reading::Absent(_) | Reading::Failed(_), _) => unseen(name, &facts.journalctl, without),
    }
}

fn groups(facts: &Facts) -> Check {
    let name = "groups";
    match &facts.groups {
        Reading::Value(found) => {
            let lacking: Vec<_> =
                GROUPS.into_iter().filter(|wanted| !found.iter().any(|f| f == wanted)).collect();
            if lacking.is_empty() {
                check(name, Fine, GROUPS.join(", "), "their members read, and command")
            } else {
                check(
                    name,
                    Limited,
                    format!("there is no {}", lacking.join(", ")),
                    "only root can do what their members could",
                )
                .remedy(&format!("groupadd --system {}", lacking[0]))
            }
        }
        Reading::Absent(_) | Reading::Failed(_) => {
            unseen(name, &facts.groups, "root can always read and command")
        }
    }
}

/// File systems that forget, or whose locks and syncs can't be relied on.
fn unfit(filesystem: &str) -> Option<&'static str> {
    match filesystem {
        "tmpfs" | "ramfs" => Some("records, backoff and attempt counts are lost at reboot"),
        "nfs" | "cifs" | "9p" | "fuse" => {
            Some("a sync may not reach a disk, and locks may fail: a power cut can lose records")
        }
        "overlayfs" => Some("records are lost with the container"),
        _ => None,
    }
}

fn state_folder(facts: &Facts) -> Check {
    let name = "state folder";
    match &facts.state {
        Reading::Value(StateFolder { path, filesystem, writable }) => {
            let found = format!("{} on {filesystem}", path.display());
            match (writable, unfit(filesystem)) {
                (Reading::Value(false), _) => check(
                    name,
                    Missing,
                    format!("{found}, not writable"),
                    "nothing can be recorded, so nothing is repaired for long",
                )
                .remedy(&format!("findmnt -T {}", path.display())),
                (_, Some(trouble)) => check(name, Limited, found, trouble),
                (Reading::Value(true), None) => check(name, Fine, found, "records survive a power cut"),
                (Reading::Absent(_) | Reading::Failed(_), None) => check(
                    name,
                    Unknown,
                    format!("{found}; whether the agent can write is not seen as this user"),
                    "records survive a power cut, if it can",
                )
                .remedy("run doctor as root"),
            }
        }
        Reading::Absent(_) => check(name, Limited, "it does not exist", "the agent makes it when it starts"),
        Reading::Failed(_) => unseen(name, &facts.state, "whether records are kept is not known"),
    }
}

fn ledger(facts: &Facts) -> Check {
    let name = "ledger";
    match &facts.ledger {
        Reading::Value((true, text)) => check(name, Fine, one_line(text), "no record is missing or was changed"),
        Reading::Value((false, text)) => check(
            name,
            Limited,
            one_line(text),
            "what came before the damage is not proven; at its next start the agent sets it aside and begins a new one",
        )
        .remedy("prunella verify-ledger"),
        Reading::Absent(_) => check(name, Fine, "there is none yet", "the agent begins one when it starts"),
        Reading::Failed(_) => {
            unseen(name, &facts.ledger, "whether the records are whole is not known").remedy("prunella verify-ledger, as root")
        }
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn clock(facts: &Facts) -> Check {
    let name = "time";
    match &facts.time_synchronised {
        Reading::Value(true) => check(name, Fine, "synchronised", "times in records can be compared with other hosts'"),
        Reading::Value(false) => check(
            name,
            Limited,
            "not synchronised",
            "times in records can't be compared with other hosts'; backoff does not depend on it until a reboot",
        )
        .remedy("timedatectl set-ntp true"),
        Reading::Absent(_) | Reading::Failed(_) => {
            unseen(name, &facts.time_synchronised, "times in records may be off from other hosts'")
        }
    }
}

fn package_managers(facts: &Facts) -> Check {
    let name = "package managers";
    if facts.package_locks.is_empty() {
        return check(
            name,
            Limited,
            "none that is known",
            "an upgrade in progress is not noticed: pause the agent for it",
        )
        .remedy("prunella pause --for 1h --reason upgrade");
    }
    check(name, Fine, facts.package_locks.join(", "), "while one of these is held, nothing is repaired")
}

fn surroundings(facts: &Facts) -> Check {
    let name = "surroundings";
    match &facts.surroundings {
        Reading::Value(Surroundings::BareMetal) => {
            check(name, Fine, "a machine of its own", "nothing is out of reach")
        }
        Reading::Value(Surroundings::Virtual(kind)) => check(
            name,
            Fine,
            format!("a virtual machine ({kind})"),
            "a pause of the machine shows as a step of the clock",
        ),
        Reading::Value(Surroundings::Container(kind)) => check(
            name,
            Limited,
            format!("a container ({kind})"),
            "only what runs inside is seen; kernel, devices and pressure belong to the host around it",
        ),
        Reading::Absent(_) | Reading::Failed(_) => unseen(name, &facts.surroundings, "nothing depends on it"),
    }
}
