//! Time as data. Nothing here asks for the time; the shell stamps, the core compares.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds on `CLOCK_BOOTTIME` of the present boot: never steps, counts suspend.
///
/// Negative values are moments of an earlier boot, mapped onto this one's axis by the wall clock
/// (see [`Timestamp::rebased`]), so that a cooldown that began before a reboot still compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(i64);

impl BootTime {
    /// The moment of boot.
    pub const ZERO: Self = Self(0);

    /// From milliseconds since boot.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since boot; negative before it.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        passed(earlier.0, self.0)
    }

    /// Time left until `later`; zero when it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

/// From `earlier` to `later`, zero when they are the other way round.
const fn passed(earlier: i64, later: i64) -> Duration {
    let millis = later.saturating_sub(earlier);
    Duration::from_millis(if millis > 0 { millis.cast_unsigned() } else { 0 })
}

/// A duration in whole milliseconds, saturating: no policy value comes near the limit.
fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for BootTime {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }
}

impl Sub<Duration> for BootTime {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }
}

/// Milliseconds since the Unix epoch by the wall clock, which steps: for people, for windows of the
/// calendar, and for bridging a reboot; never for measuring an interval within one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(i64);

impl WallTime {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Time passed since `earlier`; zero when the clock says that `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        passed(earlier.0, self.0)
    }
}

impl Add<Duration> for WallTime {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }
}

/// `2026-11-22T08:15:30.250Z` (RFC 3339, UTC).
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms since 1970", self.0),
        }
    }
}

/// One moment on both clocks, read together by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// For intervals within this boot.
    #[serde(rename = "boot_ms")]
    pub boot: BootTime,
    /// For people, calendars and other boots.
    #[serde(rename = "wall_ms")]
    pub wall: WallTime,
}

impl Timestamp {
    /// Both clocks of one moment.
    #[must_use]
    pub const fn new(boot: BootTime, wall: WallTime) -> Self {
        Self { boot, wall }
    }

    /// This moment of an earlier boot on the axis of the boot in which it is `now`.
    ///
    /// Only the wall clock bridges a reboot. Where it stepped back, the moment lands at `now` and no
    /// later: a cooldown then lasts its full length again, which is the safe side.
    #[must_use]
    pub fn rebased(self, now: Timestamp) -> BootTime {
        now.boot - now.wall.since(self.wall)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self { boot: self.boot + duration, wall: self.wall + duration }
    }
}

/// A duration as people write it: `90s` → `1m 30s`, `1500ms` → `1.5s`.
#[derive(Debug)]
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{millis}ms"),
            1..=9 if !millis.is_multiple_of(1000) => write!(f, "{:.1}s", self.0.as_secs_f64()),
            1..=59 => write!(f, "{seconds}s"),
            60..=3599 if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            60..=3599 => write!(f, "{}m {}s", seconds / 60, seconds % 60),
            3600..=86_399 if (seconds % 3600) / 60 == 0 => write!(f, "{}h", seconds / 3600),
            3600..=86_399 => write!(f, "{}h {}m", seconds / 3600, (seconds % 3600) / 60),
            _ => write!(f, "{}d {}h", seconds / 86_400, (seconds % 86_400) / 3600),
        }
    }
}
