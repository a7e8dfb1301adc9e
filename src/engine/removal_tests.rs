//! Rotated logs are removed where there is too little room: on record first, no further than is needed, and verified.

use super::*;
use crate::model::{
    Bytes, Command, DeviceNumber, Evidence, Fate, FilesystemClass, FilesystemStatus, FilesystemsUpdate,
    IncidentState, Inodes, LargeFolder, MountPoint, PathText, PauseScope, Peer, REMOVED_PER_DAY, Reading,
    Remedy, Removal, Resolution, RoomAnswer, SpaceLook, SubjectKind, Usage, Verification,
};

#[path = "archiving_tests.rs"]
mod archiving;

#[path = "holder_tests.rs"]
mod holders;

#[path = "sudden_tests.rs"]
mod sudden;

const GIB: u64 = 1 << 30;
const SIZE: u64 = 100 * GIB;

fn usage(free: u64) -> Usage {
    let free = Bytes(free);
    Usage {
        total: Bytes(SIZE),
        free,
        available: free,
        inodes: Reading::Value(Inodes { total: 100, free: 90 }),
    }
}

fn disk(mounted: &str, free: u64) -> FilesystemStatus {
    FilesystemStatus {
        mount_point: MountPoint::from_bytes(mounted.as_bytes()).unwrap(),
        device: DeviceNumber { major: 8, minor: 1 },
        fs_type: "ext4".into(),
        source: "/dev/sda1".into(),
        class: FilesystemClass::Disk,
        read_only: false,
        forced_read_only: Reading::Value(false),
        room: RoomAnswer::Usage(usage(free)),
    }
}

fn tell(life: &mut Life, status: FilesystemStatus, second: i64) {
    tell_with(life, vec![status], &json!({"absent": "not-observed"}), second);
}

fn tell_with(life: &mut Life, all: Vec<FilesystemStatus>, package_manager: &Value, second: i64) {
    let activity = json!({
        "system_state": {"value": "running"}, "package_manager": package_manager, "manager_reloading": false,
    });
    let sample = Sample {
        filesystems: Some(FilesystemsUpdate::Complete(all)),
        activity: Some(serde_json::from_value(activity).unwrap()),
        ..Sample::empty(at(second))
    };
    life.handle(Input::Sample(sample), second);
}

fn removal(number: u64, bytes: u64) -> Removal {
    Removal {
        path: PathText::of(format!("/var/log/app.log.{number}").as_bytes()),
        size: Bytes(bytes),
        allocated: Bytes(bytes),
        modified: WallTime::from_unix_millis(0),
        uid: 0,
        gid: 0,
        inode: number,
        digest: "00".into(),
        fate: Fate::Gone,
    }
}

/// What a look at it found.
fn look() -> Evidence {
    let at = at(0).wall;
    let folder = LargeFolder { path: PathText::of(b"/srv/db"), bytes: Bytes(90 * GIB), entries: 7 };
    let deleted = serde_json::from_value(json!({"absent": "not-observed"})).unwrap();
    Evidence::of_filesystem(Reading::Value(SpaceLook {
        at,
        over: std::time::Duration::from_secs(1),
        entries: 9,
        complete: true,
        unreadable: 0,
        bytes: Bytes(90 * GIB),
        used: Bytes(99 * GIB),
        files: Vec::new(),
        folders: vec![folder],
        crowded: Vec::new(),
        deleted,
    }))
}

const FULL: u64 = GIB / 10;
const ROOMY: u64 = 20 * GIB;

/// The shipped policy, with no other step than this one.
fn policy() -> Policy {
    let mut policy = Policy::builtin().unwrap();
    for rule in &mut policy.rules {
        if !rule.ladder.is_empty() && rule.subject == SubjectKind::Filesystem {
            rule.ladder = vec![Remedy::PruneRotatedLogs];
        }
    }
    policy
}

