//! Which numbers are kept, and where they come from. Pure.
//!
//! The order of the fields of a group is part of the format: new ones are added at the end, and none is taken away.

use crate::model::{
    DeviceNumbers, DeviceRates, FilesystemStatus, Gap, HistoryUnit, HostNumbers, HostSecond, HostVitals,
    InterfaceNumbers, MeanPeak, Measured, Pressure, PressureAverages, Reading, RoomAnswer, TrafficRates,
    Usage,
};
use HistoryUnit::{Bytes, BytesPerSecond, Celsius, Count, Load, Milliseconds, PerSecond, Percent};

/// Numbers that are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// The host, each second.
    Host,
    /// The host's own averages, when it is told of.
    Vitals,
    /// What moves slowly, when it is told of.
    Slow,
    Disk,
    Interface,
    Filesystem,
}

/// One number of a group.
#[derive(Debug)]
pub(super) struct Field<T: ?Sized> {
    pub(super) name: &'static str,
    pub(super) unit: HistoryUnit,
    pub(super) meaning: &'static str,
    pick: fn(&T) -> Measured,
}

const fn field<T: ?Sized>(
    name: &'static str,
    unit: HistoryUnit,
    meaning: &'static str,
    pick: fn(&T) -> Measured,
) -> Field<T> {
    Field { name, unit, meaning, pick }
}

pub(super) static HOST: [Field<HostSecond>; 22] = [
    field("cpu_percent", Percent, "time that all processors worked, of all their time", |it| it.cpu),
    field("cpu_system_percent", Percent, "of it in the kernel, interrupts included", |it| it.cpu_system),
    field(
        "iowait_percent",
        Percent,
        "time of processors that were idle while a task waited for a disk",
        |it| it.iowait,
    ),
    field("steal_percent", Percent, "time of processors that the hypervisor gave to others", |it| it.steal),
    field("forks_per_second", PerSecond, "processes and threads made", |it| it.forks),
    field("context_switches_per_second", PerSecond, "changes of the task that a processor runs", |it| {
        it.context_switches
    }),
    field("running_tasks", Count, "tasks that run or wait for a processor", |it| it.running),
    field("blocked_tasks", Count, "tasks that wait for a disk", |it| it.blocked),
    field("memory_available_bytes", Bytes, "MemAvailable", |it| it.memory_available),
    field("memory_available_percent", Percent, "MemAvailable, of MemTotal", |it| {
        let (available, total) = (it.memory_available?, it.memory_total?);
        if total > 0.0 { Ok(available / total * 100.0) } else { Err(Gap::NotApplicable) }
    }),
    field("memory_dirty_bytes", Bytes, "memory that waits to be written", |it| it.memory_dirty),
    field("swap_free_bytes", Bytes, "free swap", |it| it.swap_free),
    field("pids", Count, "processes and threads", |it| it.pids),
    field("open_files", Count, "open files of the host", |it| it.open_files),
    field("conntrack", Count, "tracked connections", |it| it.conntrack),
    field("network_received_bytes_per_second", BytesPerSecond, "received by all network cards", |it| {
        it.received
    }),
    field("network_sent_bytes_per_second", BytesPerSecond, "sent by all network cards", |it| it.sent),
    field("network_errors_per_second", PerSecond, "packets with errors on all network cards", |it| {
        it.network_errors
    }),
    field("network_drops_per_second", PerSecond, "packets dropped on all network cards", |it| {
        it.network_drops
    }),
    field("busiest_disk_percent", Percent, "time with a request on the busiest disk", |it| it.busiest_disk),
    field("disks_read_bytes_per_second", BytesPerSecond, "read from all disks", |it| it.disks_read),
    field("disks_written_bytes_per_second", BytesPerSecond, "written to all disks", |it| it.disks_written),
];

pub(super) static VITALS: [Field<HostVitals>; 6] = [
    field("load_1m", Load, "load average over one minute", |it| it.load.measured(|load| load.one)),
    field("cpu_pressure_some_avg10", Percent, "PSI: time in which a task waited for a processor", |it| {
        some(&it.cpu_pressure)
    }),
    field("memory_pressure_some_avg10", Percent, "PSI: time in which a task waited for memory", |it| {
        some(&it.memory_pressure)
    }),
    field("memory_pressure_full_avg10", Percent, "PSI: time in which all tasks waited for memory", |it| {
        full(&it.memory_pressure)
    }),
    field("io_pressure_some_avg10", Percent, "PSI: time in which a task waited for storage", |it| {
        some(&it.io_pressure)
    }),
    field("io_pressure_full_avg10", Percent, "PSI: time in which all tasks waited for storage", |it| {
        full(&it.io_pressure)
    }),
];

