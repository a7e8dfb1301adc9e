//! Where a file is and which one it is, asked of descriptors: a name may mean another file the next moment.
//!
//! Looks and opens; changes nothing. No link is followed, nothing but regular files and folders is opened, and nothing
//! waits for a file system other than the one that is meant.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::model::{DeviceNumber, WallTime};

use super::refused::Refused;

/// How entries are asked about: themselves, not what they lead to.
const ASK: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);
/// A handle to a folder, which opens nothing.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// `/proc/self/fdinfo/N` of a file or folder is a few lines.
const FDINFO_BYTES_MAX: usize = 1024;
/// `S_ISUID` and `S_ISGID`.
const SET_ID: u16 = 0o6000;

/// A time of a file, as exact as the file system keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

impl Stamp {
    pub(super) fn wall(self) -> WallTime {
        let millis = self.seconds.saturating_mul(1000);
        WallTime::from_unix_millis(millis.saturating_add(i64::from(self.nanoseconds / 1_000_000)))
    }
}

/// Which file, folder or link: its number is given to another only when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) device: DeviceNumber,
    pub(super) inode: u64,
}

/// What is known of a file, folder or link at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) identity: Identity,
    /// By which mount it was reached; none before kernel 5.8 where it was asked by name.
    pub(super) mount: Option<u64>,
    pub(super) kind: FileType,
    pub(super) mode: u16,
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// In the unit of statx(2), 512 bytes.
    pub(super) blocks: u64,
    pub(super) modified: Stamp,
    pub(super) changed: Stamp,
    pub(super) attributes: StatxAttributes,
}

impl About {
    fn of(about: &Statx) -> Self {
        let device = DeviceNumber { major: about.stx_dev_major, minor: about.stx_dev_minor };
        let told = about.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        let stamp = |seconds, nanoseconds| Stamp { seconds, nanoseconds };
        Self {
            identity: Identity { device, inode: about.stx_ino },
            mount: told.then_some(about.stx_mnt_id),
            kind: FileType::from_raw_mode(about.stx_mode.into()),
            mode: about.stx_mode,
            links: about.stx_nlink,
            uid: about.stx_uid,
            gid: about.stx_gid,
            size: about.stx_size,
            blocks: about.stx_blocks,
            modified: stamp(about.stx_mtime.tv_sec, about.stx_mtime.tv_nsec),
            changed: stamp(about.stx_ctime.tv_sec, about.stx_ctime.tv_nsec),
            attributes: about.stx_attributes & about.stx_attributes_mask,
        }
    }

    /// The same file, and nobody has written to it, renamed it or changed anything about it since.
    ///
    /// A time that somebody sets back shows in that of the change, which nobody can set.
    pub(super) fn untouched_since(&self, earlier: &Self) -> bool {
        self.same_content_as(earlier) && self.changed == earlier.changed
    }

    /// The same file, and nobody has written to it: it may have been renamed.
    pub(super) fn same_content_as(&self, earlier: &Self) -> bool {
        self.identity == earlier.identity
            && self.kind == earlier.kind
            && self.size == earlier.size
            && self.modified == earlier.modified
    }

    /// Whether it is a file that may be removed at all, whatever its age and name.
    pub(super) fn is_fit(&self, place: Place) -> Result<(), Refused> {
        if !place.holds(self) {
            Err(Refused::Elsewhere)
        } else if self.kind == FileType::Symlink {
            Err(Refused::Link)
        } else if self.kind != FileType::RegularFile {
            Err(Refused::NotAFile)
        } else if self.links == 0 {
            Err(Refused::Gone)
        } else if self.links > 1 {
            Err(Refused::OtherNames)
        } else if self.mode & SET_ID != 0 {
            Err(Refused::SetId)
        } else if self.attributes.contains(StatxAttributes::IMMUTABLE) {
            Err(Refused::Immutable)
        } else if self.attributes.contains(StatxAttributes::APPEND) {
            Err(Refused::AppendOnly)
        } else {
            Ok(())
        }
    }
}

/// The mount that all must be on.
///
/// Its number can't be given to another while a descriptor on it is open, which the search holds. A subvolume of btrfs
/// has a device of its own, and is on the same mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: DeviceNumber,
    pub(super) mount: u64,
}

impl Place {
    /// Where the mount is not told, the device must do until there is a descriptor to ask.
    pub(super) fn holds(self, about: &About) -> bool {
        about.mount.map_or(self.device == about.identity.device, |mount| mount == self.mount)
    }
}

