//! Reads it: one clock, and two files of `/proc/self`.
#![expect(clippy::disallowed_methods, reason = "what the agent takes is told by its own files")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::model::{Absence, Bytes, Percent, Reading};
use crate::sense::procfs::{StatusRow, read_bounded};

/// `status` of one process is about 1.5 KiB; with the longest lists of processors and nodes it stays below this.
const STATUS_BYTES_MAX: usize = 16 * 1024;

/// What the agent took in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Of one processor, by all threads there were in it.
    pub cpu: Percent,
    /// While the host was awake.
    pub window: Duration,
    /// Without what files back.
    pub memory: Reading<Bytes>,
    pub threads: Reading<u64>,
    pub open_files: Reading<u64>,
}

/// Reads what is taken from one call to the next.
#[derive(Debug)]
pub struct OwnReader {
    folder: PathBuf,
    /// CPU time of the process, and the time awake.
    before: (Duration, Duration),
}

fn time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

impl OwnReader {
    /// Counts from now on. `proc` is the mount of procfs.
    #[must_use]
    pub fn new(proc: &Path) -> Self {
        let before = (time(ClockId::ProcessCPUTime), time(ClockId::Monotonic));
        Self { folder: proc.join("self"), before }
    }

    /// What was taken since the call before, or since the reader was made.
    pub fn read(&mut self) -> Taken {
        let now = (time(ClockId::ProcessCPUTime), time(ClockId::Monotonic));
        let cpu = now.0.saturating_sub(self.before.0);
        let window = now.1.saturating_sub(self.before.1);
        self.before = now;
        let share = if window.is_zero() { 0.0 } else { cpu.as_secs_f64() / window.as_secs_f64() };
        let (memory, threads) = self.status();
        Taken { cpu: Percent(share * 100.0), window, memory, threads, open_files: self.open_files() }
    }

    fn status(&self) -> (Reading<Bytes>, Reading<u64>) {
        let path = self.folder.join("status");
        let failed = |error: &dyn std::fmt::Display| {
            let why = format!("{}: {error}", path.display());
            (Reading::Failed(why.clone()), Reading::Failed(why))
        };
        let bytes = match read_bounded(&path, STATUS_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return failed(&error),
        };
        match StatusRow::parse(&bytes) {
            Ok(row) => {
                // Since Linux 4.5.
                let memory =
                    row.resident_anonymous.map_or(Reading::Absent(Absence::Unsupported), Reading::Value);
                (memory, Reading::Value(row.threads))
            }
            Err(error) => failed(&error),
        }
    }

    fn open_files(&self) -> Reading<u64> {
        let path = self.folder.join("fd");
        match std::fs::read_dir(&path) {
            // The listing itself takes one.
            Ok(entries) => {
                Reading::Value(u64::try_from(entries.count()).unwrap_or(u64::MAX).saturating_sub(1))
            }
            Err(error) => Reading::Failed(format!("{}: {error}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_takes_is_seen() {
        let mut reader = OwnReader::new(Path::new("/proc"));
        let before = reader.before;
        let block = std::hint::black_box(vec![1_u8; 8 << 20]);
        // Real work, until the clock that is read has seen some.
        while time(ClockId::ProcessCPUTime) < before.0 + Duration::from_millis(20) {
            std::hint::black_box(block.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
        let taken = reader.read();
        assert!(taken.cpu.0 > 0.0, "{taken:?}");
        assert!(taken.window >= Duration::from_millis(1), "{taken:?}");
        assert!(matches!(taken.memory, Reading::Value(Bytes(own)) if own >= 8 << 20), "{taken:?}");
        assert!(matches!(taken.threads, Reading::Value(1..)), "{taken:?}");
        assert!(matches!(taken.open_files, Reading::Value(3..)), "{taken:?}");
    }

    #[test]
    fn a_proc_that_hides_it_says_so() {
        let empty = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let taken = OwnReader::new(empty.path()).read();
        for reading in [taken.memory.map(|it| it.0), taken.threads, taken.open_files] {
            assert!(matches!(reading, Reading::Failed(_)), "{reading:?}");
        }
    }
}
