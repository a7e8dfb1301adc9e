//! The memory that is left, by one system call and without allocating.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::model::{Absence, Memory, Reading};
use crate::sense::procfs::parse_meminfo;

/// `/proc/meminfo` has about 1.5 KiB, and a line more with every other kernel.
const FILE_MAX: usize = 8 * 1024;

/// Reads `meminfo` by a descriptor that it keeps.
#[derive(Debug)]
pub struct MemoryReader {
    path: PathBuf,
    open: Option<OwnedFd>,
    buffer: Box<[u8; FILE_MAX]>,
}

impl MemoryReader {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(proc: &Path) -> Self {
        Self { path: proc.join("meminfo"), open: None, buffer: Box::new([0; FILE_MAX]) }
    }

    /// One look. After an error the file is opened afresh the next time.
    pub fn read(&mut self) -> Reading<Memory> {
        match self.pread() {
            Ok(length) => match parse_meminfo(&self.buffer[..length]) {
                Some(memory) => Reading::Value(memory),
                None => Reading::Failed(format!("{} has an unknown form", self.path.display())),
            },
            Err(Errno::NOENT | Errno::NOTDIR) => Reading::Absent(Absence::Unsupported),
            Err(errno) => Reading::Failed(format!("{}: {errno}", self.path.display())),
        }
    }

    fn pread(&mut self) -> Result<usize, Errno> {
        let descriptor = match self.open.take() {
            Some(open) => open,
            None => rustix::fs::open(&self.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?,
        };
        // The kernel gives such a file whole, where it fits. What did not fit is cut, and the parser says so.
        let length = rustix::io::retry_on_intr(|| rustix::io::pread(&descriptor, &mut self.buffer[..], 0))?;
        self.open = Some(descriptor);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

    use super::*;
    use crate::model::Bytes;

    fn check(text: &str, expected: Option<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = MemoryReader::new(dir.path());
        assert_eq!(reader.read(), Reading::Absent(Absence::Unsupported));
        std::fs::write(dir.path().join("meminfo"), text).unwrap();
        for _ in 0..2 {
            assert_eq!(reader.read().value().map(|memory| memory.available), expected.map(Bytes), "{text}");
        }
    }

    #[test]
    fn what_is_there_and_what_is_not() {
        check("MemTotal: 8 kB\nMemAvailable: 4 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", Some(4096));
        check("MemTotal: 8 kB\nMemAvailable: 4", None);
        check(&"MemTotal: 8 kB\n".repeat(FILE_MAX), None);
    }

    #[test]
    fn this_very_host() {
        assert!(MemoryReader::new(Path::new("/proc")).read().value().unwrap().total.0 > 0);
    }
}
