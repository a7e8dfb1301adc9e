//! Rotated logs: where they may be removed to make room, and what is kept on record of each that was.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bytes, PathText, WallTime};

/// A folder of logs, from which rotated ones may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRoot {
    /// What the policy calls it.
    pub name: String,
    /// Absolute, without `.` or `..`.
    pub folder: PathBuf,
    /// Folders within it that are left alone, absolute as well.
    pub except: Vec<PathBuf>,
    /// So many rotated files of each log are kept, the newest; at least one.
    pub keep: u32,
    /// What is younger is kept.
    pub keep_for: Duration,
}

/// A file that is about to be removed: on record before it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub path: PathText,
    /// Its length.
    pub size: Bytes,
    /// That it takes on the disk.
    pub allocated: Bytes,
    pub modified: WallTime,
    pub uid: u32,
    pub gid: u32,
    pub inode: u64,
    /// SHA-256 over the first and the last 64 KiB, in hexadecimal digits; of a shorter file, over all of it.
    pub digest: String,
}
