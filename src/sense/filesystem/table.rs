//! Which mounts count: each file system once, at a place where it can be asked.
//!
//! Pure: the bytes of `mountinfo` in, what to ask out.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::model::{DeviceNumber, FilesystemClass, MountPoint, Reading};
use crate::sense::procfs::{FilesystemKind, MountRow, mounts};

use super::room::{MountId, Question};

/// File systems told of: hosts with more are hosts of containers, whose own file systems are not counted.
pub const FILESYSTEMS_MAX: usize = 4096;
/// Kinds that no kernel writes to: that they are read-only tells nothing.
const IMAGES: &[&[u8]] = &[b"squashfs", b"iso9660", b"erofs", b"cramfs", b"romfs", b"udf"];

/// Why nobody can say what a read-only file system is read-only for.
const SANDBOXED: &str = "by request or by damage: the agent sees only the mounts of its own sandbox";

/// What the flags of the mounts in a table mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountFlags {
    /// What whoever mounted it asked for.
    AsAsked,
    /// A sandbox has added flags of its own (`ProtectSystem=` makes all mounts read-only): those of the file system
    /// itself are the only ones that tell something.
    OfSandbox,
}

/// A file system that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    pub question: Question,
    pub mount_point: MountPoint,
    pub device: DeviceNumber,
    pub fs_type: String,
    pub source: String,
    pub class: FilesystemClass,
    pub read_only: bool,
    pub forced_read_only: Reading<bool>,
}

/// What is mounted, and how many lines could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountTable {
    pub filesystems: Vec<Mounted>,
    /// Lines of an unknown form, and file systems over [`FILESYSTEMS_MAX`].
    pub left_out: usize,
}

/// One file system, with the best of its mounts so far.
struct Candidate<'a> {
    best: MountRow<'a>,
    forced_read_only: bool,
    writable: bool,
}

/// Reads the whole table.
#[must_use]
pub fn read_table(mountinfo: &[u8], flags: MountFlags) -> MountTable {
    let mut table = MountTable::default();
    let mut rows: BTreeMap<MountId, MountRow<'_>> = BTreeMap::new();
    for row in mounts(mountinfo) {
        match row {
            Ok(row) => {
                rows.insert(row.id, row);
            }
            Err(_) => table.left_out += 1,
        }
    }
    let hidden: BTreeSet<MountId> = rows
        .values()
        .filter(|row| {
            rows.get(&row.parent).is_some_and(|below| below.point == row.point && below.id != row.id)
        })
        .map(|row| row.parent)
        .collect();
    let mut found: BTreeMap<DeviceNumber, Candidate<'_>> = BTreeMap::new();
    for row in rows.values().filter(|row| !hidden.contains(&row.id)) {
        if !row.kind().can_fill() {
            continue;
        }
        let (forced, writable) = match flags {
            MountFlags::AsAsked => {
                (is_forced(row), !row.is_read_only_mount() && !row.is_read_only_filesystem())
            }
            MountFlags::OfSandbox => (row.gave_up(), !row.is_read_only_filesystem()),
        };
        match found.entry(row.device) {
            Entry::Vacant(place) => {
                place.insert(Candidate { best: *row, forced_read_only: forced, writable });
            }
            Entry::Occupied(mut place) => {
                let candidate = place.get_mut();
                candidate.forced_read_only |= forced;
                candidate.writable |= writable;
                if rank(row) < rank(&candidate.best) {
                    candidate.best = *row;
                }
            }
        }
    }
    for candidate in found.values() {
        match mounted(candidate, flags) {
            Some(mounted) if table.filesystems.len() < FILESYSTEMS_MAX => table.filesystems.push(mounted),
            Some(_) | None => table.left_out += 1,
        }
    }
    table.filesystems.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    table
}

/// People know a file system by the mount that shows all of it, at the shortest path; the oldest of those.
fn rank(row: &MountRow<'_>) -> (bool, usize, MountId) {
    (!row.is_whole(), row.point.written().len(), row.id)
}

/// The kernel answers damage by making the whole file system read-only; the mount still says that it was mounted to
/// be written to. Whoever asks for read-only gets both.
fn is_forced(row: &MountRow<'_>) -> bool {
    row.gave_up() || (row.is_read_only_filesystem() && !row.is_read_only_mount() && !is_image(row))
}

fn is_image(row: &MountRow<'_>) -> bool {
    IMAGES.contains(&row.fstype)
}

/// `None` for what has no room of its own.
const fn class_of(kind: FilesystemKind) -> Option<FilesystemClass> {
    match kind {
        FilesystemKind::Real => Some(FilesystemClass::Disk),
        FilesystemKind::Memory => Some(FilesystemClass::Memory),
        FilesystemKind::Network => Some(FilesystemClass::Network),
        FilesystemKind::Fuse => Some(FilesystemClass::Fuse),
        FilesystemKind::Unknown => Some(FilesystemClass::Unknown),
        FilesystemKind::Layered | FilesystemKind::Virtual => None,
    }
}

