#![expect(clippy::disallowed_methods, reason = "makes files")]

use std::cell::{Cell, RefCell};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::model::{Absence, DeviceNumber, Fate, Holds, LogRoot, MountPoint, Reading, WallTime};

/// Far ahead, so that what a test makes is old.
const NOW: i64 = 2_208_988_800_000;

/// A folder with `app.log`, `app.log.1` and so on, each a day older than the one before.
struct Logs(TempDir);

impl Logs {
    fn new(rotated: u32) -> Self {
        let logs = Self(tempfile::tempdir().expect("a folder"));
        for number in 0..=rotated {
            let name = if number == 0 { "app.log".to_owned() } else { format!("app.log.{number}") };
            let path = logs.0.path().join(name);
            std::fs::write(&path, "some lines").expect("a file");
            let age = Duration::from_hours(24) * (number + 1);
            let then = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.unsigned_abs()) - age;
            std::fs::File::open(&path).expect("it is there").set_modified(then).expect("its time can be set");
        }
        logs
    }

    fn left(&self) -> usize {
        std::fs::read_dir(self.0.path()).expect("a folder").count()
    }

    fn order(&self) -> RoomOrder {
        let path = self.0.path();
        let number = path.metadata().expect("it is there").dev();
        RoomOrder {
            point: MountPoint::from_bytes(path.as_os_str().as_bytes()).expect("a path"),
            device: DeviceNumber { major: rustix::fs::major(number), minor: rustix::fs::minor(number) },
            roots: vec![LogRoot {
                name: "logs".into(),
                folder: path.to_owned(),
                except: Vec::new(),
                holds: Holds::Logs,
                keep: 2,
                keep_for: Duration::from_hours(1),
            }],
            files_max: 1000,
            bytes_max: Bytes(1 << 30),
        }
    }
}

/// Agrees so many times, and remembers what was asked and how many files there were at each time.
struct Agrees<'a> {
    times: usize,
    logs: &'a Logs,
    asked: RefCell<Vec<(usize, Vec<Removal>)>>,
}

impl Consent for Agrees<'_> {
    fn may_remove(&self, _: Usage, removals: Vec<Removal>) -> Result<(), String> {
        let mut asked = self.asked.borrow_mut();
        asked.push((self.logs.left(), removals));
        if asked.len() <= self.times { Ok(()) } else { Err("there is room enough".into()) }
    }
}

/// Where the clock stands when the permit was given, and what each look at it takes.
#[derive(Clone, Copy)]
struct Time {
    late: Duration,
    look: Duration,
}

const IN_TIME: Time = Time { late: Duration::ZERO, look: Duration::ZERO };

type Asked = Vec<(usize, Vec<Removal>)>;

fn make(remedy: Remedy, order: Option<RoomOrder>, logs: &Logs, times: usize, time: Time) -> (Applied, Asked) {
    let at = |millis: i64| Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(NOW));
    let absent = Reading::Absent(Absence::NotApplicable);
    let mut permit = Permit::for_test(remedy, Vec::new(), absent, at(1000));
    if let Some(order) = order {
        permit = permit.with_room(order);
    }
    let consent = Agrees { times, logs, asked: RefCell::default() };
    let millis = |it: Duration| i64::try_from(it.as_millis()).expect("not long");
    let clock = Cell::new(millis(time.late));
    let now = || at(clock.replace(clock.get() + millis(time.look)));
    let away = tempfile::tempdir().expect("a folder");
    let premises =
        Premises { proc: Path::new("/there-is-no-proc-here"), away: &away.path().join("archiving") };
    let applied = make_room(&permit, premises, &consent, &now);
    (applied, consent.asked.into_inner())
}

fn prune(order: RoomOrder, logs: &Logs, times: usize) -> (Applied, Asked) {
    make(Remedy::PruneRotatedLogs, Some(order), logs, times, IN_TIME)
}

fn removed(applied: &Applied) -> (u64, &str) {
    let Applied::Removed { files, why, .. } = applied else { panic!("{applied:?}") };
    (*files, why)
}

