//! Where the room on file systems is going: when each will be full, and how far that can be believed.
//!
//! Pure. An estimate is a rate, seen on one scale of time, carried on. What fools a plain slope is met on purpose:
//! - one large step, such as a file that is made in advance: the largest step up and the largest down do not count;
//! - what has ended: it must have grown in the newest quarter of the time, and since the step before;
//! - a burst now and then: it must have grown in most parts of the time;
//! - looking too far ahead: no further than ten times as long as it was watched;
//! - saw teeth, a log that grows and is rotated: below where it has turned several times by itself, nothing is told.

mod crests;
mod scale;

use std::time::Duration;

use crate::model::{
    BootTime, Bytes, DeviceNumber, FilesystemStatus, Filling, Outlook, Reading, Resort, RoomAnswer,
};

use crests::Crests;
use scale::Scale;

/// Time from mark to mark on each scale. The finest sees a disk that fills in seconds, the coarsest one that fills in days.
const SPACINGS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(10),
    Duration::from_hours(1),
];
/// A trend that was seen counts for so long after it was seen last: a writer that waits for a moment goes on.
const HOLD: Duration = Duration::from_secs(10);
/// A size that changes by less, in percent, is that of a file system which shares its room with others (ZFS).
const RESIZED_PERCENT: u64 = 5;
/// A trend that was watched for so long is believed for ten times as long.
const REACH: u32 = 10;

/// One reading of what is in use, in bytes or inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    at: BootTime,
    used: u64,
}

/// What is in use, watched on all scales.
#[derive(Clone, Debug)]
struct Trend {
    newest: Level,
    /// When it was last seen to have grown.
    grew: BootTime,
    /// Empty until it has changed for the first time: most file systems of a host never do.
    scales: Vec<Scale>,
    crests: Crests,
}

impl Trend {
    fn new(first: Level) -> Self {
        Self { newest: first, grew: first.at, scales: Vec::new(), crests: Crests::new(first.used) }
    }

    fn take(&mut self, level: Level, size: u64) {
        if self.scales.is_empty() && level.used != self.newest.used {
            self.scales = SPACINGS.iter().map(|spacing| Scale::new(*spacing, self.newest)).collect();
        }
        for scale in &mut self.scales {
            scale.take(level);
        }
        self.crests.take(level, size);
        if level.used > self.newest.used {
            self.grew = level.at;
        }
        self.newest = level;
    }

    /// The end that comes first by any scale, when so much is left.
    fn filling(&self, what: Resort, left: u64) -> Option<Filling> {
        if self.crests.is_usual(self.newest) {
            return None;
        }
        let still = self.newest.at.since(self.grew);
        let estimates = self.scales.iter().filter_map(|scale| {
            let slope = scale.slope(still)?;
            let full_in = time_to(left, slope.rate).filter(|_| slope.watched >= scale::WATCHED_LEAST)?;
            let filling =
                Filling { what, full_in, rate: slope.rate, watched: slope.watched, steady: slope.steady };
            (full_in <= slope.watched.saturating_mul(REACH)).then_some(filling)
        });
        estimates.min_by_key(|it| it.full_in)
    }
}

/// How long so much lasts at so much a second.
fn time_to(left: u64, rate: f64) -> Option<Duration> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    Duration::try_from_secs_f64(left as f64 / rate).ok()
}

/// One file system over time.
#[derive(Clone, Debug)]
pub struct RoomFacts {
    device: DeviceNumber,
    size: Bytes,
    first: BootTime,
    space: Trend,
    /// None where inodes are made as needed.
    inodes: Option<Trend>,
    outlook: Outlook,
    /// When it was last seen to fill.
    filled: Option<BootTime>,
}

impl RoomFacts {
    /// The first time that its room was told; none while it is not, or where it tells no size.
    #[must_use]
    pub fn new(status: &FilesystemStatus, at: BootTime) -> Option<Self> {
        let room = Room::of(status, at)?;
        Some(Self {
            device: status.device,
            size: room.size,
            first: at,
            space: Trend::new(room.space),
            inodes: room.inodes.map(|(level, ..)| Trend::new(level)),
            outlook: Outlook::TooEarly,
            filled: None,
        })
    }

    /// Takes in another reading. A reading that is none changes nothing but the outlook.
    pub fn take(&mut self, status: &FilesystemStatus, at: BootTime) {
        let Some(room) = Room::of(status, at) else {
            self.outlook = Outlook::TooEarly;
            return;
        };
        let resized = room.size.0.abs_diff(self.size.0) > self.size.0 / 100 * RESIZED_PERCENT;
        if status.device != self.device || resized || self.inodes.is_some() != room.inodes.is_some() {
            // Another file system at the same place, or this one was made larger: what was seen says nothing of it.
            if let Some(anew) = Self::new(status, at) {
                *self = anew;
            }
            return;
        }
        self.size = room.size;
        self.space.take(room.space, room.size.0);
        let mut full = (room.left.0 == 0).then_some(Resort::Space);
        let mut fillings = vec![self.space.filling(Resort::Space, room.left.0)];
        if let (Some(trend), Some((level, total, free))) = (&mut self.inodes, room.inodes) {
            trend.take(level, total);
            fillings.push(trend.filling(Resort::Inodes, free));
            full = full.or((free == 0).then_some(Resort::Inodes));
        }
        let first = fillings.into_iter().flatten().min_by_key(|it| it.full_in);
        if first.is_some() {
            self.filled = Some(at);
        }
        let lately = self.filled.is_some_and(|filled| at.since(filled) < HOLD);
        self.outlook = match (first, full) {
            _ if status.read_only => Outlook::Steady,
            (_, Some(what)) => Outlook::Full(what),
            (Some(filling), None) => Outlook::Filling(filling),
            (None, None) if lately && self.outlook.filling().is_some() => self.outlook,
            (None, None) if self.watched(at) >= scale::WATCHED_LEAST => Outlook::Steady,
            (None, None) => Outlook::TooEarly,
        };
    }

    /// For how long it was watched by then.
    #[must_use]
    pub const fn watched(&self, now: BootTime) -> Duration {
        now.since(self.first)
    }

    /// As of the last reading.
    #[must_use]
    pub const fn outlook(&self) -> &Outlook {
        &self.outlook
    }
}

/// The room as trends need it.
struct Room {
    size: Bytes,
    space: Level,
    left: Bytes,
    /// With their total, and what is left of it.
    inodes: Option<(Level, u64, u64)>,
}

impl Room {
    fn of(status: &FilesystemStatus, at: BootTime) -> Option<Self> {
        let RoomAnswer::Usage(usage) = &status.room else { return None };
        let Reading::Value(size) = usage.of_size(usage.total) else { return None };
        let inodes = usage.inodes.value().map(|inodes| {
            (Level { at, used: inodes.total.saturating_sub(inodes.free) }, inodes.total, inodes.free)
        });
        // What is kept for root is no room: the level is counted from where it ends.
        let used = size.0.saturating_sub(usage.available.0);
        Some(Self { size, space: Level { at, used }, left: usage.available, inodes })
    }
}

#[cfg(test)]
mod tests;
