//! The reader on fixture trees.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

use super::*;
use crate::model::{Absence, Bytes, DeviceNumbers, Interruption, Percent, Reading};

const PRESSURE: &str = "some avg10=0.00 avg60=1.00 avg300=0.00 total=7\n";

/// A tree with these files below `proc`, and `sys`.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { proc: dir.path().join("proc"), sys: dir.path().join("sys") };
    let boot = ("proc/sys/kernel/random/boot_id", "01234567-89ab-cdef-0123-456789abcdef\n");
    for (path, text) in files.iter().chain([&boot]) {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (dir, roots)
}

const GOOD: &[(&str, &str)] = &[
    ("proc/uptime", "100.50 50.00\n"),
    ("proc/loadavg", "1.00 2.00 3.00 1/1 1\n"),
    ("proc/meminfo", "MemTotal: 8 kB\nMemAvailable: 4 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"),
    ("proc/pressure/cpu", PRESSURE),
    ("proc/pressure/memory", PRESSURE),
    ("proc/pressure/io", PRESSURE),
    ("sys/devices/system/cpu/online", "0-1\n"),
];

#[test]
fn a_good_tree() {
    let (dir, roots) = tree(GOOD);
    let mut reader = HostReader::new(&roots).unwrap();
    let vitals = reader.read();
    assert_eq!(vitals.boot.to_string(), "0123456789abcdef0123456789abcdef");
    assert_eq!(vitals.uptime, Reading::Value(Duration::from_millis(100_500)));
    assert_eq!(vitals.processors, Reading::Value(2));
    assert!(vitals.memory.value().is_some() && vitals.io_pressure.value().is_some());
    // The descriptor is kept, the content is read anew.
    std::fs::write(dir.path().join("proc/uptime"), "9.00 1\n").unwrap();
    assert_eq!(reader.read().uptime, Reading::Value(Duration::from_secs(9)));
}

#[test]
fn what_is_missing_is_absent_until_it_comes() {
    let (dir, roots) = tree(&[]);
    let mut reader = HostReader::new(&roots).unwrap();
    let vitals = reader.read();
    assert_eq!(vitals.cpu_pressure, Reading::Absent(Absence::Unsupported));
    assert_eq!(vitals.uptime, Reading::Absent(Absence::Unsupported));
    std::fs::write(dir.path().join("proc/uptime"), "9.00 1\n").unwrap();
    assert!(reader.read().uptime.value().is_some());
}

#[test]
fn garbage_and_trouble_are_failed() {
    let files: Vec<_> = GOOD.iter().map(|(path, _)| (*path, "\u{0}garbage")).collect();
    let (dir, roots) = tree(&files);
    std::fs::remove_file(dir.path().join("proc/meminfo")).unwrap();
    std::fs::create_dir(dir.path().join("proc/meminfo")).unwrap();
    std::fs::write(dir.path().join("proc/loadavg"), "1 1 1 ".repeat(1 << 20)).unwrap();
    let vitals = HostReader::new(&roots).unwrap().read();
    let why = [
        vitals.uptime.why_not(),
        vitals.load.why_not(),
        vitals.memory.why_not(),
        vitals.cpu_pressure.why_not(),
        vitals.processors.why_not(),
    ];
    assert!(why.iter().all(|why| why.as_ref().unwrap().contains("could not be read")), "{why:?}");
}

#[test]
fn without_a_boot_id_there_is_no_reader() {
    let (dir, roots) = tree(GOOD);
    std::fs::write(dir.path().join("proc/sys/kernel/random/boot_id"), "xyz").unwrap();
    assert!(HostReader::new(&roots).is_err());
}

#[test]
fn this_very_host() {
    let vitals = HostReader::new(&Roots::default()).unwrap().read();
    assert!(vitals.memory.value().unwrap().total.0 > 0);
    assert!(*vitals.processors.value().unwrap() > 0);
}

