//! How a process is found, found again, and not mistaken for another.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::SystemTime;

use super::super::pid_file::{Sighting, parse, sight};
use super::*;
use crate::model::ProcessIdentity;
use crate::sense::procfs::read_stat;
use proptest::prelude::*;

#[tokio::test]
async fn a_restarted_agent_finds_the_service_again() {
    let bench = Bench::new();
    for definition in [bench.foreground("exec sleep 1000"), bench.daemon("sleep 1000")] {
        let first = bench.manager(definition.clone());
        obey(&first, Order::Start).await;
        let before = look(&first).await;
        drop(first);
        let second = bench.manager(definition);
        let after = look(&second).await;
        assert_eq!((after.active, run_of(&after)), (ActiveState::Active, run_of(&before)));
        // And is told when it ends.
        kill(main_pid(&after), Signal::KILL);
        let failed = news_of_state(&second, ActiveState::Failed).await;
        assert_eq!(service(&failed).result, ServiceResult::Other("unknown".into()));
    }
}

#[tokio::test]
async fn a_restarted_agent_learns_of_a_death_and_of_a_stop() {
    for stopped in [false, true] {
        let bench = Bench::new();
        let definition = bench.daemon("sleep 1000");
        let first = bench.manager(definition.clone());
        obey(&first, Order::Start).await;
        let up = look(&first).await;
        drop(first);
        kill(main_pid(&up), Signal::KILL);
        if stopped {
            std::fs::remove_file(bench.path("pid")).unwrap();
        }
        let second = bench.manager(definition);
        if stopped {
            assert!(news_of_job(&second).await.stopped_the_unit());
            assert_eq!(look(&second).await.active, ActiveState::Inactive);
        } else {
            news_of_state(&second, ActiveState::Failed).await;
        }
    }
}

#[tokio::test]
async fn a_new_definition_keeps_the_run() {
    let bench = Bench::new();
    let definition = bench.foreground("exec sleep 1000");
    let manager = bench.manager(definition.clone());
    obey(&manager, Order::Start).await;
    let before = look(&manager).await;
    manager.replace(vec![ServiceDefinition { stop_timeout: Duration::from_secs(1), ..definition }]);
    assert_eq!(run_of(&look(&manager).await), run_of(&before));
    clear(&manager).await;
    manager.replace(Vec::new());
    let gone = news(&manager, |news| match news {
        News::Removed(names) => Some(names.clone()),
        _ => None,
    });
    assert_eq!(gone.await, [unit()]);
}

/// A process of ours to be named by pid files.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn identity(&self) -> ProcessIdentity {
        let stat = read_stat(Path::new("/proc"), self.pid()).unwrap().unwrap();
        ProcessIdentity { pid: self.pid(), start_ticks: stat.start_ticks, boot: boot() }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn boot() -> BootId {
    boot_id(Path::new("/proc")).unwrap()
}

fn see(path: &Path, known: Option<ProcessIdentity>) -> Sighting {
    sight(Path::new("/proc"), boot(), path, known)
}

/// Writes a pid file that is this old.
fn pid_file(bench: &Bench, text: &str, age: Duration) -> PathBuf {
    let path = bench.path("pid");
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, text).unwrap();
    std::fs::File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    path
}

#[test]
fn an_honest_pid_file_is_believed() {
    let (bench, sleeper) = (Bench::new(), Sleeper::new());
    let path = pid_file(&bench, &format!(" {}\nmore\n", sleeper.pid()), Duration::ZERO);
    assert_eq!(see(&path, None), Sighting::Live(sleeper.identity()));
}

#[test]
fn a_process_younger_than_the_file_is_not_the_service() {
    let (bench, sleeper) = (Bench::new(), Sleeper::new());
    let path = pid_file(&bench, &sleeper.pid().to_string(), Duration::from_secs(60));
    // Seen for the first time: the clock may have stepped, nothing is decided.
    assert!(matches!(see(&path, None), Sighting::Dubious(_)));
    // The run that was known had this pid and another start: it is dead, its pid is somebody else's.
    let known = ProcessIdentity { start_ticks: 1, ..sleeper.identity() };
    assert_eq!(see(&path, Some(known)), Sighting::Stale { pid: sleeper.pid() });
    // The run that is known is believed whatever the wall clock says.
    assert_eq!(see(&path, Some(sleeper.identity())), Sighting::Live(sleeper.identity()));
}

