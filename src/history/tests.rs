//! Rows through memory, disk and back: whole, cut, damaged, bounded, and over steps of the clock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the tests look at the files, and damage them")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{
    BootId, BootTime, Gap, HistoryPoint, HistoryQuery, HistorySeries, HistoryTier, HostSecond, Id128,
    Interruption, Measured, Timestamp, WallTime,
};

mod names;

/// A Sunday in March of 2026, at a whole hour.
const EPOCH: i64 = 1_773_446_400_000;
const LIMITS: StoreLimits = StoreLimits { bytes: 64 << 20, room_least: 0 };

fn boot(n: u8) -> BootId {
    BootId(Id128::from_bytes([n; 16]))
}

/// Seconds after boot, with the clock ahead by so many.
fn at(second: i64, ahead: i64) -> Timestamp {
    Timestamp::new(
        BootTime::from_millis(second * 1000),
        WallTime::from_unix_millis(EPOCH + (second + ahead) * 1000),
    )
}

/// A pass of which only the processors are of interest.
fn second(cpu: Measured) -> HostSecond {
    let none = Err(Gap::NotApplicable);
    HostSecond {
        cpu,
        cpu_system: Ok(1.0),
        iowait: Ok(0.0),
        steal: Ok(0.0),
        forks: Ok(3.0),
        context_switches: Ok(1234.5),
        running: Ok(1.0),
        blocked: Ok(0.0),
        memory_available: Ok(8e9),
        memory_total: Ok(16e9),
        memory_dirty: Ok(1e6),
        swap_free: none,
        pids: Ok(212.0),
        open_files: Ok(1504.0),
        conntrack: none,
        received: Ok(1e4),
        sent: Ok(2e4),
        network_errors: Ok(0.0),
        network_drops: Ok(0.0),
        busiest_disk: Ok(0.1),
        disks_read: Ok(0.0),
        disks_written: Ok(4096.0),
    }
}

/// An agent's life with the history, by hand.
struct Life {
    dir: PathBuf,
    store: Store,
    recorder: Recorder,
}

impl Life {
    fn begin(dir: &Path, of: BootId, limits: StoreLimits) -> Self {
        Self { dir: dir.to_owned(), store: Store::open(dir, limits).unwrap(), recorder: Recorder::new(of) }
    }

    fn pass(&mut self, at: Timestamp, cpu: Measured) {
        if self.recorder.is_due(at) {
            self.flush();
        }
        self.recorder.host(at, &second(cpu));
    }

    fn flush(&mut self) {
        if let Some(batch) = self.recorder.take(Batch::empty(boot(0), at(0, 0))) {
            self.store.write(&batch).unwrap();
        }
    }

