//! The numbers of the host in one pass.
//!
//! [`HostReader`] keeps a descriptor for each file and rereads it with one `pread`: opening costs more than
//! reading. A file that is missing, or that the kernel does not support, is `Absent`; any other trouble is `Failed`,
//! and the file is opened afresh on the next pass.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::model::{Absence, BootId, HostVitals, Id128, Reading};

use super::procfs::{count_list, parse_loadavg, parse_meminfo, parse_pressure, parse_uptime, read_bounded};

/// Longest of these files: `/proc/meminfo` has about 1.5 KiB, and grows.
const VITALS_MAX: usize = 16 * 1024;
/// A boot id is 37 bytes.
const BOOT_ID_MAX: usize = 64;

/// Where the kernel's file systems are mounted; elsewhere in tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub proc: PathBuf,
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// The boot can't be told from others: nothing may be decided.
#[derive(Debug, Error)]
#[error("the boot id can't be read from {path}")]
pub struct BootIdError {
    path: PathBuf,
    source: std::io::Error,
}

/// The present boot.
///
/// # Errors
/// When it can't be read or has another form.
pub fn boot_id(proc: &Path) -> Result<BootId, BootIdError> {
    let path = proc.join("sys/kernel/random/boot_id");
    let read = read_bounded(&path, BOOT_ID_MAX).and_then(|bytes| {
        let id = std::str::from_utf8(&bytes).ok().and_then(|text| Id128::parse(text.trim()));
        id.ok_or_else(|| std::io::Error::other("not 32 hexadecimal digits"))
    });
    match read {
        Ok(id) => Ok(BootId(id)),
        Err(source) => Err(BootIdError { path, source }),
    }
}

/// One file, opened once.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    open: Option<OwnedFd>,
}

impl Kept {
    fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    fn read<T>(&mut self, buffer: &mut [u8], parse: impl FnOnce(&[u8]) -> Option<T>) -> Reading<T> {
        match self.pread(buffer) {
            Ok(length) => match parse(&buffer[..length]) {
                Some(value) => Reading::Value(value),
                None => Reading::Failed(format!("{} has an unknown form", self.path.display())),
            },
            // EOPNOTSUPP: PSI is compiled in and switched off (psi=0).
            Err(Errno::NOENT | Errno::NOTDIR | Errno::OPNOTSUPP) => Reading::Absent(Absence::Unsupported),
            Err(errno) => Reading::Failed(format!("{}: {errno}", self.path.display())),
        }
    }

    /// From the start of the file. On an error the descriptor is given up.
    fn pread(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let descriptor = match self.open.take() {
            Some(open) => open,
            None => rustix::fs::open(&self.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?,
        };
        let mut length = 0;
        while length < buffer.len() {
            let offset = length as u64;
            match rustix::io::retry_on_intr(|| rustix::io::pread(&descriptor, &mut buffer[length..], offset))?
            {
                0 => {
                    self.open = Some(descriptor);
                    return Ok(length);
                }
                read => length += read,
            }
        }
        // Longer than any such file is: not parsed by halves.
        Err(Errno::FBIG)
    }
}

/// Reads the host.
#[derive(Debug)]
pub struct HostReader {
    boot: BootId,
    uptime: Kept,
    load: Kept,
    memory: Kept,
    cpu_pressure: Kept,
    memory_pressure: Kept,
    io_pressure: Kept,
    processors: Kept,
    buffer: Vec<u8>,
}

impl HostReader {
    /// Learns which boot this is; opens nothing else yet.
    ///
    /// # Errors
    /// When the boot id can't be read.
    pub fn new(roots: &Roots) -> Result<Self, BootIdError> {
        let proc = |path: &str| Kept::new(roots.proc.join(path));
        Ok(Self {
            boot: boot_id(&roots.proc)?,
            uptime: proc("uptime"),
            load: proc("loadavg"),
            memory: proc("meminfo"),
            cpu_pressure: proc("pressure/cpu"),
            memory_pressure: proc("pressure/memory"),
            io_pressure: proc("pressure/io"),
            processors: Kept::new(roots.sys.join("devices/system/cpu/online")),
            buffer: vec![0; VITALS_MAX],
        })
    }

    /// The present boot.
    #[must_use]
    pub const fn boot(&self) -> BootId {
        self.boot
    }

