//! One trigger of the kernel on one pressure file (`Documentation/accounting/psi.rst`, "Monitoring for pressure
//! thresholds").

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::model::{Absence, Pressure, Reading, Resource};
use crate::sense::procfs::parse_pressure;
use crate::sense::watch::watch;

/// Two lines, of about 60 bytes each.
const FILE_MAX: usize = 512;
/// The window that is asked for first. Half of it is the least that the kernel takes; it looks ten times in a window,
/// so this one is told of within a tenth of a second.
const WINDOW: Duration = Duration::from_secs(1);
/// Without `CAP_SYS_RESOURCE` the kernel (6.5 and later) takes only multiples of two seconds.
const WINDOW_UNPRIVILEGED: Duration = Duration::from_secs(2);

/// How long some task may wait in a window before it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    per_cent: u32,
}

impl Patience {
    /// Of a resource.
    #[must_use]
    pub const fn with(resource: Resource) -> Self {
        let per_cent = match resource {
            // A healthy host never waits for memory: the first direct reclaims and refaults are the news.
            Resource::Memory => 15,
            // Waiting for a disk is what programs do. Half of all time is a disk that can't keep up.
            Resource::Io => 50,
            // Some task waits for a processor on every busy host. Nearly always is more work than there are processors.
            Resource::Cpu => 80,
        };
        Self { per_cent }
    }

    /// What the kernel is told.
    fn line(self, window: Duration) -> String {
        let stall = window * self.per_cent / 100;
        format!("some {} {}\0", stall.as_micros(), window.as_micros())
    }
}

/// Why there is no trigger.
#[derive(Debug, Error)]
pub enum NoTrigger {
    #[error("the kernel keeps no pressure (psi=0, or CONFIG_PSI is off)")]
    Unsupported,
    #[error("a trigger on {path} is not permitted: before 6.5 the kernel asks for CAP_SYS_RESOURCE")]
    NotPermitted { path: PathBuf },
    #[error("a trigger on {path} can't be set")]
    Failed { path: PathBuf, source: io::Error },
}

impl NoTrigger {
    /// The same as a reading.
    #[must_use]
    pub fn reading<T>(&self) -> Reading<T> {
        match self {
            Self::Unsupported => Reading::Absent(Absence::Unsupported),
            Self::NotPermitted { .. } => Reading::Failed(self.to_string()),
            Self::Failed { source, .. } => Reading::Failed(format!("{self}: {source}")),
        }
    }
}

/// The kernel has given the trigger up: its control group was removed, or pressure was switched off. It will never tell
/// anything again.
#[derive(Debug, Error)]
#[error("the kernel has given up the trigger")]
pub struct TriggerGone;

/// A trigger that is set.
#[derive(Debug)]
pub struct PressureTrigger {
    file: AsyncFd<OwnedFd>,
    window: Duration,
}

impl PressureTrigger {
    /// Sets one, with the short window where that is allowed. Needs a tokio runtime with its I/O driver.
    ///
    /// # Errors
    /// When it can't be set.
    pub fn set(path: &Path, patience: Patience) -> Result<Self, NoTrigger> {
        let failed = |source: io::Error| NoTrigger::Failed { path: path.to_owned(), source };
        let refused = |errno: Errno| match errno {
            // EOPNOTSUPP: compiled in, and switched off.
            Errno::NOENT | Errno::NOTDIR | Errno::OPNOTSUPP => NoTrigger::Unsupported,
            Errno::PERM | Errno::ACCESS => NoTrigger::NotPermitted { path: path.to_owned() },
            errno => failed(errno.into()),
        };
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(refused)?;
        let ask = |window| rustix::io::write(&file, patience.line(window).as_bytes());
        let window = match ask(WINDOW) {
            Ok(_) => WINDOW,
            Err(Errno::INVAL | Errno::PERM) => {
                ask(WINDOW_UNPRIVILEGED).map_err(refused)?;
                WINDOW_UNPRIVILEGED
            }
            Err(errno) => return Err(refused(errno)),
        };
        Self::over(file, window).map_err(failed)
    }

    fn over(file: OwnedFd, window: Duration) -> io::Result<Self> {
        // Not readable: these files always are, and waiting for that would be spinning.
        Ok(Self { file: watch(file, Interest::PRIORITY)?, window })
    }

