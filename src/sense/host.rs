//! The numbers of the host: a pass each second, and a sample now and then that tells the truth about all of them.
//!
//! [`HostReader`] keeps a descriptor for each file and rereads it with one `pread`: opening costs more than
//! reading. A file that is missing, or that the kernel does not support, is `Absent`; any other trouble is `Failed`,
//! and the file is opened afresh on the next pass. What is counted becomes a rate in [`rates`] alone.
//!
//! Three paces: what can be over within seconds is read each second ([`HostReader::pass`], which asks for no memory
//! while nothing new appears); what holds its own averages (pressure, load) is read when a sample is told; what hardly
//! moves each half minute.

mod clock_state;
mod disks;
mod gather;
mod interfaces;
mod inventory;
mod kept;
mod pass;
pub mod rates;
mod sensors;
mod slow;
mod step;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::model::{BootId, HostNumbers, HostSecond, HostVitals, Id128};

use super::procfs::{count_list, parse_loadavg, parse_meminfo, parse_pressure, parse_uptime, read_bounded};

use kept::{Kept, Scratch};
use pass::Pass;
pub use rates::PassTime;
pub use step::{Levels, TELL_EVERY, is_due};

/// A pass comes a moment early or late: the tenth second is the tenth pass.
const SLACK: Duration = Duration::from_millis(500);
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
    scratch: Scratch,
    pass: Pass,
    told: Levels,
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
            scratch: Scratch::new(),
            pass: Pass::new(roots),
            told: Levels::default(),
        })
    }

    /// The present boot.
    #[must_use]
    pub const fn boot(&self) -> BootId {
        self.boot
    }

    /// The pass of each second: what is counted is added up until [`Self::tell`].
    pub fn pass(&mut self, now: PassTime) {
        self.pass.pass(now);
    }

    /// The newest pass alone. Asks for no memory.
    #[must_use]
    pub fn second(&self) -> HostSecond {
        self.pass.second()
    }

    /// Whether a sample is worth telling after the newest pass.
    #[must_use]
    pub fn is_due(&self) -> bool {
        match self.pass.since_told() {
            None => true,
            Some(since) => is_due(&self.told, &self.pass.levels(), since + SLACK),
        }
    }

    /// The sample: what the passes added up to since the last one, and the vitals as they are now.
    pub fn tell(&mut self) -> (HostVitals, HostNumbers) {
        self.told = self.pass.levels();
        (self.read(), self.pass.tell())
    }

    /// The vitals alone: a `pread` for each file.
    pub fn read(&mut self) -> HostVitals {
        let buffer = &mut self.scratch;
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
mod tests;
