//! The folder of the history, and its files.
#![expect(clippy::disallowed_methods, reason = "the history owns its folder")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::model::HistoryTier;

use super::segment::{HEADER_BYTES, name_of, number_of};

/// Its name, in the state folder.
pub const HISTORY_FOLDER: &str = "history";
/// The agent's group may read; nobody else. As the ledger.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// Entries of the folder that are looked at: others may put files there.
const ENTRIES_MAX: usize = 16 * 1024;
/// Twice as long as a file grows.
const READ_BYTES_MAX: u64 = 2 << 20;

/// A file of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) tier: HistoryTier,
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// The folder, which may be missing.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(HISTORY_FOLDER))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, tier: HistoryTier, number: u64) -> PathBuf {
        self.0.join(name_of(tier, number))
    }

    /// Where it is missing. The state folder is not made here.
    pub(super) fn make(&self) -> io::Result<()> {
        match DirBuilder::new().mode(FOLDER_MODE).create(&self.0) {
            // Whatever the umask.
            Ok(()) => fs::set_permissions(&self.0, fs::Permissions::from_mode(FOLDER_MODE)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The files, by tier and number. What has another name is not looked at.
    pub(super) fn list(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)?.take(ENTRIES_MAX) {
            let entry = entry?;
            let Some((tier, number)) = entry.file_name().to_str().and_then(number_of) else { continue };
            match entry.metadata() {
                Ok(file) if file.is_file() => found.push(Entry { tier, number, bytes: file.len() }),
                Ok(_) => {}
                // Dropped meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort();
        Ok(found)
    }

    /// The first bytes of a file: its header, if it has one.
    pub(super) fn head(&self, tier: HistoryTier, number: u64) -> io::Result<Vec<u8>> {
        self.some(tier, number, HEADER_BYTES as u64)
    }

    /// A whole file.
    pub(super) fn whole(&self, tier: HistoryTier, number: u64) -> io::Result<Vec<u8>> {
        self.some(tier, number, READ_BYTES_MAX)
    }

    fn some(&self, tier: HistoryTier, number: u64, most: u64) -> io::Result<Vec<u8>> {
        let path = self.file(tier, number);
        let file = OpenOptions::new().read(true).custom_flags(nofollow()).open(path)?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A new file, to be added to.
    pub(super) fn create(&self, tier: HistoryTier, number: u64) -> io::Result<File> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(FILE_MODE)
            .custom_flags(nofollow())
            .open(self.file(tier, number))?;
        // Whatever the umask.
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        Ok(file)
    }

    /// One that is there, to be added to.
    pub(super) fn append_to(&self, tier: HistoryTier, number: u64) -> io::Result<File> {
        OpenOptions::new().append(true).custom_flags(nofollow()).open(self.file(tier, number))
    }

    /// Removes a file; one that is gone already is as good.
    pub(super) fn remove(&self, tier: HistoryTier, number: u64) -> io::Result<()> {
        match fs::remove_file(self.file(tier, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes new names survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Bytes that are free on its disk for everybody.
    pub(super) fn room(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.0)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

fn nofollow() -> i32 {
    i32::from_ne_bytes(rustix::fs::OFlags::NOFOLLOW.bits().to_ne_bytes())
}
