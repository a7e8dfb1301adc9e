//! Files that are opened once and read over and over: opening costs more than reading.
//!
//! Must not parse or judge; what went wrong is kept as a number until somebody asks for the sentence, so that a file
//! that can never be read costs no memory each second.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::{Absence, Gap, Reading};
use crate::sense::Malformed;

/// The scratch buffer begins with this: everything of a small host fits.
const SCRATCH_USUAL: usize = 16 * 1024;
/// And ends with this: `/proc/stat` of a thousand processors, or ten thousand devices.
const SCRATCH_MAX: usize = 4 * 1024 * 1024;
/// The kernel hands out tables (`seq_file`) a page or more at a time, each time as many whole rows as fit: when so
/// much of the smallest page was left free, no row is left.
const PAGE: usize = 4096;
const ROW_MAX: usize = 1024;

/// The one buffer that all files are read into, one after the other. Grows when a file has outgrown it.
#[derive(Debug)]
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    pub(super) fn new() -> Self {
        Self(vec![0; SCRATCH_USUAL])
    }

    fn grow(&mut self) -> Result<(), Trouble> {
        if self.0.len() >= SCRATCH_MAX {
            return Err(Trouble::TooLong);
        }
        let doubled = self.0.len() * 2;
        self.0.resize(doubled, 0);
        Ok(())
    }
}

/// How the kernel hands a file out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// At once, as far as there is room: one call.
    Whole,
    /// By rows: one call for a short one.
    Table,
}

/// Why a file gives no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Missing,
    Errno(Errno),
    TooLong,
    Malformed(Malformed),
    UnknownForm,
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        match errno {
            // EOPNOTSUPP: PSI is compiled in and switched off (psi=0).
            Errno::NOENT | Errno::NOTDIR | Errno::OPNOTSUPP => Self::Missing,
            other => Self::Errno(other),
        }
    }
}

impl From<Trouble> for Gap {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing => Self::Unsupported,
            Trouble::Errno(_) | Trouble::TooLong | Trouble::Malformed(_) | Trouble::UnknownForm => {
                Self::Failed
            }
        }
    }
}

impl Trouble {
    /// The same for people, of this file.
    pub(super) fn told<T>(self, path: &Path) -> Reading<T> {
        let path = path.display();
        match self {
            Self::Missing => Reading::Absent(Absence::Unsupported),
            Self::Errno(errno) => Reading::Failed(format!("{path}: {errno}")),
            Self::TooLong => Reading::Failed(format!("{path} is longer than {SCRATCH_MAX} bytes")),
            Self::Malformed(malformed) => Reading::Failed(format!("{path}: {malformed}")),
            Self::UnknownForm => Reading::Failed(format!("{path} has an unknown form")),
        }
    }
}

/// One file, opened once.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    shape: Shape,
    open: Option<OwnedFd>,
}

impl Kept {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, shape: Shape::Whole, open: None }
    }

    pub(super) const fn table(path: PathBuf) -> Self {
        Self { path, shape: Shape::Table, open: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What `parse` makes of it.
    pub(super) fn take<T>(
        &mut self,
        scratch: &mut Scratch,
        parse: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Trouble> {
        let length = self.fill(scratch)?;
        parse(&scratch.0[..length]).map_err(Trouble::Malformed)
    }

    /// The same as a reading, with parsers that don't say what they did not understand.
    pub(super) fn read<T>(
        &mut self,
        scratch: &mut Scratch,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Reading<T> {
        let parsed =
            self.fill(scratch).and_then(|length| parse(&scratch.0[..length]).ok_or(Trouble::UnknownForm));
        match parsed {
            Ok(value) => Reading::Value(value),
            Err(trouble) => trouble.told(&self.path),
        }
    }

    /// From the start of the file. On an error the descriptor is given up, and the next reading opens it afresh.
    fn fill(&mut self, scratch: &mut Scratch) -> Result<usize, Trouble> {
        let descriptor = match self.open.take() {
            Some(open) => open,
            None => rustix::fs::open(&self.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?,
        };
        loop {
            let mut length = 0;
            while length < scratch.0.len() {
                let (free, offset) = (&mut scratch.0[length..], length as u64);
                let read = rustix::io::retry_on_intr(|| rustix::io::pread(&descriptor, &mut *free, offset))?;
                length += read;
                let ended = match self.shape {
                    Shape::Whole => length < scratch.0.len(),
                    // Short because the file ends, and not because there was no room for more of it.
                    Shape::Table => read == 0 || (length < scratch.0.len() && read + ROW_MAX <= PAGE),
                };
                if ended {
                    self.open = Some(descriptor);
                    return Ok(length);
                }
            }
            scratch.grow()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's files end a read where their next row does not fit, and plain files of a fixture never do: this is
    /// one of the kernel's, and longer than any buffer here.
    #[test]
    fn a_table_is_not_cut_where_the_buffer_is() {
        let mut scratch = Scratch::new();
        let read = Kept::table("/proc/kallsyms".into()).fill(&mut scratch);
        assert!(matches!(read, Err(Trouble::TooLong)), "{read:?}");
    }
}