    /// The span that the trigger looks at. It tells at most once in it.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// Waits until tasks have waited too long.
    ///
    /// # Errors
    /// When that will never be told again: it has to be set anew.
    pub async fn stalled(&mut self) -> Result<(), TriggerGone> {
        let Ok(mut ready) = self.file.ready(Interest::PRIORITY | Interest::ERROR).await else {
            // The driver is gone: the agent is ending.
            return std::future::pending().await;
        };
        let gone = ready.ready().is_error();
        ready.clear_ready();
        if gone { Err(TriggerGone) } else { Ok(()) }
    }

    /// What the file says now.
    #[must_use]
    pub fn read(&self) -> Reading<Pressure> {
        let mut buffer = [0; FILE_MAX];
        match rustix::io::retry_on_intr(|| rustix::io::pread(self.file.get_ref(), &mut buffer[..], 0)) {
            Ok(length) => match parse_pressure(&buffer[..length]) {
                Some(pressure) => Reading::Value(pressure),
                None => Reading::Failed("a pressure file has an unknown form".into()),
            },
            Err(Errno::OPNOTSUPP) => Reading::Absent(Absence::Unsupported),
            Err(errno) => Reading::Failed(format!("a pressure file: {errno}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::disallowed_methods, reason = "makes fixture files")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_kernels_syntax() {
        let check = |resource, window, line: &str| assert_eq!(Patience::with(resource).line(window), line);
        check(Resource::Memory, WINDOW, "some 150000 1000000\0");
        check(Resource::Memory, WINDOW_UNPRIVILEGED, "some 300000 2000000\0");
        check(Resource::Cpu, WINDOW, "some 800000 1000000\0");
    }

    #[tokio::test]
    async fn a_host_without_pressure_is_told_from_one_that_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let set = |name: &str| PressureTrigger::set(&dir.path().join(name), Patience::with(Resource::Io));
        assert!(matches!(set("none"), Err(NoTrigger::Unsupported)));
        // Takes the words, and can't be waited for.
        std::fs::write(dir.path().join("plain"), "").unwrap();
        let failed = set("plain").unwrap_err();
        assert!(matches!(failed, NoTrigger::Failed { .. }), "{failed}");
        assert!(failed.reading::<()>().why_not().unwrap().contains("can't be set"));
    }

    #[tokio::test]
    async fn a_trigger_that_is_gone_is_told_once_and_for_all() {
        // A pipe without a reader is in error for good, as a trigger is whose group was removed.
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut trigger = PressureTrigger::over(writer, WINDOW).unwrap();
        drop(reader);
        assert!(trigger.stalled().await.is_err());
    }

    /// A group of the kernel's own goes away under its trigger, and comes back as another.
    #[tokio::test]
    async fn this_very_kernel_tells_that_a_group_is_gone() {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let Some(root) = roots.into_iter().find(|root| root.join("cgroup.controllers").exists()) else {
            return;
        };
        let group = root.join(format!("prunella-trigger-test-{}", std::process::id()));
        if std::fs::create_dir(&group).is_err() {
            return tracing::info!("nothing to try here");
        }
        let path = group.join("memory.pressure");
        let first = PressureTrigger::set(&path, Patience::with(Resource::Memory));
        std::fs::remove_dir(&group).unwrap();
        let Ok(mut first) = first else { return tracing::info!("the kernel keeps no pressure of groups") };
        assert!(first.stalled().await.is_err());
        assert!(matches!(
            PressureTrigger::set(&path, Patience::with(Resource::Memory)),
            Err(NoTrigger::Unsupported)
        ));
        std::fs::create_dir(&group).unwrap();
        let second = PressureTrigger::set(&path, Patience::with(Resource::Memory));
        std::fs::remove_dir(&group).unwrap();
        assert!(second.unwrap().stalled().await.is_err());
    }

    /// More work than processors, until it is told.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn this_very_host_tells_of_its_busy_processors() {
        let path = Path::new("/proc/pressure/cpu");
        let mut trigger = match PressureTrigger::set(path, Patience { per_cent: 50 }) {
            Ok(trigger) => trigger,
            Err(why @ (NoTrigger::Unsupported | NoTrigger::NotPermitted { .. })) => {
                tracing::info!(%why, "nothing to try here");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let enough = Arc::new(AtomicBool::new(false));
        let workers = std::thread::available_parallelism().unwrap().get() * 2;
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                let enough = Arc::clone(&enough);
                std::thread::spawn(move || while !enough.load(Ordering::Relaxed) {})
            })
            .collect();
        let told = trigger.stalled().await;
        enough.store(true, Ordering::Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(told.is_ok());
        assert!(trigger.read().value().is_some());
    }
}
