//! Logs and core dumps: where room may be made by removing old ones and archiving live logs, and what is kept on record of
//! each.

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

/// What a folder is for. Only files of that kind are removed from it, whatever else lies there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Logs, of which the rotated ones may be removed.
    #[default]
    Logs,
    /// Memory of programs that crashed, as systemd-coredump(8) leaves it.
    CoreDumps,
}

/// A folder of logs or of core dumps, from which old ones may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRoot {
    /// What the policy calls it.
    pub name: String,
    /// Absolute, without `.`, `..` or a slash at its end.
    pub folder: PathBuf,
    /// Folders within it that are left alone, absolute as well.
    pub except: Vec<PathBuf>,
    pub holds: Holds,
    /// So many rotated files of each log, or dumps of each program, are kept, the newest; at least one.
    pub keep: u32,
    /// What is younger is kept.
    pub keep_for: Duration,
}

impl LogRoot {
    /// Those of all that hold such files. A folder within one of them that holds others is left alone.
    #[must_use]
    pub fn holding(all: &[Self], holds: Holds) -> Vec<Self> {
        let (mut fitting, others): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|root| root.holds == holds);
        for root in &mut fitting {
            let within = others.iter().map(|other| &other.folder).filter(|it| it.starts_with(&root.folder));
            root.except.extend(within.cloned());
        }
        fitting
    }

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
            holds: Holds::Logs,
            keep: 1,
            keep_for: Duration::ZERO,
        };
        let point = |path: &str| MountPoint::from_bytes(path.as_bytes());
        let mounted = ["/", "/var", "/srv", "/var/log/shop"].map(|path| point(path).expect("a path"));
        let here = point(here).expect("a path");
        assert_eq!(root.lies_on(&here, mounted.iter()), lies, "{folder} on {here}");
    }

    /// Of folders of logs (`l`) and of core dumps (`c`), those of one kind, each with what is left alone in it.
    #[track_caller]
    fn check_holding(all: &[(char, &str)], holds: Holds, expected: &[(&str, &[&str])]) {
        let root = |(kind, folder): &(char, &str)| LogRoot {
            name: (*folder).into(),
            folder: folder.into(),
            except: Vec::new(),
            holds: if *kind == 'c' { Holds::CoreDumps } else { Holds::Logs },
            keep: 1,
            keep_for: Duration::ZERO,
        };
        let all: Vec<LogRoot> = all.iter().map(root).collect();
        let found = LogRoot::holding(&all, holds);
        let found: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|it| (it.name.as_str(), it.except.iter().map(|path| path.to_str().expect("text")).collect()))
            .collect();
        let expected: Vec<(&str, Vec<&str>)> = expected.iter().map(|(it, not)| (*it, not.to_vec())).collect();
        assert_eq!(found, expected, "{holds:?} of {all:?}");
    }

    #[test]
    fn what_holds_others_is_left_alone() {
        let apart = [('l', "/var/log"), ('c', "/var/lib/systemd/coredump"), ('c', "/var/logs")];
        check_holding(&apart, Holds::Logs, &[("/var/log", &[])]);
        check_holding(&apart, Holds::CoreDumps, &[("/var/lib/systemd/coredump", &[]), ("/var/logs", &[])]);
        let within = [('l', "/srv"), ('c', "/srv/dumps"), ('l', "/srv/dumps/log"), ('l', "/srv/log")];
        let logs: &[(&str, &[&str])] =
            &[("/srv", &["/srv/dumps"]), ("/srv/dumps/log", &[]), ("/srv/log", &[])];
        check_holding(&within, Holds::Logs, logs);
        check_holding(&within, Holds::CoreDumps, &[("/srv/dumps", &["/srv/dumps/log"])]);
        // The policy refuses this; then nothing goes.
        let one = [('l', "/srv/a"), ('c', "/srv/a")];
        check_holding(&one, Holds::Logs, &[("/srv/a", &["/srv/a"])]);
        check_holding(&[], Holds::CoreDumps, &[]);
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
