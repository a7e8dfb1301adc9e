//! A walk over one file system that can be stopped after any entry, and goes on from there: at once, or later, having held
//! nothing open meanwhile.
//!
//! What it keeps is bounded: a folder handle for each level on the way down, and the largest that it has met. Each folder
//! is opened by its name in the one above, no link is followed, and what is on another mount is passed over: the check is on
//! the descriptor, so that nothing that is renamed meanwhile leads out.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::model::{
    Absence, Bytes, DeviceNumber, LargeFile, LargeFolder, PathText, Reading, SPACE_NAMES_MAX, WallTime,
};

use super::top::Top;
use super::writers::FileId;

/// Levels below the mount point. Each holds two descriptors and a buffer of 32 KiB; what lies deeper is told as not read.
pub const DEPTH_MAX: usize = 48;
/// The unit of `stx_blocks`, whatever the file system's own (statx(2)).
const BLOCK: u64 = 512;
/// What is asked of each entry, from what the kernel knows by itself.
const ASK: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT).union(AtFlags::STATX_DONT_SYNC);

/// Which file system, and by which mount. Before kernel 5.8 the mount is not told, and the device must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) major: u32,
    pub(super) minor: u32,
    mount: Option<u64>,
}

impl Place {
    fn of(about: &Statx) -> Self {
        let told = about.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        let mount = told.then_some(about.stx_mnt_id);
        Self { major: about.stx_dev_major, minor: about.stx_dev_minor, mount }
    }

    /// Whether it is on this device.
    pub(super) const fn is_on(self, device: DeviceNumber) -> bool {
        self.major == device.major && self.minor == device.minor
    }

    /// A subvolume of btrfs has a device of its own, and is on the same mount.
    fn holds(self, other: Self) -> bool {
        match (self.mount, other.mount) {
            (Some(mount), Some(other)) => mount == other,
            _ => (self.major, self.minor) == (other.major, other.minor),
        }
    }
}

pub(super) fn place_of(file: BorrowedFd<'_>) -> rustix::io::Result<Place> {
    Ok(identity_of(file)?.0)
}

/// And which file of it.
fn identity_of(file: BorrowedFd<'_>) -> rustix::io::Result<(Place, u64)> {
    let asked = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let about = rustix::fs::statx(file, c"", ASK | AtFlags::EMPTY_PATH, asked)?;
    Ok((Place::of(&about), about.stx_ino))
}

/// Opens a folder within another, and not what it may be a link to.
pub(super) fn open_folder(above: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    // That somebody looked is no access; only owners and root may say so.
    match rustix::fs::openat(above, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(above, name, flags, Mode::empty()),
        other => other,
    }
}

#[derive(Debug)]
struct Level {
    folder: OwnedFd,
    entries: Dir,
    about: Folder,
}

/// A folder that is being read, and how far that has come.
#[derive(Clone, Copy, Debug)]
struct Folder {
    inode: u64,
    /// Of the last entry that was read; what follows is still to come (`d_off`, getdents(2)).
    at: i64,
    /// Length of the path up to here.
    path: usize,
    bytes: u64,
    count: u64,
}

impl Folder {
    const fn new(inode: u64, path: usize) -> Self {
        Self { inode, at: 0, path, bytes: 0, count: 0 }
    }
}

/// What was seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub entries: u64,
    pub bytes: u64,
    pub unreadable: u64,
    pub files: Vec<LargeFile>,
    /// Which files those are.
    pub ids: Vec<FileId>,
    pub folders: Vec<LargeFolder>,
    pub crowded: Vec<LargeFolder>,
}

/// What a walk has met.
#[derive(Clone, Debug)]
struct Tally {
    entries: u64,
    bytes: u64,
    unreadable: u64,
    files: Top<(FileId, LargeFile)>,
    folders: Top<LargeFolder>,
    crowded: Top<LargeFolder>,
}