/// A disk that is full, up to the moment when its logs may be removed; the incident is about the rule `filesystem-full`.
fn full(mounted: &str) -> Life {
    let mut life = Life::under(policy(), Memory::new());
    for second in [10, 41] {
        tell(&mut life, disk(mounted, FULL), second);
    }
    life.handle(Input::EvidenceTaken { incident: incident(&life).id, evidence: look().into() }, 41);
    life
}

fn incident(life: &Life) -> crate::model::Incident {
    let all = life.engine.snapshot().incidents;
    all.iter().find(|it| it.rule.as_str() == "filesystem-full").cloned().unwrap()
}

fn wants_to_remove(life: &mut Life, free: u64, second: i64) {
    let removals = vec![removal(1, GIB), removal(2, GIB)];
    life.handle(Input::Removing { action: ActionId(1), usage: usage(free), removals }, second);
}

fn acted(life: &mut Life, second: i64) {
    let applied = Applied::Removed { files: 2, freed: Bytes(2 * GIB), inodes_freed: 2, why: "enough".into() };
    life.handle(Input::Acted { action: ActionId(1), applied }, second);
}

fn verdict(record: &RecordBody) -> Option<&Verification> {
    if let RecordBody::Verified { verification, .. } = record { Some(verification) } else { None }
}

fn last_verdict(life: &Life) -> &Verification {
    life.records.iter().rev().find_map(verdict).unwrap()
}

#[test]
fn its_logs_are_removed_and_what_came_of_it_is_measured() {
    let mut life = full("/");
    let order = life.permits.first().unwrap().room().unwrap().clone();
    assert_eq!((order.point.as_str(), order.device), ("/", DeviceNumber { major: 8, minor: 1 }));
    assert_eq!(order.roots[0].folder.to_str(), Some("/var/log"));
    wants_to_remove(&mut life, FULL, 42);
    assert_eq!(life.went_on, [Ok(())]);
    acted(&mut life, 43);
    tell(&mut life, disk("/", ROOMY), 44);
    let Verification::Confirmed { why } = last_verdict(&life) else { panic!("{:?}", life.records) };
    assert!(why.contains("2 files were removed, 2.0 GiB"), "{why}");
    assert_eq!(incident(&life).state, IncidentState::Resolved { how: Resolution::Repaired });
}

#[test]
fn nothing_goes_before_it_is_on_the_disk_that_it_will() {
    let mut life = full("/");
    life.slow_disk = true;
    wants_to_remove(&mut life, FULL, 42);
    assert!(life.records.iter().any(|it| matches!(it, RecordBody::Removing { .. })));
    assert_eq!(life.went_on, [], "it waits");
    let ticket = life.waiting.pop().unwrap();
    life.handle(Input::Recorded(ticket), 42);
    assert_eq!(life.went_on, [Ok(())]);
}

#[test]
fn what_can_not_be_recorded_is_not_removed() {
    let mut life = full("/");
    life.slow_disk = true;
    wants_to_remove(&mut life, FULL, 42);
    let ticket = life.waiting.pop().unwrap();
    life.handle(Input::RecordRefused(ticket), 42);
    assert!(
        life.went_on[0].as_ref().is_err_and(|why| why.contains("could not be recorded")),
        "{:?}",
        life.went_on
    );
}

#[test]
fn it_ends_as_soon_as_there_is_room() {
    let mut life = full("/");
    wants_to_remove(&mut life, FULL, 42);
    wants_to_remove(&mut life, ROOMY, 43);
    assert_eq!(life.went_on.len(), 2);
    assert_eq!(life.went_on[1], Err("there is room enough".into()));
    let recorded = life.records.iter().filter(|it| matches!(it, RecordBody::Removing { .. })).count();
    assert_eq!(recorded, 1, "and nothing more is on record: {:?}", life.records);
}

fn check_interrupted(what_comes: impl FnOnce(&mut Life), why: &str) {
    let mut life = full("/");
    life.slow_disk = true;
    wants_to_remove(&mut life, FULL, 42);
    what_comes(&mut life);
    while let Some(ticket) = life.waiting.pop() {
        life.handle(Input::Recorded(ticket), 43);
    }
    assert!(life.went_on[0].as_ref().is_err_and(|said| said.contains(why)), "{:?}", life.went_on);
}

