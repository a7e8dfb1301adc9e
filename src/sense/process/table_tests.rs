#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::change::GAP_MAX;
use super::*;
use crate::model::{Bytes, Pages};
use crate::sense::process::{COMM_LEN, PROCESSES_MAX};

fn row(pid: i32, start: u64) -> ProcessRow {
    ProcessRow {
        pid,
        start: Ticks(start),
        parent: 1,
        state: ProcessState::Sleeping,
        kernel_thread: false,
        threads: 1,
        cpu: Duration::ZERO,
        resident: Pages(0),
        minor_faults: 0,
        major_faults: 0,
        extra: None,
        comm: [0; COMM_LEN],
    }
}

/// So many seconds after boot, of which the host slept `slept`.
fn at(seconds: u64, slept: u64) -> Moment {
    Moment {
        boot: BootTime::ZERO + Duration::from_secs(seconds),
        awake: Duration::from_secs(seconds - slept),
    }
}

fn take(table: &mut Table, rows: &[ProcessRow], now: Moment) {
    table.take(&mut rows.to_vec(), now, Coverage::Complete);
}

const WORK: Duration = Duration::from_secs(3);

#[test]
fn a_rate_needs_two_passes_over_the_same_process() {
    let check = |first: ProcessRow, second: ProcessRow, then: Moment, now: Moment, rated: bool| {
        let mut table = Table::default();
        take(&mut table, &[first], then);
        assert_eq!(table.get(7).unwrap().change, None, "the first time");
        take(&mut table, &[second], now);
        assert_eq!(table.get(7).unwrap().change.is_some(), rated, "{first:?} {second:?} {then:?} {now:?}");
    };
    let before = ProcessRow { cpu: WORK, resident: Pages(9), ..row(7, 70) };
    let after = ProcessRow { cpu: 2 * WORK, resident: Pages(5), ..before };
    check(before, after, at(100, 0), at(110, 0), true);
    check(before, ProcessRow { start: Ticks(71), ..after }, at(100, 0), at(110, 0), false);
    check(after, before, at(100, 0), at(110, 0), false);
    // Slept in between; the same moment; backwards; a gap.
    check(before, after, at(100, 0), at(110, 5), false);
    check(before, after, at(100, 0), at(100, 0), false);
    check(before, after, at(100, 0), at(90, 0), false);
    check(before, after, at(100, 0), at(100 + GAP_MAX.as_secs() + 1, 0), false);
    // It slept earlier.
    check(before, after, at(100, 50), at(110, 50), true);
    let mut table = Table::default();
    take(&mut table, &[before], at(100, 0));
    assert_eq!(table.interval(), Reading::Absent(Absence::TooEarly));
    take(&mut table, &[after], at(110, 0));
    assert_eq!(table.interval(), Reading::Value(Duration::from_secs(10)));
    let change = Change { cpu: WORK, grown: -4, minor_faults: 0, major_faults: 0 };
    assert_eq!(table.get(7).unwrap().change, Some(change));
}

#[test]
fn who_does_not_move_is_blocked() {
    let stuck = ProcessRow { state: ProcessState::DiskSleep, ..row(7, 70) };
    let blocked = |second: ProcessRow, now: Moment| {
        let mut table = Table::default();
        take(&mut table, &[stuck], at(100, 0));
        assert_eq!(table.counts().blocked, 0, "seen once, it may be on its way");
        take(&mut table, &[second], at(110, 0));
        take(&mut table, &[second], now);
        let counts = table.counts();
        (counts.blocked, counts.blocked_longest.as_secs())
    };
    assert_eq!(blocked(stuck, at(120, 0)), (1, 20));
    // It ran after the first pass, and not since.
    assert_eq!(blocked(ProcessRow { cpu: WORK, ..stuck }, at(120, 0)), (1, 10));
    assert_eq!(blocked(ProcessRow { state: ProcessState::Running, ..stuck }, at(120, 0)), (0, 0));
    assert_eq!(blocked(ProcessRow { start: Ticks(71), ..stuck }, at(120, 0)), (1, 10));
    // Other threads may work while the main one is stuck.
    assert_eq!(blocked(ProcessRow { threads: 2, cpu: WORK, ..stuck }, at(120, 0)), (1, 20));
    // Kernel threads that wait so for work would count for ever.
    assert_eq!(blocked(ProcessRow { kernel_thread: true, ..stuck }, at(120, 0)), (0, 0));
    // A night's sleep is not its fault.
    assert_eq!(blocked(stuck, at(30_000, 29_000)), (0, 0));
}

