//! Two readings of a counter → what happened between them, or why that can't be said. Pure.
//!
//! Owns the rule that a rate is never a spike and never negative: a counter that went back or ran ahead of time, a
//! machine that slept, processors that came or went, a device that was replaced, an interval that is too short or too
//! long give an [`Interruption`]. Must not touch files or clocks.

use std::time::Duration;

use crate::model::{DeviceNumber, Interruption, Millis};
use crate::sense::procfs::{CpuTimes, HostStat, OnlineCpus, Requests};

/// Counters of time move in steps of 10 ms: below this a step is more than four percent.
const SHORTEST: Duration = Duration::from_millis(250);
/// A rate over more than this says nothing of now.
const LONGEST: Duration = Duration::from_secs(60);
/// The boot clock and the monotonic one are read one after the other; they part only when the machine sleeps.
const SLEPT: Duration = Duration::from_millis(100);
/// Disks count busy time in jiffies and add it up when a request ends: so much more than the time passed is theirs.
const BUSY_SLACK_MS: f64 = 100.0;

/// When a pass was made, on both clocks of the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassTime {
    /// `CLOCK_BOOTTIME`: counts sleep.
    pub boot: Duration,
    /// `CLOCK_MONOTONIC`: does not.
    pub awake: Duration,
}

/// The seconds between two passes.
///
/// # Errors
/// When they are no measure.
pub fn span(before: PassTime, now: PassTime) -> Result<f64, Interruption> {
    elapsed(before, now, LONGEST).map(|elapsed| elapsed.as_secs_f64())
}

/// The time between two readings that is no longer than this.
///
/// # Errors
/// When it is no measure.
pub fn elapsed(before: PassTime, now: PassTime, longest: Duration) -> Result<Duration, Interruption> {
    let (Some(boot), Some(awake)) = (now.boot.checked_sub(before.boot), now.awake.checked_sub(before.awake))
    else {
        return Err(Interruption::TooShort);
    };
    if boot.abs_diff(awake) > SLEPT {
        Err(Interruption::Slept)
    } else if boot < SHORTEST {
        Err(Interruption::TooShort)
    } else if boot > longest {
        Err(Interruption::TooLong)
    } else {
        Ok(boot)
    }
}

/// Something that happened so often in so much time. The weight is seconds, or whatever else it is measured against.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    pub amount: f64,
    pub weight: f64,
}

#[expect(clippy::cast_precision_loss, reason = "differences are small, and shown with few digits")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// What a counter counted in so many seconds.
///
/// # Errors
/// When it went back.
pub fn counted(before: u64, now: u64, seconds: f64) -> Result<Part, Interruption> {
    let more = now.checked_sub(before).ok_or(Interruption::CounterReset)?;
    Ok(Part { amount: float(more), weight: seconds })
}

/// Time of the processors: each part is a share of all their time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuShares {
    pub user: Part,
    pub system: Part,
    pub iowait: Part,
    pub steal: Part,
}

/// What the processors did between two readings of `/proc/stat`.
///
/// # Errors
/// When a counter of work went back, processors came or went, or no time was counted at all.
pub fn cpu(before: (&CpuTimes, OnlineCpus), now: (&CpuTimes, OnlineCpus)) -> Result<CpuShares, Interruption> {
    if before.1 != now.1 {
        return Err(Interruption::ProcessorsChanged);
    }
    let (before, now) = (before.0, now.0);
    let more = |pick: fn(&CpuTimes) -> u64| {
        pick(now).checked_sub(pick(before)).map(float).ok_or(Interruption::CounterReset)
    };
    // These two step back by a few ticks now and then (proc_stat(5)), which is no reset.
    let about = |pick: fn(&CpuTimes) -> u64| float(pick(now).saturating_sub(pick(before)));
    let user = more(|it| it.user.0)? + more(|it| it.nice.0)?;
    let system = more(|it| it.system.0)? + more(|it| it.irq.0)? + more(|it| it.softirq.0)?;
    let steal = more(|it| it.steal.map_or(0, |ticks| ticks.0))?;
    let (idle, iowait) = (about(|it| it.idle.0), about(|it| it.iowait.0));
    let weight = user + system + steal + idle + iowait;
    if weight <= 0.0 {
        return Err(Interruption::TooShort);
    }
    let part = |amount| Part { amount, weight };
    Ok(CpuShares { user: part(user), system: part(system), iowait: part(iowait), steal: part(steal) })
}

