//! The tree of control groups, walked: a cheap look at every group, a closer one at those that draw attention.
//!
//! Groups come and go while they are walked: one that is gone is left out, and never stands in for another, since
//! every file is opened relative to the directory that was opened, without following links.

mod heed;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use thiserror::Error;

use crate::model::{Absence, Bytes, CgroupClosely, CgroupStatus, CgroupTree, Pressure, Reading, Timestamp};
use crate::sense::procfs::{parse_pressure, single};

use super::attention::{Interest, attention};
use super::rate::{Counted, Look, cpu, per_second};
use super::{CpuStat, GroupEvents, MemoryEvents, MemoryStat, io_stat, limit};

use heed::{Events, Watching};
pub use heed::{GroupChange, GroupNews, Heard, UnitGroup};

/// Groups kept: a host of 5,000 with room to spare.
pub const GROUPS_MAX: usize = 8192;
/// Levels below the root. Each holds one descriptor during a walk; real trees are less than half as deep.
const DEPTH_MAX: usize = 32;
/// The longest of these files is `memory.stat`, 2 KiB; `io.stat` has a line for each disk.
const FILE_MAX: usize = 64 * 1024;
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: u64 = 0x6367_7270;

/// Why there is no tree.
#[derive(Debug, Error)]
pub enum NoTree {
    #[error(
        "no cgroup version 2 is mounted at {0}: this is a host of version 1, a hybrid, or a container without"
    )]
    OtherVersion(String),
    #[error(
        "the cgroups at {0} have no controllers: version 1 has them, and groups of version 2 tell nothing"
    )]
    NoControllers(String),
    #[error("the cgroups at {path} can't be read: {errno}")]
    Failed { path: String, errno: Errno },
}

impl NoTree {
    /// It stays so until the next boot.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        matches!(self, Self::OtherVersion(_) | Self::NoControllers(_))
    }
}

/// What is remembered of a group between looks.
#[derive(Debug)]
struct Known {
    status: CgroupStatus,
    /// Its path as the kernel has it.
    path: Vec<u8>,
    leaf: bool,
    cpu: Counted,
    memory: Counted,
    /// Of memory, when it was last read.
    limit_hits: Option<u64>,
    read: Counted,
    written: Counted,
    interest: Interest,
    /// Of a service or container, once it was asked.
    events: Option<Events>,
    /// In the latest walk.
    seen: bool,
}

/// Keeps the root's descriptor and a row for each group.
#[derive(Debug)]
pub struct TreeReader {
    root: OwnedFd,
    groups: BTreeMap<u64, Known>,
    /// In the latest walk.
    seen: usize,
    left_out: u64,
    attended: Vec<Interest>,
    watching: Watching,
    /// The last walk left nothing out: a group that is not known is new.
    walked: bool,
    buffer: Vec<u8>,
}

