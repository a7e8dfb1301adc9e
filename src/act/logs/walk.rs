//! The walk through folders of logs: what may be removed or archived. Changes nothing.
//!
//! Bounded in entries, depth and memory, and stopped at any entry. No link is followed, no other mount is entered, and
//! nothing is opened but folders.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Dir, DirEntry, FileType};
use rustix::io::Errno;

use crate::model::{PathText, WallTime};

use super::archive::Waiting;
use super::candidate::{Candidate, Folder, LiveLog, LivePool, Pool, Work, allocated};
use super::live::{archiving, is_live};
use super::names::aside;
use super::paths::below;
use super::place::{About, look, look_at, open_to_list};
use super::refused::Refused;
use super::search::{Ground, Search, Start};
use super::select::{STAYING_MAX, Seen, Sorted, Sorting};

/// Entries of one walk. What the kernel remembers of each, about a kilobyte, is charged to the agent.
pub(super) const ENTRIES_MAX: u64 = 150_000;
/// Each folder is read twice: first its files, then what is below.
const STEPS_MAX: u64 = 2 * ENTRIES_MAX;
/// Levels below a folder of logs. Each holds a descriptor and a buffer of 32 KiB.
pub(super) const DEPTH_MAX: usize = 48;
/// A log that takes less is left as it is.
const LIVE_MIN: u64 = 1 << 20;
/// Files that are told as left alone.
pub(super) const REFUSED_MAX: usize = 32;
/// Entries between two looks at whether to stop: on a disk that is hard at work each may take some hundredths of a
/// second.
const SLICE: u64 = 8;

/// What a walk has found.
#[derive(Debug)]
pub(in crate::act) struct Found {
    /// Leftovers of removals that were broken off, then the oldest first.
    pub(in crate::act) candidates: Vec<Candidate>,
    /// Candidates beyond those that are kept: another walk finds them when these are gone.
    pub(in crate::act) left_out: u64,
    /// Entries that were passed.
    pub(in crate::act) entries: u64,
    /// Nothing was left out of the walk: it came to its end, and could read every folder.
    pub(in crate::act) whole: bool,
    /// The first of those that are called like what may be removed, and are none that may.
    pub(in crate::act) refused: Vec<(PathText, Refused)>,
}

/// What a walk for live logs has found.
#[derive(Debug)]
pub(in crate::act) struct FoundLive {
    /// Archives that were begun and not finished, then the largest logs first.
    pub(in crate::act) logs: Vec<LiveLog>,
    /// Entries that were passed.
    pub(in crate::act) entries: u64,
    /// Nothing was left out of the walk.
    pub(in crate::act) whole: bool,
    /// The first of those that have the name of a log, and are none that may be archived.
    pub(in crate::act) refused: Vec<(PathText, Refused)>,
}

pub(super) fn find_live(search: &Search, waiting: Vec<Waiting>, stop: &dyn Fn() -> bool) -> FoundLive {
    let mut walk = Walk::over(search, Wanted::Live(LivePool::default()), stop);
    for one in waiting {
        walk.gather_waiting(search, one);
    }
    let Wanted::Live(pool) = walk.wanted else { unreachable!("it is what was asked for") };
    FoundLive { logs: pool.finish(), entries: walk.entries, whole: walk.whole, refused: walk.refused }
}

pub(super) fn find(search: &Search, now: WallTime, stop: &dyn Fn() -> bool) -> Found {
    let walk = Walk::over(search, Wanted::Rotated { now, pool: Pool::default() }, stop);
    let Wanted::Rotated { pool, .. } = walk.wanted else { unreachable!("it is what was asked for") };
    let (candidates, left_out) = pool.finish();
    Found { candidates, left_out, entries: walk.entries, whole: walk.whole, refused: walk.refused }
}

struct Level {
    entries: Dir,
    path: Vec<u8>,
}

/// What is looked for, and what was found of it.
enum Wanted {
    Rotated { now: WallTime, pool: Pool },
    Live(LivePool),
}

struct Walk<'a> {
    ground: &'a Ground,
    wanted: Wanted,
    stop: &'a dyn Fn() -> bool,
    steps: u64,
    over: bool,
    entries: u64,
    whole: bool,
    refused: Vec<(PathText, Refused)>,
}

impl<'a> Walk<'a> {
    fn over(search: &'a Search, wanted: Wanted, stop: &'a dyn Fn() -> bool) -> Self {
        let refused = Vec::new();
        let mut walk = Self {
            ground: &search.ground,
            wanted,
            stop,
            steps: 0,
            over: false,
            entries: 0,
            whole: true,
            refused,
        };
        for start in &search.starts {
            walk.through(start);
        }
        walk
    }

