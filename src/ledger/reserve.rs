//! Room that the ledger keeps for itself, to be given up when the disk is full.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

use super::LedgerError;
use super::folder::{failed, open_own};

/// Default size: some 4,000 records of a repair in progress, an hour of hard work on a full disk, and less than
/// anybody misses.
pub const RESERVE_BYTES: u64 = 4 << 20;
/// The reserve is made again only when this many times its size is free, so that it does not itself fill the
/// disk that has just been freed.
const REFILL_FACTOR: u64 = 4;
/// Written at a time where blocks can't be allocated without writing.
const ZEROS: usize = 64 << 10;
const RESERVE_FILE: &str = "ledger.reserve";

/// The reserve file.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn new(dir: &Path, bytes: u64) -> Self {
        Self { path: dir.join(RESERVE_FILE), bytes }
    }

    /// Whether the room is there to be given up.
    pub(super) fn is_held(&self) -> bool {
        self.bytes == 0 || std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.len() >= self.bytes)
    }

    /// Gives the room back to the disk. True when there was any.
    pub(super) fn release(&self) -> Result<bool, LedgerError> {
        let file = open_own(&self.path)?;
        let held = file.metadata().map_err(failed("look at", &self.path))?.len() > 0;
        if held {
            file.set_len(0).and_then(|()| file.sync_all()).map_err(failed("release", &self.path))?;
        }
        Ok(held)
    }

    /// Takes the room again if it is not held and there is plenty. True when it is held afterwards.
    pub(super) fn refill(&self) -> Result<bool, LedgerError> {
        if self.bytes == 0 {
            return Ok(false);
        }
        let file = open_own(&self.path)?;
        if file.metadata().map_err(failed("look at", &self.path))?.len() >= self.bytes {
            return Ok(true);
        }
        let disk =
            fstatvfs(&file).map_err(|error| failed("measure the disk of", &self.path)(error.into()))?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < self.bytes.saturating_mul(REFILL_FACTOR) {
            return Ok(false);
        }
        let taken = allocate(&file, self.bytes);
        if taken.is_err() {
            // Half a reserve would be taken for a whole one by nobody, but it holds room that others need.
            file.set_len(0).map_err(failed("release", &self.path))?;
        }
        taken.map(|()| true).map_err(failed("allocate", &self.path))
    }
}

/// Blocks for `bytes`, by the file system or, where it can't (fallocate(2), `EOPNOTSUPP`), by writing.
fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let zeros = [0; ZEROS];
            let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
            while left > 0 {
                let piece = left.min(ZEROS);
                file.write_all(&zeros[..piece])?;
                left -= piece;
            }
            file.sync_all()
        }
        Err(error) => Err(error.into()),
    }
}
