//! A disk that fills: told from its trend, and first looked at for who fills it.

use super::*;
use crate::model::{
    Bytes, DeviceNumber, Evidence, FilesystemClass, FilesystemStatus, FilesystemsUpdate, Incident, Inodes,
    MountPoint, Outlook, Reading, Resolution, RoomAnswer, SPACE_LOOK_WITHIN, Severity, Usage,
};

const SIZE: u64 = 1000;

/// So many of a thousand in use.
fn filesystem(used: u64, room: Option<RoomAnswer>) -> FilesystemStatus {
    let free = Bytes(SIZE - used);
    let inodes = Reading::Value(Inodes { total: 100, free: 90 });
    FilesystemStatus {
        mount_point: MountPoint::from_bytes(b"/data").unwrap(),
        device: DeviceNumber { major: 8, minor: 1 },
        fs_type: "ext4".into(),
        source: "/dev/sda1".into(),
        class: FilesystemClass::Disk,
        read_only: false,
        forced_read_only: Reading::Value(false),
        room: room.unwrap_or(RoomAnswer::Usage(Usage { total: Bytes(SIZE), free, available: free, inodes })),
    }
}

fn told(life: &mut Life, status: FilesystemStatus, second: i64, again: bool) {
    let all = vec![status];
    let update = if again { FilesystemsUpdate::Again(all) } else { FilesystemsUpdate::Complete(all) };
    life.handle(Input::Sample(Sample { filesystems: Some(update), ..Sample::empty(at(second)) }), second);
}

/// A twentieth of it each second: full twenty seconds after it began, at second 30.
fn filling(until: i64) -> Life {
    let mut life = Life::start(Memory::new());
    for second in 10..=until {
        told(&mut life, filesystem(50 * (second - 10).unsigned_abs(), None), second, second > 10);
    }
    life
}

fn incident(life: &Life) -> Option<Incident> {
    life.engine.snapshot().incidents.first().cloned()
}

#[test]
fn it_is_told_as_soon_as_most_of_it_is_taken_and_told_no_more_when_it_stands_still() {
    assert_eq!(incident(&filling(25)), None, "three quarters are not passed");
    let mut life = filling(26);
    let found = incident(&life).unwrap();
    assert_eq!(found.rule.as_str(), "filesystem-filling-fast");
    assert_eq!(found.finding.what, "full_in 4s, used_percent 80.0");
    let Outlook::Filling(filling) = life.engine.snapshot().filesystems[0].outlook else { panic!("it fills") };
    assert_eq!((filling.full_in.as_secs(), filling.rate.round()), (4, 50.0));
    let none = Evidence::of_filesystem(Reading::Failed("not today".into()));
    life.handle(Input::EvidenceTaken { incident: found.id, evidence: none.into() }, 26);
    for second in 27..60 {
        told(&mut life, filesystem(810, None), second, true);
    }
    let by_itself =
        |it: &RecordBody| matches!(it, RecordBody::IncidentResolved { how: Resolution::ClearedByItself, .. });
    assert!(life.records.iter().any(by_itself), "{:?}", life.records);
}

/// Four of the shipped rules speak of it, one after the other.
#[test]
fn one_disk_that_fills_is_told_of_once_and_once_more_when_it_is_a_page() {
    let mut life = filling(30);
    for second in 31..300 {
        told(&mut life, filesystem(1000, None), second, true);
        for incident in life.engine.snapshot().incidents {
            let none = Evidence::of_filesystem(Reading::Failed("not today".into()));
            life.handle(Input::EvidenceTaken { incident: incident.id, evidence: none.into() }, second);
        }
    }
    let rules: std::collections::BTreeSet<_> =
        life.engine.snapshot().incidents.iter().map(|it| it.rule.to_string()).collect();
    assert!(rules.len() >= 4, "{rules:?}");
    let severities: Vec<Severity> = life
        .records
        .iter()
        .filter_map(|it| if let RecordBody::Escalated { severity, .. } = it { Some(*severity) } else { None })
        .collect();
    assert_eq!(severities, [Severity::Ticket, Severity::Page], "{:?}", life.records);
    let held = life.records.iter().filter(|it| matches!(it, RecordBody::Held { .. })).count();
    assert!(held <= 4, "{held} times it was said why not: {:?}", life.records);
}

#[test]
fn who_fills_it_is_looked_for_and_not_without_end() {
    let mut life = filling(26);
    let taken = |life: &Life| life.records.iter().any(|it| matches!(it, RecordBody::EvidenceTaken { .. }));
    assert!(!taken(&life), "it waits for the look");
    life.handle(Input::Tick, 27 + i64::try_from(SPACE_LOOK_WITHIN.as_secs()).unwrap());
    assert!(taken(&life), "{:?}", life.records);
}

#[test]
fn one_that_hangs_says_itself_what_is_wrong() {
    let mut life = Life::start(Memory::new());
    let mut second = 10;
    while life.engine.snapshot().incidents.is_empty() {
        second += 1;
        assert!(second < 60, "it is not told");
        let hangs = RoomAnswer::Hangs { since: at(10).boot };
        told(&mut life, filesystem(0, Some(hangs)), second, false);
    }
    let found = incident(&life).unwrap();
    assert_eq!(found.rule.as_str(), "disk-hangs");
    assert_eq!(found.evidence, None, "how its disk fares is asked");
    let disk =
        Evidence::of_disk(Reading::Failed("later".into()), Reading::Value(vec!["sda: state offline".into()]));
    life.handle(Input::EvidenceTaken { incident: found.id, evidence: disk.into() }, second);
    let evidence = incident(&life).unwrap().evidence.unwrap();
    assert_eq!(evidence.disk, Reading::Value(vec!["sda: state offline".into()]));
    assert!(
        !matches!(evidence.log, Reading::Failed(_)),
        "the kernel's last lines are put to it: {evidence:?}"
    );
}
