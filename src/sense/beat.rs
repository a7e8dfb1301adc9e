//! One timer of the kernel for everything that is read at intervals.
//!
//! A timer of the runtime wakes the agent two or three times for each second that it counts, because its wheel turns in
//! steps of 64 and 4096 ms. This one wakes it once, and whoever else reads at intervals goes along.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::watch::watch;

/// Beats for ever.
#[derive(Debug)]
pub struct Beat {
    timer: AsyncFd<OwnedFd>,
}

impl Beat {
    /// Needs a tokio runtime with its I/O driver. The first beat comes after `every`.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub fn new(every: Duration) -> io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let interval = Timespec::try_from(every).map_err(io::Error::other)?;
        let times = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
        Ok(Self { timer: watch(timer, Interest::READABLE)? })
    }

    /// Waits for the next one; returns how many it is, with those that nobody waited for.
    ///
    /// # Errors
    /// When the timer or the runtime's driver is gone.
    pub async fn next(&mut self) -> io::Result<u64> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut beats = [0_u8; 8];
            let read = rustix::io::read(ready.get_inner(), &mut beats);
            // Before the next one can have come: it makes the timer ready anew.
            ready.clear_ready();
            match read {
                Ok(_) => return Ok(u64::from_ne_bytes(beats)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_beats_again_and_again() {
        let mut beat = Beat::new(Duration::from_millis(1)).unwrap_or_else(|error| panic!("{error}"));
        for _ in 0..3 {
            assert!(beat.next().await.is_ok());
        }
    }
}
