//! A disk that fills within seconds, and is full while its logs are removed.

use super::*;

/// It fills in ten seconds.
fn filling() -> Life {
    let mut life = Life::under(policy(), Memory::new());
    for second in 0..=10 {
        tell(&mut life, disk("/", GIB / 2 * (10 - second)), 10 + i64::try_from(second).unwrap());
    }
    life
}

fn looked(life: &mut Life, rule: &str) {
    let all = life.engine.snapshot().incidents;
    let incident = all.iter().find(|it| it.rule.as_str() == rule).unwrap().id;
    life.handle(Input::EvidenceTaken { incident, evidence: look().into() }, 20);
}

/// It is full for half a minute; the act is about the rule `filesystem-full-at-once`.
fn full_at_once() -> Life {
    let mut life = filling();
    looked(&mut life, "filesystem-full-at-once");
    for second in [25, 35, 45] {
        tell(&mut life, disk("/", 0), second);
    }
    life
}

#[test]
fn a_full_disk_has_no_room_because_it_gets_no_fuller() {
    let mut life = full_at_once();
    // What a step has made free is taken at once.
    for (free, second) in [(FULL, 46), (7 * GIB, 47)] {
        wants_to_remove(&mut life, free, second);
    }
    assert_eq!(life.went_on, [Ok(()), Ok(())]);
    wants_to_remove(&mut life, ROOMY, 48);
    assert_eq!(life.went_on[2], Err("there is room enough".into()));
}

#[test]
fn nor_does_it_come_back_each_time_that_it_is_full_to_the_last_byte() {
    let mut life = full_at_once();
    for second in 46..60 {
        tell(&mut life, disk("/", if second % 2 == 0 { FULL } else { 0 }), second);
    }
    assert!(
        !life.records.iter().any(|it| matches!(it, RecordBody::IncidentReopened { .. })),
        "{:?}",
        life.records
    );
}

#[test]
fn who_fills_a_disk_is_told_where_nothing_can_be_done_too() {
    let mut life = filling();
    looked(&mut life, "filesystem-filling-fast");
    let why =
        |it: &RecordBody| if let RecordBody::Escalated { why, .. } = it { Some(why.clone()) } else { None };
    let told = life.records.iter().find_map(why);
    assert!(told.as_ref().is_some_and(|why| why.contains("files in /srv/db (90.0 GiB)")), "{told:?}");
}