    /// Seconds of a boot, each with the number of the second as its value, modulo 100.
    fn passes(&mut self, seconds: std::ops::Range<i64>) {
        for n in seconds {
            self.pass(at(n, 0), Ok(value(n)));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "below a hundred")]
fn value(second: i64) -> f64 {
    (second % 100) as f64
}

fn asked(dir: &Path, field: &str, from: i64, to: i64, step: u64) -> HistorySeries {
    let wall = |second: i64| WallTime::from_unix_millis(EPOCH + second * 1000);
    let query = HistoryQuery {
        field: field.to_owned(),
        from: wall(from),
        to: wall(to),
        step: Duration::from_secs(step),
    };
    Reader::new(dir).series(&query).unwrap()
}

fn points(series: &HistorySeries) -> Vec<HistoryPoint> {
    series.runs.iter().flat_map(|run| run.points.clone()).collect()
}

/// Second and mean of each point.
fn means(series: &HistorySeries) -> Vec<(i64, Option<f64>)> {
    points(series).iter().map(|point| ((point.wall_ms.unix_millis() - EPOCH) / 1000, point.mean)).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        std::fs::read_dir(dir.join(HISTORY_FOLDER)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn rows_come_back_in_full_and_by_the_minute() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..600);
    life.flush();
    let full = asked(dir.path(), "cpu_percent", 100, 200, 1);
    assert_eq!(means(&full), (100..200).map(|n| (n, Some(value(n)))).collect::<Vec<_>>());
    assert_eq!((full.unreadable, full.cut, full.runs.len(), full.runs[0].boot), (0, false, 1, boot(1)));
    // Minutes: the fifth has the seconds 240 to 299.
    let minutes = asked(dir.path(), "cpu_percent", 0, 600, 120);
    assert_eq!(minutes.runs[0].points.len(), 5);
    let third = &minutes.runs[0].points[2];
    assert_eq!((third.values, third.absent, third.min, third.max), (120, 0, Some(0.0), Some(99.0)));
    let mean: f64 = (240..360).map(value).sum::<f64>() / 120.0;
    assert!((third.mean.unwrap() - mean).abs() < 0.01, "{third:?} {mean}");
    // Numbers in their units, and what the host has not.
    let check = |field: &str, expected: Option<f64>| {
        let first = points(&asked(dir.path(), field, 0, 600, 300))[0].clone();
        assert_eq!((first.mean, first.min, first.max), (expected, expected, expected), "{field}");
    };
    check("memory_available_bytes", Some(8e9));
    check("memory_available_percent", Some(50.0));
    check("context_switches_per_second", Some(1234.5));
    check("swap_free_bytes", None);
    let swap = points(&asked(dir.path(), "swap_free_bytes", 0, 600, 300))[0].clone();
    assert_eq!((swap.values, swap.absent, swap.why), (0, 300, Some(Gap::NotApplicable)));
}

#[test]
fn questions_without_an_answer_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let reader = Reader::new(dir.path());
    assert!(matches!(reader.list(), Err(NoHistory::Missing(_))));
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..10);
    life.flush();
    let check = |field: &str, said: &str| {
        let query = HistoryQuery {
            field: field.into(),
            from: WallTime::from_unix_millis(0),
            to: WallTime::from_unix_millis(1),
            step: Duration::from_secs(1),
        };
        let why = reader.series(&query).unwrap_err().to_string();
        assert!(why.contains(said), "{why}");
    };
    check("nonsense", "no field nonsense");
    check("disk_busy_percent", "disk_busy_percent@NAME");
    check("cpu_percent@vda", "takes no @");
    assert_eq!(asked(dir.path(), "disk_busy_percent@none", 0, 10, 1).runs, []);
    assert_eq!(reader.newest().unwrap(), Some(WallTime::from_unix_millis(EPOCH + 9000)));
}

#[test]
fn an_interruption_is_no_value_and_a_sleep_is_a_gap() {
    let slept = Gap::Interrupted(Interruption::Slept);
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..30);
    // Ten hours of sleep: boot time counts it, and no batch reaches over it.
    life.pass(at(36_030, 0), Err(slept));
    life.pass(at(36_031, 0), Ok(5.0));
    life.flush();
    let told = asked(dir.path(), "cpu_percent", 28, 36_040, 100);
    let all = points(&told);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!((all[1].values, all[1].absent, all[1].why, all[1].max), (1, 1, Some(slept), Some(5.0)));
    let full = asked(dir.path(), "cpu_percent", 36_000, 36_040, 1);
    assert_eq!(means(&full), [(36_030, None), (36_031, Some(5.0))]);
}

