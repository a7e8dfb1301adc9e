//! The mount table, and the room on what it lists.
//!
//! The kernel tells at once of what is mounted and unmounted, and not of a file system that it has made read-only: so the
//! table is read with each pass.
#![expect(clippy::disallowed_methods, reason = "opens the mount table, and spaces its readings")]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::model::{BootTime, FilesystemStatus, FilesystemsUpdate, MountPoint};

use crate::sense::watch::watch;

use super::room::RoomAsker;
use super::table::{MountFlags, MountTable, Mounted, read_table};

/// Longest mount table that is read: ten thousand mounts with long paths.
const TABLE_MAX: usize = 4 * 1024 * 1024;
/// The buffer begins with this and doubles when a table does not fit.
const TABLE_USUAL: usize = 32 * 1024;
/// A host of containers mounts all the time: the table is read again at most this often.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The kernel does not tell when it makes a file system read-only by itself, so the table is read without a word from it
/// too: with each pass, as long as that takes no more than one part in this many of the time (0.02 %) …
const TABLE_PARTS: u32 = 5000;
/// … and at least this often.
const TABLE_EVERY_MAX: Duration = Duration::from_secs(60);

/// Whose mounts are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountsSeenFrom {
    /// Those of PID 1: the host's own.
    Host,
    /// Those of the agent, whose sandbox may hide some; with the reason.
    Agent { why: String },
}

/// Reads what is mounted, and how full it is.
#[derive(Debug)]
pub struct FilesystemReader {
    table: AsyncFd<OwnedFd>,
    seen_from: MountsSeenFrom,
    asker: RoomAsker,
    buffer: Vec<u8>,
    /// Lines of the table that could not be used, as told last.
    left_out: usize,
    /// When the table was read.
    read: Option<Instant>,
    /// As it was read last, until it has to be read again.
    known: Option<(MountTable, Instant)>,
    /// Something was mounted or unmounted since.
    changed: bool,
}

impl FilesystemReader {
    /// Needs a tokio runtime with its I/O driver.
    ///
    /// # Errors
    /// When not even the agent's own mounts can be listed.
    pub fn new(proc: &Path) -> io::Result<Self> {
        let (table, root, seen_from) = match open(proc, "1") {
            Ok((table, root)) => (table, root, MountsSeenFrom::Host),
            Err(error) => {
                let (table, root) = open(proc, "self")?;
                (table, root, MountsSeenFrom::Agent { why: error.to_string() })
            }
        };
        Ok(Self {
            // The kernel tells of a change as an exceptional condition (proc_pid_mountinfo(5)).
            table: watch(table, Interest::PRIORITY)?,
            seen_from,
            asker: RoomAsker::new(root),
            buffer: vec![0; TABLE_USUAL],
            left_out: 0,
            read: None,
            known: None,
            changed: false,
        })
    }

    /// Whose mounts these are.
    #[must_use]
    pub const fn seen_from(&self) -> &MountsSeenFrom {
        &self.seen_from
    }

    /// Something was mounted or unmounted since they were listed, and they may be listed again.
    #[must_use]
    pub fn must_list(&self) -> bool {
        self.changed && self.read.is_none_or(|read| read.elapsed() >= READ_AGAIN)
    }

    /// Waits until something was mounted or unmounted, and a moment more where that happens all the time.
    pub async fn changed(&mut self) {
        match self.table.ready(Interest::PRIORITY).await {
            Ok(mut ready) => {
                ready.clear_ready();
                self.changed = true;
            }
            // The driver is gone: the agent is ending.
            Err(_) => std::future::pending().await,
        }
        // Whoever waits may give up below: each pass reads the table anyway.
        if let Some(read) = self.read {
            tokio::time::sleep_until(read + READ_AGAIN).await;
        }
    }

    /// One pass. Bounded in time: see [`RoomAsker::ask`].
    pub async fn read(&mut self, now: BootTime) -> FilesystemsUpdate {
        let table = match self.table() {
            Ok(table) => table,
            Err(error) => return FilesystemsUpdate::Failed { why: format!("the mount table: {error}") },
        };
        FilesystemsUpdate::Complete(self.ask(table.filesystems, now).await)
    }

    /// Asks some of them, in their order, out of turn. Those that may have been unmounted since they were listed are left
    /// to the next pass.
    pub async fn read_again(&mut self, points: &[MountPoint], now: BootTime) -> FilesystemsUpdate {
        let known = self.known.iter().flat_map(|(table, _)| &table.filesystems);
        let wanted = known.filter(|it| points.binary_search(&it.mount_point).is_ok()).cloned().collect();
        FilesystemsUpdate::Again(self.ask(wanted, now).await)
    }

    async fn ask(&mut self, filesystems: Vec<Mounted>, now: BootTime) -> Vec<FilesystemStatus> {
        let questions: Vec<_> = filesystems.iter().map(|it| it.question.clone()).collect();
        let rooms = self.asker.ask(&questions, now).await;
        let told = filesystems.into_iter().zip(rooms).map(|(it, room)| FilesystemStatus {
            mount_point: it.mount_point,
            device: it.device,
            fs_type: it.fs_type,
            source: it.source,
            class: it.class,
            read_only: it.read_only,
            forced_read_only: it.forced_read_only,
            room,
        });
        told.collect()
    }

    /// What is mounted, read anew where that is due.
    fn table(&mut self) -> io::Result<MountTable> {
        let begun = Instant::now();
        if let Some((table, due)) = &self.known
            && begun < *due
            && !self.changed
        {
            return Ok(table.clone());
        }
        // Before it is read: one that can't be is not tried again at once either.
        (self.read, self.known, self.changed) = (Some(begun), None, false);
        let table = self.read_table()?;
        if table.left_out > self.left_out {
            tracing::warn!(left_out = table.left_out, "some mounts could not be understood");
        }
        self.left_out = table.left_out;
        let pause = begun.elapsed().saturating_mul(TABLE_PARTS).min(TABLE_EVERY_MAX);
        self.known = Some((table.clone(), begun + pause));
        Ok(table)
    }

    const fn flags(&self) -> MountFlags {
        match self.seen_from {
            MountsSeenFrom::Host => MountFlags::AsAsked,
            MountsSeenFrom::Agent { .. } => MountFlags::OfSandbox,
        }
    }

    fn read_table(&mut self) -> io::Result<MountTable> {
        loop {
            let mut length = 0;
            while length < self.buffer.len() {
                let free = &mut self.buffer[length..];
                match rustix::io::retry_on_intr(|| {
                    rustix::io::pread(self.table.get_ref(), &mut *free, length as u64)
                })? {
                    0 => return Ok(read_table(&self.buffer[..length], self.flags())),
                    more => length += more,
                }
            }
            if self.buffer.len() >= TABLE_MAX {
                return Err(io::Error::other(format!("it is longer than {TABLE_MAX} bytes")));
            }
            let doubled = self.buffer.len() * 2;
            self.buffer.resize(doubled, 0);
        }
    }
}

/// The table and the root of one process's mounts.
fn open(proc: &Path, process: &str) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let place = proc.join(process);
    let table = OFlags::RDONLY | OFlags::CLOEXEC;
    let root = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((
        rustix::fs::open(place.join("mountinfo"), table, Mode::empty())?,
        rustix::fs::open(place.join("root"), root, Mode::empty())?,
    ))
}
