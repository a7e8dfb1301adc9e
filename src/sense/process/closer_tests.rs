#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a child of its own is looked at")]

use std::process::{Command, Stdio};

use super::*;

const PROC: &str = "/proc";
const NOW: BootTime = BootTime::from_millis(i64::MAX);

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

#[test]
fn this_very_process() {
    let detail = look_closer(Path::new(PROC), own(), true, NOW).unwrap();
    assert_eq!(detail.line.pid, own());
    assert_eq!(detail.line.user, Reading::Value(rustix::process::getuid().as_raw()));
    assert_eq!(detail.effective_user, Reading::Value(rustix::process::geteuid().as_raw()));
    let path = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    assert_eq!(detail.executable, Reading::Value(ProcessExecutable { path, deleted: false }));
    assert!(*detail.open_files.value().unwrap() > 2);
    assert!(matches!(detail.open_files_limit, Reading::Value(Limit::At(_) | Limit::Unlimited)));
    assert!(detail.storage.value().is_some() && detail.swap.value().is_some());
    assert!(detail.proportional.value().unwrap().0 > 0);
    assert!(detail.line.place.value().is_some(), "{:?}", detail.line.place);
    let quick = look_closer(Path::new(PROC), own(), false, NOW).unwrap();
    assert_eq!(quick.proportional, Reading::Absent(Absence::NotObserved));
}

#[test]
fn an_executable_that_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program (deleted)");
    std::fs::copy("/bin/cat", &path).unwrap();
    let mut child = loop {
        // Another thread's fork may hold the copy open for writing, for a moment.
        match Command::new(&path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn() {
            Ok(child) => break child,
            Err(error) if error.raw_os_error() == Some(Errno::TXTBSY.raw_os_error()) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let pid = i32::try_from(child.id()).unwrap();
    let executable = || look_closer(Path::new(PROC), pid, false, NOW).unwrap().executable;
    let named = |deleted| {
        let path = path.to_str().unwrap().to_owned();
        Reading::Value(ProcessExecutable { path, deleted })
    };
    assert_eq!(executable(), named(false), "only its name says so");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(executable(), named(true));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(look_closer(Path::new(PROC), pid, false, NOW), Err(LookError::Gone(pid)));
}

#[test]
fn nobody_is_told_as_such() {
    let none = tempfile::tempdir().unwrap();
    assert_eq!(look_closer(none.path(), 7, false, NOW), Err(LookError::Gone(7)));
    std::fs::create_dir(none.path().join("7")).unwrap();
    assert_eq!(look_closer(none.path(), 7, false, NOW), Err(LookError::Gone(7)));
    std::fs::write(none.path().join("7/stat"), "7 (x) S").unwrap();
    assert!(matches!(look_closer(none.path(), 7, false, NOW), Err(LookError::Failed { pid: 7, .. })));
}

#[test]
fn what_ended_and_is_not_reaped_has_little_left() {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(
        rustix::process::WaitId::Pid(rustix::process::Pid::from_raw(pid).unwrap()),
        options,
    )
    .unwrap();
    let detail = look_closer(Path::new(PROC), pid, true, NOW).unwrap();
    assert_eq!(detail.line.state, 'Z');
    let none = Reading::Absent(Absence::NotApplicable);
    assert_eq!(detail.executable, none);
    assert_eq!(detail.proportional, Reading::Absent(Absence::NotApplicable));
    assert_eq!(detail.swap, Reading::Absent(Absence::NotApplicable));
    child.wait().unwrap();
}
