#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests plant the files that are read")]

use std::path::Path;

use super::*;
use crate::cli::offline::Proof;
use crate::model::{Absence, Sense, SenseState, StormEye, StormWay, UnitName};
use crate::serve::Processes;
use crate::serve::testing::{agent, processes};

fn watched() -> Reading<StallWatch> {
    Reading::Value(StallWatch { window: std::time::Duration::from_secs(1), stalled: false })
}

fn unit_stall(watch: Reading<StallWatch>) -> UnitStall {
    UnitStall { unit: UnitName::parse("ssh.service").unwrap(), resource: Resource::Memory, watch }
}

fn seen_by(eye: StormEye) -> Processes {
    let mut seen = processes(1);
    seen.list.storms = Some(eye);
    seen
}

fn good() -> Facts {
    Facts {
        agent: AgentSeen::Answers(agent()),
        processes: Reading::Value(seen_by(StormEye { way: StormWay::EndingHook, refused: None })),
        socket: "/run/prunella/prunella.sock".into(),
        systemd: Reading::Value(true),
        init: Reading::Value("systemd".into()),
        bus: Reading::Value("252".into()),
        cgroups: Reading::Value(Cgroups {
            layout: CgroupLayout::Unified,
            controllers: ["cpuset", "cpu", "io", "memory", "pids"].map(str::to_owned).to_vec(),
        }),
        pressure: Reading::Value(["cpu", "memory", "io"].map(str::to_owned).to_vec()),
        stall_watches: Resource::ALL.map(|resource| (resource, watched())).to_vec(),
        sight: AgentSight { units: vec![unit_stall(watched())], broken: vec![] },
        history: Reading::Value(HistoryStatus {
            bytes_max: 64 << 20,
            bytes: 9 << 20,
            ..HistoryStatus::default()
        }),
        kernel: Reading::Value((6, 8)),
        pidfd: Reading::Value(true),
        openat2: Reading::Value(true),
        capabilities: Reading::Value(u64::MAX),
        journalctl: Reading::Value(true),
        journal: Reading::Value("/var/log/journal".into()),
        groups: Reading::Value(vec!["prunella".into(), "prunella-admin".into()]),
        state: Reading::Value(StateFolder {
            path: "/var/lib/prunella".into(),
            filesystem: "ext4".into(),
            writable: Reading::Value(true),
        }),
        ledger: Reading::Value((true, "1204 records, proven".into())),
        time_synchronised: Reading::Value(true),
        package_locks: vec!["/var/lib/dpkg/lock-frontend".into()],
        surroundings: Reading::Value(Surroundings::BareMetal),
    }
}

/// A host that offers nothing.
fn poor() -> Facts {
    let none = Absence::Unsupported;
    let mut partial = processes(1);
    partial.list.incomplete = Some("processes of other users are hidden".into());
    Facts {
        processes: Reading::Value(partial),
        agent: AgentSeen::Silent("There is no socket /run/prunella/prunella.sock.".into()),
        systemd: Reading::Value(true),
        bus: Reading::Failed("the connection was refused\u{1b}[2J".into()),
        cgroups: Reading::Absent(none.clone()),
        pressure: Reading::Absent(none.clone()),
        stall_watches: vec![],
        sight: AgentSight::default(),
        history: Reading::Value(HistoryStatus {
            bytes_max: 64 << 20,
            bytes: 9 << 20,
            failing: Some("the disk has 3.1 MiB left, which is kept for others".into()),
            rows_lost: 4200,
            left_out: 0,
        }),
        kernel: Reading::Value((4, 18)),
        pidfd: Reading::Value(false),
        openat2: Reading::Value(false),
        capabilities: Reading::Value(0),
        journalctl: Reading::Value(false),
        journal: Reading::Absent(none),
        groups: Reading::Value(vec![]),
        state: Reading::Value(StateFolder {
            path: "/var/lib/prunella".into(),
            filesystem: "tmpfs".into(),
            writable: Reading::Value(false),
        }),
        ledger: Reading::Value((false, "record 17 does not follow record 16".into())),
        time_synchronised: Reading::Value(false),
        package_locks: vec![],
        surroundings: Reading::Value(Surroundings::Container("docker".into())),
        ..good()
    }
}

