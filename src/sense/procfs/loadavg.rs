//! `/proc/loadavg` and `/proc/uptime`.

use std::time::Duration;

use crate::model::LoadAverage;
use crate::sense::Malformed;
use crate::sense::scan::{decimal, fields, find, number, one, only_line, pid, seconds};

/// The tasks of the host now (second half of `loadavg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskCounts {
    pub runnable: u64,
    /// Processes and threads: what `threads-max` and `pid_max` limit.
    pub total: u64,
    /// The process id given last.
    pub last_pid: i32,
}

/// `0.20 0.18 0.12 1/80 11206`.
#[must_use]
pub fn parse_loadavg(bytes: &[u8]) -> Option<LoadAverage> {
    let mut fields = fields(only_line("loadavg", bytes).ok()?);
    let mut next = || decimal(fields.next()?);
    Some(LoadAverage { one: next()?, five: next()?, fifteen: next()? })
}

impl TaskCounts {
    /// From `/proc/loadavg`.
    ///
    /// # Errors
    /// When its line is not understood or does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        one("loadavg", bytes, |line| {
            let mut fields = fields(line).skip(3);
            let tasks = fields.next()?;
            let slash = find(tasks, b'/')?;
            let (runnable, total) = (number(&tasks[..slash])?, number(&tasks[slash + 1..])?);
            Some(Self { runnable, total, last_pid: pid(fields.next()?)? })
        })
    }
}

/// `350735.47 234388.90`: seconds since boot, suspend included; idle seconds of all processors.
#[must_use]
pub fn parse_uptime(bytes: &[u8]) -> Option<Duration> {
    seconds(fields(only_line("uptime", bytes).ok()?).next()?)
}
