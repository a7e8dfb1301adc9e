//! Logs: where room may be made by removing rotated ones and archiving live ones, and what is kept on record of each.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bytes, DeviceNumber, MountPoint, PathText, WallTime};

/// Files that one action may remove: each is a line on record, and some tens of thousands take the ledger seconds.
pub const REMOVED_PER_ACTION: u64 = 25_000;
/// Files that all actions of a day may remove. A host that makes more rotated logs than that has another fault.
pub const REMOVED_PER_DAY: u64 = 100_000;
/// Bytes that all actions of a day may remove: more than a disk of logs, and less than one of data.
pub const REMOVED_BYTES_PER_DAY: Bytes = Bytes(256 << 30);
/// Files that are put on record together, before the first of them is removed.
pub const REMOVALS_AT_ONCE: usize = 64;

/// A folder of logs: rotated ones may be removed from it, and live ones archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRoot {
    /// What the policy calls it.
    pub name: String,
    /// Absolute, without `.`, `..` or a slash at its end.
    pub folder: PathBuf,
    /// Folders within it that are left alone, absolute as well.
    pub except: Vec<PathBuf>,
    /// So many rotated files of each log are kept, the newest; at least one.
    pub keep: u32,
    /// What is younger is kept.
    pub keep_for: Duration,
}

impl LogRoot {
    /// Whether some of it lies on what is mounted at `point`, going by the mount points: it does itself, or that is mounted
    /// within it.
    #[must_use]
    pub fn lies_on<'a>(&self, point: &MountPoint, mounted: impl Iterator<Item = &'a MountPoint>) -> bool {
        let folder = self.folder.as_os_str().as_encoded_bytes();
        is_at_or_below(&point.to_bytes(), folder) || lies_on(folder, point, mounted)
    }
}

/// Whether the folder lies on what is mounted at `point`: nothing else is mounted between the two.
#[must_use]
pub fn lies_on<'a>(folder: &[u8], point: &MountPoint, mounted: impl Iterator<Item = &'a MountPoint>) -> bool {
    let here = point.to_bytes();
    let nearer = |other: &MountPoint| {
        let other = other.to_bytes();
        other.len() > here.len() && is_at_or_below(folder, &other)
    };
    is_at_or_below(folder, &here) && !mounted.into_iter().any(nearer)
}

fn is_at_or_below(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// A file, or a part of one, that is about to be removed: on record before it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub path: PathText,
    /// Its length.
    pub size: Bytes,
    /// That is taken from the disk.
    pub allocated: Bytes,
    pub modified: WallTime,
    pub uid: u32,
    pub gid: u32,
    pub inode: u64,
    /// SHA-256 over the first and the last 64 KiB, in hexadecimal digits; of a shorter file, over all of it.
    pub digest: String,
    #[serde(default, skip_serializing_if = "Fate::is_gone")]
    pub fate: Fate,
}

/// What becomes of the content of what is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is gone with the file.
    #[default]
    Gone,
    /// It was a part of a file that stays, and is in an archive, which is on the disk by then. `size` and `digest` are of
    /// the part.
    Archived {
        archive: PathText,
        /// Where in the file the part begins.
        from: Bytes,
    },
}

impl Fate {
    /// Whether nothing is left of it.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// Where room is to be made, and what may be removed or archived there: nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomOrder {
    pub point: MountPoint,
    /// Which file system that is: another may be mounted there by now.
    pub device: DeviceNumber,
    pub roots: Vec<LogRoot>,
    pub files_max: u64,
    pub bytes_max: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folder: &str, here: &str, lies: bool) {
        let root = LogRoot {
            name: "logs".into(),
            folder: folder.into(),
            except: Vec::new(),
            keep: 1,
            keep_for: Duration::ZERO,
        };
        let point = |path: &str| MountPoint::from_bytes(path.as_bytes());
        let mounted = ["/", "/var", "/srv", "/var/log/shop"].map(|path| point(path).expect("a path"));
        let here = point(here).expect("a path");
        assert_eq!(root.lies_on(&here, mounted.iter()), lies, "{folder} on {here}");
    }

    #[test]
    fn it_lies_on_the_nearest_mount_and_on_those_within_it() {
        check("/var/log", "/var", true);
        check("/var/log", "/", false);
        check("/var/log", "/var/log/shop", true);
        check("/var/log/shop/old", "/var/log/shop", true);
        check("/var/log/shop/old", "/var", false);
        check("/variable", "/", true);
        check("/variable", "/var", false);
        check("/opt/log", "/", true);
        check("/opt/log", "/srv", false);
    }
}