/// A host of which nothing can be seen.
fn unseen() -> Facts {
    fn denied<T>() -> Reading<T> {
        Reading::Failed("permission denied".into())
    }
    Facts {
        agent: AgentSeen::Declines(
            "Reading the agent's state needs root or membership in group prunella.".into(),
        ),
        processes: denied(),
        systemd: denied(),
        init: denied(),
        bus: Reading::Absent(Absence::NotObserved),
        cgroups: denied(),
        kernel: denied(),
        pidfd: denied(),
        openat2: denied(),
        capabilities: denied(),
        journalctl: denied(),
        journal: denied(),
        groups: denied(),
        state: denied(),
        ledger: denied(),
        history: Reading::Absent(Absence::NotObserved),
        time_synchronised: denied(),
        surroundings: denied(),
        ..good()
    }
}

fn states(facts: &Facts) -> Vec<(&'static str, CheckState)> {
    assess(facts).into_iter().map(|check| (check.name, check.state)).collect()
}

#[test]
fn a_good_host_is_ok_throughout() {
    assert!(states(&good()).iter().all(|(_, state)| *state == CheckState::Ok), "{:?}", assess(&good()));
}

#[test]
fn what_can_not_be_seen_is_unknown_and_not_ok() {
    for check in assess(&unseen()) {
        let seen =
            matches!(check.name, "pressure" | "pressure triggers" | "unit pressure" | "package managers");
        assert!(seen || check.state == CheckState::Unknown, "{check:?}");
    }
}

#[test]
fn pressure_that_is_not_told_at_once_is_said_with_the_reason() {
    let check = |watch: Reading<StallWatch>, state, found: &str| {
        let facts =
            Facts { stall_watches: vec![(Resource::Io, watch), (Resource::Memory, watched())], ..good() };
        let told = assess(&facts).into_iter().find(|check| check.name == "pressure triggers").unwrap();
        assert_eq!((told.state, told.found.as_str()), (state, found));
    };
    check(watched(), CheckState::Ok, "io 1 s, memory 1 s");
    check(
        Reading::Failed("not permitted".into()),
        CheckState::Limited,
        "io: could not be read: not permitted",
    );
    check(Reading::Absent(Absence::Unsupported), CheckState::Limited, "io: not offered by this host");
    let silent = Facts { stall_watches: vec![], ..good() };
    assert!(states(&silent).contains(&("pressure triggers", CheckState::Unknown)));
}

#[test]
fn units_of_which_nobody_tells_are_named() {
    let check = |units: Vec<UnitStall>, state, found: &str| {
        let facts = Facts { sight: AgentSight { units, ..AgentSight::default() }, ..good() };
        let told = assess(&facts).into_iter().find(|check| check.name == "unit pressure").unwrap();
        assert_eq!((told.state, told.found.as_str()), (state, found));
    };
    check(vec![], CheckState::Unknown, "of no unit");
    check(vec![unit_stall(watched())], CheckState::Ok, "of 1 units");
    let refused = unit_stall(Reading::Absent(Absence::Unsupported));
    let found = "not of 1 units; ssh.service, memory: not offered by this host";
    check(vec![unit_stall(watched()), refused], CheckState::Limited, found);
}

#[test]
fn a_sense_that_broke_off_is_named_with_the_reason() {
    let check = |state: SenseState, expected: Option<&str>| {
        let broken = vec![SenseNews { sense: Sense::Processes, state }];
        let facts = Facts { sight: AgentSight { broken, ..AgentSight::default() }, ..good() };
        let told = assess(&facts).into_iter().find(|check| check.name == "senses");
        assert_eq!(told.map(|check| check.found).as_deref(), expected);
    };
    let why = || "index out of bounds".to_owned();
    check(SenseState::Broken { why: why() }, Some("the process table broke off: index out of bounds"));
    check(SenseState::Off { why: why() }, Some("the process table stays off: index out of bounds"));
    check(SenseState::Working, None);
}

#[test]
fn control_groups_of_version_1_have_no_kill_whatever_the_kernel() {
    let legacy = Cgroups { layout: CgroupLayout::Legacy, controllers: vec![] };
    let facts = Facts { cgroups: Reading::Value(legacy), ..good() };
    let told = assess(&facts).into_iter().find(|check| check.name == "cgroup.kill").unwrap();
    assert_eq!(told.state, CheckState::Limited, "{told:?}");
}