pub(super) static SLOW: [Field<HostNumbers>; 6] = [
    field("swap_read_bytes_per_second", BytesPerSecond, "read from swap", |it| {
        it.swap.measured(|swap| swap.read)
    }),
    field("swap_written_bytes_per_second", BytesPerSecond, "written to swap", |it| {
        it.swap.measured(|swap| swap.written)
    }),
    field("temperature_celsius", Celsius, "the hottest sensor of the processors", |it| {
        it.temperature.measured(|degrees| *degrees)
    }),
    field("clock_offset_ms", Milliseconds, "what the kernel still has to correct of the clock", |it| {
        it.clock.measured(|clock| clock.offset_ms)
    }),
    field("sockets", Count, "sockets in use", |it| it.sockets.measured(|sockets| float(sockets.used))),
    field("tcp_sockets", Count, "TCP sockets in use", |it| it.sockets.measured(|sockets| float(sockets.tcp))),
];

pub(super) static DISK: [Field<DeviceNumbers>; 8] = [
    field("disk_busy_percent", Percent, "time with a request", |it| rate(it, |rates| rates.busy)),
    field("disk_busy_peak_percent", Percent, "the same, in its busiest second", |it| {
        it.rates.measured(|rates| rates.busy.peak)
    }),
    field("disk_reads_per_second", PerSecond, "requests to read", |it| rate(it, |rates| rates.reads)),
    field("disk_writes_per_second", PerSecond, "requests to write", |it| rate(it, |rates| rates.writes)),
    field("disk_read_bytes_per_second", BytesPerSecond, "read", |it| rate(it, |rates| rates.read_bytes)),
    field("disk_written_bytes_per_second", BytesPerSecond, "written", |it| {
        rate(it, |rates| rates.written_bytes)
    }),
    field("disk_await_ms", Milliseconds, "how long a request took, waiting included", |it| match &it.rates {
        Reading::Value(rates) => rates.await_ms.measured(|wait| wait.mean),
        Reading::Absent(reason) => Err(reason.into()),
        Reading::Failed(_) => Err(Gap::Failed),
    }),
    field("disk_queue", Count, "requests waiting or with the device", |it| rate(it, |rates| rates.queue)),
];

pub(super) static INTERFACE: [Field<InterfaceNumbers>; 4] = [
    field("interface_received_bytes_per_second", BytesPerSecond, "received", |it| {
        traffic(it, |rates| rates.received_bytes)
    }),
    field("interface_sent_bytes_per_second", BytesPerSecond, "sent", |it| {
        traffic(it, |rates| rates.sent_bytes)
    }),
    field("interface_errors_per_second", PerSecond, "packets with errors", |it| {
        traffic(it, |rates| rates.errors)
    }),
    field("interface_drops_per_second", PerSecond, "packets dropped for want of room", |it| {
        traffic(it, |rates| rates.drops)
    }),
];

pub(super) static FILESYSTEM: [Field<FilesystemStatus>; 3] = [
    field("filesystem_used_percent", Percent, "space in use as df counts it", |it| {
        room(it, |usage| usage.used().measured(|used| used.0))
    }),
    field("filesystem_available_bytes", Bytes, "space that is free for everybody", |it| {
        room(it, |usage| Ok(float(usage.available.0)))
    }),
    field("filesystem_inodes_used_percent", Percent, "inodes in use, where their number is fixed", |it| {
        room(it, |usage| usage.inodes_used().measured(|share| share.0))
    }),
];

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
const fn float(count: u64) -> f64 {
    count as f64
}

fn average(line: &Reading<PressureAverages>) -> Measured {
    line.measured(|averages| averages.avg10.0)
}

fn some(pressure: &Reading<Pressure>) -> Measured {
    line(pressure, |pressure| &pressure.some)
}

fn full(pressure: &Reading<Pressure>) -> Measured {
    line(pressure, |pressure| &pressure.full)
}

fn line(pressure: &Reading<Pressure>, pick: fn(&Pressure) -> &Reading<PressureAverages>) -> Measured {
    match pressure {
        Reading::Value(pressure) => average(pick(pressure)),
        Reading::Absent(reason) => Err(reason.into()),
        Reading::Failed(_) => Err(Gap::Failed),
    }
}

fn rate(device: &DeviceNumbers, pick: fn(&DeviceRates) -> MeanPeak) -> Measured {
    device.rates.measured(|rates| pick(rates).mean)
}

fn traffic(interface: &InterfaceNumbers, pick: fn(&TrafficRates) -> MeanPeak) -> Measured {
    interface.traffic.measured(|rates| pick(rates).mean)
}