#[test]
fn clocks_that_are_set_and_boots_reorder_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.pass(at(100, 0), Ok(1.0));
    // An hour back, then a year ahead, then as before.
    life.pass(at(101, -3600), Ok(2.0));
    life.pass(at(102, 31_536_000), Ok(3.0));
    life.pass(at(103, 0), Ok(4.0));
    life.flush();
    drop(life.store);
    let mut life = Life::begin(dir.path(), boot(2), LIMITS);
    life.pass(at(104, 0), Ok(5.0));
    life.flush();
    assert_eq!(files(dir.path()).len(), 10, "a file each, of both tiers");
    let told = asked(dir.path(), "cpu_percent", -4000, 40_000_000, 30_000);
    let runs: Vec<_> = told.runs.iter().map(|run| (run.boot, run.points.len())).collect();
    assert_eq!(runs, [(boot(1), 2), (boot(1), 1), (boot(2), 1)], "{told:?}");
    assert_eq!(
        means(&asked(dir.path(), "cpu_percent", 99, 105, 1)),
        [(100, Some(1.0)), (103, Some(4.0)), (104, Some(5.0))]
    );
    assert_eq!(
        means(&asked(dir.path(), "cpu_percent", 31_536_000, 31_536_200, 1)),
        [(31_536_102, Some(3.0))]
    );
}

#[test]
fn a_start_goes_on_where_a_crash_tore_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..180);
    life.flush();
    drop(life);
    let all = files(dir.path());
    assert_eq!(all.len(), 2);
    for file in &all {
        // The last frame reached the disk in part.
        let bytes = std::fs::read(file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() - 7]).unwrap();
    }
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(200..260);
    life.flush();
    assert_eq!(files(dir.path()), all);
    let told = asked(dir.path(), "cpu_percent", 0, 300, 1);
    let expected: Vec<_> = (0..120).chain(200..260).map(|n| (n, Some(value(n)))).collect();
    assert_eq!((means(&told), told.unreadable), (expected, 0));
    assert_eq!(Reader::new(&life.dir).list().unwrap().unreadable, 0);
}

#[test]
fn damage_is_passed_over_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..300);
    life.flush();
    let file = &files(dir.path())[0];
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(file, &bytes).unwrap();
    let told = asked(dir.path(), "cpu_percent", 0, 300, 1);
    assert_eq!((points(&told).len(), told.unreadable), (240, 1));
    // A file whose head is damaged is dropped at the next start; what has another name is not touched.
    bytes[20] ^= 0xff;
    std::fs::write(file, &bytes).unwrap();
    let mine = dir.path().join(HISTORY_FOLDER).join("notes.txt");
    std::fs::write(&mine, "mine").unwrap();
    let life = Life::begin(dir.path(), boot(1), LIMITS);
    assert!(!file.exists() && mine.exists());
    assert!(life.store.bytes() > 0);
}

#[test]
fn a_newer_form_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..60);
    life.flush();
    let all = files(dir.path());
    let mut bytes = std::fs::read(&all[1]).unwrap();
    bytes[8] = 99;
    // A flipped bit is no newer version: the checksum tells.
    std::fs::write(&all[1], &bytes).unwrap();
    assert_eq!(Reader::new(dir.path()).list().unwrap().unreadable, 1);
    let sum = frame::checksum(&bytes[..48]);
    bytes[48..56].copy_from_slice(&sum);
    std::fs::write(&all[1], &bytes).unwrap();
    std::fs::write(&all[0], "damaged").unwrap();
    let why = Store::open(dir.path(), StoreLimits { bytes: 0, ..LIMITS }).unwrap_err().to_string();
    assert!(why.contains("newer version") && why.contains("format 99"), "{why}");
    assert!(Reader::new(dir.path()).list().unwrap_err().to_string().contains("newer version"));
    assert_eq!(std::fs::read(&all[0]).unwrap(), b"damaged", "nothing was touched");
    assert_eq!(std::fs::read(&all[1]).unwrap(), bytes);
}

