#![expect(clippy::cast_precision_loss, reason = "sizes of a few gigabytes")]

use proptest::prelude::*;

use super::*;
use crate::model::{FilesystemClass, Inodes, MountPoint, Usage};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 1000 * MIB;

fn status(used: u64, inodes_used: u64) -> FilesystemStatus {
    let inodes = Reading::Value(Inodes { total: 100_000, free: 100_000 - inodes_used });
    let free = Bytes(SIZE - used.min(SIZE));
    FilesystemStatus {
        mount_point: MountPoint::from_bytes(b"/var").expect("a mount point"),
        device: DeviceNumber { major: 8, minor: 1 },
        fs_type: "ext4".into(),
        source: "/dev/sda1".into(),
        class: FilesystemClass::Disk,
        read_only: false,
        forced_read_only: Reading::Value(false),
        room: RoomAnswer::Usage(Usage { total: Bytes(SIZE), free, available: free, inodes }),
    }
}

/// Looked at once in so many seconds; `used` MiB, by the number of the look.
fn watch(every: f64, looks: u32, used: impl Fn(u32) -> f64) -> RoomFacts {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive numbers")]
    let look = |n: u32| {
        let used = (used(n) * MIB as f64) as u64;
        (status(used, 1000), BootTime::from_millis((f64::from(n) * every * 1000.0) as i64))
    };
    let (first, at) = look(0);
    let mut facts = RoomFacts::new(&first, at).expect("it has room");
    for n in 1..looks {
        let (status, at) = look(n);
        facts.take(&status, at);
    }
    facts
}

/// Full in so many seconds, within a fifth.
#[track_caller]
fn check_full_in(facts: &RoomFacts, seconds: f64) {
    let filling = facts.outlook().filling().unwrap_or_else(|| panic!("{:?}", facts.outlook()));
    let full_in = filling.full_in.as_secs_f64();
    assert!((full_in - seconds).abs() < seconds / 5.0, "{full_in} and not {seconds}: {filling:?}");
}

#[track_caller]
fn check_steady(facts: &RoomFacts) {
    assert_eq!(*facts.outlook(), Outlook::Steady, "{:?}", facts.space);
}

#[test]
fn a_writer_is_told_with_its_end() {
    // 1 MiB/s since two minutes, 500 MiB left.
    check_full_in(&watch(10.0, 13, |n| 380.0 + 10.0 * f64::from(n)), 500.0);
    // 100 MiB/s, looked at four times a second for three seconds.
    check_full_in(&watch(0.25, 12, |n| 200.0 + 25.0 * f64::from(n)), 5.25);
    // A copy of a moment is none.
    let short = watch(0.25, 8, |n| 200.0 + 25.0 * f64::from(n));
    assert_eq!(*short.outlook(), Outlook::TooEarly);
    // 10 MiB an hour for two days.
    check_full_in(&watch(600.0, 289, |n| 100.0 + f64::from(n) * 10.0 / 6.0), 42.0 * 3600.0);
}

#[test]
fn a_writer_that_writes_now_and_then_is_told_on_its_own_scale() {
    // 30 MiB once a minute, for twelve minutes.
    let facts = watch(10.0, 73, |n| 100.0 + 30.0 * f64::from(n / 6));
    check_full_in(&facts, 540.0 / 30.0 * 60.0);
}

#[test]
fn inodes_run_out_as_space_does() {
    let at = |n: i64| BootTime::from_millis(n * 10_000);
    let mut facts = RoomFacts::new(&status(MIB, 10_000), at(0)).expect("it has room");
    for n in 1..13_u32 {
        facts.take(&status(MIB, 10_000 + 5000 * u64::from(n)), at(n.into()));
    }
    let filling = facts.outlook().filling().expect("it fills");
    assert_eq!((filling.what, filling.full_in), (Resort::Inodes, Duration::from_secs(60)));
    assert!(
        (filling.rate - 500.0).abs() < 1.0 && filling.steady == crate::model::Percent(100.0),
        "{filling:?}"
    );
}

#[test]
fn nothing_is_told_of_one_look_or_of_one_that_fails() {
    let facts = watch(10.0, 1, |_| 500.0);
    assert_eq!(*facts.outlook(), Outlook::TooEarly);
    let mut facts = watch(10.0, 13, |n| 380.0 + 10.0 * f64::from(n));
    let hangs = RoomAnswer::Hangs { since: BootTime::ZERO };
    facts.take(&FilesystemStatus { room: hangs, ..status(0, 0) }, BootTime::from_millis(130_000));
    assert_eq!(*facts.outlook(), Outlook::TooEarly);
}

#[test]
fn what_stands_still_is_steady() {
    check_steady(&watch(10.0, 100, |_| 900.0));
    // To and fro.
    check_steady(&watch(10.0, 100, |n| 900.0 + f64::from(n % 3)));
}

#[test]
fn one_large_file_is_no_trend() {
    for jump in [1, 6, 11, 12] {
        check_steady(&watch(10.0, 13, |n| if n >= jump { 900.0 } else { 300.0 }));
    }
}

#[test]
fn one_that_is_deleted_hides_no_trend() {
    let used = |n: u32| 380.0 + 10.0 * f64::from(n) - if n >= 6 { 300.0 } else { 0.0 };
    check_full_in(&watch(10.0, 13, used), 800.0);
}