#[test]
fn a_person_or_the_end_of_the_agent_stops_it_between_two_steps() {
    let pause = |life: &mut Life| {
        let command = Command::Pause {
            scope: PauseScope::Agent,
            length: std::time::Duration::from_secs(600),
            reason: "stop that".into(),
        };
        let by = Peer { uid: 0, pid: 1, name: "root".into() };
        life.handle(Input::Command { ticket: super::super::CommandTicket(1), by, command }, 42);
    };
    check_interrupted(pause, "paused by root");
    check_interrupted(|life| life.handle(Input::Stopping { why: "asked".into() }, 42), "stopping");
    check_interrupted(|life| acted(life, 42), "given up");
}

#[test]
fn an_act_that_nobody_knows_removes_nothing() {
    let mut life = full("/");
    let removals = vec![removal(1, 1)];
    life.handle(Input::Removing { action: ActionId(7), usage: usage(FULL), removals }, 42);
    assert_eq!(life.went_on, [Err("the act was given up".into())]);
}

#[test]
fn when_it_was_not_enough_a_person_is_told_who_takes_the_room() {
    let mut life = full("/");
    wants_to_remove(&mut life, FULL, 42);
    acted(&mut life, 43);
    tell(&mut life, disk("/", FULL), 44);
    assert!(matches!(last_verdict(&life), Verification::Refuted { .. }), "{:?}", life.records);
    tell(&mut life, disk("/", FULL), 45);
    let why =
        |it: &RecordBody| if let RecordBody::Escalated { why, .. } = it { Some(why.clone()) } else { None };
    let told = life.records.iter().find_map(why);
    assert!(told.as_ref().is_some_and(|why| why.contains("files in /srv/db (90.0 GiB)")), "{told:?}");
    assert_eq!(life.acts, 1, "and it is not repeated at once: {:?}", life.records);
}

#[test]
fn a_disk_of_data_is_left_alone_and_told_once() {
    let life = full("/srv/db");
    assert_eq!(life.acts, 0, "{:?}", life.records);
    let told = life.records.iter().filter(|it| matches!(it, RecordBody::Escalated { .. })).count();
    assert_eq!(told, 1, "{:?}", life.records);
}

#[test]
fn a_disk_that_became_read_only_is_not_mended_by_removing() {
    let mut life = Life::under(policy(), Memory::new());
    for second in [10, 41] {
        tell(&mut life, disk("/", FULL), second);
    }
    let read_only = FilesystemStatus { read_only: true, ..disk("/", FULL) };
    tell(&mut life, read_only, 42);
    let id = incident(&life).id;
    life.handle(Input::EvidenceTaken { incident: id, evidence: look().into() }, 42);
    assert_eq!(life.acts, 0, "{:?}", life.records);
}

#[test]
fn after_a_crash_it_is_seen_what_came_of_it_and_nothing_is_taken_up_blindly() {
    let mut before = full("/");
    wants_to_remove(&mut before, FULL, 42);
    let mut memory = Memory::new();
    for body in before.records {
        memory.recover(&Entry { at: at(42), boot: boot(), body });
    }
    let mut life = Life::under(policy(), memory);
    wants_to_remove(&mut life, FULL, 2);
    assert_eq!(life.went_on, [Err("the act was given up".into())]);
    tell(&mut life, disk("/", ROOMY), 5);
    let Verification::Confirmed { why } = last_verdict(&life) else { panic!("{:?}", life.records) };
    assert!(why.contains("how far it came is unknown"), "{why}");
}

