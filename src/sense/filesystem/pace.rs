//! When to ask a file system for its room again.
//!
//! Pure. At rest the beats of the host's pass will do. While one fills, it is asked so often that there are enough
//! readings for a trend, and time to act on it, before it is full.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{BootTime, Bytes, FilesystemClass, FilesystemStatus, MountPoint, RoomAnswer, Usage};

/// At rest: a share of two percent of a disk that fills in ten minutes passes between two looks.
pub const LOOK_LATEST: Duration = Duration::from_secs(10);
/// More often would tell nothing more that could be acted on, and a look is a thread and a few system calls.
const LOOK_SOONEST: Duration = Duration::from_millis(250);
/// One that is full but for a thousandth is no longer watched running full.
const LOOK_FULL: Duration = Duration::from_secs(1);
const FULL_PART: u64 = 1000;
/// Looks before it is full at the fastest rate that was seen: a trend takes four, and what is done about it some time.
const LOOKS_LEFT: u64 = 16;
/// A rate that was seen is forgotten in about so long: whoever writes in bursts may do so again soon.
const FORGET: Duration = Duration::from_secs(30);
/// What was written to the disks since the last look must be such a part of what is left somewhere to look sooner.
const NUDGE_PART: u64 = 8;

/// When a look was taken: the time, and what had been written to this host's disks and memory by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: BootTime,
    /// Counted from some time on; of no meaning but for the difference of two.
    pub written: Bytes,
}

/// How fast it fills, as far as it was seen lately.
#[derive(Clone, Copy, Debug)]
struct Seen {
    moment: Moment,
    size: Bytes,
    available: Bytes,
    /// Whether what is written to the disks may be written to it.
    on_disk: bool,
    /// Bytes a second.
    fastest: u64,
}

impl Seen {
    /// What is left where programs of this host can fill it up, and asking costs next to nothing.
    fn of(status: &FilesystemStatus, moment: Moment) -> Option<Self> {
        let on_disk = match status.class {
            FilesystemClass::Disk => true,
            FilesystemClass::Memory => false,
            FilesystemClass::Network | FilesystemClass::Fuse | FilesystemClass::Unknown => return None,
        };
        match &status.room {
            RoomAnswer::Usage(Usage { total, available, .. }) if !status.read_only && total.0 > 0 => {
                Some(Self { moment, size: *total, available: *available, on_disk, fastest: 0 })
            }
            RoomAnswer::Usage(_) | RoomAnswer::Hangs { .. } | RoomAnswer::Failed(_) => None,
        }
    }

    /// With what is seen now.
    fn then(self, now: Self) -> Self {
        let since = now.moment.at.since(self.moment.at);
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
        let forget = u64::try_from(FORGET.as_millis()).unwrap_or(u64::MAX);
        let kept = u128::from(self.fastest) * u128::from(forget - millis.min(forget)) / u128::from(forget);
        let gone = self.available.0.saturating_sub(now.available.0);
        let seen = gone.saturating_mul(1000) / millis;
        Self { fastest: u64::try_from(kept).unwrap_or(u64::MAX).max(seen), ..now }
    }

    fn next(self) -> Duration {
        let millis = (u128::from(self.available.0) * 1000)
            .checked_div(u128::from(self.fastest) * u128::from(LOOKS_LEFT));
        let wait = millis.and_then(|it| u64::try_from(it).ok()).map_or(LOOK_LATEST, Duration::from_millis);
        let soonest = if self.available.0 < self.size.0 / FULL_PART { LOOK_FULL } else { LOOK_SOONEST };
        wait.clamp(soonest, LOOK_LATEST)
    }
}

/// The pace of all of them.
#[derive(Clone, Debug, Default)]
pub struct RoomPace {
    seen: BTreeMap<MountPoint, Seen>,
}

impl RoomPace {
    /// Takes in what came of asking all of them.
    pub fn take_all(&mut self, all: &[FilesystemStatus], moment: Moment) {
        let mut before = std::mem::take(&mut self.seen);
        for status in all {
            if let Some(now) = Seen::of(status, moment) {
                let seen = before.remove(&status.mount_point).map_or(now, |seen| seen.then(now));
                self.seen.insert(status.mount_point.clone(), seen);
            }
        }
    }

    /// Takes in what came of asking some of them.
    pub fn take_some(&mut self, some: &[FilesystemStatus], moment: Moment) {
        for status in some {
            match (Seen::of(status, moment), self.seen.get_mut(&status.mount_point)) {
                (Some(now), Some(seen)) => *seen = seen.then(now),
                (None, Some(_)) => drop(self.seen.remove(&status.mount_point)),
                (_, None) => {}
            }
        }
    }

