//! One process from its own file, where the program could not tell: its threads ended faster than they could be summed up
//! (the file has sums that the kernel takes under a lock), or the kernel keeps it from BPF.

use std::io::Write as _;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::model::Ticks;
use crate::sense::process::{COMM_LEN, ProcessRow};
use crate::sense::procfs::StatRow;

/// 52 numbers of at most 20 digits and a name of 64 bytes.
const STAT_BYTES: usize = 2048;
/// As in [`super::record`].
const TICK_MILLIS: u64 = 10;

/// What `/proc/PID/stat` says; none when the process is gone. What a second file would tell is left out: see
/// [`crate::sense::process::Extra`].
pub(super) fn read(pid: i32) -> Option<ProcessRow> {
    let mut path = [0; 32];
    let mut rest = &mut path[..];
    write!(rest, "/proc/{pid}/stat").ok()?;
    let unused = rest.len();
    let length = path.len() - unused;
    let file = rustix::fs::open(&path[..length], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = [0; STAT_BYTES];
    let read = rustix::io::read(&file, &mut bytes).ok()?;
    let stat = StatRow::parse(&bytes[..read]).ok()?;
    let mut comm = [0; COMM_LEN];
    let length = stat.comm.len().min(COMM_LEN - 1);
    comm[..length].copy_from_slice(&stat.comm[..length]);
    Some(ProcessRow {
        pid: stat.pid,
        start: stat.start,
        parent: stat.parent,
        state: stat.state,
        kernel_thread: stat.kernel_thread,
        threads: u32::try_from(stat.threads).unwrap_or(u32::MAX),
        cpu: time(stat.user) + time(stat.system),
        resident: stat.resident,
        minor_faults: stat.minor_faults,
        major_faults: stat.major_faults,
        extra: None,
        comm,
    })
}

fn time(ticks: Ticks) -> Duration {
    Duration::from_millis(ticks.0.saturating_mul(TICK_MILLIS))
}