impl TreeReader {
    /// At the usual place, where it is a hierarchy of version 2 with controllers.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, NoTree> {
        let name = || path.display().to_string();
        let failed = |errno| match errno {
            Errno::NOENT | Errno::NOTDIR => NoTree::OtherVersion(name()),
            errno => NoTree::Failed { path: name(), errno },
        };
        let root = openat(CWD, path, FOLDER, Mode::empty()).map_err(failed)?;
        let kind = rustix::fs::fstatfs(&root).map_err(failed)?.f_type;
        if u64::try_from(kind) != Ok(CGROUP2) {
            return Err(NoTree::OtherVersion(name()));
        }
        let mut reader = Self::over(root);
        let controllers =
            reader.file(None, c"cgroup.controllers", |bytes| Some(!bytes.trim_ascii().is_empty()));
        match controllers {
            Reading::Value(true) => Ok(reader),
            Reading::Value(false) | Reading::Absent(_) | Reading::Failed(_) => {
                Err(NoTree::NoControllers(name()))
            }
        }
    }

    /// The root of the hierarchy, for somebody else to look at.
    #[must_use]
    pub fn into_root(self) -> OwnedFd {
        self.root
    }

    fn over(root: OwnedFd) -> Self {
        Self {
            root,
            groups: BTreeMap::new(),
            seen: 0,
            left_out: 0,
            attended: Vec::new(),
            watching: Watching::new(),
            walked: false,
            buffer: vec![0; FILE_MAX],
        }
    }

    /// Looks at every group, and blocks until it has.
    ///
    /// # Errors
    /// When the root can't be listed any more.
    pub fn walk(&mut self, now: Look) -> Result<(), Errno> {
        for known in self.groups.values_mut() {
            known.seen = false;
        }
        (self.seen, self.left_out) = (0, 0);
        self.watching.begin_walk();
        let root = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        let mut path = Vec::new();
        self.folder(&root, &mut path, 0, now)?;
        self.groups.retain(|_, known| known.seen);
        self.watching.end_walk(|id| self.groups.contains_key(&id));
        self.walked = self.left_out == 0;
        self.attended.clear();
        self.attended.extend(self.groups.values().filter(|known| known.leaf).map(|known| known.interest));
        attention(&mut self.attended);
        let attended: BTreeSet<u64> = self.attended.iter().map(|it| it.id).collect();
        for known in self.groups.values_mut().filter(|known| !attended.contains(&known.status.id)) {
            known.status.closely = Reading::Absent(Absence::NotObserved);
            (known.read, known.written) = (Counted::default(), Counted::default());
        }
        Ok(())
    }

    /// The groups below one; returns whether there are any.
    fn folder(
        &mut self,
        folder: &OwnedFd,
        path: &mut Vec<u8>,
        depth: usize,
        now: Look,
    ) -> Result<bool, Errno> {
        let mut any = false;
        for entry in Dir::read_from(folder)? {
            // Gone while it was listed.
            let Ok(entry) = entry else {
                self.left_out += 1;
                break;
            };
            let name = entry.file_name();
            if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
                continue;
            }
            any = true;
            let id = entry.ino();
            if depth >= DEPTH_MAX || self.seen >= GROUPS_MAX {
                self.left_out += 1;
                continue;
            }
            let group = match openat(folder, name, FOLDER, Mode::empty()) {
                Ok(group) => group,
                Err(Errno::NOENT) => continue,
                Err(_) => {
                    self.left_out += 1;
                    continue;
                }
            };
            let end = path.len();
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
            self.seen += 1;
            self.first_look(id, group.as_fd(), path, now);
            let inner = self.folder(&group, path, depth + 1, now).unwrap_or_else(|_| {
                self.left_out += 1;
                false
            });
            if let Some(known) = self.groups.get_mut(&id) {
                known.leaf = !inner;
            }
            self.watch_or_ask(id, group.as_fd(), path);
            path.truncate(end);
        }
        Ok(any)
    }

    fn first_look(&mut self, id: u64, group: BorrowedFd<'_>, path: &[u8], now: Look) {
        let used =
            self.file(Some(group), c"cpu.stat", |bytes| CpuStat::parse(bytes).ok().map(|it| it.usage.0));
        // Gone since it was listed: the file is in every group.
        if let Reading::Absent(_) = used {
            return;
        }
        let memory = self.file(Some(group), c"memory.current", |bytes| single(bytes).ok());
        let tasks = self.file(Some(group), c"pids.current", |bytes| single(bytes).ok());
        let events = self.file(Some(group), c"memory.events", |bytes| MemoryEvents::parse(bytes).ok());
        let (is_new, walked) = (!self.groups.contains_key(&id), self.walked);
        let known = self.groups.entry(id).or_insert_with(|| Known::new(id, now.at));
        if known.path != path {
            // Old kernels give the number of a group that is gone to another.
            *known = Known::new(id, now.at);
            self.watching.forget(id);
        }
        if is_new && walked {
            known.events = Some(Events::NONE);
        }
        known.seen = true;
        let status = &mut known.status;
        if known.path != path {
            path.clone_into(&mut known.path);
            status.path = printable(path);
        }
        status.at = now.at;
        let rate = known.cpu.advance(now.time, &used).map(cpu);
        let growth = known.memory.advance(now.time, &memory);
        let hits = events.as_ref().map(|it| it.max.saturating_add(it.high).saturating_add(it.oom));
        // All that a new group ran into, it ran into since the walk before.
        let hit_already = is_new && hits.value().is_some_and(|hits| *hits > 0);
        // However long ago that was: this is no rate.
        let hits = hits.value().copied();
        let more = hits > known.limit_hits && known.limit_hits.is_some();
        known.limit_hits = hits;
        known.interest = Interest {
            id,
            cpu_per_mille: rate.value().map_or(0, |rate| per_mille(rate.0)),
            growth: growth.value().map_or(0, |growth| per_second(*growth).0),
            at_limit: hit_already || more,
        };
        status.cpu = rate;
        status.memory = memory.map(Bytes);
        status.tasks = tasks;
        status.oom_kills = events.map(|it| it.oom_kill);
    }

    /// Groups that draw attention.
    #[must_use]
    pub const fn attended(&self) -> usize {
        self.attended.len()
    }

    /// Looks closely at the groups that draw attention; returns how many there are.
    pub fn attend(&mut self, now: Look) -> usize {
        for at in 0..self.attended.len() {
            let id = self.attended[at].id;
            let Some(path) = self.groups.get(&id).map(|known| known.path.clone()) else { continue };
            // Gone, or another by now: the next walk tells.
            let Ok(group) = self.descend(&path, id) else { continue };
            // Where the walk has only just looked, a second look would have no time for a rate.
            if self.groups.get(&id).is_some_and(|known| known.status.at != now.at) {
                self.first_look(id, group.as_fd(), &path, now);
            }
            self.close_look(id, &group, now);
        }
        self.attended.len()
    }

    /// Opens a group by its path, one part at a time; only if it is still the same.
    fn descend(&self, path: &[u8], id: u64) -> Result<OwnedFd, Errno> {
        let mut folder = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        for part in path.split(|byte| *byte == b'/').skip(1) {
            folder = openat(&folder, part, FOLDER, Mode::empty())?;
        }
        if rustix::fs::fstat(&folder)?.st_ino == id { Ok(folder) } else { Err(Errno::STALE) }
    }

    fn close_look(&mut self, id: u64, group: &OwnedFd, now: Look) {
        let group = Some(group.as_fd());
        let moved = self.file(group, c"io.stat", |bytes| {
            let mut sum = (0_u64, 0_u64);
            for row in io_stat(bytes) {
                let row = row.ok()?;
                sum = (sum.0.saturating_add(row.read.0), sum.1.saturating_add(row.written.0));
            }
            Some(sum)
        });
        let mut pressure = |name: &CStr| -> Reading<Pressure> { self.file(group, name, parse_pressure) };
        let [cpu_pressure, memory_pressure, io_pressure] =
            [c"cpu.pressure", c"memory.pressure", c"io.pressure"].map(&mut pressure);
        let memory_max = self.file(group, c"memory.max", |bytes| limit(bytes).ok());
        let anonymous = self.file(group, c"memory.stat", |bytes| MemoryStat::parse(bytes).ok());
        let events = self.file(group, c"cgroup.events", |bytes| GroupEvents::parse(bytes).ok());
        let frozen = match events {
            Reading::Value(GroupEvents { frozen: Some(frozen), .. }) => Reading::Value(frozen != 0),
            Reading::Value(GroupEvents { frozen: None, .. }) => Reading::Absent(Absence::Unsupported),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        };
        let Some(known) = self.groups.get_mut(&id) else { return };
        let read = known.read.advance(now.time, &moved.as_ref().map(|sum| sum.0)).map(per_second);
        let written = known.written.advance(now.time, &moved.map(|sum| sum.1)).map(per_second);
        known.status.closely = Reading::Value(CgroupClosely {
            at: now.at,
            read,
            written,
            memory_max: memory_max.map(|limit| limit.map(Bytes)),
            anonymous: anonymous.map(|stat| stat.anonymous),
            cpu_pressure,
            memory_pressure,
            io_pressure,
            frozen,
        });
    }

    /// What is known, by path.
    #[must_use]
    pub fn tree(&self) -> CgroupTree {
        let mut groups: Vec<CgroupStatus> = self.groups.values().map(|known| known.status.clone()).collect();
        groups.sort_by(|a, b| a.path.cmp(&b.path));
        CgroupTree { groups, left_out: self.left_out, watches: self.watching.told() }
    }

    /// One file of a group, or of the root. A file that is not there belongs to a controller that is not enabled.
    fn file<T>(
        &mut self,
        group: Option<BorrowedFd<'_>>,
        name: &CStr,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Reading<T> {
        let group = group.unwrap_or_else(|| self.root.as_fd());
        match read_file(group, name, &mut self.buffer) {
            Ok(length) => match parse(&self.buffer[..length]) {
                Some(value) => Reading::Value(value),
                None => Reading::Failed(format!("{} has an unknown form", name.to_string_lossy())),
            },
            // ENODEV: the group is being removed.
            Err(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => Reading::Absent(Absence::Unsupported),
            Err(errno) => Reading::Failed(format!("{}: {errno}", name.to_string_lossy())),
        }
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The length of what was read of one of a group's files. Without following links; openat2(2) is not had in the unit's
/// sandbox.
///
/// # Errors
/// Those of openat(2) and read(2).
pub fn read_file(group: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let file = openat(group, name, FILE, Mode::empty())?;
    // The kernel gives such a file whole, where it fits; what is cut is refused by the parser.
    rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *buffer))
}

/// For people, and no identity: control characters are escaped, what is not UTF-8 is replaced. systemd's own escapes
/// stay as they are.
fn printable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for character in String::from_utf8_lossy(path).chars() {
        if character.is_control() { text.extend(character.escape_default()) } else { text.push(character) }
    }
    text
}

fn per_mille(percent: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of processors, not negative"
    )]
    let rounded = (percent * 10.0).round() as u64;
    rounded
}

impl Known {
    fn new(id: u64, now: Timestamp) -> Self {
        let unread = || Absence::NotObserved;
        Self {
            status: CgroupStatus {
                path: String::new(),
                id,
                at: now,
                cpu: Reading::Absent(unread()),
                memory: Reading::Absent(unread()),
                tasks: Reading::Absent(unread()),
                populated: Reading::Absent(unread()),
                oom_kills: Reading::Absent(unread()),
                forks_refused: Reading::Absent(unread()),
                closely: Reading::Absent(unread()),
            },
            path: Vec::new(),
            leaf: true,
            cpu: Counted::default(),
            memory: Counted::default(),
            limit_hits: None,
            read: Counted::default(),
            written: Counted::default(),
            interest: Interest { id, cpu_per_mille: 0, growth: 0, at_limit: false },
            events: None,
            seen: true,
        }
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