    /// When the first of them is to be asked again.
    #[must_use]
    pub fn next(&self) -> Duration {
        self.seen.values().map(|seen| seen.next()).min().unwrap_or(LOOK_LATEST)
    }

    /// Those that are to be asked now: their time has come, or so much was written since that it may have brought them
    /// near their end.
    #[must_use]
    pub fn due(&self, now: Moment) -> Vec<MountPoint> {
        let due = |seen: &Seen| {
            let next = seen.next();
            let written = now.written.0.saturating_sub(seen.moment.written.0);
            let in_time = next < LOOK_LATEST && now.at.since(seen.moment.at) >= next;
            in_time || (seen.on_disk && written > seen.available.0 / NUDGE_PART)
        };
        self.seen.iter().filter(|(_, seen)| due(seen)).map(|(point, _)| point.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Absence, DeviceNumber, Reading};

    const MIB: u64 = 1 << 20;

    fn status(point: &str, class: FilesystemClass, available: u64) -> FilesystemStatus {
        let inodes = Reading::Absent(Absence::NotApplicable);
        let available = Bytes(available);
        FilesystemStatus {
            mount_point: MountPoint::from_bytes(point.as_bytes()).expect("a mount point"),
            device: DeviceNumber { major: 8, minor: 1 },
            fs_type: "ext4".into(),
            source: "/dev/sda1".into(),
            class,
            read_only: false,
            forced_read_only: Reading::Value(false),
            room: RoomAnswer::Usage(Usage { total: Bytes(8000 * MIB), free: available, available, inodes }),
        }
    }

    const fn moment(millis: i64, written: u64) -> Moment {
        Moment { at: BootTime::from_millis(millis), written: Bytes(written) }
    }

    /// One disk with so many MiB left at each look, a second apart; how many milliseconds to the next.
    fn check(left: &[u64], next: u64) {
        let mut pace = RoomPace::default();
        for (second, left) in (0_i64..).zip(left) {
            pace.take_all(&[status("/", FilesystemClass::Disk, left * MIB)], moment(second * 1000, 0));
        }
        assert_eq!(pace.next(), Duration::from_millis(next), "{left:?}");
    }

    #[test]
    fn the_faster_it_fills_the_sooner_it_is_asked() {
        check(&[1000], 10_000);
        check(&[1000, 1000], 10_000);
        check(&[1000, 999], 10_000);
        check(&[1000, 900], 562);
        check(&[1000, 500], 250);
        // Full: a block more or less is nothing that could be acted on.
        check(&[1000, 0], 1000);
        // It pauses: thirty seconds are remembered.
        check(&[1000, 900, 900], 581);
        check(&[900, 1000], 10_000);
    }

    #[test]
    fn what_was_written_anywhere_makes_small_ones_due() {
        let disk = |point, left| status(point, FilesystemClass::Disk, left);
        let all =
            [disk("/", 8000 * MIB), disk("/small", 80 * MIB), status("/nfs", FilesystemClass::Network, MIB)];
        let mut pace = RoomPace::default();
        pace.take_all(&all, moment(0, 5000 * MIB));
        let due = |pace: &RoomPace, written: u64| {
            pace.due(moment(1000, (5000 + written) * MIB)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(due(&pace, 10).is_empty());
        assert_eq!(due(&pace, 11), ["/small"]);
        assert_eq!(due(&pace, 1001), ["/", "/small"]);
        pace.take_some(&[disk("/small", 80 * MIB), disk("/unknown", 0)], moment(1000, 5011 * MIB));
        assert!(due(&pace, 11).is_empty());
        pace.take_all(&all[..1], moment(1000, 5011 * MIB));
        assert!(due(&pace, 500).is_empty(), "forgotten with its mount");
    }

    proptest! {
        #[test]
        fn it_is_asked_in_time_and_not_without_end(
            looks in prop::collection::vec((0..20_000_i64, 0..1_u64 << 40), 1..40),
        ) {
            let mut pace = RoomPace::default();
            let (mut now, mut before) = (0, None);
            for (pause, left) in looks {
                now += pause;
                pace.take_all(&[status("/", FilesystemClass::Disk, left)], moment(now, 0));
                let next = pace.next();
                prop_assert!((LOOK_SOONEST..=LOOK_LATEST).contains(&next));
                if let Some(before) = before.replace(left)
                    && let Some(gone) = u64::checked_sub(before, left)
                {
                    // At the rate of this step it is looked at several times before it is full.
                    let rate = u128::from(gone) * 1000 / u128::try_from(pause.max(1)).unwrap_or(1);
                    let filled = rate * next.as_millis() / 1000 * u128::from(LOOKS_LEFT);
                    prop_assert!(
                        [LOOK_SOONEST, LOOK_FULL].contains(&next) || filled <= u128::from(left) + rate,
                        "{next:?}"
                    );
                }
            }
        }
    }
}
