//! Recurring windows of the calendar.

use std::time::Duration;

use crate::model::WallTime;

/// A cron expression in a time zone, with the length of the window that it opens.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub cron: croner::Cron,
    pub zone: jiff::tz::TimeZone,
    pub length: Duration,
}

impl Schedule {
    /// Until when the window that holds `now` is open, if one does.
    #[must_use]
    pub fn open_until(&self, now: WallTime) -> Option<WallTime> {
        let _ = now;
        None
    }
}
