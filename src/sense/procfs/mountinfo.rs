//! `/proc/PID/mountinfo` (proc_pid_mountinfo(5)): what is mounted where, as one process sees it.

use super::fstype::FilesystemKind;
use crate::model::DeviceNumber;
use crate::sense::device::device_number;
use crate::sense::scan::{find, number, rows};
use crate::sense::{Malformed, OctalText};

/// One mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountRow<'a> {
    /// Unique now, reused later.
    pub id: u64,
    pub parent: u64,
    /// Of the filesystem, and its identity: two mounts with the same number show one filesystem, so that a bind
    /// mount or a subvolume of btrfs is counted once. (What stat(2) tells of btrfs is another number.)
    pub device: DeviceNumber,
    /// Which folder of the filesystem is shown. Of network and kernel filesystems, anything: `net:[4026531840]`.
    pub root: OctalText<'a>,
    /// Below the reader's root.
    pub point: OctalText<'a>,
    /// Of this mount: `rw,relatime`.
    pub options: &'a [u8],
    /// `ext4`, `fuse.sshfs`. Escapes are not decoded: no type has one.
    pub fstype: &'a [u8],
    /// What it was mounted from, as somebody wrote it; empty if they wrote nothing.
    pub source: OctalText<'a>,
    /// Of the filesystem: `rw,errors=remount-ro`.
    pub super_options: &'a [u8],
}

impl MountRow<'_> {
    /// Its kind, by the name of its type.
    #[must_use]
    pub fn kind(&self) -> FilesystemKind {
        FilesystemKind::of(self.fstype)
    }

    /// This mount alone takes no writes: somebody asked for that.
    #[must_use]
    pub fn is_read_only_mount(&self) -> bool {
        has_option(self.options, b"ro")
    }

    /// The filesystem takes no writes, whichever mount they come by: asked for, or the kernel gave up on it. ext4
    /// says `emergency_ro` instead since 6.15, and `shutdown` when it takes nothing at all.
    #[must_use]
    pub fn is_read_only_filesystem(&self) -> bool {
        self.gave_up() || has_option(self.super_options, b"ro")
    }

    /// The kernel itself took the filesystem out of use, and says so; others only say `ro`.
    #[must_use]
    pub fn gave_up(&self) -> bool {
        has_option(self.super_options, b"emergency_ro") || has_option(self.super_options, b"shutdown")
    }

    /// Shows the whole filesystem, not a folder of it. Of several mounts of one filesystem, the one to name.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.root.written() == b"/"
    }
}

/// Of a list like `rw,relatime`.
pub(super) fn has_option(options: &[u8], wanted: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option == wanted)
}

/// The mounts, in the order in which they were made; a later one hides an earlier one at the same point.
pub fn mounts(bytes: &[u8]) -> impl Iterator<Item = Result<MountRow<'_>, Malformed>> {
    rows("mountinfo", bytes, |_| false, row)
}

/// `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL…] - TYPE SOURCE SUPER`. One blank parts two fields, and a
/// source may be empty, so runs of blanks are not joined.
fn row(line: &[u8]) -> Option<MountRow<'_>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = device_number(fields.next()?)?;
    let root = OctalText::new(fields.next()?);
    let point = OctalText::new(fields.next()?);
    let options = fields.next()?;
    // Optional fields (`shared:1`, `master:2`) come and go with kernels.
    fields.by_ref().find(|field| *field == b"-")?;
    let (fstype, source, super_options) = (fields.next()?, fields.next()?, fields.next()?);
    let whole = fields.next().is_none() && !fstype.is_empty() && find(point.written(), b'/') == Some(0);
    whole.then_some(MountRow {
        id,
        parent,
        device,
        root,
        point,
        options,
        fstype,
        source: OctalText::new(source),
        super_options,
    })
}
