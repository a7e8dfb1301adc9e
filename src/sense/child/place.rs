//! Control groups for children: the only fence that a process can't leave by forking or by a session of its own.
//!
//! Two kinds: a *scope* holds one bounded child and is killed with it; a *service* group holds a daemon of the
//! second service manager. Both need the unified hierarchy (cgroup v2) and the right to make groups: in a unit
//! that systemd delegated (`Delegate=`, told by the `user.delegate` attribute), or anywhere on a host that
//! systemd does not manage. Elsewhere there are none, and the process group must do.
#![expect(clippy::disallowed_methods, reason = "the control groups of children are files")]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};

use crate::model::UnitName;
use crate::sense::procfs::{CgroupMounts, own_cgroup};

/// The folder of the service groups, at the top of what this process sees.
const SERVICES: &str = "prunella.services";

/// Start of a scope's name; the maker's pid and a count follow.
const SCOPE: &str = "prunella-child-";

/// Tells systemd that a group is somebody else's to arrange; set by `Delegate=` since systemd 251 and 236.
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// Where groups may be made.
#[derive(Debug)]
struct Grounds {
    /// This process's own group.
    own: PathBuf,
    /// The top of the hierarchy, on hosts without systemd.
    top: Option<PathBuf>,
}

fn grounds() -> Option<&'static Grounds> {
    static GROUNDS: OnceLock<Option<Grounds>> = OnceLock::new();
    GROUNDS.get_or_init(find).as_ref()
}

fn find() -> Option<Grounds> {
    let top = CgroupMounts::find(Path::new("/proc")).unified?;
    let own = top.join(own_cgroup(Path::new("/proc"))?.trim_start_matches('/'));
    let systemd = Path::new("/run/systemd/system").is_dir();
    let delegated = DELEGATED.iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(&own, *name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    });
    if systemd && !delegated {
        return None;
    }
    sweep(&own);
    Some(Grounds { own, top: (!systemd).then_some(top) })
}

/// Removes the empty groups that an agent which was killed left behind.
fn sweep(own: &Path) {
    for entry in std::fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(SCOPE)?.split('-').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

/// A fresh group for one bounded child; none where none can be made.
pub(super) fn scope() -> Option<Scope> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let grounds = grounds()?;
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = grounds.own.join(format!("{SCOPE}{}-{number}", std::process::id()));
    std::fs::create_dir(&dir).ok()?;
    Some(Scope { dir })
}

/// The group of one bounded child.
#[derive(Debug)]
pub(super) struct Scope {
    dir: PathBuf,
}

impl Scope {
    pub(super) fn entry(&self) -> Option<OwnedFd> {
        entry(&self.dir)
    }

    pub(super) fn kill(&self) {
        kill(&self.dir);
    }

    /// Whether it is gone; a group with processes in it stays.
    pub(super) fn remove(&self) -> bool {
        match std::fs::remove_dir(&self.dir) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

fn entry(dir: &Path) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(dir.join("cgroup.procs"), flags, Mode::empty()).ok()
}

/// `cgroup.kill` (Linux 5.14), which also gets those that are just being forked; one by one before it.
fn kill(dir: &Path) {
    if std::fs::write(dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let Ok(list) = std::fs::read_to_string(dir.join("cgroup.procs")) else { return };
    for pid in list.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 1) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The group of a daemon of the second service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCgroup {
    dir: PathBuf,
    path: String,
}

/// The group of this service of this agent (`instance` tells agents of one host apart); none where none can be
/// made. Made when something enters it.
#[must_use]
pub fn service_cgroup(instance: &str, unit: &UnitName) -> Option<ServiceCgroup> {
    let top = grounds()?.top.as_ref()?;
    let path = format!("/{SERVICES}/{instance}/{unit}");
    Some(ServiceCgroup { dir: top.join(&path[1..]), path })
}

impl ServiceCgroup {
    /// Its path below the mount, as `/proc/PID/cgroup` shows it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Made, and opened to be entered.
    pub(super) fn entry(&self) -> Option<OwnedFd> {
        std::fs::create_dir_all(&self.dir).ok()?;
        entry(&self.dir)
    }

    /// Kills everything in it, and removes it if that is soon done.
    pub fn kill_all(&self) {
        kill(&self.dir);
        let _ = std::fs::remove_dir(&self.dir);
    }
}
