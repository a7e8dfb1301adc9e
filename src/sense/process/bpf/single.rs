//! One process from its own file, where the program could not tell: its threads ended faster than they could be summed up
//! (the file has sums that the kernel takes under a lock), or the kernel keeps it from BPF.

use std::io::Write as _;

use rustix::fs::{Mode, OFlags};

use crate::sense::process::{ProcessRow, procfs};
use crate::sense::procfs::StatRow;

/// 52 numbers of at most 20 digits and a name of 64 bytes.
const STAT_BYTES: usize = 2048;

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
    Some(procfs::row(&stat, rustix::param::clock_ticks_per_second()))
}