/// `None` when its place can't be named.
fn mounted(candidate: &Candidate<'_>, flags: MountFlags) -> Option<Mounted> {
    let Candidate { best: row, forced_read_only, writable } = candidate;
    let point: Vec<u8> = row.point.bytes().collect();
    let below = point.strip_prefix(b"/")?;
    let told = *forced_read_only || *writable || is_image(row) || flags == MountFlags::AsAsked;
    let path =
        PathBuf::from(OsString::from_vec(if below.is_empty() { b".".to_vec() } else { below.to_vec() }));
    Some(Mounted {
        question: Question { mount: row.id, path },
        mount_point: MountPoint::from_bytes(&point).ok()?,
        device: row.device,
        fs_type: String::from_utf8_lossy(row.fstype).into_owned(),
        source: String::from_utf8_lossy(&row.source.bytes().collect::<Vec<u8>>()).into_owned(),
        class: class_of(row.kind())?,
        read_only: !writable,
        forced_read_only: if told {
            Reading::Value(*forced_read_only)
        } else {
            Reading::Failed(SANDBOXED.into())
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, expected: &[&str]) {
        check_with(MountFlags::AsAsked, mountinfo, expected);
    }

    fn check_with(flags: MountFlags, mountinfo: &str, expected: &[&str]) {
        let table = read_table(mountinfo.as_bytes(), flags);
        let told: Vec<String> = table
            .filesystems
            .iter()
            .map(|it| {
                let ro = match &it.forced_read_only {
                    Reading::Value(true) => " forced-ro",
                    Reading::Value(false) if it.read_only => " ro",
                    Reading::Value(false) => "",
                    Reading::Absent(_) | Reading::Failed(_) => " ro-why",
                };
                format!("{} {} {}{ro}", it.mount_point, it.question.mount, it.class.as_str())
            })
            .collect();
        assert_eq!(told, expected, "{mountinfo}");
    }

    #[test]
    fn each_file_system_once_where_it_shows_whole_and_shortest() {
        check(
            "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
             23 22 254:1 /srv /bind rw,relatime - ext4 /dev/vda1 rw\n\
             24 22 254:16 /sub /a rw - btrfs /dev/vdb rw,subvol=/sub\n\
             25 22 254:16 / /longer rw - btrfs /dev/vdb rw,subvol=/\n\
             26 22 0:5 / /proc rw - proc proc rw\n\
             27 22 0:44 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=a\n\
             28 22 0:6 / /run rw,nosuid shared:2 - tmpfs tmpfs rw,size=1k\n\
             29 22 0:50 / /mnt/nfs rw - nfs4 server:/export rw\n\
             30 22 0:51 / /mnt/my\\040disk rw - fuse.sshfs me@far: rw\n",
            &[
                "/ 22 disk",
                "/longer 25 disk",
                "/mnt/my disk 30 fuse",
                "/mnt/nfs 29 network",
                "/run 28 memory",
            ],
        );
    }

    #[test]
    fn what_is_mounted_over_is_not_asked() {
        check(
            "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
             30 22 254:16 / /data rw - ext4 /dev/vdb rw\n\
             31 30 254:32 / /data rw - ext4 /dev/vdc rw\n",
            &["/ 22 disk", "/data 31 disk"],
        );
    }

    #[test]
    fn asked_for_and_forced_read_only_are_told_apart() {
        check(
            "22 1 254:1 / / rw,relatime - ext4 /dev/vda1 ro,errors=remount-ro\n\
             30 22 254:16 / /asked ro - ext4 /dev/vdb ro\n\
             31 22 254:32 / /bind ro - ext4 /dev/vdc rw\n\
             32 22 7:1 / /snap/x rw - squashfs /dev/loop1 ro\n\
             33 22 254:48 / /new rw - ext4 /dev/vdd rw,emergency_ro\n",
            &[
                "/ 22 disk forced-ro",
                "/asked 30 disk ro",
                "/bind 31 disk ro",
                "/new 33 disk forced-ro",
                "/snap/x 32 disk ro",
            ],
        );
    }

    /// `ProtectSystem=strict` makes every mount of the agent's own read-only.
    #[test]
    fn what_a_sandbox_adds_is_not_taken_for_the_hosts() {
        check_with(
            MountFlags::OfSandbox,
            "22 1 254:1 / / ro,relatime - ext4 /dev/vda1 rw,errors=remount-ro\n\
             30 22 254:16 / /asked-or-damaged ro - ext4 /dev/vdb ro\n\
             32 22 7:1 / /snap/x ro - squashfs /dev/loop1 ro\n\
             33 22 254:48 / /new ro - ext4 /dev/vdd rw,emergency_ro\n",
            &[
                "/ 22 disk",
                "/asked-or-damaged 30 disk ro-why",
                "/new 33 disk forced-ro",
                "/snap/x 32 disk ro",
            ],
        );
    }

    #[test]
    fn a_line_that_is_not_understood_loses_no_other() {
        let table = read_table(
            b"garbage\n22 1 254:1 / / rw - ext4 /dev/vda1 rw\n23 22 254:2 / /cut rw - ext4 /dev/v",
            MountFlags::AsAsked,
        );
        assert_eq!((table.filesystems.len(), table.left_out), (1, 2));
    }
}