#[test]
fn zombies_count_for_their_parent() {
    let zombie = |pid, parent| ProcessRow { state: ProcessState::Zombie, parent, ..row(pid, 1) };
    let mut named = row(5, 1);
    named.comm[..4].copy_from_slice(b"web\xff");
    let alive = ProcessRow { threads: 3, ..zombie(20, 5) };
    let mut table = Table::default();
    take(&mut table, &[row(1, 1), named, zombie(9, 1), zombie(10, 5), zombie(11, 5), alive], at(9, 0));
    let counts = table.counts();
    assert_eq!((counts.processes, counts.threads, counts.zombies), (6, 8, 3));
    let parent = ZombieParent { pid: 5, name: "web\u{fffd}".into(), zombies: 2 };
    assert_eq!(counts.zombie_parent, Reading::Value(parent));
    take(&mut table, &[row(1, 1)], at(19, 0));
    assert_eq!(table.counts().zombie_parent, Reading::Absent(Absence::NotApplicable));
}

#[test]
fn extras_are_kept_and_rated_over_their_own_time() {
    let extra =
        |read: u64| Extra { user: 33, storage_read: Bytes(read), storage_written: Bytes(0), cgroup: 0 };
    let of =
        |table: &Table| (table.get(7).unwrap().row.extra, table.get(7).unwrap().storage.map(|it| it.read.0));
    let wanted = Wanted { pid: 7, start: Ticks(70) };
    let mut table = Table::default();
    take(&mut table, &[row(7, 70)], at(100, 0));
    table.put_extra(Wanted { start: Ticks(71), ..wanted }, extra(0), at(100, 0));
    assert_eq!(of(&table), (None, None), "another process of this pid");
    table.put_extra(wanted, extra(1000), at(100, 0));
    take(&mut table, &[row(7, 70)], at(110, 0));
    assert_eq!(of(&table), (Some(extra(1000)), None));
    take(&mut table, &[row(7, 70)], at(120, 0));
    table.put_extra(wanted, extra(3000), at(120, 0));
    assert_eq!(of(&table), (Some(extra(3000)), Some(100)));
    // A way that gives them with the row.
    take(&mut table, &[ProcessRow { extra: Some(extra(4000)), ..row(7, 70) }], at(130, 0));
    assert_eq!(of(&table), (Some(extra(4000)), Some(100)));
    take(&mut table, &[row(7, 70)], at(431, 0));
    assert_eq!(of(&table), (Some(extra(4000)), None), "too old to be true of now");
    take(&mut table, &[row(7, 71)], at(440, 0));
    assert_eq!(of(&table), (None, None));
}

#[test]
fn the_slow_pass_comes_round() {
    let mut table = Table::default();
    take(&mut table, &[row(1, 1), row(2, 1), row(5, 1), row(9, 1), row(12, 1)], at(9, 0));
    let mut wanted = Vec::new();
    let mut next = |most: usize| {
        table.want_extra(most, &mut wanted);
        wanted.iter().map(|it| it.pid).collect::<Vec<_>>()
    };
    assert_eq!(next(2), [1, 2]);
    assert_eq!(next(2), [5, 9]);
    assert_eq!(next(2), [12, 1]);
    assert_eq!(next(9), [2, 5, 9, 12, 1]);
    assert_eq!(next(0), [0; 0]);
}

#[test]
fn a_pid_that_is_used_again_within_a_pass_is_its_second_process() {
    let mut table = Table::default();
    take(&mut table, &[row(9, 1), row(7, 70), row(7, 71), row(7, 69)], at(9, 0));
    let found: Vec<_> = table.iter().map(|known| (known.row.pid, known.row.start.0)).collect();
    assert_eq!(found, [(7, 71), (9, 1)]);
}