/// What the scheduler did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskParts {
    pub forks: Part,
    pub context_switches: Part,
}

/// Between two readings of `/proc/stat`.
///
/// # Errors
/// When one of the counters went back.
pub fn tasks(before: &HostStat, now: &HostStat, seconds: f64) -> Result<TaskParts, Interruption> {
    Ok(TaskParts {
        forks: counted(before.forks, now.forks, seconds)?,
        context_switches: counted(before.context_switches, now.context_switches, seconds)?,
    })
}

/// The counters of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskCounters {
    pub device: DeviceNumber,
    pub reads: Requests,
    pub writes: Requests,
    pub busy: Millis,
    pub weighted: Millis,
}

/// What a block device did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskParts {
    /// Milliseconds against milliseconds.
    pub busy: Part,
    pub reads: Part,
    pub writes: Part,
    pub read_bytes: Part,
    pub written_bytes: Part,
    /// Milliseconds against requests; a weight of zero when none was completed.
    pub wait: Part,
    /// Milliseconds of waiting requests against milliseconds.
    pub queue: Part,
}

/// Between two rows of `/proc/diskstats` under one name.
///
/// # Errors
/// When it is another device, or one of the counters is not of this interval.
pub fn disk(before: &DiskCounters, now: &DiskCounters, seconds: f64) -> Result<DiskParts, Interruption> {
    if before.device != now.device {
        return Err(Interruption::Replaced);
    }
    let millis = |before: Millis, now: Millis| {
        let more = now.since(before).ok_or(Interruption::CounterReset)?;
        Ok(Part { amount: float(more.0), weight: seconds * 1000.0 })
    };
    let busy = millis(before.busy, now.busy)?;
    if busy.amount > busy.weight * 2.0 + BUSY_SLACK_MS {
        // No device is busy for longer than time itself: these are the counters of another one.
        return Err(Interruption::Replaced);
    }
    let reads = counted(before.reads.completed, now.reads.completed, seconds)?;
    let writes = counted(before.writes.completed, now.writes.completed, seconds)?;
    let waited = millis(before.reads.time, now.reads.time)?.amount
        + millis(before.writes.time, now.writes.time)?.amount;
    Ok(DiskParts {
        busy: Part { amount: busy.amount.min(busy.weight), ..busy },
        reads,
        writes,
        read_bytes: counted(before.reads.bytes.0, now.reads.bytes.0, seconds)?,
        written_bytes: counted(before.writes.bytes.0, now.writes.bytes.0, seconds)?,
        wait: Part { amount: waited, weight: reads.amount + writes.amount },
        queue: millis(before.weighted, now.weighted)?,
    })
}

/// The counters of an interface, both directions' troubles together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficCounters {
    pub received: u64,
    pub sent: u64,
    pub errors: u64,
    pub drops: u64,
}

/// What went through an interface, or through several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrafficParts {
    pub received: Part,
    pub sent: Part,
    pub errors: Part,
    pub drops: Part,
}

/// Between two rows of `/proc/net/dev` under one name.
///
/// # Errors
/// When one of the counters went back.
pub fn traffic(
    before: &TrafficCounters,
    now: &TrafficCounters,
    seconds: f64,
) -> Result<TrafficParts, Interruption> {
    Ok(TrafficParts {
        received: counted(before.received, now.received, seconds)?,
        sent: counted(before.sent, now.sent, seconds)?,
        errors: counted(before.errors, now.errors, seconds)?,
        drops: counted(before.drops, now.drops, seconds)?,
    })
}

#[cfg(test)]
#[path = "rates_tests.rs"]
mod tests;
