//! A process whose threads ended faster than they could be summed up: its own file has sums that the kernel takes under
//! a lock.

use std::io::Write as _;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::model::Ticks;
use crate::sense::process::ProcessRow;
use crate::sense::procfs::StatRow;

/// 52 numbers of at most 20 digits and a name of 64 bytes.
const STAT_BYTES: usize = 2048;
/// As in [`super::record`].
const TICK: Duration = Duration::from_millis(10);

/// The row with the sums of `/proc/PID/stat`; none when the process is gone or is another by now. What a second file
/// would tell is left out: see [`crate::sense::process::Extra`].
pub(super) fn mend(row: ProcessRow) -> Option<ProcessRow> {
    let mut path = [0; 32];
    let mut rest = &mut path[..];
    write!(rest, "/proc/{}/stat", row.pid).ok()?;
    let unused = rest.len();
    let length = path.len() - unused;
    let file =
        rustix::fs::open(&path[..length], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = [0; STAT_BYTES];
    let read = rustix::io::read(&file, &mut bytes).ok()?;
    let stat = StatRow::parse(&bytes[..read]).ok().filter(|stat| stat.start == row.start)?;
    Some(ProcessRow {
        cpu: time(stat.user) + time(stat.system),
        minor_faults: stat.minor_faults,
        major_faults: stat.major_faults,
        extra: None,
        ..row
    })
}

fn time(ticks: Ticks) -> Duration {
    Duration::from_millis(ticks.0.saturating_mul(u64::try_from(TICK.as_millis()).unwrap_or(0)))
}
