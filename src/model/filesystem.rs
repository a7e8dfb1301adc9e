//! File systems as the host mounts them: what they are, how full they are, and whether they answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Absence, BootTime, Bytes, Percent, Reading};

/// Longest path of a mount point, as written: the kernel's `PATH_MAX`, every byte escaped.
pub const MOUNT_POINT_MAX: usize = 4 * 4096;

/// Why a text does not name a mount point.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "a mount point is an absolute path, at most 4096 bytes, with control characters and \\ written as \\ooo"
)]
pub struct MountPointError;

/// Where a file system is mounted: its identity for people, rules and the record.
///
/// Text for every path: control characters, bytes that are not UTF-8, and the backslash are written as `\ooo`, so that
/// no two paths share a text and none can play tricks on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MountPoint(String);

impl MountPoint {
    /// Of a path, by its bytes.
    ///
    /// # Errors
    /// When it is not absolute, or longer than the kernel allows.
    pub fn from_bytes(path: &[u8]) -> Result<Self, MountPointError> {
        let text = escaped(path);
        let valid = text.starts_with('/') && text.len() <= MOUNT_POINT_MAX;
        if valid { Ok(Self(text)) } else { Err(MountPointError) }
    }

    /// The path that it stands for, byte by byte.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            match (first, octal(tail)) {
                (b'\\', Some(byte)) => {
                    bytes.push(byte);
                    rest = &tail[3..];
                }
                (other, _) => {
                    bytes.push(*other);
                    rest = tail;
                }
            }
        }
        bytes
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, bytes that are not UTF-8, and the backslash as `\ooo`.
pub(super) fn escaped(path: &[u8]) -> String {
    let mut text = String::new();
    for chunk in path.utf8_chunks() {
        for symbol in chunk.valid().chars() {
            if symbol.is_control() || symbol == '\\' {
                let mut bytes = [0; 4];
                symbol.encode_utf8(&mut bytes).bytes().for_each(|byte| push_escaped(&mut text, byte));
            } else {
                text.push(symbol);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_escaped(&mut text, *byte));
    }
    text
}

fn push_escaped(text: &mut String, byte: u8) {
    text.push('\\');
    for shift in [6, 3, 0] {
        text.push(char::from(b'0' + ((byte >> shift) & 7)));
    }
}

/// The byte that three octal digits stand for.
fn octal(digits: &[u8]) -> Option<u8> {
    let value = digits.get(..3)?.iter().try_fold(0_u16, |value, digit| {
        (b'0'..=b'7').contains(digit).then(|| value * 8 + u16::from(digit - b'0'))
    })?;
    u8::try_from(value).ok()
}

impl fmt::Display for MountPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MountPoint {
    type Error = MountPointError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let canonical = Self(text);
        // Only what `from_bytes` writes: one path, one text.
        match Self::from_bytes(&canonical.to_bytes()) {
            Ok(again) if again == canonical => Ok(canonical),
            Ok(_) | Err(MountPointError) => Err(MountPointError),
        }
    }
}

impl From<MountPoint> for String {
    fn from(point: MountPoint) -> Self {
        point.0
    }
}

/// A block device, or the number that the kernel made up for a file system without one: `major:minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceNumber {
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Where the bytes of a file system live, which decides what being full means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilesystemClass {
    /// On a disk of this host.
    Disk,
    /// In memory (tmpfs).
    Memory,
    /// On another machine.
    Network,
    /// A program of this host answers for it.
    Fuse,
    /// Of a kind that this version does not know.
    Unknown,
}

impl FilesystemClass {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Network => "network",
            Self::Fuse => "fuse",
            Self::Unknown => "unknown",
        }
    }
}

/// Inodes of a file system that has a fixed number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inodes {
    pub total: u64,
    pub free: u64,
}

/// Room on a file system (statvfs(3)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub total: Bytes,
    /// Free for root.
    pub free: Bytes,
    /// Free for everybody else: what is reserved for root is not in it.
    pub available: Bytes,
    /// `Absent(NotApplicable)` where they are made as needed (btrfs, xfs reports them, NFS may not).
    pub inodes: Reading<Inodes>,
}

