//! Who has one of a few files open for writing, and how fast it grows meanwhile.
#![expect(clippy::disallowed_methods, reason = "lists /proc")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};

use crate::model::FileWriter;
use crate::sense::procfs::read_bounded;

use super::deleted::{name_of, number, system_unit_of};

/// Open files between two looks at the clock.
const SLICE: u64 = 64;
/// Of one open file, the kernel tells in a few lines (proc_pid_fdinfo(5)).
const FDINFO_MAX: usize = 4096;
/// `O_ACCMODE` and `O_RDONLY` on every Linux.
const ACCESS: u32 = 0o3;
const READ_ONLY: u32 = 0;

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    major: u32,
    minor: u32,
    inode: u64,
}

impl FileId {
    pub(super) const fn of(about: &Statx) -> Self {
        Self { major: about.stx_dev_major, minor: about.stx_dev_minor, inode: about.stx_ino }
    }
}

/// Somebody who has a file open for writing.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) writer: FileWriter,
    /// The file by his descriptor, whatever its name is by then.
    open: PathBuf,
    size: u64,
}

impl Found {
    /// From here on.
    pub(super) fn watch(&mut self) {
        if let Some((_, size)) = look(&self.open) {
            self.size = size;
        }
    }

    /// Bytes that it has grown by since it is watched; none when that can't be told any more.
    pub(super) fn grown(&self, file: FileId) -> Option<u64> {
        let (now, size) = look(&self.open)?;
        (now == file).then(|| size.saturating_sub(self.size))
    }
}

/// The first writer of each of these, until it is told to stop.
pub(super) fn writers(proc: &Path, files: &[FileId], stop: &dyn Fn() -> bool) -> BTreeMap<FileId, Found> {
    let mut found = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir(proc) else { return found };
    let mut passed = 0_u64;
    for process in processes.flatten() {
        let Some(pid) = number(&process.file_name()) else { continue };
        // It has ended, or hides its files.
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in open.flatten() {
            passed += 1;
            if found.len() == files.len() || passed.is_multiple_of(SLICE) && stop() {
                return found;
            }
            let Some((id, size)) = look(&file.path()) else { continue };
            if !files.contains(&id) || found.contains_key(&id) {
                continue;
            }
            let info = process.path().join("fdinfo").join(file.file_name());
            if is_for_writing(&info) {
                let writer = FileWriter { pid, name: name_of(proc, pid), unit: system_unit_of(proc, pid) };
                found.insert(id, Found { writer, open: file.path(), size });
            }
        }
    }
    found
}

/// From what the kernel knows by itself: a server that is gone is not waited for.
fn look(open: &Path) -> Option<(FileId, u64)> {
    let asked = StatxFlags::INO | StatxFlags::SIZE;
    let about = rustix::fs::statx(CWD, open, AtFlags::STATX_DONT_SYNC, asked).ok()?;
    Some((FileId::of(&about), about.stx_size))
}

fn is_for_writing(info: &Path) -> bool {
    let Ok(text) = read_bounded(info, FDINFO_MAX) else { return false };
    let flags = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"flags:"));
    let flags = flags.and_then(|it| std::str::from_utf8(it.trim_ascii()).ok());
    flags.and_then(|it| u32::from_str_radix(it, 8).ok()).is_some_and(|flags| flags & ACCESS != READ_ONLY)
}
