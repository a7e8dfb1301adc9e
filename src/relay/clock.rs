//! The relay's clocks: the only place that asks for the time.

#![expect(clippy::disallowed_methods, reason = "this is where the relay asks for the time")]

use std::time::{Duration, Instant, SystemTime};

use crate::model::WallTime;

/// Monotonic time since the relay began, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Since the beginning.
    #[must_use]
    pub(super) fn now(self) -> Duration {
        self.began.elapsed()
    }

    /// For people and receivers.
    #[must_use]
    pub(super) fn wall(self) -> WallTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        WallTime::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Waits until a moment on the monotonic clock.
    pub(super) async fn sleep_until(self, until: Duration) {
        tokio::time::sleep(until.saturating_sub(self.now())).await;
    }
}