/// Seconds after boot, without sleep.
fn at(seconds: u64) -> PassTime {
    PassTime { boot: Duration::from_secs(seconds), awake: Duration::from_secs(seconds) }
}

fn write(dir: &tempfile::TempDir, path: &str, text: &str) {
    let path = dir.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn stat(user: u64, idle: u64, forks: u64) -> String {
    format!(
        "cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nintr 7 1 2\nctxt 50\nbtime 1\nprocesses {forks}\n\
         procs_running 3\nprocs_blocked 1\nsoftirq 1 2\n"
    )
}

fn disk(device: &str, name: &str, reads: u64, busy: u64) -> String {
    let (sectors, waited) = (reads * 8, reads * 2);
    format!("   {device} {name} {reads} 0 {sectors} {waited} 0 0 0 0 1 {busy} {busy}\n")
}

fn interface(name: &str, received: u64) -> String {
    format!("{name}: {received} 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
}

/// One second of a host: what was counted before and after, and what is told then.
fn after_a_second(before: &[(&str, String)], after: &[(&str, String)]) -> HostNumbers {
    let (dir, roots) = tree(&[]);
    let mut reader = HostReader::new(&roots).unwrap();
    before.iter().for_each(|(path, text)| write(&dir, path, text));
    reader.pass(at(100));
    assert!(reader.is_due());
    let (_, first) = reader.tell();
    assert!(first.cpu.value().is_none(), "a rate needs two readings");
    after.iter().for_each(|(path, text)| write(&dir, path, text));
    reader.pass(at(101));
    reader.tell().1
}

#[test]
fn a_second_of_work() {
    let disks = |reads, busy| {
        [
            disk("8 0", "sda", reads, busy),
            disk("8 1", "sda1", reads, busy),
            disk("7 0", "loop0", reads, busy),
            disk("1 0", "ram0", reads, busy),
        ]
        .concat()
    };
    let net = |received| interface("lo", received) + &interface("eth0", received * 3);
    let numbers = after_a_second(
        &[
            ("proc/stat", stat(1000, 5000, 70)),
            ("proc/diskstats", disks(10, 400)),
            ("proc/net/dev", net(1000)),
            ("proc/sys/fs/file-nr", "750 0 1000\n".into()),
        ],
        &[
            ("proc/stat", stat(1025, 5075, 82)),
            ("proc/diskstats", disks(30, 900)),
            ("proc/net/dev", net(1500)),
        ],
    );
    assert_eq!(numbers.over, Duration::from_secs(1));
    let cpu = *numbers.cpu.value().unwrap();
    assert!((cpu.busy.mean - 25.0).abs() < 1e-9 && (cpu.busy.peak - 25.0).abs() < 1e-9, "{cpu:?}");
    let tasks = *numbers.tasks.value().unwrap();
    assert!((tasks.forks.mean - 12.0).abs() < 1e-9 && (tasks.running.mean - 2.0).abs() < 1e-9, "{tasks:?}");
    // Partitions, loop devices and RAM disks are not told.
    let devices = numbers.devices.value().unwrap();
    assert_eq!(devices.len(), 1, "{devices:?}");
    let rates = devices[0].rates.value().unwrap();
    assert!((rates.busy.mean - 50.0).abs() < 1e-9 && (rates.reads.mean - 20.0).abs() < 1e-9, "{rates:?}");
    assert!((rates.read_bytes.mean - 20.0 * 8.0 * 512.0).abs() < 1e-6, "{rates:?}");
    assert!((rates.await_ms.value().unwrap().mean - 2.0).abs() < 1e-9, "{rates:?}");
    // Loopback is not in the sum.
    assert!((numbers.network.value().unwrap().received_bytes.mean - 1500.0).abs() < 1e-9);
    assert_eq!(numbers.open_files.value().unwrap().share(), Some(Percent(75.0)));
    assert_eq!(numbers.conntrack, Reading::Absent(Absence::Unsupported));
    assert_eq!(numbers.temperature, Reading::Absent(Absence::Unsupported));
    assert!(numbers.memory.why_not().is_some());
}

#[test]
fn breaks_give_no_rate() {
    let check = |before: String, after: String, why: Interruption| {
        let numbers = after_a_second(&[("proc/diskstats", before)], &[("proc/diskstats", after)]);
        let devices = numbers.devices.value().unwrap();
        let told: Vec<_> = devices.iter().map(|device: &DeviceNumbers| &device.rates).collect();
        assert_eq!(told, [&Reading::Absent(Absence::Interrupted(why))]);
    };
    check(disk("8 0", "sda", 10, 4), disk("8 16", "sda", 20, 8), Interruption::Replaced);
    check(disk("8 0", "sda", 10, 4), disk("8 0", "sda", 9, 8), Interruption::CounterReset);
    check(disk("8 0", "sda", 10, 4), disk("8 0", "sda", 20, 9_000_000), Interruption::Replaced);
}

#[test]
fn what_could_not_be_read_for_a_while_gives_no_spike() {
    let (dir, roots) = tree(&[]);
    let mut reader = HostReader::new(&roots).unwrap();
    write(&dir, "proc/net/dev", &interface("eth0", 1000));
    reader.pass(at(1));
    std::fs::remove_file(dir.path().join("proc/net/dev")).unwrap();
    // The descriptor that is kept shows the file that was removed: another one takes its place.
    let mut reader = HostReader { pass: Pass::new(&roots), ..reader };
    reader.pass(at(2));
    assert_eq!(reader.tell().1.interfaces, Reading::Absent(Absence::Unsupported));
    write(&dir, "proc/net/dev", &interface("eth0", 9_000_000));
    reader.pass(at(3));
    reader.pass(at(4));
    let (_, numbers) = reader.tell();
    let interfaces = numbers.interfaces.value().unwrap();
    assert!(interfaces[0].traffic.value().unwrap().received_bytes.peak < 1.0, "{interfaces:?}");
}

#[test]
fn tables_are_bounded() {
    let many: String = (0..table::ROWS_MAX + 10).map(|n| interface(&format!("veth{n}"), 7)).collect();
    let numbers = after_a_second(&[("proc/net/dev", many.clone())], &[("proc/net/dev", many + "junk\n")]);
    assert_eq!(numbers.interfaces.value().unwrap().len(), table::ROWS_MAX);
    assert_eq!(numbers.interfaces_left_out, 11);
}

#[test]
fn sensors_that_are_there() {
    let (dir, roots) = tree(GOOD);
    write(&dir, "sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
    write(&dir, "sys/class/thermal/thermal_zone0/temp", "48000\n");
    write(&dir, "sys/class/thermal/thermal_zone1/type", "iwlwifi_1\n");
    write(&dir, "sys/class/thermal/thermal_zone1/temp", "99000\n");
    write(&dir, "sys/class/hwmon/hwmon0/name", "coretemp\n");
    write(&dir, "sys/class/hwmon/hwmon0/temp1_input", "51500\n");
    write(&dir, "sys/class/hwmon/hwmon0/temp1_max", "90000\n");
    for (controller, corrected, uncorrected) in [(0, 3, 0), (1, 4, 1)] {
        let folder = format!("sys/devices/system/edac/mc/mc{controller}");
        write(&dir, &format!("{folder}/ce_count"), &format!("{corrected}\n"));
        write(&dir, &format!("{folder}/ue_count"), &format!("{uncorrected}\n"));
    }
    let mut reader = HostReader::new(&roots).unwrap();
    reader.pass(at(1));
    let (_, numbers) = reader.tell();
    assert_eq!(numbers.temperature, Reading::Value(51.5));
    let errors = *numbers.memory_errors.value().unwrap();
    assert_eq!((errors.corrected, errors.uncorrected), (7, 1));
}

#[test]
fn samples_come_each_tenth_second_and_tell_of_all_passes() {
    let (dir, roots) = tree(GOOD);
    let mut reader = HostReader::new(&roots).unwrap();
    let mut told = Vec::new();
    for second in 0..=21 {
        // One busy second in all.
        let busy = if second >= 5 { 100 } else { 0 };
        write(&dir, "proc/stat", &stat(busy, 100 * second - busy.min(100 * second), 1));
        reader.pass(at(second));
        if reader.is_due() {
            told.push((second, reader.tell().1));
        }
    }
    let seconds: Vec<u64> = told.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [0, 1, 11, 21]);
    let cpu = *told[2].1.cpu.value().unwrap();
    assert!((cpu.busy.peak - 100.0).abs() < 1e-9 && cpu.busy.mean < 20.0, "{cpu:?}");
    assert!(told[3].1.cpu.value().unwrap().busy.peak < 1e-9, "the next interval knows nothing of it");
}

#[test]
fn the_numbers_of_this_very_host() {
    let mut reader = HostReader::new(&Roots::default()).unwrap();
    reader.pass(at(1));
    let (_, numbers) = reader.tell();
    assert!(numbers.memory.value().unwrap().total > Bytes(0));
    assert!(numbers.pids.value().unwrap().share().is_some());
    assert!(numbers.inventory.value().unwrap().kernel.starts_with("Linux "));
}

/// A row for the history, pass by pass: a rate is there, or why there is none, and never a spike.
#[test]
fn each_second_alone_has_rates_or_reasons() {
    use crate::model::{Gap, HostSecond};
    let (dir, roots) = tree(GOOD);
    let mut reader = HostReader::new(&roots).unwrap();
    let mut pass = |time: PassTime, stat: &str, reads: u64| -> HostSecond {
        write(&dir, "proc/stat", stat);
        write(
            &dir,
            "proc/diskstats",
            &(disk("8 0", "sda", reads, reads) + &disk("7 0", "loop0", reads, 900)),
        );
        reader.pass(time);
        reader.second()
    };
    let rates = |it: &HostSecond| [it.cpu, it.forks, it.busiest_disk, it.disks_read, it.disks_written];
    let none = |gap| [Err(gap); 5];
    let first = pass(at(1), &stat(100, 100, 10), 10);
    assert_eq!(rates(&first), none(Gap::TooEarly));
    assert_eq!((first.running, first.blocked), (Ok(2.0), Ok(1.0)));
    // The file has not all that the kernel writes.
    assert_eq!((first.memory_available, first.memory_total), (Err(Gap::Failed), Err(Gap::Failed)));
    assert_eq!((first.conntrack, first.received), (Err(Gap::Unsupported), Err(Gap::Unsupported)));
    let second = pass(at(2), &stat(125, 175, 15), 110);
    assert_eq!(rates(&second), [Ok(25.0), Ok(5.0), Ok(10.0), Ok(100.0 * 4096.0), Ok(0.0)]);
    // It slept for an hour between two passes, in which everything went on.
    let slept = PassTime { boot: Duration::from_secs(3603), awake: Duration::from_secs(3) };
    let third = pass(slept, &stat(9000, 9000, 9000), 90_000);
    assert_eq!(rates(&third), none(Gap::Interrupted(Interruption::Slept)));
    assert_eq!(third.running, Ok(2.0));
    // Every counter begins anew.
    let next = PassTime { boot: Duration::from_secs(3604), awake: Duration::from_secs(4) };
    let fourth = pass(next, &stat(1, 1, 1), 1);
    assert_eq!(rates(&fourth), none(Gap::Interrupted(Interruption::CounterReset)));
    let next = PassTime { boot: Duration::from_secs(3605), awake: Duration::from_secs(5) };
    assert!(rates(&pass(next, &stat(2, 100, 3), 2)).iter().all(Result::is_ok));
    let next = PassTime { boot: Duration::from_secs(3606), awake: Duration::from_secs(6) };
    let garbage = pass(next, "garbage", 3);
    assert_eq!((garbage.cpu, garbage.running), (Err(Gap::Failed), Err(Gap::Failed)));
    assert!(garbage.disks_read.is_ok());
}