#[test]
fn there_is_a_bound_for_a_day_and_it_outlives_the_agent() {
    let mut memory = Memory::new();
    let many: Vec<Removal> = (0..REMOVED_PER_DAY).map(|number| removal(number, 1)).collect();
    memory.recover(&Entry {
        at: at(0),
        boot: boot(),
        body: RecordBody::Removing { action: ActionId(1), removals: many },
    });
    let mut life = Life::under(policy(), memory);
    for second in [10, 41] {
        tell(&mut life, disk("/", FULL), second);
    }
    let id = incident(&life).id;
    life.handle(Input::EvidenceTaken { incident: id, evidence: look().into() }, 41);
    assert_eq!(life.acts, 0, "{:?}", life.records);
    let held = |it: &RecordBody| {
        matches!(it, RecordBody::Held { remedy: Remedy::PruneRotatedLogs, refusal, .. }
            if refusal.guard == crate::model::GuardName::Cost)
    };
    assert!(life.records.iter().any(held), "{:?}", life.records);
    let day = 25 * 3600 + 60;
    tell(&mut life, disk("/", FULL), day);
    assert_eq!(life.acts, 1, "the next day it may: {:?}", life.records.last());
}

#[test]
fn every_step_is_taken_once_and_at_once_and_then_a_person_is_told() {
    let mut life = Life::start(Memory::new());
    for second in [10, 41] {
        tell(&mut life, disk("/", FULL), second);
    }
    let id = incident(&life).id;
    life.handle(Input::EvidenceTaken { incident: id, evidence: look().into() }, 41);
    for number in 1..=6 {
        let second = 41 + 2 * i64::try_from(number).unwrap();
        assert_eq!(u64::try_from(life.acts).unwrap(), number, "{:?}", life.records);
        life.handle(Input::Acted { action: ActionId(number), applied: Applied::Changed }, second);
        tell(&mut life, disk("/", FULL + number), second + 1);
        life.handle(Input::Tick, second + 2);
    }
    let steps: Vec<Remedy> = life.permits.iter().map(Permit::remedy).collect();
    let all = [
        Remedy::ArchiveLogs,
        Remedy::VacuumJournal,
        Remedy::PruneRotatedLogs,
        Remedy::PruneCoreDumps,
        Remedy::CleanTemporaryFiles,
        Remedy::CleanPackageCache,
    ];
    assert_eq!(steps, all);
    // Each may work where its files are, and nowhere else.
    let folders: Vec<Vec<String>> = life
        .permits
        .iter()
        .map(|it| it.room().unwrap().roots.iter().map(|root| root.folder.display().to_string()).collect())
        .collect();
    assert_eq!(folders, [&["/var/log"][..], &[], &["/var/log"], &["/var/lib/systemd/coredump"], &[], &[]]);
    let freed = |it: &RecordBody| {
        matches!(it, RecordBody::Verified { verification: Verification::Refuted { why }, .. }
        if why.contains("1 B more are free than before"))
    };
    assert!(life.records.iter().any(freed), "{:?}", life.records);
    let told = life.records.iter().filter(|it| matches!(it, RecordBody::Escalated { .. })).count();
    assert_eq!(told, 1, "{:?}", life.records);
}

fn escalations(life: &Life) -> Vec<String> {
    let why =
        |it: &RecordBody| if let RecordBody::Escalated { why, .. } = it { Some(why.clone()) } else { None };
    life.records.iter().filter_map(why).collect()
}

/// The look comes for every incident that waits for one.
fn give_evidence(life: &mut Life, second: i64) {
    let open: Vec<_> = life.engine.snapshot().incidents.iter().map(|it| it.id).collect();
    for incident in open {
        life.handle(Input::EvidenceTaken { incident, evidence: look().into() }, second);
    }
}

#[test]
fn a_disk_whose_repair_is_held_back_is_told_of_all_the_same() {
    let mut life = Life::start(Memory::new());
    let apt = json!({"value": {"lock": "/var/lib/dpkg/lock", "pid": {"value": 7}}});
    for second in 10..220 {
        tell_with(&mut life, vec![disk("/", FULL)], &apt, second);
        give_evidence(&mut life, second);
        let held = second < 40 + 120;
        assert_eq!(escalations(&life).is_empty(), held, "{second}: {:?}", life.records);
    }
    assert_eq!(life.acts, 0, "a package manager is at work");
    assert!(escalations(&life)[0].contains("held back by package-manager"), "{:?}", escalations(&life));
}

