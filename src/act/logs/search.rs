//! Where rotated logs and core dumps are looked for: the folders of the policy that are on one file system.
//!
//! Opens folders and changes nothing. What is on another file system or mount is passed over before it is asked
//! anything.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FsWord;
use rustix::io::Errno;

use crate::model::{Absence, Bytes, DeviceNumber, Inodes, LogRoot, MountPoint, Reading, Usage, WallTime};

use super::archive::{Archiving, AwayFolder};
use super::candidate::{Candidate, Folder, LiveLog};
use super::paths::{below, canonical};
use super::place::{Identity, Place, look_at, open_beneath, open_within};
use super::prepare::{Ready, prepare};
use super::refused::{NoSearch, Refused};
use super::select::Rules;
use super::walk::{Found, FoundLive, find, find_live};

/// `BTRFS_SUPER_MAGIC` (statfs(2)).
const BTRFS: FsWord = 0x9123_683e;

/// The file system, held open: while it is, nothing else can be taken for its mount.
#[derive(Debug)]
pub(super) struct Ground {
    folder: OwnedFd,
    path: Vec<u8>,
    pub(super) place: Place,
}

impl Ground {
    /// A handle to the folder at this path; not through a link, nor through another mount.
    pub(super) fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let way = below(path, &self.path).ok_or(Errno::XDEV)?;
        open_within(self.folder.as_fd(), way, self.place)
    }

    /// The same folder as was walked through, still at its path.
    pub(super) fn open_again(&self, folder: &Folder) -> Result<OwnedFd, Refused> {
        let opened = self.open(&folder.path).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => Refused::FolderMoved,
            other => Refused::of(other),
        })?;
        let about = look_at(opened.as_fd()).map_err(Refused::Errno)?;
        if about.identity == folder.identity { Ok(opened) } else { Err(Refused::FolderMoved) }
    }
}

/// A folder at which the walk begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) path: Vec<u8>,
    pub(super) rules: Rules,
    /// Folders below it that are left alone: by the policy, or for they have rules of their own.
    pub(super) apart: Vec<Vec<u8>>,
    /// The same by what they were when the search began: a name can be given to another.
    pub(super) apart_too: Vec<Identity>,
}

/// A folder of logs that can't be searched, and should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::act) struct PassedOver {
    /// What the policy calls it.
    pub(in crate::act) name: String,
    pub(in crate::act) why: String,
}

/// The folders of logs on one file system, ready to be searched.
#[derive(Debug)]
pub(in crate::act) struct Search {
    pub(super) ground: Arc<Ground>,
    pub(super) starts: Vec<Start>,
    passed_over: Vec<PassedOver>,
}

impl Search {
    /// Opens the part of each folder of logs that is on the file system that is mounted there. Paths are looked up
    /// below `base`, the root as the host sees it. A folder that is not there, or on another file system, is no
    /// trouble.
    pub(in crate::act) fn open(
        base: &OwnedFd,
        point: &MountPoint,
        device: DeviceNumber,
        roots: &[LogRoot],
    ) -> Result<Self, NoSearch> {
        let path = canonical(&point.to_bytes()).ok_or(NoSearch::Gone)?;
        let folder =
            open_beneath(base.as_fd(), below(&path, b"").unwrap_or_default()).map_err(NoSearch::Errno)?;
        let about = look_at(folder.as_fd()).map_err(NoSearch::Mount)?;
        let mount = about.mount.ok_or(NoSearch::Mount(Errno::NODATA))?;
        let place = Place { device: about.identity.device, mount };
        if !is_on(folder.as_fd(), place.device, device) {
            return Err(NoSearch::Gone);
        }
        let ground = Arc::new(Ground { folder, path, place });
        let mut search = Self { ground, starts: Vec::new(), passed_over: Vec::new() };
        let paths: Vec<Option<Vec<u8>>> =
            roots.iter().map(|root| canonical(root.folder.as_os_str().as_bytes())).collect();
        for (root, path) in roots.iter().zip(&paths) {
            let begun = match path {
                Some(path) => search.begin(root, path, &paths),
                None => Err("its path is not absolute, or climbs".to_owned()),
            };
            match begun {
                Ok(start) => search.starts.extend(start),
                Err(why) => search.passed_over.push(PassedOver { name: root.name.clone(), why }),
            }
        }
        if search.starts.is_empty() {
            let told = search.passed_over.iter().map(|it| format!("; {}: {}", it.name, it.why)).collect();
            return Err(NoSearch::NoFolder(told));
        }
        Ok(search)
    }

