//! A walk over one file system that can be stopped after any entry, and goes on from there.
//!
//! What it keeps is bounded: a folder handle for each level on the way down, and the largest that it has met. Each folder
//! is opened by its name in the one above, no link is followed, and what is on another mount is passed over: the check is on
//! the descriptor, so that nothing that is renamed meanwhile leads out.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::model::{Bytes, DeviceNumber, LargeFile, LargeFolder, PathText, SPACE_NAMES_MAX, WallTime};

use super::top::Top;

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
    Ok(Place::of(&rustix::fs::statx(
        file,
        c"",
        ASK | AtFlags::EMPTY_PATH,
        StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
    )?))
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
    /// Length of the path up to here.
    path: usize,
    bytes: u64,
    count: u64,
}

/// What was seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub entries: u64,
    pub bytes: u64,
    pub unreadable: u64,
    pub files: Vec<LargeFile>,
    pub folders: Vec<LargeFolder>,
    pub crowded: Vec<LargeFolder>,
}

/// A walk that is under way.
#[derive(Debug)]
pub struct Walk {
    place: Place,
    way: Vec<Level>,
    /// Of the folder that is being read.
    path: Vec<u8>,
    entries: u64,
    bytes: u64,
    unreadable: u64,
    files: Top<LargeFile>,
    folders: Top<LargeFolder>,
    crowded: Top<LargeFolder>,
}

impl Walk {
    /// From this folder on, which is called so.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn new(root: OwnedFd, path: &[u8]) -> rustix::io::Result<Self> {
        let path = if path == b"/" { Vec::new() } else { path.to_vec() };
        let place = place_of(root.as_fd())?;
        let first =
            Level { entries: Dir::read_from(&root)?, folder: root, path: path.len(), bytes: 0, count: 0 };
        Ok(Self {
            place,
            way: vec![first],
            path,
            entries: 0,
            bytes: 0,
            unreadable: 0,
            files: Top::new(SPACE_NAMES_MAX),
            folders: Top::new(SPACE_NAMES_MAX),
            crowded: Top::new(SPACE_NAMES_MAX),
        })
    }

    /// Passes so many entries at the most; true when nothing is left.
    pub fn go_on(&mut self, entries: usize) -> bool {
        for _ in 0..entries {
            let Some(level) = self.way.last_mut() else { return true };
            match level.entries.read() {
                None => self.leave(),
                Some(Err(_)) => {
                    self.unreadable += 1;
                    self.leave();
                }
                Some(Ok(entry)) => {
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
        self.entries
    }

    /// Up to now, those that are under way included.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let (mut folders, mut crowded) = (self.folders.clone(), self.crowded.clone());
        for level in &self.way {
            note(&mut folders, &mut crowded, level, &self.path);
        }
        Seen {
            entries: self.entries,
            bytes: self.bytes,
            unreadable: self.unreadable,
            files: self.files.all().cloned().collect(),
            folders: folders.all().cloned().collect(),
            crowded: crowded.all().cloned().collect(),
        }
    }

    fn leave(&mut self) {
        if let Some(level) = self.way.pop() {
            note(&mut self.folders, &mut self.crowded, &level, &self.path);
        }
        self.path.truncate(self.way.last().map_or(0, |level| level.path));
    }

    fn pass(&mut self, name: &CStr) {
        let Some(level) = self.way.last_mut() else { return };
        self.entries += 1;
        level.count += 1;
        let asked = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let about = match rustix::fs::statx(&level.folder, name, ASK, asked) {
            Ok(about) if self.place.holds(Place::of(&about)) => about,
            // Gone meanwhile, or another file system's.
            Ok(_) | Err(Errno::NOENT) => return,
            Err(_) => return self.unreadable += 1,
        };
        if FileType::from_raw_mode(about.stx_mode.into()) == FileType::Directory {
            return self.enter(name);
        }
        // Each of its names has its part in it.
        let bytes = about.stx_blocks.saturating_mul(BLOCK) / u64::from(about.stx_nlink.max(1));
        level.bytes = level.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.files.takes(bytes) {
            let path = PathText::of(&[&self.path[..], b"/", name.to_bytes()].concat());
            let millis = about
                .stx_mtime
                .tv_sec
                .saturating_mul(1000)
                .saturating_add(i64::from(about.stx_mtime.tv_nsec / 1_000_000));
            let modified = WallTime::from_unix_millis(millis);
            self.files.add(bytes, LargeFile { path, bytes: Bytes(bytes), modified });
        }
    }

    fn enter(&mut self, name: &CStr) {
        let Some(above) = self.way.last() else { return };
        if self.way.len() > DEPTH_MAX {
            self.unreadable += 1;
            return;
        }
        let opened = open_folder(above.folder.as_fd(), name).and_then(|folder| {
            let here = self.place.holds(place_of(folder.as_fd())?);
            Ok((Dir::read_from(&folder)?, folder, here))
        });
        match opened {
            Ok((entries, folder, true)) => {
                self.path.push(b'/');
                self.path.extend_from_slice(name.to_bytes());
                self.way.push(Level { folder, entries, path: self.path.len(), bytes: 0, count: 0 });
            }
            Ok((.., false)) | Err(Errno::NOENT) => {}
            Err(_) => self.unreadable += 1,
        }
    }
}

fn note(folders: &mut Top<LargeFolder>, crowded: &mut Top<LargeFolder>, level: &Level, path: &[u8]) {
    let folder = || {
        let path = path.get(..level.path).filter(|path| !path.is_empty()).unwrap_or(b"/");
        LargeFolder { path: PathText::of(path), bytes: Bytes(level.bytes), entries: level.count }
    };
    if folders.takes(level.bytes) {
        folders.add(level.bytes, folder());
    }
    if crowded.takes(level.count) {
        crowded.add(level.count, folder());
    }
}