/// A ticket that was told, and is tried on slowly, is on the same disk.
#[test]
fn a_full_disk_is_told_of_after_it_was_told_that_it_is_nearly_full() {
    let mut life = Life::start(Memory::new());
    let mut act = 0;
    let mut second = 10;
    let mut live = |life: &mut Life, free: u64, until: i64| {
        while second < until {
            tell(life, disk("/", free), second);
            give_evidence(life, second);
            while act < u64::try_from(life.acts).unwrap() {
                act += 1;
                life.handle(Input::Acted { action: ActionId(act), applied: Applied::AlreadySo }, second);
            }
            second += 1;
        }
    };
    live(&mut life, 4 * GIB, 300);
    assert_eq!(escalations(&life).len(), 1, "{:?}", life.records);
    live(&mut life, FULL, 500);
    assert_eq!(escalations(&life).len(), 2, "the second is a page: {:?}", life.records);
    let steps: Vec<Remedy> = life.permits.iter().map(Permit::remedy).collect();
    let others = steps.iter().filter(|step| !step.is_own_work()).count();
    assert!(others <= 3, "what others do is done once for an incident: {steps:?}");
}

#[test]
fn nothing_is_done_on_one_disk_for_another() {
    let mut life = Life::start(Memory::new());
    for second in [10, 41, 42] {
        let mounted = [disk("/", FULL), disk("/var", ROOMY), disk("/tmp", ROOMY)];
        tell_with(&mut life, mounted.to_vec(), &json!({"absent": "not-observed"}), second);
        give_evidence(&mut life, second);
    }
    assert_eq!(life.acts, 0, "{:?}", life.records);
    assert_eq!(escalations(&life).len(), 1, "{:?}", life.records);
}

#[test]
fn a_rule_that_leaves_the_policy_ends_its_act_and_confirms_nothing() {
    let mut life = full("/");
    wants_to_remove(&mut life, FULL, 42);
    let mut without = policy();
    without.rules.retain(|rule| rule.name.as_str() != "filesystem-full");
    life.handle(Input::PolicyLoaded(Arc::new(without)), 42);
    wants_to_remove(&mut life, FULL, 43);
    assert_eq!(life.went_on.last(), Some(&Err("its rule left the policy".into())));
    acted(&mut life, 43);
    tell(&mut life, disk("/", FULL), 44);
    assert!(matches!(last_verdict(&life), Verification::Refuted { .. }), "{:?}", life.records);
}

#[test]
fn a_disk_that_fills_again_gets_its_whole_ladder_again() {
    let mut life = full("/");
    acted(&mut life, 43);
    tell(&mut life, disk("/", ROOMY), 44);
    for second in [50, 90] {
        tell(&mut life, disk("/", FULL), second);
        give_evidence(&mut life, second);
    }
    assert_eq!(incident(&life).attempts, 1, "{:?}", life.records);
    assert_eq!(life.acts, 2);
}

#[test]
fn few_files_go_while_the_ledger_is_out_of_order() {
    let mut life = full("/");
    life.handle(Input::LedgerDegraded(true), 42);
    let step: Vec<Removal> = (0..64).map(|number| removal(number, 4096)).collect();
    while life.went_on.iter().all(Result::is_ok) {
        let removals = step.clone();
        life.handle(Input::Removing { action: ActionId(1), usage: usage(FULL), removals }, 42);
        assert!(life.went_on.len() < 20, "without an end");
    }
    assert_eq!(life.went_on.len(), 17, "a thousand files and the rest of a step");
}

#[test]
fn who_filled_a_full_disk_is_looked_for_before_anything_goes() {
    let mut life = Life::under(policy(), Memory::new());
    for second in [10, 41, 44] {
        tell(&mut life, disk("/", 0), second);
    }
    assert_eq!(life.acts, 0, "the look is under way: {:?}", life.records);
    give_evidence(&mut life, 45);
    assert_eq!(life.acts, 1, "{:?}", life.records);
}