#[test]
fn a_full_disk_takes_the_rows_in_full_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..120);
    life.flush();
    let full = StoreLimits { room_least: u64::MAX, ..LIMITS };
    life.store.set_limits(full).unwrap();
    life.recorder.host(at(121, 0), &second(Ok(1.0)));
    let batch = life.recorder.take(Batch::empty(boot(0), at(0, 0))).unwrap();
    let why = life.store.write(&batch).unwrap_err().to_string();
    assert!(why.contains("kept for others"), "{why}");
    let tiers = || {
        let list = Reader::new(dir.path()).list().unwrap();
        list.extents.iter().map(|extent| (extent.tier, extent.files)).collect::<Vec<_>>()
    };
    assert_eq!(tiers(), [(HistoryTier::Full, 0), (HistoryTier::Reduced, 1)]);
    assert!(life.store.make_room(true).is_err());
    assert_eq!(tiers(), [(HistoryTier::Full, 0), (HistoryTier::Reduced, 0)]);
    assert_eq!(life.store.bytes(), 0);
    // There is room again: it goes on by itself.
    life.store.set_limits(LIMITS).unwrap();
    life.passes(122..130);
    life.flush();
    assert_eq!(points(&asked(dir.path(), "cpu_percent", 0, 200, 1)).len(), 8);
}

#[test]
fn a_disk_that_frees_late_does_not_cost_everything() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    // A file each, for the clock is set.
    (0..5).for_each(|n| life.pass(at(n, n * 100), Ok(1.0)));
    life.flush();
    life.store.set_limits(StoreLimits { room_least: 100_000, ..LIMITS }).unwrap();
    let mut check = |left: u64, expected: [usize; 2]| {
        let made = life.store.make_room_by(true, &|_| Ok(left));
        assert_eq!(made.is_ok(), expected != [0, 0], "{left}");
        let list = Reader::new(dir.path()).list().unwrap();
        assert_eq!([list.extents[0].files, list.extents[1].files], expected, "{left}");
    };
    check(100_000, [5, 5]);
    // What is removed is counted, whatever the disk says: a block each.
    check(100_000 - 1, [4, 5]);
    check(100_000 - 2 * 4096, [2, 5]);
    check(100_000 - 3 * 4096, [0, 4]);
    check(0, [0, 0]);
}

#[test]
fn an_early_clock_does_not_hide_the_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..600);
    life.flush();
    drop(life);
    // The rows in full are given up; the host boots in 1970, and hears the time after a minute.
    std::fs::remove_file(&files(dir.path())[0]).unwrap();
    let mut life = Life::begin(dir.path(), boot(2), LIMITS);
    (0..60).for_each(|n| life.pass(at(n, -EPOCH / 1000), Ok(value(n))));
    (60..120).for_each(|n| life.pass(at(n, 1000), Ok(value(n))));
    life.flush();
    let told = asked(dir.path(), "cpu_percent", 0, 1200, 60);
    let of: Vec<_> = told.runs.iter().map(|run| (run.boot, run.points.len())).collect();
    assert_eq!(of, [(boot(1), 10), (boot(2), 2)], "{told:?}");
    assert_eq!(told.runs[1].points.iter().map(|point| point.values).sum::<u64>(), 60);
}

#[test]
fn switched_off_it_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut life = Life::begin(dir.path(), boot(1), LIMITS);
    life.passes(0..120);
    life.flush();
    drop(life);
    let mut life = Life::begin(dir.path(), boot(1), StoreLimits { bytes: 0, ..LIMITS });
    assert!(files(dir.path()).is_empty());
    life.passes(200..210);
    life.flush();
    assert!(files(dir.path()).is_empty());
    // No folder is made for nothing.
    let fresh = tempfile::tempdir().unwrap();
    let mut life = Life::begin(fresh.path(), boot(1), StoreLimits { bytes: 0, ..LIMITS });
    assert!(life.store.make_room(true).is_ok());
    assert!(!fresh.path().join(HISTORY_FOLDER).exists());
}

