//! The only place that asks for the time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::model::{BootTime, Timestamp, WallTime};
use crate::sense::host::PassTime;
use crate::sense::process::Moment;

/// A wall clock that moved by less than this against the boot clock is being slewed, or was read a moment later.
const STEP_MIN: Duration = Duration::from_secs(2);

fn millis(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Both clocks, read together.
#[must_use]
pub(super) fn now() -> Timestamp {
    Timestamp::new(
        BootTime::from_millis(millis(ClockId::Boottime)),
        WallTime::from_unix_millis(millis(ClockId::Realtime)),
    )
}

/// The clocks that never step, read together.
#[must_use]
pub(super) fn moment() -> Moment {
    let awake = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    Moment { boot: BootTime::from_millis(millis(ClockId::Boottime)), awake }
}

/// Both clocks of the boot, as exactly as rates need them.
#[must_use]
pub(super) fn pass_time() -> PassTime {
    let exact = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    PassTime { boot: exact(ClockId::Boottime), awake: exact(ClockId::Monotonic) }
}

/// Notices that the wall clock was set, or that the machine slept.
#[derive(Debug)]
pub(super) struct StepDetector {
    /// Wall clock less boot clock.
    offset: i64,
    /// Boot clock less monotonic clock: the time slept since boot.
    slept: i64,
}

impl StepDetector {
    pub(super) fn new() -> Self {
        let (offset, slept) = Self::read();
        Self { offset, slept }
    }

    fn read() -> (i64, i64) {
        let boot = millis(ClockId::Boottime);
        (millis(ClockId::Realtime) - boot, boot - millis(ClockId::Monotonic))
    }

    /// A step or a sleep since the last call: forward or not, and by how much.
    pub(super) fn check(&mut self) -> Option<(bool, Duration)> {
        let (offset, slept) = Self::read();
        let stepped = offset - self.offset;
        let asleep = slept - self.slept;
        self.offset = offset;
        self.slept = slept;
        let moved = if asleep.abs() > stepped.abs() { asleep } else { stepped };
        let by = Duration::from_millis(moved.unsigned_abs());
        (by >= STEP_MIN).then_some((moved > 0, by))
    }
}