impl Tally {
    const fn new() -> Self {
        Self {
            entries: 0,
            bytes: 0,
            unreadable: 0,
            files: Top::new(SPACE_NAMES_MAX),
            folders: Top::new(SPACE_NAMES_MAX),
            crowded: Top::new(SPACE_NAMES_MAX),
        }
    }

    fn note(&mut self, about: &Folder, path: &[u8]) {
        let folder = || {
            let path = path.get(..about.path).filter(|path| !path.is_empty()).unwrap_or(b"/");
            LargeFolder { path: PathText::of(path), bytes: Bytes(about.bytes), entries: about.count }
        };
        if self.folders.takes(about.bytes) {
            self.folders.add(about.bytes, folder());
        }
        if self.crowded.takes(about.count) {
            self.crowded.add(about.count, folder());
        }
    }
}

/// A walk that is under way.
#[derive(Debug)]
pub struct Walk {
    place: Place,
    way: Vec<Level>,
    /// Of the folder that is being read.
    path: Vec<u8>,
    tally: Tally,
}

/// A walk that rests: it holds nothing open, and so keeps no file system from being unmounted.
#[derive(Clone, Debug)]
pub struct Resting {
    place: Place,
    way: Vec<Folder>,
    path: Vec<u8>,
    tally: Tally,
}

impl Resting {
    /// Goes on from there. What was removed or replaced meanwhile is passed over, with what was below it, and told as not
    /// read.
    ///
    /// # Errors
    /// When this is not the folder that it began with, or it can't be read.
    pub fn go_on(self, root: OwnedFd) -> rustix::io::Result<Walk> {
        let Self { place, way, path, tally } = self;
        let mut walk = Walk { place, way: Vec::new(), path, tally };
        let mut next = Some(root);
        for about in way {
            let opened = match next.take() {
                Some(root) => walk.reopen(root, about)?,
                None => walk.reopen_below(about),
            };
            match opened {
                Some(level) => walk.way.push(level),
                // What was still to come in it was not seen.
                None => {
                    walk.tally.unreadable += 1;
                    walk.tally.note(&about, &walk.path);
                }
            }
        }
        if walk.way.is_empty() {
            return Err(Errno::STALE);
        }
        walk.path.truncate(walk.way.last().map_or(0, |level| level.about.path));
        Ok(walk)
    }
}