/// What is called so in this folder, from what the kernel knows by itself.
pub(super) fn look(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<About> {
    let asked = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    Ok(About::of(&rustix::fs::statx(folder, name, ASK, asked)?))
}

/// What this descriptor is of. Its mount is always known.
pub(super) fn look_at(file: BorrowedFd<'_>) -> rustix::io::Result<About> {
    let asked = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let mut about = About::of(&rustix::fs::statx(file, c"", ASK | AtFlags::EMPTY_PATH, asked)?);
    if about.mount.is_none() {
        about.mount = Some(mount_by_proc(file)?);
    }
    Ok(about)
}

/// As kernels before 5.8 tell it.
pub(super) fn mount_by_proc(file: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
    let info = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = vec![0; FDINFO_BYTES_MAX];
    let length = rustix::io::read(&info, &mut text[..])?;
    text.truncate(length);
    let text = String::from_utf8(text).map_err(|_| Errno::NODATA)?;
    let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    number.and_then(|number| number.trim().parse().ok()).ok_or(Errno::NODATA)
}

/// A handle to the folder at this relative path. Mounts on the way are entered.
pub(super) fn open_beneath(base: BorrowedFd<'_>, way: &[u8]) -> rustix::io::Result<OwnedFd> {
    let bounds = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    open_parts(base, way, bounds, &|_| Ok(()))
}

/// A handle to the folder at this relative path, all of which must be on this mount.
pub(super) fn open_within(base: BorrowedFd<'_>, way: &[u8], place: Place) -> rustix::io::Result<OwnedFd> {
    let bounds = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let within =
        |folder: BorrowedFd<'_>| if place.holds(&look_at(folder)?) { Ok(()) } else { Err(Errno::XDEV) };
    open_parts(base, way, bounds, &within)
}

type Check<'a> = dyn Fn(BorrowedFd<'_>) -> rustix::io::Result<()> + 'a;

/// openat2(2) does it in one call. Kernels before 5.6 do not have it, systemd takes it away with `RestrictSUIDSGID=`,
/// and it takes no path of more than 4096 bytes: then part by part.
fn open_parts(
    base: BorrowedFd<'_>,
    way: &[u8],
    bounds: ResolveFlags,
    check: &Check<'_>,
) -> rustix::io::Result<OwnedFd> {
    let parts = way.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    if parts.clone().any(|part| part == b"..") {
        return Err(Errno::XDEV);
    }
    if !way.is_empty() {
        match rustix::fs::openat2(base, way, HANDLE, Mode::empty(), bounds) {
            Ok(folder) => return check(folder.as_fd()).map(|()| folder),
            // The last: a part of it was renamed meanwhile.
            Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG | Errno::AGAIN) => {}
            Err(other) => return Err(other),
        }
    }
    let mut folder = rustix::fs::openat(base, c".", HANDLE, Mode::empty())?;
    check(folder.as_fd())?;
    for part in parts {
        folder = rustix::fs::openat(&folder, part, HANDLE, Mode::empty())?;
        check(folder.as_fd())?;
    }
    Ok(folder)
}

/// Opens a folder within another to read its entries, and not what it may be a link to.
pub(super) fn open_to_list(above: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    quietly(flags, &|flags| rustix::fs::openat(above, name, flags, Mode::empty()))
}

/// A handle to what is called so, whatever it is. Opening a device or a pipe has effects; this opens nothing.
pub(super) fn handle(folder: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Opens what this handle is of, which must have been seen to be a regular file. By its number and not its name, so
/// that it can't be another.
pub(super) fn open_to_read(handle: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    quietly(flags, &|flags| rustix::fs::open(&path[..], flags, Mode::empty()))
}

/// The same, to take parts out of it as well.
pub(super) fn open_to_change(handle: BorrowedFd<'_>) -> Result<OwnedFd, Refused> {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    quietly(flags, &|flags| rustix::fs::open(&path[..], flags, Mode::empty())).map_err(|errno| match errno {
        // Without waiting: somebody else's lease.
        Errno::AGAIN => Refused::Leased,
        // Of /proc, not of the file.
        Errno::NOENT => Refused::Errno(errno),
        other => Refused::of(other),
    })
}

/// That somebody looked is no access; only owners and root may say so.
fn quietly(
    flags: OFlags,
    open: &dyn Fn(OFlags) -> rustix::io::Result<OwnedFd>,
) -> rustix::io::Result<OwnedFd> {
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        other => other,
    }
}
