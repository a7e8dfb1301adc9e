//! Records, phases, news and tails: what needs no process.

use super::super::news::{NEWS_MAX, NewsQueue};
use super::super::phase::{Before, Phase, after_sighting};
use super::super::pid_file::Sighting;
use super::super::record::{Record, begin, load, prepare_dir, save};
use super::super::tail::split;
use super::*;
use crate::model::{Id128, ProcessIdentity};
use proptest::prelude::*;

const BOOT: BootId = BootId(Id128::from_bytes([7; 16]));
const OTHER_BOOT: BootId = BootId(Id128::from_bytes([8; 16]));

fn record() -> Record {
    Record { pid: Some(42), start_ticks: Some(1234), not_before: Some(1200), stopped: true, epoch: Some(5) }
}

#[test]
fn records_come_back_in_the_same_boot_only() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(load(dir.path(), &unit(), BOOT).unwrap(), None);
    save(dir.path(), &unit(), BOOT, &record()).unwrap();
    assert_eq!(load(dir.path(), &unit(), BOOT).unwrap(), Some(record()));
    assert_eq!(load(dir.path(), &unit(), OTHER_BOOT).unwrap(), None);
}

#[test]
fn what_the_child_appends_is_read_and_its_start_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let me = std::process::id();
    let stat = crate::sense::procfs::read_stat(Path::new("/proc"), me.cast_signed()).unwrap().unwrap();
    for (not_before, found) in
        [(stat.start_ticks, true), (stat.start_ticks + 1, false), (0, stat.start_ticks <= 500)]
    {
        let begun = Record { not_before: Some(not_before), ..Record::default() };
        let file = begin(dir.path(), &unit(), BOOT, &begun).unwrap();
        rustix::io::write(&file, format!("pid={me:010}\n").as_bytes()).unwrap();
        let read = load(dir.path(), &unit(), BOOT).unwrap().unwrap();
        assert_eq!(read.identity(Path::new("/proc"), BOOT).is_some(), found);
    }
}

#[test]
fn a_state_folder_that_others_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("a/b");
    prepare_dir(&inside).unwrap();
    prepare_dir(&inside).unwrap();
    assert_eq!(std::fs::metadata(&inside).unwrap().permissions().mode() & 0o777, 0o700);
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o770)).unwrap();
    assert!(prepare_dir(&inside).is_err());
}

proptest! {
    #[test]
    fn any_text_is_a_record_or_not(text in "\\PC*|((boot|pid|epoch|stopped)=[0-9a-f]{0,33}\n){0,5}") {
        let _ = Record::parse(&text, BOOT);
    }
}

const KNOWN: ProcessIdentity = ProcessIdentity { pid: 42, start_ticks: 1, boot: BOOT };

fn check(phase: &Phase, alive: bool, settled: bool, sighting: &Sighting, expected: (Phase, bool)) {
    let before = Before { phase, run: Some((KNOWN, alive)), settled };
    assert_eq!(after_sighting(&before, sighting), expected, "{phase:?} {sighting:?}");
}

#[test]
fn what_a_pid_file_shows() {
    let (missing, stale) = (Sighting::Missing, Sighting::Stale { pid: 42 });
    let failed = Phase::failed_somehow();
    // Alive is alive, whatever has become of the file.
    for sighting in [&missing, &stale, &Sighting::Old, &Sighting::Dubious("?".into())] {
        check(&Phase::Running, true, false, sighting, (Phase::Running, false));
    }
    check(&Phase::Running, false, false, &stale, (Phase::Settling, false));
    check(&Phase::Settling, false, false, &stale, (Phase::Settling, false));
    check(&Phase::Settling, false, true, &stale, (failed.clone(), false));
    check(&Phase::Settling, false, false, &missing, (Phase::Stopped, true));
    check(&Phase::Running, false, false, &missing, (Phase::Stopped, true));
    check(&failed, false, false, &missing, (Phase::Stopped, true));
    check(&Phase::Stopped, false, false, &missing, (Phase::Stopped, false));
    // A stop that had to kill leaves the file.
    check(&Phase::Stopped, false, false, &stale, (Phase::Stopped, false));
    // Somebody started it since, and it died.
    check(&Phase::Stopped, false, false, &Sighting::Stale { pid: 43 }, (Phase::Settling, false));
    check(&Phase::Inactive, false, false, &stale, (Phase::Settling, false));
    check(&Phase::Inactive, false, false, &Sighting::Old, (Phase::Inactive, false));
    check(&Phase::Running, false, false, &Sighting::Dubious("?".into()), (Phase::Unknown("?".into()), false));
}

#[test]
fn a_start_that_failed_without_a_pid_file_is_not_taken_for_a_stop() {
    let failed =
        Phase::Failed { result: ServiceResult::ExitCode, exit: MainExit::Code(1), left_pid_file: false };
    check(&failed, false, false, &Sighting::Missing, (failed.clone(), false));
}

#[tokio::test]
async fn too_much_news_becomes_one() {
    let queue = NewsQueue::default();
    for _ in 0..=NEWS_MAX {
        queue.push(News::Changed(Vec::new()));
    }
    assert!(matches!(queue.next().await, News::ListAgain));
}

fn check_tail(bytes: &str, cut_off: bool, lines: usize, expected: &[&str]) {
    assert_eq!(split(bytes.as_bytes(), cut_off, lines), expected);
}

#[test]
fn tails() {
    check_tail("", false, 5, &[]);
    check_tail("a\nb\nc\n", false, 2, &["b", "c"]);
    check_tail("a\nb", false, 5, &["a", "b"]);
    check_tail("rest\nb\n", true, 5, &["b"]);
    check_tail("rest", true, 5, &["rest"]);
    check_tail("a\n", false, 0, &[]);
}

#[tokio::test]
async fn a_log_that_is_a_link_is_not_read() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("/etc/passwd", bench.path("log")).unwrap();
    let definition = ServiceDefinition { log_file: Some(bench.path("log")), ..bench.foreground("true") };
    assert!(matches!(bench.manager(definition).last_lines(&unit(), 5).await, Reading::Failed(_)));
}