#[tokio::test]
async fn a_reused_pid_is_a_failed_service_that_is_not_killed() {
    let bench = Bench::new();
    let definition = bench.daemon("sleep 1000");
    let sleeper = Sleeper::new();
    // As left by a run that had the pid before.
    let record =
        record::Record { pid: Some(sleeper.pid()), start_ticks: Some(1), ..record::Record::default() };
    record::prepare_dir(&bench.state_dir()).unwrap();
    record::save(&bench.state_dir(), &unit(), boot(), &record).unwrap();
    pid_file(&bench, &sleeper.pid().to_string(), Duration::from_secs(60));
    let manager = bench.manager(definition);
    news_of_state(&manager, ActiveState::Failed).await;
    assert_eq!(obey(&manager, Order::Stop).await, JobResult::Done);
    assert!(see(&pid_file(&bench, &sleeper.pid().to_string(), Duration::ZERO), None) != Sighting::Missing);
    assert!(!read_stat(Path::new("/proc"), sleeper.pid()).unwrap().unwrap().is_dead());
}

#[test]
fn files_that_could_be_traps_are_not_believed() {
    let (bench, sleeper) = (Bench::new(), Sleeper::new());
    let pid = sleeper.pid().to_string();
    let dubious = |path: &Path| assert!(matches!(see(path, None), Sighting::Dubious(_)), "{path:?}");
    let path = pid_file(&bench, &pid, Duration::ZERO);
    std::os::unix::fs::symlink(&path, bench.path("link")).unwrap();
    dubious(&bench.path("link"));
    std::fs::hard_link(&path, bench.path("second")).unwrap();
    dubious(&path);
    std::fs::remove_file(bench.path("second")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    dubious(&path);
    dubious(bench.dir.path());
    for text in ["", "\n", "abc", "-5", "1", "0", "99999999999999", "12 34", &std::process::id().to_string()]
    {
        dubious(&pid_file(&bench, text, Duration::ZERO));
    }
    // Only root can give a file away.
    let path = pid_file(&bench, &pid, Duration::ZERO);
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
        dubious(&path);
    }
}

#[test]
fn a_kernel_thread_is_no_service() {
    let bench = Bench::new();
    // kthreadd, where this pid namespace has it.
    if read_stat(Path::new("/proc"), 2).unwrap().is_some_and(|stat| stat.kernel_thread) {
        assert!(matches!(see(&pid_file(&bench, "2", Duration::ZERO), None), Sighting::Dubious(_)));
    }
}

#[test]
fn dead_processes_and_old_files() {
    let bench = Bench::new();
    let mut gone = Command::new("true").spawn().unwrap();
    let pid = gone.id().cast_signed();
    let text = pid.to_string();
    // A zombie is dead.
    while !read_stat(Path::new("/proc"), pid).unwrap().unwrap().is_dead() {
        std::thread::yield_now();
    }
    assert_eq!(see(&pid_file(&bench, &text, Duration::ZERO), None), Sighting::Stale { pid });
    gone.wait().unwrap();
    assert_eq!(see(&pid_file(&bench, &text, Duration::ZERO), None), Sighting::Stale { pid });
    let before_boot = Duration::from_secs(400 * 24 * 3600);
    assert_eq!(see(&pid_file(&bench, &text, before_boot), None), Sighting::Old);
    assert_eq!(see(&bench.path("none"), None), Sighting::Missing);
}

#[tokio::test]
async fn what_can_not_be_told_is_not_started_a_second_time() {
    let bench = Bench::new();
    let definition = bench.daemon("sleep 1000");
    std::fs::write(bench.path("pid"), "garbage").unwrap();
    let manager = bench.manager(definition);
    let status = look(&manager).await;
    assert_eq!(status.load, crate::model::LoadState::Error);
    assert!(matches!(status.details, Reading::Failed(_)));
    let refused = manager.order(Order::Start, &unit(), PATIENCE).await;
    assert!(matches!(refused, Err(ManagerError::Refused { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_a_pid_or_not(bytes: Vec<u8>) {
        if let Some(pid) = parse(&bytes) {
            prop_assert!(pid >= 0);
        }
    }
}