#[test]
fn all_that_may_go_goes_in_steps_that_are_on_record_first() {
    let logs = Logs::new(150);
    let (applied, asked) = prune(logs.order(), &logs, usize::MAX);
    assert_eq!(removed(&applied), (148, "of 151 entries nothing more may be removed"));
    let steps: Vec<(usize, usize)> = asked.iter().map(|(left, removals)| (*left, removals.len())).collect();
    assert_eq!(steps, [(151, 64), (87, 64), (23, 20)], "asked before anything of the step went");
    assert!(
        asked[0].1[0].path.to_string().ends_with("/app.log.150"),
        "the oldest first: {:?}",
        asked[0].1[0]
    );
    for kept in ["app.log", "app.log.1", "app.log.2"] {
        assert!(logs.0.path().join(kept).exists(), "{kept}");
    }
}

#[test]
fn it_ends_when_there_is_room() {
    let logs = Logs::new(150);
    let (applied, asked) = prune(logs.order(), &logs, 1);
    assert_eq!(removed(&applied), (64, "there is room enough"));
    assert_eq!((asked.len(), logs.left()), (2, 87));
}

#[test]
fn without_consent_nothing_goes() {
    let logs = Logs::new(9);
    let (applied, _) = prune(logs.order(), &logs, 0);
    assert_eq!(applied, Applied::Withdrawn { why: "there is room enough".into() });
    assert_eq!(logs.left(), 10);
}

#[test]
fn there_are_bounds_for_files_and_bytes() {
    let logs = Logs::new(100);
    let (applied, _) = prune(RoomOrder { files_max: 70, ..logs.order() }, &logs, usize::MAX);
    assert_eq!(removed(&applied), (70, "one act may remove no more files"));
    assert_eq!(logs.left(), 31);
    let (applied, asked) = prune(RoomOrder { bytes_max: Bytes(1), ..logs.order() }, &logs, usize::MAX);
    assert_eq!(applied, Applied::Failed { why: "more bytes may not be removed in a day".into() });
    assert_eq!((asked.len(), logs.left()), (0, 31));
}

#[test]
fn nothing_begins_too_late() {
    let logs = Logs::new(9);
    let order = Some(logs.order());
    let late = Time { late: Duration::from_millis(1001), look: Duration::ZERO };
    let (applied, _) = make(Remedy::PruneRotatedLogs, order.clone(), &logs, usize::MAX, late);
    assert_eq!(applied, Applied::Withdrawn { why: "its permit had expired".into() });
    // The permit of the test gives it a second.
    let slow = Time { late: Duration::ZERO, look: Duration::from_millis(200) };
    let (applied, asked) = make(Remedy::PruneRotatedLogs, order, &logs, usize::MAX, slow);
    assert_eq!(applied, Applied::Failed { why: "its time was over".into() });
    assert_eq!((asked.len(), logs.left()), (0, 10));
}

#[test]
fn it_is_this_file_system_and_no_other() {
    let logs = Logs::new(9);
    let other = RoomOrder { device: DeviceNumber { major: 7, minor: 77 }, ..logs.order() };
    let (applied, _) = prune(other, &logs, usize::MAX);
    assert!(matches!(applied, Applied::Failed { .. }), "{applied:?}");
    let nowhere = RoomOrder { roots: Vec::new(), ..logs.order() };
    assert_eq!(prune(nowhere, &logs, usize::MAX).0, Applied::AlreadySo);
    assert_eq!(logs.left(), 10);
}

#[test]
fn what_is_not_its_business_is_not_begun() {
    let logs = Logs::new(9);
    for (remedy, order) in [
        (Remedy::Restart, Some(logs.order())),
        (Remedy::VacuumJournal, Some(logs.order())),
        (Remedy::CleanTemporaryFiles, Some(logs.order())),
        (Remedy::CleanContainerImages, Some(logs.order())),
        (Remedy::PruneRotatedLogs, None),
        (Remedy::PruneCoreDumps, None),
    ] {
        let (applied, _) = make(remedy, order, &logs, usize::MAX, IN_TIME);
        assert!(matches!(applied, Applied::Failed { .. }), "{remedy}: {applied:?}");
    }
    assert_eq!(logs.left(), 10);
}