    fn through(&mut self, start: &Start) {
        let mut way = Vec::new();
        let opened = self.ground.open(&start.path).and_then(|folder| open_to_list(folder.as_fd(), b"."));
        if let Some(folder) = self.reached(opened) {
            self.enter(start, folder, start.path.clone(), &mut way);
        }
        while let Some(level) = way.last_mut() {
            if self.is_over() {
                return;
            }
            match level.entries.read() {
                None => drop(way.pop()),
                Some(Err(_)) => {
                    self.whole = false;
                    way.pop();
                }
                Some(Ok(entry)) => {
                    let may_be_folder = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
                    if may_be_folder && !is_hidden(entry.file_name()) {
                        self.descend(start, entry.file_name().to_bytes(), &mut way);
                    }
                }
            }
        }
    }

    fn descend(&mut self, start: &Start, name: &[u8], way: &mut Vec<Level>) {
        let Some(level) = way.last() else { return };
        let path = [&level.path[..], b"/", name].concat();
        let Ok(above) = level.entries.fd() else { return };
        let Some(about) = self.reached(look(above, name)) else { return };
        if about.kind != FileType::Directory
            || !self.ground.place.holds(&about)
            || start.apart.contains(&path)
        {
            return;
        }
        if way.len() > DEPTH_MAX {
            self.whole = false;
            return;
        }
        let opened = open_to_list(above, name);
        if let Some(folder) = self.reached(opened) {
            self.enter(start, folder, path, way);
        }
    }

    /// Reads the files of a folder, then goes on within it.
    fn enter(&mut self, start: &Start, folder: OwnedFd, path: Vec<u8>, way: &mut Vec<Level>) {
        let Some(about) = self.reached(look_at(folder.as_fd())) else { return };
        if !self.ground.place.holds(&about) || start.apart_too.contains(&about.identity) {
            return;
        }
        let Some(mut entries) = self.reached(Dir::new(folder)) else { return };
        let here = Folder { path: path.clone(), identity: about.identity, rules: start.rules };
        self.gather(&Arc::new(here), &mut entries);
        entries.rewind();
        way.push(Level { entries, path });
    }

    fn gather(&mut self, folder: &Arc<Folder>, entries: &mut Dir) {
        match self.wanted {
            Wanted::Rotated { now, .. } => self.gather_rotated(folder, entries, now),
            Wanted::Live(_) => self.gather_live(folder, entries),
        }
    }

