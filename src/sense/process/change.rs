//! How a process changed between two moments.

use std::time::Duration;

use super::pace::EVERY_MAX;
use super::row::{Extra, ProcessRow};
use crate::model::{BootTime, Bytes};

/// Over a longer gap than this between two passes there is no rate: an average of an hour is no answer to "who now".
pub(super) const GAP_MAX: Duration = Duration::from_secs(3 * EVERY_MAX.as_secs());
/// The clocks are read one after the other, and to the millisecond: what they differ by less than this is no suspend.
const SLEPT_MIN: Duration = Duration::from_millis(100);

/// One moment on the two clocks of the kernel that never step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Counts suspend.
    pub boot: BootTime,
    /// `CLOCK_MONOTONIC`: stands still in suspend, as the CPU time of processes does.
    pub awake: Duration,
}

impl Moment {
    /// The time that rates may be said over; none when the host slept in between, or when it is too long, or none.
    pub(super) fn until(self, later: Self) -> Option<Duration> {
        let awake = later.awake.checked_sub(self.awake).filter(|awake| !awake.is_zero())?;
        let slept = later.boot.since(self.boot).abs_diff(awake);
        (awake <= GAP_MAX && slept < SLEPT_MIN).then_some(awake)
    }
}

/// What a process took in the interval between two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub cpu: Duration,
    /// Pages that its resident memory grew by.
    pub grown: i64,
    pub minor_faults: u64,
    pub major_faults: u64,
}

impl Change {
    /// None when a counter went back: there is no rate, and never a spike.
    pub(super) fn between(before: &ProcessRow, after: &ProcessRow) -> Option<Self> {
        Some(Self {
            cpu: after.cpu.checked_sub(before.cpu)?,
            grown: after.resident.0.checked_signed_diff(before.resident.0)?,
            minor_faults: after.minor_faults.checked_sub(before.minor_faults)?,
            major_faults: after.major_faults.checked_sub(before.major_faults)?,
        })
    }
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageRate {
    pub read: Bytes,
    pub written: Bytes,
}

impl StorageRate {
    pub(super) fn between(before: &Extra, after: &Extra, over: Duration) -> Option<Self> {
        let rate = |before: Bytes, after: Bytes| {
            let more = u128::from(after.0.checked_sub(before.0)?);
            let rate = more.saturating_mul(1000) / over.as_millis().max(1);
            Some(Bytes(u64::try_from(rate).unwrap_or(u64::MAX)))
        };
        Some(Self {
            read: rate(before.storage_read, after.storage_read)?,
            written: rate(before.storage_written, after.storage_written)?,
        })
    }
}