impl Walk {
    /// From this folder on, which is called so.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn new(root: OwnedFd, path: &[u8]) -> rustix::io::Result<Self> {
        let path = if path == b"/" { Vec::new() } else { path.to_vec() };
        let (place, inode) = identity_of(root.as_fd())?;
        let about = Folder::new(inode, path.len());
        let first = Level { entries: Dir::read_from(&root)?, folder: root, about };
        Ok(Self { place, way: vec![first], path, tally: Tally::new() })
    }

    /// Closes everything, to go on later.
    #[must_use]
    pub fn rest(self) -> Resting {
        let Self { place, way, path, tally } = self;
        Resting { place, way: way.into_iter().map(|level| level.about).collect(), path, tally }
    }

    /// The folder within the last one that was left. None if it is not there any more, or what led to it is not.
    fn reopen_below(&self, about: Folder) -> Option<Level> {
        let above = self.way.last()?;
        // A level in between is gone: what the name is below is not the last one that is open.
        let name = self.path.get(above.about.path + 1..about.path).filter(|name| !name.contains(&b'/'))?;
        let name = CString::new(name).ok()?;
        self.reopen(open_folder(above.folder.as_fd(), &name).ok()?, about).ok().flatten()
    }

    /// At the place where it was left, if it is the same folder.
    fn reopen(&self, folder: OwnedFd, about: Folder) -> rustix::io::Result<Option<Level>> {
        let (place, inode) = identity_of(folder.as_fd())?;
        if !self.place.holds(place) || inode != about.inode {
            return Ok(None);
        }
        let mut entries = Dir::read_from(&folder)?;
        entries.seek(about.at)?;
        Ok(Some(Level { folder, entries, about }))
    }

    /// Passes so many entries at the most; true when nothing is left.
    pub fn go_on(&mut self, entries: usize) -> bool {
        for _ in 0..entries {
            let Some(level) = self.way.last_mut() else { return true };
            match level.entries.read() {
                None => self.leave(),
                Some(Err(_)) => {
                    self.tally.unreadable += 1;
                    self.leave();
                }
                Some(Ok(entry)) => {
                    level.about.at = entry.offset();
                    let name = entry.file_name();
                    if name != c"." && name != c".." {
                        self.pass(name);
                    }
                }
            }
        }
        self.way.is_empty()
    }

    /// Passed so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.tally.entries
    }

    /// Up to now, those that are under way included.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let mut tally = self.tally.clone();
        for level in &self.way {
            tally.note(&level.about, &self.path);
        }
        Seen {
            entries: tally.entries,
            bytes: tally.bytes,
            unreadable: tally.unreadable,
            files: tally.files.all().map(|(_, file)| file.clone()).collect(),
            ids: tally.files.all().map(|(id, _)| *id).collect(),
            folders: tally.folders.all().cloned().collect(),
            crowded: tally.crowded.all().cloned().collect(),
        }
    }

    fn leave(&mut self) {
        if let Some(level) = self.way.pop() {
            self.tally.note(&level.about, &self.path);
        }
        self.path.truncate(self.way.last().map_or(0, |level| level.about.path));
    }

    fn pass(&mut self, name: &CStr) {
        let Some(level) = self.way.last_mut() else { return };
        self.tally.entries += 1;
        level.about.count += 1;
        let asked = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let about = match rustix::fs::statx(&level.folder, name, ASK, asked) {
            Ok(about) if self.place.holds(Place::of(&about)) => about,
            // Gone meanwhile, or another file system's.
            Ok(_) | Err(Errno::NOENT) => return,
            Err(_) => return self.tally.unreadable += 1,
        };
        if FileType::from_raw_mode(about.stx_mode.into()) == FileType::Directory {
            return self.enter(name);
        }
        // Each of its names has its part in it.
        let bytes = about.stx_blocks.saturating_mul(BLOCK) / u64::from(about.stx_nlink.max(1));
        level.about.bytes = level.about.bytes.saturating_add(bytes);
        self.tally.bytes = self.tally.bytes.saturating_add(bytes);
        if self.tally.files.takes(bytes) {
            let path = PathText::of(&[&self.path[..], b"/", name.to_bytes()].concat());
            let millis = about
                .stx_mtime
                .tv_sec
                .saturating_mul(1000)
                .saturating_add(i64::from(about.stx_mtime.tv_nsec / 1_000_000));
            let modified = WallTime::from_unix_millis(millis);
            let file = LargeFile { path, bytes: Bytes(bytes), modified, growth: nobody(), writer: nobody() };
            self.tally.files.add(bytes, (FileId::of(&about), file));
        }
    }

    fn enter(&mut self, name: &CStr) {
        let Some(above) = self.way.last() else { return };
        if self.way.len() > DEPTH_MAX {
            self.tally.unreadable += 1;
            return;
        }
        let opened = open_folder(above.folder.as_fd(), name).and_then(|folder| {
            let (place, inode) = identity_of(folder.as_fd())?;
            Ok((Dir::read_from(&folder)?, folder, inode, self.place.holds(place)))
        });
        match opened {
            Ok((entries, folder, inode, true)) => {
                self.path.push(b'/');
                self.path.extend_from_slice(name.to_bytes());
                self.way.push(Level { folder, entries, about: Folder::new(inode, self.path.len()) });
            }
            Ok((.., false)) | Err(Errno::NOENT) => {}
            Err(_) => self.tally.unreadable += 1,
        }
    }
}

/// Until it is looked for who writes it.
const fn nobody<T>() -> Reading<T> {
    Reading::Absent(Absence::NotObserved)
}