#[test]
fn the_bound_is_as_large_as_it_says() {
    let each = size_of::<ProcessRow>() + size_of::<Mark>();
    assert!(2 * each * PROCESSES_MAX <= 30 << 20, "{each} bytes for each");
}

#[test]
fn the_memory_of_a_crowd_is_given_back() {
    let crowd: Vec<ProcessRow> = (1..20_000).map(|pid| row(pid, 1)).collect();
    let mut table = Table::default();
    let mut rows = crowd.clone();
    table.take(&mut rows, at(10, 0), Coverage::Complete);
    let mut check = |seconds| {
        rows.clear();
        rows.extend_from_slice(&crowd[..100]);
        table.take(&mut rows, at(seconds, 0), Coverage::Complete);
        [rows.capacity(), table.rows.capacity(), table.marks.capacity(), table.marks_before.capacity()]
    };
    check(20);
    check(30);
    let kept = check(40);
    assert!(kept.iter().all(|rows| *rows <= 4 * ROOM_MIN), "{kept:?}");
    // Two generations take turns.
    let then = check(50);
    check(60);
    assert_eq!(then, check(70), "and then it stands still");
}

/// Few pids and starts, so that they meet.
fn passes() -> impl Strategy<Value = Vec<Vec<ProcessRow>>> {
    let one = (1..20_i32, 1..4_u64, 0..5_u64, 0..50_u64).prop_map(|(pid, start, cpu, resident)| ProcessRow {
        cpu: Duration::from_secs(cpu),
        resident: Pages(resident),
        ..row(pid, start)
    });
    let pass = prop::collection::vec(one, 0..20).prop_map(|mut rows| {
        let mut seen = BTreeSet::new();
        rows.retain(|row| seen.insert(row.pid));
        rows
    });
    prop::collection::vec(pass, 1..6)
}

proptest! {
    /// Against a map from identity to row, looked up one by one.
    #[test]
    fn merging_finds_what_looking_up_finds(passes in passes()) {
        let mut table = Table::default();
        let mut before: BTreeMap<(i32, u64), ProcessRow> = BTreeMap::new();
        for (n, rows) in passes.iter().enumerate() {
            take(&mut table, rows, at(100 + 10 * n as u64, 0));
            let now: BTreeMap<_, _> = rows.iter().map(|row| ((row.pid, row.start.0), *row)).collect();
            prop_assert!(table.iter().map(|known| known.row).eq(now.values()));
            for known in table.iter() {
                let old = before.get(&(known.row.pid, known.row.start.0));
                let expected = old.and_then(|old| Change::between(old, known.row)).filter(|_| n > 0);
                prop_assert_eq!(known.change, expected);
            }
            let new = now.keys().filter(|key| !before.contains_key(key)).count();
            let gone = before.keys().filter(|key| !now.contains_key(key)).count();
            let had = |pid: i32| before.keys().any(|(old, _)| *old == pid);
            let reused = now.keys().filter(|key| !before.contains_key(key) && had(key.0)).count();
            let turnover = table.turnover();
            let told = [turnover.new, turnover.gone, turnover.reused].map(|count| count as usize);
            prop_assert_eq!(told, [new, gone, reused]);
            before = now;
        }
    }

    /// Against sorting everything.
    #[test]
    fn the_top_is_what_sorting_gives(passes in passes(), most in 0..25_usize) {
        let mut table = Table::default();
        for (n, rows) in passes.iter().enumerate() {
            take(&mut table, rows, at(100 + 10 * n as u64, 0));
        }
        for sort in ProcessSort::ALL {
            let mut all: Vec<_> = table.rows.iter().zip(&table.marks).collect();
            all.sort_by_key(|(row, mark)| (Reverse(measure(sort, row, mark)), row.pid));
            let expected: Vec<i32> = all.iter().take(most).map(|(row, _)| row.pid).collect();
            let found: Vec<i32> = table.top(sort, most).iter().map(|known| known.row.pid).collect();
            prop_assert_eq!(found, expected, "{:?}", sort);
        }
    }
}
