//! Hosts in the snapshots.

use std::sync::Arc;
use std::time::Duration;

use crate::model::*;

use super::{boot, healthy};

fn rate(mean: f64, peak: f64) -> MeanPeak {
    MeanPeak { mean, peak }
}

fn full(used: u64, most: u64) -> Reading<Fill> {
    Reading::Value(Fill { used, peak: used, most })
}

fn stalled(share: f64) -> Reading<Pressure> {
    let averages = PressureAverages {
        avg10: Percent(share),
        avg60: Percent(share),
        avg300: Percent(share),
        total: Duration::ZERO,
    };
    Reading::Value(Pressure { some: Reading::Value(averages), full: Reading::Absent(Absence::Unsupported) })
}

fn vitals() -> HostVitals {
    HostVitals {
        boot: boot(),
        uptime: Reading::Value(Duration::from_secs(864_000)),
        load: Reading::Value(LoadAverage { one: 3.2, five: 2.15, fifteen: 0.4 }),
        memory: Reading::Absent(Absence::NotObserved),
        cpu_pressure: stalled(12.5),
        memory_pressure: stalled(0.0),
        io_pressure: stalled(40.0),
        processors: Reading::Value(4),
    }
}

fn traffic(received: f64, sent: f64) -> Reading<TrafficRates> {
    Reading::Value(TrafficRates {
        received_bytes: rate(received, received * 2.0),
        sent_bytes: rate(sent, sent * 3.0),
        errors: rate(0.0, 0.0),
        drops: rate(0.3, 2.0),
    })
}

fn devices() -> Vec<DeviceNumbers> {
    let rates = DeviceRates {
        busy: rate(71.4, 100.0),
        reads: rate(1.0, 4.0),
        writes: rate(412.5, 903.0),
        read_bytes: rate(4096.0, 16_384.0),
        written_bytes: rate(5_400_000.0, 9_000_000.0),
        await_ms: Reading::Value(rate(3.4, 18.0)),
        queue: rate(1.4, 4.2),
    };
    let disk = DeviceNumbers {
        name: "vda".into(),
        device: DeviceNumber { major: 254, minor: 0 },
        in_flight: 2,
        rates: Reading::Value(rates.clone()),
    };
    let idle = DeviceRates {
        busy: rate(0.0, 0.0),
        writes: rate(0.0, 0.0),
        await_ms: Reading::Absent(Absence::NotApplicable),
        ..rates
    };
    let replaced = Reading::Absent(Absence::Interrupted(Interruption::Replaced));
    vec![
        disk.clone(),
        DeviceNumbers { name: "nvme0n1".into(), rates: Reading::Value(idle), ..disk.clone() },
        DeviceNumbers { name: "sda".into(), rates: replaced, ..disk },
    ]
}

fn numbers() -> HostNumbers {
    let interface = |name: &str, kind, traffic| InterfaceNumbers { name: name.into(), kind, traffic };
    let disk = |name: &str, size| Disk {
        name: name.into(),
        size: Reading::Value(Bytes(size)),
        rotational: Reading::Value(false),
    };
    HostNumbers {
        over: Duration::from_millis(10_003),
        cpu: Reading::Value(CpuUse {
            busy: rate(61.25, 98.5),
            user: rate(40.0, 70.0),
            system: rate(21.25, 30.0),
            iowait: rate(20.0, 45.0),
            steal: rate(1.5, 4.0),
        }),
        tasks: Reading::Value(TaskRates {
            forks: rate(12.4, 80.0),
            context_switches: rate(14_200.0, 30_000.0),
            running: rate(2.9, 6.0),
            blocked: rate(1.1, 3.0),
            made: 81_234,
        }),
        memory: Reading::Value(MemoryUse {
            total: Bytes(8 << 30),
            available: Bytes(3 << 30),
            available_low: Bytes(2 << 30),
            cached: Bytes(2 << 30),
            shared: Bytes(1 << 20),
            dirty: Bytes(12 << 20),
            writeback: Bytes(0),
            kernel: Bytes(200 << 20),
            swap_total: Bytes(2 << 30),
            swap_free: Bytes(1 << 30),
        }),
        swap: Reading::Value(SwapTraffic { read: 4096.0, written: 0.0 }),
        open_files: full(4_224, i64::MAX.unsigned_abs()),
        pids: full(30_100, 32_768),
        conntrack: full(1_024, 262_144),
        sockets: Reading::Value(SocketCounts {
            used: 210,
            tcp: 31,
            tcp_time_wait: 4,
            tcp_orphans: 0,
            udp: 6,
        }),
        clock: Reading::Value(ClockState { synchronised: true, offset_ms: -0.0421, error_ms: 12.0 }),
        temperature: Reading::Value(61.0),
        memory_errors: Reading::Value(MemoryErrors { corrected: 3, uncorrected: 0 }),
        network: traffic(1_500_000.0, 70_000.0),
        interfaces: Reading::Value(vec![
            interface("lo", InterfaceKind::Loopback, traffic(900.0, 900.0)),
            interface("eth0", InterfaceKind::Hardware, traffic(1_500_000.0, 70_000.0)),
            interface("veth1\u{1b}[31m", InterfaceKind::Virtual, Reading::Absent(Absence::TooEarly)),
        ]),
        interfaces_left_out: 2,
        devices: Reading::Value(devices()),
        devices_left_out: 0,
        inventory: Reading::Value(Inventory {
            kernel: "Linux 6.1.0-56-cloud-amd64 x86_64".into(),
            distribution: Reading::Value("Debian GNU/Linux 12 (bookworm)".into()),
            processors: Reading::Value(4),
            memory: Reading::Value(Bytes(8 << 30)),
            machine: Reading::Value("QEMU Standard PC".into()),
            hypervisor: Reading::Absent(Absence::Unsupported),
            container: Reading::Absent(Absence::NotApplicable),
            disks: vec![disk("vda", 42 << 30), disk("nvme0n1", 2 << 40)],
        }),
    }
}

/// Everything can be read, and much happens.
pub(crate) fn busy_host() -> Snapshot {
    Snapshot { host: Reading::Value(vitals()), numbers: Reading::Value(Arc::new(numbers())), ..healthy() }
}

/// A container: no sensors, no PSI, no disks, and a first reading.
pub(crate) fn hidden_host() -> Snapshot {
    let none = Absence::Unsupported;
    let vitals = HostVitals {
        cpu_pressure: Reading::Absent(none.clone()),
        memory_pressure: Reading::Absent(none.clone()),
        io_pressure: Reading::Absent(none.clone()),
        ..vitals()
    };
    let numbers = HostNumbers {
        over: Duration::ZERO,
        cpu: Reading::Absent(Absence::TooEarly),
        tasks: Reading::Absent(Absence::TooEarly),
        conntrack: Reading::Absent(none.clone()),
        clock: Reading::Failed("adjtimex: Operation not permitted (os error 1)".into()),
        temperature: Reading::Absent(none.clone()),
        memory_errors: Reading::Absent(none),
        network: Reading::Absent(Absence::TooEarly),
        devices: Reading::Failed("/proc/diskstats: Permission denied (os error 13)".into()),
        swap: Reading::Absent(Absence::TooEarly),
        ..numbers()
    };
    Snapshot { host: Reading::Value(vitals), numbers: Reading::Value(Arc::new(numbers)), ..healthy() }
}