#[test]
fn only_what_stops_the_agent_is_missing() {
    let missing: Vec<_> = states(&poor())
        .into_iter()
        .filter(|(_, state)| *state == CheckState::Missing)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(missing, ["system bus", "state folder"]);
    let ok: Vec<_> = states(&poor()).into_iter().filter(|(_, state)| *state == CheckState::Ok).collect();
    let expected = ["service manager", "openat2", "statmount"].map(|name| (name, CheckState::Ok));
    assert_eq!(ok, expected, "what is there, and what nothing needs yet");
}

#[test]
fn without_systemd_the_bus_is_not_missed() {
    let facts = Facts { systemd: Reading::Value(false), init: Reading::Value("runit".into()), ..poor() };
    let state = |wanted| states(&facts).into_iter().find(|(name, _)| *name == wanted).unwrap().1;
    assert_eq!((state("system bus"), state("service manager")), (CheckState::Ok, CheckState::Limited));
}

#[test]
fn the_pages() {
    let terminal = Terminal { colour: false, width: 80 };
    insta::assert_snapshot!("good", render(&assess(&good()), terminal));
    insta::assert_snapshot!("poor", render(&assess(&poor()), terminal));
    insta::assert_snapshot!("unseen", render(&assess(&unseen()), terminal));
}

fn plant(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn facts_are_read_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    plant(
        root.path(),
        &[
            ("run/systemd/system/x", ""),
            ("proc/1/comm", "systemd\n"),
            ("proc/1/environ", "TERM=linux\0container=lxc\0"),
            ("proc/412/status", "Name:\tprunellad\nCapEff:\t000001ffffffffff\n"),
            ("proc/pressure/cpu", "some avg10=0.00\n"),
            ("proc/sys/kernel/osrelease", "5.14.0-427.el9.x86_64\n"),
            ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
            ("etc/group", "root:x:0:\nprunella:x:990:rita\n"),
            ("usr/bin/journalctl", ""),
            ("run/log/journal/x", ""),
            ("var/lib/dpkg/lock-frontend", ""),
            ("var/lib/prunella/ledger.db", ""),
        ],
    );
    let sound = |_: &Path| Ok(Proof { sound: true, text: "proven".into(), json: serde_json::Value::Null });
    let facts = gather(root.path(), Path::new("/s"), (AgentSeen::Answers(agent()), vec![]), sound);
    assert_eq!(facts.systemd, Reading::Value(true));
    assert_eq!(facts.init, Reading::Value("systemd".into()));
    assert_eq!(facts.kernel, Reading::Value((5, 14)));
    let controllers = facts.cgroups.value().map(|cgroups| (cgroups.layout, cgroups.controllers.len()));
    assert_eq!(controllers, Some((CgroupLayout::Unified, 2)));
    assert_eq!(facts.pressure, Reading::Value(vec!["cpu".into()]));
    assert_eq!(facts.capabilities, Reading::Value(0x1ff_ffff_ffff));
    assert_eq!(facts.groups, Reading::Value(vec!["prunella".into()]));
    assert_eq!(facts.journal, Reading::Value("/run/log/journal".into()));
    assert_eq!(facts.package_locks, ["/var/lib/dpkg/lock-frontend"]);
    assert_eq!(facts.ledger, Reading::Value((true, "proven".into())));
    assert_eq!(facts.surroundings, Reading::Value(Surroundings::Container("lxc".into())));
    assert_eq!(facts.bus, Reading::Absent(Absence::NotObserved));
}

#[test]
fn an_empty_root_is_no_panic_and_nothing_is_ok_by_default() {
    let root = tempfile::tempdir().unwrap();
    let silent = |_: &Path| Err("no ledger".to_owned());
    let facts = gather(root.path(), Path::new("/s"), (AgentSeen::Silent("gone".into()), vec![]), silent);
    let ok: Vec<_> = states(&facts).into_iter().filter(|(_, state)| *state == CheckState::Ok).collect();
    let expected = [("system bus", CheckState::Ok), ("ledger", CheckState::Ok)];
    assert_eq!(ok, expected, "no bus is needed without systemd, no ledger before the first start");
}

#[test]
fn versions() {
    let check = |text, expected| assert_eq!(gather::parse_version(text), expected, "{text}");
    check("6.18.5", Some((6, 18)));
    check("5.10.0-18-amd64", Some((5, 10)));
    check("6.1-rc3", Some((6, 1)));
    check("linux", None);
    check("", None);
}
