#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "holds real locks in processes of its own")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use super::*;

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self) -> Reading<PackageManager> {
        ActivityReader::new(self.0.path(), "/proc").read()
    }

    fn check_idle(&self) {
        assert_eq!(self.read(), Reading::Absent(Absence::NotApplicable));
    }

    fn check_busy(&self, lock: &str, pid: &Reading<i32>) {
        let found = self.read();
        let found = found.value().unwrap_or_else(|| panic!("{lock} must count: {found:?}"));
        assert!(found.lock.ends_with(lock), "{}", found.lock);
        assert_eq!(&found.pid, pid);
    }
}

/// Takes the lock of the kind that it is told, says so, and holds it until its input ends. It is in Python, which
/// scripts/test needs anyway: a process does not see its own locks, and rustix takes none of open files.
const HOLD: &str = "import fcntl, struct, sys
path, kind = sys.argv[1:]
f = open(path, 'r+')
if kind == 'posix':
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
elif kind == 'posix-shared':
    fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
elif kind == 'open-file':
    fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
else:
    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
print('LOCKED', flush=True)
sys.stdin.read()";

/// Another process that holds a lock.
struct Holder(Child);

impl Holder {
    fn new(path: &Path, kind: &str) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-I", "-S", "-c", HOLD])
            .args([path.as_os_str(), kind.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("/usr/bin/python3, which holds the locks");
        let out = BufReader::new(child.stdout.take().unwrap());
        assert_eq!(out.lines().next().unwrap().unwrap(), "LOCKED");
        Self(child)
    }

    fn pid(&self) -> Reading<i32> {
        Reading::Value(self.0.id().cast_signed())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn nobody_is_there() {
    let host = Host::new();
    host.check_idle();
    host.write("var/lib/dpkg/lock-frontend", "");
    host.write("var/lib/rpm/.rpm.lock", "");
    host.write("lib/apk/db/lock", "");
    host.check_idle();
}

#[test]
fn dpkg_and_rpm_lock_by_fcntl() {
    for lock in ["var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/lib/rpm/.rpm.lock"] {
        let host = Host::new();
        let holder = Holder::new(&host.write(lock, ""), "posix");
        host.check_busy(lock, &holder.pid());
        drop(holder);
        host.check_idle();
    }
}

#[test]
fn a_query_that_locks_shared_changes_nothing() {
    let host = Host::new();
    let _holder = Holder::new(&host.write("var/lib/rpm/.rpm.lock", ""), "posix-shared");
    host.check_idle();
}

#[test]
fn an_update_of_the_lists_harms_nobody() {
    let host = Host::new();
    let _holder = Holder::new(&host.write("var/lib/apt/lists/lock", ""), "posix");
    host.check_idle();
}

#[test]
fn a_lock_of_an_open_file_counts_too() {
    let host = Host::new();
    let _holder = Holder::new(&host.write("run/dnf/rpmtransaction.lock", ""), "open-file");
    host.check_busy("rpmtransaction.lock", &Reading::Absent(Absence::Unsupported));
}

#[test]
fn apk_locks_by_flock() {
    let host = Host::new();
    let holder = Holder::new(&host.write("lib/apk/db/lock", ""), "flock");
    host.check_busy("lib/apk/db/lock", &holder.pid());
}

#[test]
fn locks_that_can_not_be_looked_at_are_trouble() {
    let host = Host::new();
    let lock = host.write("var/lib/dpkg/lock", "");
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("/dev/null", &lock).unwrap();
    assert!(matches!(host.read(), Reading::Failed(_)));
    // One that is held is told all the same.
    host.write("var/lib/pacman/db.lck", "");
    host.check_busy("db.lck", &Reading::Absent(Absence::Unsupported));
}

#[test]
fn without_the_lock_table_nothing_is_known() {
    let host = Host::new();
    host.write("lib/apk/db/lock", "");
    let reader = ActivityReader::new(host.0.path(), host.0.path());
    assert!(matches!(reader.read(), Reading::Failed(_)));
}

/// A lock on a file of the same number on another device, in a table and among mounts of our making.
fn namesake(mounted: bool) -> Reading<PackageManager> {
    use std::os::unix::fs::MetadataExt;
    let host = Host::new();
    let metadata = host.write("lib/apk/db/lock", "").metadata().unwrap();
    let device = metadata.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    host.write("proc/locks", &format!("1: FLOCK  ADVISORY  WRITE 1 ffe:01:{} 0 EOF\n", metadata.ino()));
    let mounts = if mounted { format!("1 1 {major}:{minor} / / rw - x x rw\n") } else { String::new() };
    host.write("proc/self/mountinfo", &mounts);
    ActivityReader::new(host.0.path(), host.0.path().join("proc")).read()
}

#[test]
fn a_namesake_on_another_device_is_told_apart_where_it_can_be() {
    assert_eq!(namesake(true), Reading::Absent(Absence::NotApplicable));
    assert!(matches!(namesake(false), Reading::Failed(_)));
}

#[test]
fn a_lock_file_that_can_not_be_opened_is_looked_up() {
    let host = Host::new();
    let lock = host.write("var/lib/dpkg/lock", "");
    let reader = ActivityReader::new(host.0.path(), "/proc");
    assert_eq!(reader.hidden(&lock).unwrap(), None);
    let holder = Holder::new(&lock, "posix");
    assert_eq!(reader.hidden(&lock).unwrap(), Some(holder.pid()));
}

#[test]
fn pid_files() {
    let host = Host::new();
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = child.id().cast_signed();
    let file = host.write("run/zypp.pid", &format!("{pid}\n"));
    host.check_busy("run/zypp.pid", &Reading::Value(pid));
    // A process that is younger than the file has inherited the number.
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(hour_ago).unwrap();
    host.check_idle();
    host.write("run/zypp.pid", "");
    host.check_idle();
    host.write("run/zypp.pid", "garbage");
    assert!(matches!(host.read(), Reading::Failed(_)));
    host.write("run/zypp.pid", &pid.to_string());
    child.kill().unwrap();
    child.wait().unwrap();
    host.check_idle();
}

#[test]
fn a_lock_file_from_before_the_boot_is_a_leftover() {
    let host = Host::new();
    let file = host.write("var/lib/pacman/db.lck", "");
    host.check_busy("db.lck", &Reading::Absent(Absence::Unsupported));
    let long_ago = SystemTime::now() - Duration::from_secs(400 * 24 * 3600);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    host.check_idle();
}