/// As `du` counts them.
fn on_disk(dir: &Path) -> u64 {
    files(dir).iter().map(|file| file.metadata().unwrap().len().div_ceil(4096) * 4096).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_bound_holds_after_each_write_and_the_newest_are_kept(
        kib in 64..512_u64, busy in proptest::collection::vec((any::<u32>(), 1..60_i64, 0..4_i64), 1..120),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let limits = StoreLimits { bytes: kib << 10, room_least: 0 };
        let mut life = Life::begin(dir.path(), boot(1), limits);
        let mut now = 0;
        for (noise, length, pause) in busy {
            for n in 0..length {
                let noisy = f64::from(noise.rotate_left(u32::try_from(n).unwrap()) % 10_000) / 100.0;
                life.recorder.host(at(now, pause * 3), &second(Ok(noisy)));
                now += 1;
            }
            life.flush();
            prop_assert!(on_disk(dir.path()) <= limits.bytes, "{} of {}", on_disk(dir.path()), limits.bytes);
            prop_assert_eq!(on_disk(dir.path()), life.store.bytes());
            now += pause;
        }
        let list = Reader::new(dir.path()).list().unwrap();
        prop_assert_eq!(list.unreadable, 0);
        prop_assert!(list.extents.iter().all(|extent| extent.to.is_some()));
    }

    /// Any rows, cut at any byte, opened again: what is left is a prefix, but for what came after.
    #[test]
    fn cut_anywhere_a_prefix_is_left(
        cells in proptest::collection::vec(prop_oneof![
            4 => (0..10_000_u32).prop_map(|n| Ok(f64::from(n) / 100.0)),
            1 => Just(Err(Gap::Interrupted(Interruption::CounterReset))),
            1 => Just(Err(Gap::Failed)),
        ], 1..200),
        every in 1..70_usize, cut in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut life = Life::begin(dir.path(), boot(1), LIMITS);
        for (n, cell) in (0..).zip(&cells) {
            if usize::try_from(n).unwrap() % every == 0 {
                life.flush();
            }
            life.recorder.host(at(n, 0), &second(*cell));
        }
        life.flush();
        drop(life);
        let file = files(dir.path())[0].clone();
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..cut.index(bytes.len())]).unwrap();
        let told = |dir: &Path| -> Vec<Result<f64, Option<Gap>>> {
            let all = points(&asked(dir, "cpu_percent", 0, 1000, 1));
            all.iter().map(|point| point.mean.ok_or(point.why)).collect()
        };
        let expected: Vec<_> = cells.iter().map(|cell| cell.map_err(Some)).collect();
        // Before the next start and after it, and what follows is added behind it.
        let before = told(dir.path());
        if file.metadata().unwrap().len() >= 56 {
            prop_assert_eq!(&before[..], &expected[..before.len()]);
            let mut life = Life::begin(dir.path(), boot(1), LIMITS);
            life.pass(at(500, 0), Ok(7.0));
            life.flush();
            let after = told(dir.path());
            prop_assert_eq!(&after[..before.len()], &before[..]);
            prop_assert_eq!(&after[before.len()..], &[Ok(7.0)]);
        }
    }
}

proptest! {
    /// What passes the checksum may still be anything: a defect of a writer, or of memory.
    #[test]
    fn no_content_makes_the_reader_panic(
        content in proptest::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..300), reduced in any::<bool>(),
    ) {
        let tier = HistoryTier::ALL[usize::from(reduced)];
        let whole = sealed_segment(tier, &content);
        prop_assert!(scan_segment(&whole).is_some());
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(HISTORY_FOLDER)).unwrap();
        std::fs::write(dir.path().join(HISTORY_FOLDER).join(format!("{}-000000000001", tier.as_str())), &whole).unwrap();
        let _any = Reader::new(dir.path()).newest().unwrap();
        let far = HistoryQuery {
            field: "cpu_percent".into(),
            from: WallTime::from_unix_millis(i64::MIN),
            to: WallTime::from_unix_millis(i64::MAX),
            step: Duration::from_secs(1),
        };
        let _any = Reader::new(dir.path()).series(&far).unwrap();
    }
}