#[test]
fn what_has_ended_is_told_no_more() {
    let used = |n: u32| 300.0 + 20.0 * f64::from(n.min(20));
    assert!(watch(10.0, 21, used).outlook().filling().is_some());
    // Bursts once a minute look the same for as long.
    check_steady(&watch(10.0, 33, used));
}

#[test]
fn a_log_that_is_rotated_again_and_again_is_no_filling_until_it_outgrows_itself() {
    // 10 MiB a minute from 200 to 700 MiB, then rotated: fifty minutes a tooth.
    let tooth = |n: u32| 200.0 + 10.0 * f64::from(n % 50);
    assert!(watch(60.0, 40, tooth).outlook().filling().is_some(), "the first time nobody knows");
    check_steady(&watch(60.0, 190, tooth));
    let outgrown = |n: u32| if n < 200 { tooth(n) } else { 200.0 + 10.0 * f64::from(n - 200) };
    check_full_in(&watch(60.0, 260, outgrown), 210.0 / 10.0 * 60.0);
}

#[test]
fn a_full_one_is_full_and_not_steady() {
    let facts = watch(1.0, 40, |n| (500.0 + 50.0 * f64::from(n)).min(1000.0));
    assert_eq!(*facts.outlook(), Outlook::Full(Resort::Space));
}

#[test]
fn a_writer_that_waits_for_a_moment_goes_on() {
    let used = |n: u32| 100.0 + 10.0 * f64::from(n.min(20));
    assert!(watch(1.0, 25, used).outlook().filling().is_some());
    check_steady(&watch(1.0, 60, used));
}

#[test]
fn a_leak_beneath_what_comes_and_goes_is_told() {
    // 5 MiB an hour, and 100 MiB each hour for half of it.
    let used = |n: u32| 500.0 + f64::from(n) * 5.0 / 6.0 + if n % 6 < 3 { 0.0 } else { 100.0 };
    let facts = watch(600.0, 150, used);
    assert!(facts.outlook().filling().is_some(), "{:?}", facts.space);
}

#[test]
fn a_night_asleep_is_no_part_of_the_trend() {
    let mut facts = watch(10.0, 13, |n| 380.0 + 10.0 * f64::from(n));
    let woke = 8 * 3_600_000;
    for n in 0..10_u64 {
        let at = BootTime::from_millis(woke + (n * 10_000).cast_signed());
        facts.take(&status((500 + 10 * n) * MIB, 1000), at);
    }
    check_full_in(&facts, 410.0);
}

#[test]
fn another_one_at_the_same_place_begins_anew() {
    let mut facts = watch(10.0, 13, |n| 380.0 + 10.0 * f64::from(n));
    assert!(facts.outlook().filling().is_some());
    let other = FilesystemStatus { device: DeviceNumber { major: 8, minor: 2 }, ..status(510 * MIB, 1000) };
    facts.take(&other, BootTime::from_millis(130_000));
    assert_eq!(*facts.outlook(), Outlook::TooEarly);
}

#[test]
fn one_that_nobody_may_write_to_does_not_fill() {
    let mut facts = watch(10.0, 13, |n| 380.0 + 10.0 * f64::from(n));
    facts.take(
        &FilesystemStatus { read_only: true, ..status(510 * MIB, 1000) },
        BootTime::from_millis(130_000),
    );
    check_steady(&facts);
}

proptest! {
    #[test]
    fn whatever_is_read_nothing_is_believed_for_longer_than_its_time(
        looks in prop::collection::vec((0..5000_u64, 0..SIZE, 0..100_000_u64), 1..80),
    ) {
        let mut facts = RoomFacts::new(&status(0, 0), BootTime::ZERO).expect("it has room");
        let mut now = 0;
        for (pause, used, inodes) in looks {
            now += pause;
            facts.take(&status(used, inodes), BootTime::from_millis(now.cast_signed()));
            if let Outlook::Filling(filling) = facts.outlook() {
                prop_assert!(filling.full_in <= filling.watched * REACH, "{filling:?}");
                prop_assert!(filling.rate > 0.0 && filling.rate.is_finite(), "{filling:?}");
                prop_assert!(filling.watched >= scale::WATCHED_LEAST, "{filling:?}");
            }
        }
    }

    #[test]
    fn an_even_writer_is_always_found(
        share in 1..30_u64, left in 1..20_u64, pause in 100..20_000_u64, looks in 14..60_u64,
    ) {
        // So much of the whole is written while it is watched; what is left lasts up to twice as long.
        let written = SIZE / 100 * share;
        let left = written / 10 * left;
        let used = |n: u64| SIZE - left - written + written * n / (looks - 1);
        let mut facts = RoomFacts::new(&status(used(0), 0), BootTime::ZERO).expect("it has room");
        for n in 1..looks {
            facts.take(&status(used(n), 0), BootTime::from_millis((n * pause).cast_signed()));
        }
        let filling = facts.outlook().filling().copied();
        let filling = filling.ok_or_else(|| TestCaseError::fail(format!("{facts:?}")))?;
        let expected = (looks - 1) as f64 * pause as f64 / 1000.0 * left as f64 / written as f64;
        prop_assert!((filling.full_in.as_secs_f64() - expected).abs() <= expected / 20.0 + 0.01, "{filling:?}");
    }
}