    /// Folders of logs that could not be searched.
    pub(in crate::act) fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// How much room there is now (statvfs(3)).
    pub(in crate::act) fn usage(&self) -> rustix::io::Result<Usage> {
        let room = rustix::fs::fstatvfs(&self.ground.folder)?;
        let bytes = |blocks: u64| Bytes(blocks.saturating_mul(room.f_frsize));
        let inodes = if room.f_files == 0 {
            Reading::Absent(Absence::NotApplicable)
        } else {
            Reading::Value(Inodes { total: room.f_files, free: room.f_ffree })
        };
        let (free, available) = (bytes(room.f_bfree), bytes(room.f_bavail));
        Ok(Usage { total: bytes(room.f_blocks), free, available, inodes })
    }

    /// Walks through the folders until `stop` says so, and tells which files may be removed, the oldest first.
    pub(in crate::act) fn find(&self, now: WallTime, stop: &dyn Fn() -> bool) -> Found {
        find(self, now, stop)
    }

    /// Walks through the folders until `stop` says so, and tells which logs are live and large, the largest first; before
    /// them archives that were begun and not finished, also those that wait elsewhere.
    pub(in crate::act) fn find_live(&self, away: Option<&AwayFolder>, stop: &dyn Fn() -> bool) -> FoundLive {
        // Where it can't be read they go on waiting.
        let waiting = away.and_then(|away| away.waiting().ok()).unwrap_or_default();
        find_live(self, waiting, stop)
    }

    /// Begins or goes on to archive a live log, or to finish what was left behind. `proc` tells who has it open. An archive
    /// is begun `away` where that is given.
    pub(in crate::act) fn archive(
        &self,
        log: &LiveLog,
        away: Option<&AwayFolder>,
        proc: &Path,
        now: WallTime,
        stop: &dyn Fn() -> bool,
    ) -> Result<Archiving, Refused> {
        Archiving::begin(&self.ground, log, away, proc, (now, stop))
    }

    /// Opens a candidate and looks at it again, closer; what it returns is to be put on record before it is removed.
    pub(in crate::act) fn prepare(&self, candidate: &Candidate, now: WallTime) -> Result<Ready, Refused> {
        prepare(&self.ground, candidate, now)
    }

    /// Where the walk through this folder of logs begins; nowhere when it is not on this file system.
    fn begin(&self, root: &LogRoot, path: &[u8], all: &[Option<Vec<u8>>]) -> Result<Option<Start>, String> {
        let point = &self.ground.path;
        let begin = if below(path, point).is_some() {
            path
        } else if below(point, path).is_some() && is_innermost(path, point, all) {
            point
        } else {
            return Ok(None);
        };
        let mut apart = Vec::new();
        for except in &root.except {
            let except = canonical(except.as_os_str().as_bytes());
            apart.push(except.ok_or("the path of a folder to be left alone is not absolute, or climbs")?);
        }
        if apart.iter().any(|except| below(begin, except).is_some()) {
            return Ok(None);
        }
        if self.starts.iter().any(|start| start.path == begin) {
            return Err("another has the same path".to_owned());
        }
        match self.ground.open(begin) {
            Ok(_) => {}
            Err(Errno::NOENT | Errno::XDEV) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err("a part of its path is a link, or no folder".into());
            }
            Err(errno) => return Err(errno.to_string()),
        }
        apart.extend(all.iter().flatten().cloned());
        apart.retain(|other| other != begin && below(other, begin).is_some());
        let known = |path: &Vec<u8>| Some(look_at(self.ground.open(path).ok()?.as_fd()).ok()?.identity);
        let apart_too = apart.iter().filter_map(known).collect();
        let rules = Rules { holds: root.holds, keep: root.keep, keep_for: root.keep_for };
        Ok(Some(Start { path: begin.to_vec(), rules, apart, apart_too }))
    }
}

/// Of the folders of logs that the mount point lies in, the one whose rules hold there.
fn is_innermost(path: &[u8], point: &[u8], all: &[Option<Vec<u8>>]) -> bool {
    all.iter().flatten().filter(|other| below(point, other).is_some()).all(|other| other.len() <= path.len())
}

/// stat(2) tells of btrfs the device of a subvolume, which is not the one in the table of mounts: there the kind must
/// do.
fn is_on(folder: BorrowedFd<'_>, found: DeviceNumber, wanted: DeviceNumber) -> bool {
    let nameless = found.major == 0 && wanted.major == 0;
    found == wanted || nameless && rustix::fs::fstatfs(folder).is_ok_and(|kind| kind.f_type == BTRFS)
}
