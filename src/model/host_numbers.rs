//! What the host did over an interval, and how near it is to its limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Absence, Bytes, DeviceNumber, Percent, Reading};

/// Something that was measured again and again in an interval. What began and ended between two tellings shows in the
/// peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanPeak {
    /// Over the whole interval, without the parts of which nothing can be said.
    pub mean: f64,
    /// The highest of its passes.
    pub peak: f64,
}

/// Shares of the time of all processors together, percent. What is left was idle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuUse {
    /// `user` and `system`.
    pub busy: MeanPeak,
    /// Programs, those of low priority and guests included.
    pub user: MeanPeak,
    /// The kernel, interrupts included.
    pub system: MeanPeak,
    /// Idle while a task waited for a disk.
    pub iowait: MeanPeak,
    /// Taken by the hypervisor.
    pub steal: MeanPeak,
}

/// What the scheduler did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRates {
    /// Processes and threads made, per second: storms of short-lived ones show here, whoever lists processes sees none.
    pub forks: MeanPeak,
    /// Per second.
    pub context_switches: MeanPeak,
    /// Runnable at a time.
    pub running: MeanPeak,
    /// Waiting for a disk at a time.
    pub blocked: MeanPeak,
    /// Processes and threads made since boot, at the end of the interval: the kernel's own count, which misses none.
    #[serde(default)]
    pub made: u64,
}

/// How much of something limited is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub used: u64,
    /// The most of the interval.
    pub peak: u64,
    pub most: u64,
}

impl Fill {
    /// The share that is taken now; `None` of a limit of zero.
    #[must_use]
    pub fn share(&self) -> Option<Percent> {
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
        (self.most > 0).then(|| Percent(self.used as f64 / self.most as f64 * 100.0))
    }
}

/// Memory beyond what every rule needs ([`super::Memory`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    pub total: Bytes,
    pub available: Bytes,
    /// The least that was available in the interval.
    pub available_low: Bytes,
    /// Page cache and buffers.
    pub cached: Bytes,
    /// tmpfs and shared memory: part of `cached`, not to be had back without swap.
    pub shared: Bytes,
    /// Waits to be written.
    pub dirty: Bytes,
    /// Is being written.
    pub writeback: Bytes,
    /// Of the kernel, and not to be had back.
    pub kernel: Bytes,
    pub swap_total: Bytes,
    pub swap_free: Bytes,
}

/// Bytes per second between memory and swap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwapTraffic {
    pub read: f64,
    pub written: f64,
}

/// Sockets of the agent's network namespace, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketCounts {
    pub used: u64,
    /// Of IPv4.
    pub tcp: u64,
    pub tcp_time_wait: u64,
    /// No program holds them any more.
    pub tcp_orphans: u64,
    /// Of IPv4.
    pub udp: u64,
}

/// The wall clock as the kernel knows it (adjtimex(2)).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockState {
    /// Somebody keeps it in step with a better clock.
    pub synchronised: bool,
    /// What the kernel still has to correct. chrony corrects by itself, so that it shows 0 here.
    pub offset_ms: f64,
    /// How far off it may be at the most, by the kernel's reckoning; grows while nobody corrects it.
    pub error_ms: f64,
}

/// Errors of the memory's own checks since the driver came (`Documentation/driver-api/edac.rst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryErrors {
    pub corrected: u64,
    pub uncorrected: u64,
}

/// A block device over the interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceNumbers {
    pub name: String,
    pub device: DeviceNumber,
    /// Requests with the device now.
    pub in_flight: u64,
    pub rates: Reading<DeviceRates>,
}

/// What it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRates {
    /// Share of time with at least one request, percent. A device that serves many at once is not full at 100.
    pub busy: MeanPeak,
    /// Requests per second.
    pub reads: MeanPeak,
    pub writes: MeanPeak,
    /// Bytes per second.
    pub read_bytes: MeanPeak,
    pub written_bytes: MeanPeak,
    /// How long a request took, waiting included. Not applicable where none was completed.
    pub await_ms: Reading<MeanPeak>,
    /// Requests in the queue or with the device at a time.
    pub queue: MeanPeak,
}

