//! What the kernel tells of groups by itself: one inotify(7) descriptor for the event files of many.
//!
//! Tried against poll(2): that takes an open file for each of them, 4 KiB of the kernel's memory and one of the agent's
//! descriptors; a watch is a seventh of it and no descriptor. The kernel tells of a file at most each 10 ms
//! (`CGROUP_FILE_NOTIFY_MIN_INTV`). It does not tell when the file of a watch is removed (before 7.0), and keeps what
//! is watched: whoever watches has to forget.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// Groups watched at one time. With all of their files that is less than a fifth of the 8,192 watches that the kernel
/// allows root at the least, who shares them with systemd and everybody else; a host has fewer services.
pub(super) const WATCHED_MAX: usize = 512;
/// The files of a group that are watched: whether anybody lives in it and whether it stands still; memory; forks.
const FILES: [&CStr; 3] = [c"cgroup.events", c"memory.events", c"pids.events"];
/// Events of watches of files have no name: 16 bytes each.
const BUFFER: usize = 4096;
/// Events taken at one time: the kernel's queue has no more (`max_queued_events`). What is left is told with the next.
const EVENTS_MAX: usize = 16_384;

/// What was told since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Groups of which a file changed.
    pub changed: BTreeSet<u64>,
    /// The kernel's queue ran over: any group may have changed.
    pub lost: bool,
}

/// Watches, by group.
#[derive(Debug)]
pub(super) struct Notices {
    inotify: OwnedFd,
    groups: BTreeMap<i32, u64>,
    watches: BTreeMap<u64, Vec<i32>>,
    /// Read from the kernel, and asked for by nobody yet.
    pending: Told,
}

impl Notices {
    pub(super) fn new() -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { inotify, groups: BTreeMap::new(), watches: BTreeMap::new(), pending: Told::default() })
    }

    pub(super) fn watched(&self) -> usize {
        self.watches.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.watches.len() >= WATCHED_MAX
    }

    pub(super) fn watches(&self, group: u64) -> bool {
        self.watches.contains_key(&group)
    }

    /// Watches the files that this group has. All of them or none.
    pub(super) fn watch(&mut self, id: u64, group: BorrowedFd<'_>) -> Result<(), Errno> {
        let mut watches = Vec::with_capacity(FILES.len());
        for file in FILES {
            // There is no other way to watch what a descriptor stands for.
            let path = format!("/proc/self/fd/{}/{}", group.as_raw_fd(), file.to_string_lossy());
            let flags = WatchFlags::MODIFY | WatchFlags::DONT_FOLLOW;
            match inotify::add_watch(&self.inotify, path, flags) {
                Ok(watch) => watches.push(watch),
                // A controller that is not enabled here.
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    self.give_up(&watches);
                    return Err(errno);
                }
            }
        }
        if watches.is_empty() {
            return Err(Errno::NOENT);
        }
        self.groups.extend(watches.iter().map(|watch| (*watch, id)));
        self.watches.insert(id, watches);
        Ok(())
    }

    /// Keeps the watches of these groups alone.
    pub(super) fn keep(&mut self, wanted: impl Fn(u64) -> bool) {
        let unwanted: Vec<u64> = self.watches.keys().copied().filter(|id| !wanted(*id)).collect();
        unwanted.into_iter().for_each(|id| self.forget(id));
    }

    /// Takes in what the kernel says of watches that were given up: nobody is to wake for that.
    pub(super) fn settle(&mut self) {
        self.pending = self.read();
    }

    pub(super) fn forget(&mut self, group: u64) {
        if let Some(watches) = self.watches.remove(&group) {
            self.give_up(&watches);
        }
    }

    fn give_up(&mut self, watches: &[i32]) {
        for watch in watches {
            self.groups.remove(watch);
            // The kernel may have given it up before.
            let _ = inotify::remove_watch(&self.inotify, *watch);
        }
    }

    /// Waits until something is told, or for so long; whether something was.
    pub(super) fn wait(&self, most: Duration) -> bool {
        if self.pending != Told::default() {
            return true;
        }
        let mut wanted = [PollFd::new(&self.inotify, PollFlags::IN)];
        wait(&mut wanted, most)
    }

    /// What was told, without waiting.
    pub(super) fn read(&mut self) -> Told {
        let mut told = std::mem::take(&mut self.pending);
        let mut given_up = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(self.inotify.as_fd(), &mut buffer);
        let mut events = 0;
        while events < EVENTS_MAX || !reader.is_buffer_empty() {
            let Ok(event) = reader.next() else { break };
            events += 1;
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                told.lost = true;
            }
            if event.events().contains(ReadFlags::IGNORED) {
                given_up.push(event.wd());
            }
            // One that was forgotten may have waited in the queue.
            told.changed.extend(self.groups.get(&event.wd()));
        }
        for watch in given_up {
            if let Some(id) = self.groups.get(&watch).copied() {
                self.forget(id);
            }
        }
        told
    }
}