impl Usage {
    /// How full it is for everybody but root, as `df` counts: used of used and available. Absent where a file system
    /// tells no size: ramfs has none, and FUSE shows none to those that its owner does not let in.
    #[must_use]
    pub fn used(&self) -> Reading<Percent> {
        let used = self.total.0.saturating_sub(self.free.0);
        self.of_size(share(used, used.saturating_add(self.available.0)))
    }

    /// A reading that means something only where a size is told.
    #[must_use]
    pub fn of_size<T>(&self, value: T) -> Reading<T> {
        if self.total.0 == 0 { Reading::Absent(Absence::NotApplicable) } else { Reading::Value(value) }
    }

    /// Inodes in use, of all.
    #[must_use]
    pub fn inodes_used(&self) -> Reading<Percent> {
        self.inodes.as_ref().map(|inodes| share(inodes.total.saturating_sub(inodes.free), inodes.total))
    }
}

fn share(part: u64, whole: u64) -> Percent {
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
    if whole == 0 { Percent(0.0) } else { Percent(part as f64 / whole as f64 * 100.0) }
}

/// What came of asking a file system for its room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoomAnswer {
    Usage(Usage),
    /// It was asked then and has not answered since: a dead server, a suspended device, a hung program. It is not
    /// asked again before it does.
    Hangs {
        since: BootTime,
    },
    /// One sentence.
    Failed(String),
}

/// One file system. However often it is mounted, it is counted once, at the shortest of its mount points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesystemStatus {
    pub mount_point: MountPoint,
    /// Of the superblock: another one at the same place is another file system.
    pub device: DeviceNumber,
    /// `ext4`, `nfs4`.
    pub fs_type: String,
    /// `/dev/vda1`, `server:/export`.
    pub source: String,
    pub class: FilesystemClass,
    /// Nobody may write to it.
    pub read_only: bool,
    /// It was mounted to be written to, and the kernel has made it read-only since, or shut it down: that is how file
    /// systems answer damage. Failed where it is read-only and the agent sees no mounts but those of its own sandbox, which
    /// don't tell what was asked for.
    pub forced_read_only: Reading<bool>,
    pub room: RoomAnswer,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &[u8], text: &str) {
        let point = MountPoint::from_bytes(path);
        assert_eq!(point.as_ref().map(MountPoint::as_str), Ok(text));
        assert_eq!(point.map(|point| point.to_bytes()), Ok(path.to_vec()));
        assert!(MountPoint::try_from(text.to_owned()).is_ok());
    }

    #[test]
    fn every_path_has_a_text_of_its_own() {
        check(b"/", "/");
        check(b"/mnt/my disk", "/mnt/my disk");
        check("/mnt/grün".as_bytes(), "/mnt/grün");
        check(b"/a\\b", "/a\\134b");
        check(b"/a\\134b", "/a\\134134b");
        check(b"/x\x1b[31m\n", "/x\\033[31m\\012");
        check(b"/x\xff", "/x\\377");
    }

    #[test]
    fn only_that_text_is_taken_back() {
        for text in ["", "relative", "/a\\b", "/a\\101", "/tab\t"] {
            assert_eq!(MountPoint::try_from(text.to_owned()), Err(MountPointError), "{text:?}");
        }
    }

    #[test]
    fn full_is_what_df_calls_full() {
        let inodes = Reading::Value(Inodes { total: 200, free: 50 });
        // 5 % reserved for root: full for everybody else while root still writes.
        let usage = Usage { total: Bytes(1000), free: Bytes(50), available: Bytes(0), inodes };
        let full = (Reading::Value(Percent(100.0)), Reading::Value(Percent(75.0)));
        assert_eq!((usage.used(), usage.inodes_used()), full);
        let sizeless = Usage { total: Bytes(0), free: Bytes(0), available: Bytes(0), ..usage };
        assert_eq!(sizeless.used(), Reading::Absent(Absence::NotApplicable));
    }
}