/// What an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceKind {
    /// To the host itself: never counted with the others.
    Loopback,
    /// Has a device: a card, or a hypervisor's.
    Hardware,
    /// A bridge, tunnel, bond, pair …: as a rule its traffic goes through one with a device as well.
    Virtual,
}

impl InterfaceKind {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Hardware => "hardware",
            Self::Virtual => "virtual",
        }
    }
}

/// A network interface over the interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceNumbers {
    pub name: String,
    pub kind: InterfaceKind,
    pub traffic: Reading<TrafficRates>,
}

/// Per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrafficRates {
    pub received_bytes: MeanPeak,
    pub sent_bytes: MeanPeak,
    /// Of both directions.
    pub errors: MeanPeak,
    /// Of both directions, for want of room.
    pub drops: MeanPeak,
}

/// A whole disk, as it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub name: String,
    pub size: Reading<Bytes>,
    /// It turns, or says so.
    pub rotational: Reading<bool>,
}

/// What the host is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// `Linux 6.1.0-56-cloud-amd64 x86_64`
    pub kernel: String,
    /// `PRETTY_NAME` of os-release(5).
    pub distribution: Reading<String>,
    pub processors: Reading<u32>,
    pub memory: Reading<Bytes>,
    /// The machine as its firmware calls it: of a virtual one as a rule the hypervisor's name.
    pub machine: Reading<String>,
    /// What the hypervisor calls itself, where the kernel tells.
    pub hypervisor: Reading<String>,
    /// What the container's manager calls itself, where it tells.
    pub container: Reading<String>,
    pub disks: Vec<Disk>,
}

/// The host over the interval that ended when it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostNumbers {
    /// The length of the interval; zero for the first reading.
    pub over: Duration,
    pub cpu: Reading<CpuUse>,
    pub tasks: Reading<TaskRates>,
    pub memory: Reading<MemoryUse>,
    pub swap: Reading<SwapTraffic>,
    pub open_files: Reading<Fill>,
    /// Processes and threads against the lower of `pid_max` and `threads-max`.
    pub pids: Reading<Fill>,
    pub conntrack: Reading<Fill>,
    pub sockets: Reading<SocketCounts>,
    pub clock: Reading<ClockState>,
    /// The hottest of the processors' own sensors, degrees Celsius.
    pub temperature: Reading<f64>,
    pub memory_errors: Reading<MemoryErrors>,
    /// All interfaces that have a device; where none has, as in a container, all but loopback.
    pub network: Reading<TrafficRates>,
    pub interfaces: Reading<Vec<InterfaceNumbers>>,
    /// Beyond the bound, or not understood.
    pub interfaces_left_out: usize,
    /// Whole ones. Partitions would count their disk's requests again, loop devices those of the disk that their file
    /// lies on; a RAM disk is memory.
    pub devices: Reading<Vec<DeviceNumbers>>,
    /// Beyond the bound, or not understood.
    pub devices_left_out: usize,
    pub inventory: Reading<Inventory>,
}

impl HostNumbers {
    /// The device that was busy for the largest share of the interval, percent.
    #[must_use]
    pub fn busiest_device(&self) -> Reading<f64> {
        let devices = match &self.devices {
            Reading::Value(devices) => devices,
            Reading::Absent(reason) => return Reading::Absent(reason.clone()),
            Reading::Failed(error) => return Reading::Failed(error.clone()),
        };
        let busy = devices.iter().filter_map(|device| Some(device.rates.value()?.busy.mean));
        match busy.reduce(f64::max) {
            Some(busy) => Reading::Value(busy),
            None if devices.is_empty() => Reading::Absent(Absence::NotApplicable),
            None => Reading::Absent(Absence::TooEarly),
        }
    }
}
