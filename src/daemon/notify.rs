//! What systemd is told: ready, reloading, stopping, and that the loop still turns.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::model::BootTime;

use super::beats::BEAT;

/// Pets are given this many times in the interval that systemd allows.
const PETS_PER_INTERVAL: u32 = 3;

/// Fed by the loop itself: a loop that hangs is a hung agent, however well its timers run.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Option<Duration>,
    next: BootTime,
}

impl Watchdog {
    pub(super) fn from_environment(now: BootTime) -> Self {
        let every = sd_notify::watchdog_enabled().map(|interval| interval / PETS_PER_INTERVAL);
        Self { every, next: now }
    }

    /// Feeds it if it is time; when to come again.
    pub(super) fn feed(&mut self, now: BootTime) -> Option<BootTime> {
        let every = self.every?;
        // A beat early rather than a wake-up more.
        if now + BEAT >= self.next {
            tell(&[NotifyState::Watchdog]);
            self.next = now + every;
        }
        Some(self.next)
    }
}

/// Tells systemd, if it asked to be told.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
