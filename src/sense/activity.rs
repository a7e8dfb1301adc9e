//! A package manager at work: its locks, found held without being taken.
//!
//! A held lock means that files and services are about to change under the agent's hands; a lock that can't be looked
//! at counts as trouble (`Failed`), never as "nobody is there". Only locks of *changes* are watched: `apt-get update`
//! and `dnf makecache` hold others and harm nobody. Cheap enough for every decision: one open for each path, and a
//! look at the kernel's lock table only where a lock file exists.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::procfs::{LockKind, LockLine, parse_locks, read_bounded, read_stat};
use crate::model::{Absence, PackageManager, Reading};

/// Longest pid file of a package manager.
const PID_FILE_MAX: usize = 64;
/// Longest `/proc/locks`: 80 bytes a lock, a busy database host has thousands.
const LOCKS_MAX: usize = 4 * 1024 * 1024;
/// A pid file is written a moment after its process began; clocks of files tick in milliseconds.
const PID_FILE_SLACK: Duration = Duration::from_secs(2);

/// How a package manager shows that it is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// An exclusive `fcntl` or `flock` lock on the file.
    Lock,
    /// The file names a process that lives and is older than the file.
    PidFile,
    /// The file is there. One from before the boot is a leftover.
    Exists,
}

/// Where the signs are. `/var/lib/apt/lists/lock` (update), `/var/cache/apt/archives/lock` (download) and dnf's
/// `metadata_lock.pid` are left out on purpose: what changes the host holds one of these as well.
const SIGNS: &[(&str, Sign)] = &[
    // apt and everything on top of it, for the whole run, its questions included.
    ("var/lib/dpkg/lock-frontend", Sign::Lock),
    ("var/lib/dpkg/lock", Sign::Lock),
    // rpm: exclusive during a transaction; queries lock it shared.
    ("var/lib/rpm/.rpm.lock", Sign::Lock),
    ("usr/lib/sysimage/rpm/.rpm.lock", Sign::Lock),
    ("run/dnf/rpmtransaction.lock", Sign::Lock),
    ("var/lib/dnf/rpmdb_lock.pid", Sign::PidFile),
    ("run/yum.pid", Sign::PidFile),
    ("run/zypp.pid", Sign::PidFile),
    ("var/lib/pacman/db.lck", Sign::Exists),
    // apk-tools: flock.
    ("lib/apk/db/lock", Sign::Lock),
    ("usr/lib/apk/db/lock", Sign::Lock),
];

/// Looks for package managers.
#[derive(Clone, Debug)]
pub struct ActivityReader {
    root: PathBuf,
    proc: PathBuf,
}

impl Default for ActivityReader {
    fn default() -> Self {
        Self::new("/", "/proc")
    }
}

impl ActivityReader {
    /// For another root, in tests.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, proc: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), proc: proc.into() }
    }

    /// The first package manager found at work; `Absent(NotApplicable)` when there is none. A held lock is told
    /// even when another could not be looked at.
    #[must_use]
    pub fn read(&self) -> Reading<PackageManager> {
        let mut trouble = None;
        for (path, sign) in SIGNS {
            let path = self.root.join(path);
            match self.look(&path, *sign) {
                Ok(None) => {}
                Ok(Some(pid)) => {
                    return Reading::Value(PackageManager { lock: path.display().to_string(), pid });
                }
                Err(error) => trouble = Some(format!("{}: {error}", path.display())),
            }
        }
        trouble.map_or(Reading::Absent(Absence::NotApplicable), Reading::Failed)
    }

    /// The holder, if there is one.
    fn look(&self, path: &Path, sign: Sign) -> std::io::Result<Option<Reading<i32>>> {
        // Locks can be asked for with any access; links are not followed, fifos not waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        match sign {
            Sign::Lock => self.locked(&file),
            Sign::PidFile => self.pid_file(&file),
            Sign::Exists => {
                Ok((self.age(&file)? < self.uptime()?).then_some(Reading::Absent(Absence::Unsupported)))
            }
        }
    }

    /// Two ways, because neither sees all: `/proc/locks` leaves out owners in other pid namespaces, `F_GETLK`
    /// knows nothing of `flock`.
    fn locked(&self, file: &OwnedFd) -> std::io::Result<Option<Reading<i32>>> {
        let stat = rustix::fs::fstat(file)?;
        let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let table = read_bounded(&self.proc.join("locks"), LOCKS_MAX)?;
        let mut elsewhere = None;
        for lock in parse_locks(&table).filter(|lock| lock.write && lock.inode == stat.st_ino) {
            if lock.device == device {
                return Ok(Some(holder(lock)));
            }
            elsewhere = Some(lock);
        }
        // The table is read first: the answer for a lock of an open file has no owner that rustix could hold.
        // Asking for a shared lock reports exclusive ones only.
        if let Some(lock) = fcntl_getlk(file, &Flock::from(FlockType::ReadLock))? {
            let pid = lock.pid.map(|pid| pid.as_raw_pid()).filter(|pid| *pid > 0);
            return Ok(Some(pid.map_or(Reading::Absent(Absence::Unsupported), Reading::Value)));
        }
        // btrfs and overlayfs show another device in the table: it may be this file, it may be a namesake. For
        // fcntl locks the kernel has just answered for the file itself.
        match elsewhere {
            Some(lock) if lock.kind == LockKind::Flock && virtual_device(device) => {
                Err(std::io::Error::other(
                    "a file of the same inode number is locked, and the device can't be compared",
                ))
            }
            Some(_) | None => Ok(None),
        }
    }

    fn pid_file(&self, file: &OwnedFd) -> std::io::Result<Option<Reading<i32>>> {
        let mut bytes = [0; PID_FILE_MAX];
        let length = rustix::io::pread(file, &mut bytes[..], 0)?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        // zypp empties its file and leaves it.
        let Some(word) = text.split_whitespace().next() else { return Ok(None) };
        let pid = word.parse::<i32>().ok().filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| std::io::Error::other("does not hold a pid"))?;
        let Some(process) = read_stat(&self.proc, pid)? else { return Ok(None) };
        let running_for = self.uptime()?.saturating_sub(ticks(process.start_ticks));
        // A process younger than the file has only inherited the number.
        let wrote_it = running_for + PID_FILE_SLACK >= self.age(file)?;
        Ok((wrote_it && !process.is_dead()).then_some(Reading::Value(pid)))
    }

    /// Since its last change, by the wall clock: zero for one from the future.
    #[expect(clippy::disallowed_methods, reason = "the age of a file is told by the wall clock alone")]
    fn age(&self, file: &OwnedFd) -> std::io::Result<Duration> {
        let changed = std::fs::File::from(file.try_clone()?).metadata()?.modified()?;
        Ok(std::time::SystemTime::now().duration_since(changed).unwrap_or_default())
    }

    fn uptime(&self) -> std::io::Result<Duration> {
        let bytes = read_bounded(&self.proc.join("uptime"), PID_FILE_MAX)?;
        super::procfs::parse_uptime(&bytes)
            .ok_or_else(|| std::io::Error::other("/proc/uptime has an unknown form"))
    }
}

/// Major number 0: the device is made up by the file system.
const fn virtual_device(device: (u32, u32)) -> bool {
    device.0 == 0
}

fn holder(lock: LockLine) -> Reading<i32> {
    lock.pid.map_or(Reading::Absent(Absence::Unsupported), Reading::Value)
}

/// Clock ticks as `/proc` counts them.
fn ticks(count: u64) -> Duration {
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(count.saturating_mul(1000) / hertz)
}

#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
