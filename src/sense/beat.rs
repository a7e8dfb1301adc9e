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
        let timer = timer()?;
        set(&timer, every, every)?;
        Ok(Self { timer })
    }

    /// Waits for the next one; returns how many it is, with those that nobody waited for.
    ///
    /// # Errors
    /// When the timer or the runtime's driver is gone.
    pub async fn next(&mut self) -> io::Result<u64> {
        rung(&self.timer).await
    }
}

/// Rings once, after a time that is another each time.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// Needs a tokio runtime with its I/O driver.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    pub fn new() -> io::Result<Self> {
        Ok(Self { timer: timer()? })
    }

    /// Waits for so long, by one wake-up. A wait that is given up is forgotten with the next.
    ///
    /// # Errors
    /// When the timer or the runtime's driver is gone.
    pub async fn after(&mut self, time: Duration) -> io::Result<()> {
        // No time at all would switch it off.
        set(&self.timer, Duration::ZERO, time.max(Duration::from_nanos(1)))?;
        rung(&self.timer).await.map(|_| ())
    }
}

fn timer() -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    watch(timer, Interest::READABLE)
}

fn set(timer: &AsyncFd<OwnedFd>, every: Duration, first: Duration) -> io::Result<()> {
    let times = Itimerspec {
        it_interval: Timespec::try_from(every).map_err(io::Error::other)?,
        it_value: Timespec::try_from(first).map_err(io::Error::other)?,
    };
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &times)?;
    Ok(())
}

/// Waits until it has rung; how often it has since it was read.
async fn rung(timer: &AsyncFd<OwnedFd>) -> io::Result<u64> {
    loop {
        let mut ready = timer.readable().await?;
        let mut times = [0_u8; 8];
        let read = rustix::io::read(ready.get_inner(), &mut times);
        // Before the next one can have come: it makes the timer ready anew.
        ready.clear_ready();
        match read {
            Ok(_) => return Ok(u64::from_ne_bytes(times)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
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

    #[tokio::test]
    async fn an_alarm_rings_each_time_it_is_set_and_one_that_nobody_waits_for_is_forgotten() {
        use futures_util::FutureExt;
        let mut alarm = Alarm::new().unwrap_or_else(|error| panic!("{error}"));
        for time in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(2)] {
            assert!(alarm.after(time).await.is_ok());
        }
        assert!(alarm.after(Duration::from_secs(3600)).now_or_never().is_none());
        assert!(alarm.after(Duration::from_millis(1)).await.is_ok());
    }
}