/// Waits for one of these, or for so long; whether one came.
pub(super) fn wait(wanted: &mut [PollFd<'_>], most: Duration) -> bool {
    let most = Timespec::try_from(most).ok();
    // A signal: whoever waits looks at the time anew.
    matches!(poll(wanted, most.as_ref()), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

    use std::path::Path;

    use rustix::fs::{Mode, OFlags};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn group(dir: &Path, files: &[&str]) -> OwnedFd {
        for file in files {
            std::fs::write(dir.join(file), "populated 1\n").unwrap();
        }
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    fn check(notices: &mut Notices, changed: &[u64]) {
        assert_eq!(notices.wait(if changed.is_empty() { Duration::ZERO } else { SOON }), !changed.is_empty());
        assert_eq!(notices.read(), Told { changed: changed.iter().copied().collect(), lost: false });
    }

    #[test]
    fn a_change_is_told_with_the_group_and_what_is_forgotten_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut notices = Notices::new().unwrap();
        let open = group(dir.path(), &["cgroup.events", "memory.events", "unwatched"]);
        notices.watch(7, open.as_fd()).unwrap();
        assert_eq!((notices.watched(), notices.groups.len()), (1, 2));
        check(&mut notices, &[]);
        let change = |file: &str| std::fs::write(dir.path().join(file), "populated 0\n").unwrap();
        change("memory.events");
        check(&mut notices, &[7]);
        change("unwatched");
        check(&mut notices, &[]);
        change("cgroup.events");
        notices.keep(|_| false);
        notices.settle();
        check(&mut notices, &[]);
        assert_eq!((notices.watched(), notices.groups.len()), (0, 0));
    }

    #[test]
    fn a_watch_that_the_kernel_gave_up_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut notices = Notices::new().unwrap();
        let open = group(dir.path(), &["cgroup.events", "memory.events"]);
        notices.watch(7, open.as_fd()).unwrap();
        std::fs::remove_file(dir.path().join("cgroup.events")).unwrap();
        check(&mut notices, &[7]);
        assert!(!notices.watches(7) && notices.groups.is_empty(), "the other one too");
    }

    #[test]
    fn what_has_no_event_files_is_not_watched() {
        let dir = tempfile::tempdir().unwrap();
        let mut notices = Notices::new().unwrap();
        let open = group(dir.path(), &[]);
        assert_eq!(notices.watch(7, open.as_fd()), Err(Errno::NOENT));
        assert_eq!(notices.watched(), 0);
    }

    #[test]
    fn more_than_the_kernel_keeps_is_told_as_lost() {
        let queue: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut notices = Notices::new().unwrap();
        // Two in turn: the kernel keeps only one of equal events that follow each other.
        let open = group(dir.path(), &["cgroup.events", "memory.events"]);
        notices.watch(7, open.as_fd()).unwrap();
        let files = ["cgroup.events", "memory.events"]
            .map(|file| std::fs::File::options().write(true).open(dir.path().join(file)).unwrap());
        for turn in 0..queue + 8 {
            std::io::Write::write_all(&mut &files[turn % 2], b"x").unwrap();
        }
        let mut lost = false;
        while notices.wait(Duration::ZERO) {
            lost |= notices.read().lost;
        }
        assert!(lost);
    }
}
