//! When the host is told of, other than by the clock. Pure.

use std::time::Duration;

/// Nothing is decided faster than this of what moves slowly: rules about the host hold for half a minute and more.
pub const TELL_EVERY: Duration = Duration::from_secs(10);
/// A change of the memory that is left, in percent of all, that is told at once: programs can take it all in seconds.
const MEMORY_STEP: f64 = 5.0;
/// A change of how full one of the kernel's tables is, in percent of its limit, that is told at once.
const TABLE_STEP: f64 = 10.0;

/// Of what a sudden change is told at once: percent, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Levels {
    pub memory_available: Option<f64>,
    pub pids: Option<f64>,
    pub open_files: Option<f64>,
    pub conntrack: Option<f64>,
    /// Rates can be told.
    pub rates: bool,
}

/// Whether the next sample is worth telling. `told` is how things stood in the last one, `since` the time since then.
#[must_use]
pub fn is_due(told: &Levels, now: &Levels, since: Duration) -> bool {
    let moved = |told: Option<f64>, now: Option<f64>, step: f64| match (told, now) {
        (Some(told), Some(now)) => (told - now).abs() >= step,
        // It appeared, or can't be read any more: the rules should know.
        (None, Some(_)) | (Some(_), None) => true,
        (None, None) => false,
    };
    since >= TELL_EVERY
        || !told.rates && now.rates
        || moved(told.memory_available, now.memory_available, MEMORY_STEP)
        || moved(told.pids, now.pids, TABLE_STEP)
        || moved(told.open_files, now.open_files, TABLE_STEP)
        || moved(told.conntrack, now.conntrack, TABLE_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_told_by_the_clock_and_by_steps() {
        let calm = Levels {
            memory_available: Some(50.0),
            pids: Some(1.0),
            open_files: Some(3.0),
            conntrack: None,
            rates: true,
        };
        let check = |now: Levels, seconds: u64, due: bool| {
            assert_eq!(is_due(&calm, &now, Duration::from_secs(seconds)), due, "{now:?} after {seconds} s");
        };
        check(calm, 9, false);
        check(calm, 10, true);
        check(Levels { memory_available: Some(45.1), ..calm }, 1, false);
        check(Levels { memory_available: Some(45.0), ..calm }, 1, true);
        check(Levels { memory_available: Some(55.0), ..calm }, 1, true);
        check(Levels { memory_available: None, ..calm }, 1, true);
        check(Levels { pids: Some(10.9), open_files: Some(12.9), ..calm }, 1, false);
        check(Levels { pids: Some(11.0), ..calm }, 1, true);
        check(Levels { open_files: Some(13.0), ..calm }, 1, true);
        check(Levels { conntrack: Some(0.0), ..calm }, 1, true);
        // The first sample has no rates: the second comes with the first of them.
        let first = Levels { rates: false, ..calm };
        assert!(is_due(&first, &calm, Duration::from_secs(1)));
        assert!(!is_due(&first, &first, Duration::from_secs(1)));
    }
}