    /// The next file or folder that is in it.
    fn next(&mut self, entries: &mut Dir) -> Option<DirEntry> {
        while !self.is_over() {
            match entries.read()? {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) => {
                    self.entries += 1;
                    return Some(entry);
                }
                Err(_) => {
                    self.whole = false;
                    return None;
                }
            }
        }
        None
    }

    fn gather_live(&mut self, folder: &Arc<Folder>, entries: &mut Dir) {
        while let Some(entry) = self.next(entries) {
            let name = entry.file_name().to_bytes();
            let is_leftover = archiving(name).is_some();
            if !is_leftover && !is_live(name) {
                continue;
            }
            let Ok(above) = entries.fd() else { break };
            match self.pass(above, name) {
                // Only root makes these; whoever else has made it wants to be in the way.
                Ok(about) if is_leftover && (about.uid != 0 || about.mode & 0o7777 != 0o600) => {
                    self.refuse(folder, name, Refused::Stray);
                }
                Ok(about) if is_leftover || allocated(&about).0 >= LIVE_MIN => {
                    let (folder, name) = (Arc::clone(folder), name.to_vec());
                    let work = if is_leftover { Work::GoOn } else { Work::Begin };
                    let log = LiveLog { folder, name, about, work };
                    if let Wanted::Live(pool) = &mut self.wanted {
                        pool.offer(log);
                    }
                }
                Ok(_) => {}
                Err(why) => self.refuse(folder, name, why),
            }
        }
    }

    /// Where its log is, or was, on this file system.
    fn gather_waiting(&mut self, search: &Search, waiting: Waiting) {
        let Waiting { name: away, about, log: name, folder: path } = waiting;
        let within = |start: &&Start| below(&path, &start.path).is_some();
        let Some(start) = search.starts.iter().filter(within).max_by_key(|start| start.path.len()) else {
            return;
        };
        let opened = self.ground.open(&path).and_then(|folder| look_at(folder.as_fd()));
        match opened {
            Ok(folder) => {
                let folder = Arc::new(Folder { path, identity: folder.identity, rules: start.rules });
                let log = LiveLog { folder, name, about, work: Work::BringHome(away) };
                if let Wanted::Live(pool) = &mut self.wanted {
                    pool.offer(log);
                }
            }
            // It waits until there is such a folder again.
            Err(_) => {
                let path = PathText::of(&[&path[..], b"/", &name].concat());
                self.refused.push((path, Refused::FolderMoved));
            }
        }
    }

    fn gather_rotated(&mut self, folder: &Arc<Folder>, entries: &mut Dir, now: WallTime) {
        let mut sorting = Sorting::new(folder.rules, now);
        let mut owners = BTreeMap::new();
        while let Some(entry) = self.next(entries) {
            let name = entry.file_name().to_bytes();
            let Ok(above) = entries.fd() else { break };
            if let Some(inode) = aside(name) {
                self.pass_aside(folder, above, name, (inode, now));
            } else if let Some(shape) = folder.rules.shape(name) {
                if sorting.is_full() || owners.len() >= STAYING_MAX {
                    self.whole = false;
                    break;
                }
                let about = match self.pass(above, name) {
                    Ok(about) => about,
                    Err(why) if shape.certain => {
                        self.refuse(folder, name, why);
                        continue;
                    }
                    Err(_) => continue,
                };
                if shape.certain || self.is_beside_its_log(above, &shape.log, about.uid, &mut owners) {
                    sorting.see(Seen { name: name.to_vec(), log: shape.log, about });
                }
            }
        }
        let Sorted { go, left_out } = sorting.finish();
        for (Seen { name, about, .. }, keeper) in go {
            self.offer(Candidate { folder: Arc::clone(folder), name, about, keeper: Some(keeper) });
        }
        if let Wanted::Rotated { pool, .. } = &mut self.wanted {
            pool.leave_out(left_out);
        }
    }

    fn pass(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<About, Refused> {
        let about = look(folder, name).map_err(Refused::of)?;
        about.is_fit(self.ground.place)?;
        Ok(about)
    }

    fn offer(&mut self, candidate: Candidate) {
        if let Wanted::Rotated { pool, .. } = &mut self.wanted {
            pool.offer(candidate);
        }
    }

    /// What a removal has put aside. Its own number is in its name; anything else got there at the last moment.
    fn pass_aside(
        &mut self,
        folder: &Arc<Folder>,
        above: BorrowedFd<'_>,
        name: &[u8],
        (inode, now): (u64, WallTime),
    ) {
        match self.pass(above, name) {
            Ok(about) if about.identity.inode != inode => self.refuse(folder, name, Refused::Stray),
            // It was old enough, and its content is no younger for having been put aside.
            Ok(about) if folder.rules.is_old_content(&about, now) => {
                let (folder, name) = (Arc::clone(folder), name.to_vec());
                self.offer(Candidate { folder, name, about, keeper: None });
            }
            Ok(_) => self.refuse(folder, name, Refused::Young),
            Err(why) => self.refuse(folder, name, why),
        }
    }

    /// Whether its log stands beside it. It must be the same owner's, or root's: else whoever may make files there could
    /// have another's taken for rotated ones.
    fn is_beside_its_log(
        &self,
        folder: BorrowedFd<'_>,
        log: &[u8],
        uid: u32,
        owners: &mut BTreeMap<Vec<u8>, Option<u32>>,
    ) -> bool {
        let owner = *owners.entry(log.to_vec()).or_insert_with(|| {
            let live = look(folder, log).ok()?;
            live.is_fit(self.ground.place).is_ok().then_some(live.uid)
        });
        owner.is_some_and(|owner| owner == uid || owner == 0)
    }

    fn refuse(&mut self, folder: &Folder, name: &[u8], why: Refused) {
        if why != Refused::Gone && self.refused.len() < REFUSED_MAX {
            self.refused.push((folder.path_of(name), why));
        }
    }

    /// What is gone, or a link by now, is no trouble; what can't be read is.
    fn reached<T>(&mut self, result: rustix::io::Result<T>) -> Option<T> {
        let gone = |errno| matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV);
        self.whole &= result.as_ref().err().is_none_or(|errno| gone(*errno));
        result.ok()
    }

    fn is_over(&mut self) -> bool {
        if !self.over && (self.steps >= STEPS_MAX || self.steps.is_multiple_of(SLICE) && (self.stop)()) {
            self.over = true;
            self.whole = false;
        }
        self.steps += 1;
        self.over
    }
}

/// Also `.` and `..`. Snapshots and waste baskets are hidden as well.
fn is_hidden(name: &CStr) -> bool {
    name.to_bytes().starts_with(b".")
}