fn room(status: &FilesystemStatus, pick: fn(&Usage) -> Measured) -> Measured {
    match &status.room {
        RoomAnswer::Usage(usage) => pick(usage),
        RoomAnswer::Hangs { .. } | RoomAnswer::Failed(_) => Err(Gap::Failed),
    }
}

/// What is known of a field without its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) unit: HistoryUnit,
    pub(super) meaning: &'static str,
}

impl Group {
    pub(super) const ALL: [Self; 6] =
        [Self::Host, Self::Vitals, Self::Slow, Self::Disk, Self::Interface, Self::Filesystem];

    /// Its number in the format.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Host => 1,
            Self::Vitals => 2,
            Self::Slow => 3,
            Self::Disk => 4,
            Self::Interface => 5,
            Self::Filesystem => 6,
        }
    }

    /// Whether there are several of it, told apart by name.
    pub(super) const fn has_subjects(self) -> bool {
        match self {
            Self::Host | Self::Vitals | Self::Slow => false,
            Self::Disk | Self::Interface | Self::Filesystem => true,
        }
    }

    pub(super) fn specs(self) -> Vec<Spec> {
        fn of<T>(fields: &[Field<T>]) -> Vec<Spec> {
            fields.iter().map(|it| Spec { name: it.name, unit: it.unit, meaning: it.meaning }).collect()
        }
        match self {
            Self::Host => of(&HOST),
            Self::Vitals => of(&VITALS),
            Self::Slow => of(&SLOW),
            Self::Disk => of(&DISK),
            Self::Interface => of(&INTERFACE),
            Self::Filesystem => of(&FILESYSTEM),
        }
    }
}

/// The numbers of a group as they are kept.
pub(super) fn cells<'a, T>(
    fields: &'a [Field<T>],
    of: &'a T,
) -> impl ExactSizeIterator<Item = Result<i64, Gap>> + 'a {
    fields.iter().map(move |field| (field.pick)(of).and_then(|value| stored(value, field.unit)))
}

/// The largest number that is kept, 2 to the power of 60: differences of two fit 62 bits.
const STORED_MAX: f64 = 1_152_921_504_606_846_976.0;

/// In how many parts one of the unit is kept. The mean of a minute has as many digits as a row.
const fn scale(unit: HistoryUnit) -> f64 {
    match unit {
        Percent | PerSecond | Count | Load => 100.0,
        // Memory and disks are counted in blocks of some kilobytes anyway.
        Bytes => 1.0 / 1024.0,
        BytesPerSecond => 1.0,
        Milliseconds => 1000.0,
        Celsius => 10.0,
    }
}

/// A number as it is kept. What is no number could not be read.
fn stored(value: f64, unit: HistoryUnit) -> Result<i64, Gap> {
    let scaled = (value * scale(unit)).round();
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within 60 bits")]
    if scaled.is_finite() { Ok(scaled.clamp(-STORED_MAX, STORED_MAX) as i64) } else { Err(Gap::Failed) }
}

/// A kept number, or a mean of some, in its unit.
pub(super) fn shown(stored: f64, unit: HistoryUnit) -> f64 {
    stored / scale(unit)
}

/// The field of this name.
pub(super) fn find(name: &str) -> Option<(Group, usize, Spec)> {
    Group::ALL.into_iter().find_map(|group| {
        let specs = group.specs();
        let index = specs.iter().position(|spec| spec.name == name)?;
        Some((group, index, specs[index]))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::history::rows::FIELDS_MAX;

    #[test]
    fn names_and_numbers_are_unique_and_fit() {
        let mut names = BTreeSet::new();
        let mut codes = BTreeSet::new();
        for group in Group::ALL {
            assert!(codes.insert(group.code()));
            let specs = group.specs();
            assert!((1..=FIELDS_MAX).contains(&specs.len()));
            for spec in specs {
                assert!(names.insert(spec.name), "{} is there twice", spec.name);
                assert!(find(spec.name).is_some_and(|(found, _, it)| found == group && it == spec));
            }
        }
        assert_eq!(find("no_such"), None);
    }

    #[test]
    fn what_is_no_number_is_not_kept_as_one() {
        assert_eq!(stored(12.345, Percent), Ok(1235));
        assert_eq!(stored(f64::NAN, Percent), Err(Gap::Failed));
        assert_eq!(stored(f64::INFINITY, Percent), Err(Gap::Failed));
        assert_eq!(stored(1e300, Percent), Ok(1 << 60));
        assert!((shown(1235.0, Percent) - 12.35).abs() < 1e-9);
    }
}