    /// One pass: a `pread` or two for each file.
    pub fn read(&mut self) -> HostVitals {
        let buffer = &mut self.buffer[..];
        HostVitals {
            boot: self.boot,
            uptime: self.uptime.read(buffer, parse_uptime),
            load: self.load.read(buffer, parse_loadavg),
            memory: self.memory.read(buffer, parse_meminfo),
            cpu_pressure: self.cpu_pressure.read(buffer, parse_pressure),
            memory_pressure: self.memory_pressure.read(buffer, parse_pressure),
            io_pressure: self.io_pressure.read(buffer, parse_pressure),
            processors: self.processors.read(buffer, count_list),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

    use super::*;
    use std::time::Duration;

    const PRESSURE: &str = "some avg10=0.00 avg60=1.00 avg300=0.00 total=7\n";

    /// A tree with these files below `proc`, and `sys`.
    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { proc: dir.path().join("proc"), sys: dir.path().join("sys") };
        let boot = ("proc/sys/kernel/random/boot_id", "01234567-89ab-cdef-0123-456789abcdef\n");
        for (path, text) in files.iter().chain([&boot]) {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (dir, roots)
    }

    const GOOD: &[(&str, &str)] = &[
        ("proc/uptime", "100.50 50.00\n"),
        ("proc/loadavg", "1.00 2.00 3.00 1/1 1\n"),
        ("proc/meminfo", "MemTotal: 8 kB\nMemAvailable: 4 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"),
        ("proc/pressure/cpu", PRESSURE),
        ("proc/pressure/memory", PRESSURE),
        ("proc/pressure/io", PRESSURE),
        ("sys/devices/system/cpu/online", "0-1\n"),
    ];

    #[test]
    fn a_good_tree() {
        let (dir, roots) = tree(GOOD);
        let mut reader = HostReader::new(&roots).unwrap();
        let vitals = reader.read();
        assert_eq!(vitals.boot.to_string(), "0123456789abcdef0123456789abcdef");
        assert_eq!(vitals.uptime, Reading::Value(Duration::from_millis(100_500)));
        assert_eq!(vitals.processors, Reading::Value(2));
        assert!(vitals.memory.value().is_some() && vitals.io_pressure.value().is_some());
        // The descriptor is kept, the content is read anew.
        std::fs::write(dir.path().join("proc/uptime"), "9.00 1\n").unwrap();
        assert_eq!(reader.read().uptime, Reading::Value(Duration::from_secs(9)));
    }

    #[test]
    fn what_is_missing_is_absent_until_it_comes() {
        let (dir, roots) = tree(&[]);
        let mut reader = HostReader::new(&roots).unwrap();
        let vitals = reader.read();
        assert_eq!(vitals.cpu_pressure, Reading::Absent(Absence::Unsupported));
        assert_eq!(vitals.uptime, Reading::Absent(Absence::Unsupported));
        std::fs::write(dir.path().join("proc/uptime"), "9.00 1\n").unwrap();
        assert!(reader.read().uptime.value().is_some());
    }

    #[test]
    fn garbage_and_trouble_are_failed() {
        let files: Vec<_> = GOOD.iter().map(|(path, _)| (*path, "\u{0}garbage")).collect();
        let (dir, roots) = tree(&files);
        std::fs::remove_file(dir.path().join("proc/meminfo")).unwrap();
        std::fs::create_dir(dir.path().join("proc/meminfo")).unwrap();
        std::fs::write(dir.path().join("proc/loadavg"), "1 1 1 ".repeat(VITALS_MAX)).unwrap();
        let vitals = HostReader::new(&roots).unwrap().read();
        let why = [
            vitals.uptime.why_not(),
            vitals.load.why_not(),
            vitals.memory.why_not(),
            vitals.cpu_pressure.why_not(),
            vitals.processors.why_not(),
        ];
        assert!(why.iter().all(|why| why.as_ref().unwrap().contains("could not be read")), "{why:?}");
    }

    #[test]
    fn without_a_boot_id_there_is_no_reader() {
        let (dir, roots) = tree(GOOD);
        std::fs::write(dir.path().join("proc/sys/kernel/random/boot_id"), "xyz").unwrap();
        assert!(HostReader::new(&roots).is_err());
    }

    #[test]
    fn this_very_host() {
        let vitals = HostReader::new(&Roots::default()).unwrap().read();
        assert!(vitals.memory.value().unwrap().total.0 > 0);
        assert!(*vitals.processors.value().unwrap() > 0);
    }
}