#[test]
fn dumps_go_by_the_same_hands() {
    let logs = Logs::new(9);
    let dump = |number: u32| {
        let path = logs.0.path().join(format!("core.shop.0.{:032x}.{number}.1767358455000000.zst", 7));
        std::fs::write(&path, "memory").expect("a file");
        let age = Duration::from_hours(24) * number;
        let then = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.unsigned_abs()) - age;
        std::fs::File::open(&path).expect("it is there").set_modified(then).expect("its time can be set");
        path
    };
    let dumps: Vec<_> = (1..=5).map(dump).collect();
    let mut order = logs.order();
    for root in &mut order.roots {
        root.holds = Holds::CoreDumps;
    }
    let (applied, asked) = make(Remedy::PruneCoreDumps, Some(order), &logs, usize::MAX, IN_TIME);
    assert_eq!(removed(&applied), (3, "of 15 entries nothing more may be removed"));
    let named: Vec<_> =
        asked.iter().flat_map(|(_, removals)| removals).map(|it| it.path.to_string()).collect();
    let oldest_first: Vec<_> = dumps.iter().skip(2).rev().map(|it| it.display().to_string()).collect();
    assert_eq!(named, oldest_first, "on record first");
    assert_eq!(logs.left(), 12, "two dumps, and all logs");
}

#[test]
fn what_was_left_alone_is_told() {
    let logs = Logs::new(5);
    let open =
        std::fs::OpenOptions::new().append(true).open(logs.0.path().join("app.log.5")).expect("it is there");
    let (applied, _) = prune(logs.order(), &logs, usize::MAX);
    let (files, why) = removed(&applied);
    assert_eq!(files, 2);
    assert!(why.ends_with("/app.log.5 was left alone: it is open for writing"), "{why}");
    drop(open);
}

/// A log of 8 MiB that is still written to.
fn with_live_log() -> Logs {
    let logs = Logs::new(0);
    let line = "a line that somebody wrote, of no great length\n";
    std::fs::write(logs.0.path().join("app.log"), line.repeat((8 << 20) / line.len())).expect("a file");
    logs
}

fn archive(logs: &Logs, times: usize, time: Time) -> (Applied, Asked) {
    make(Remedy::ArchiveLogs, Some(logs.order()), logs, times, time)
}

#[test]
fn live_logs_are_archived_in_stages_that_are_on_record_first() {
    let logs = with_live_log();
    let (applied, asked) = archive(&logs, usize::MAX, IN_TIME);
    let Applied::Archived { logs: count, content, why, .. } = applied else { panic!("{applied:?}") };
    assert_eq!((count, why.as_str()), (1, "of 1 entries no more logs may be archived"));
    let parts: Vec<(u64, u64)> = asked
        .iter()
        .map(|(_, removals)| match &removals[..] {
            [Removal { size, fate: Fate::Archived { from, archive }, .. }] => {
                assert!(archive.to_string().ends_with("/app.log-20400101-000000.gz"), "{archive:?}");
                (from.0, size.0)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    // Each twice as long as the one before, and each where that one ended.
    assert_eq!(parts[..2].iter().map(|it| it.1 >> 20).collect::<Vec<_>>(), [0, 1]);
    assert!(parts.windows(2).all(|two| two[0].0 + two[0].1 == two[1].0), "{parts:?}");
    assert_eq!(parts.iter().map(|it| it.1).sum::<u64>(), content.0);
    assert!(content.0 > 7 << 20, "{content:?}");
    assert_eq!(logs.left(), 2);
}

#[test]
fn archiving_ends_when_it_is_not_wanted_any_more() {
    let logs = with_live_log();
    let (applied, asked) = archive(&logs, 1, IN_TIME);
    let Applied::Archived { why, content, .. } = applied else { panic!("{applied:?}") };
    assert_eq!((why.as_str(), asked.len()), ("there is room enough", 2));
    assert_eq!(content, asked[0].1[0].size);
    assert_eq!(logs.left(), 2, "its archive has its name");

    let logs = with_live_log();
    let (applied, _) = archive(&logs, 0, IN_TIME);
    assert_eq!(applied, Applied::Withdrawn { why: "there is room enough".into() });
    assert_eq!(logs.left(), 1, "nothing is left behind");

    let slow = Time { late: Duration::ZERO, look: Duration::from_millis(400) };
    let (applied, _) = archive(&logs, usize::MAX, slow);
    assert_eq!(applied, Applied::Failed { why: "its time was over".into() });
    assert_eq!(logs.left(), 1);
}

#[test]
fn where_no_log_is_large_nothing_is_archived() {
    let logs = Logs::new(3);
    assert_eq!(archive(&logs, usize::MAX, IN_TIME).0, Applied::AlreadySo);
    assert_eq!(logs.left(), 4);
}
