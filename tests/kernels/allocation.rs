//! No parser allocates: not for what it understands, and not for what it does not.

#[path = "../support/counting.rs"]
mod counting;

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use counting::COUNT;
use prunella::history::{Batch, Recorder};
use prunella::model::{BootTime, Timestamp, WallTime};
use prunella::sense::Malformed;
use prunella::sense::cgroup::{
    CpuMax, CpuStat, GroupCounts, GroupEvents, GroupKind, GroupPath, MemoryEvents, MemoryStat, PidsEvents,
    io_stat, limit,
};
use prunella::sense::host::{HostReader, PassTime, Roots};
use prunella::sense::kmsg::{Meaning, Record};
use prunella::sense::procfs::{
    Executable, FileHandles, HostStat, MemInfo, Memberships, MemoryPages, MemoryRollup, PressureLines,
    ProcessIo, ProcessLimits, Schedule, Sockets, Sockets6, StatRow, StatusRow, TaskCounts, TcpCounters,
    VmStat, cpus, disks, interfaces, memberships, mounts, online_cpus, parse_loadavg, parse_meminfo,
    parse_uptime, single, swaps, wait_channel,
};

/// All rows, looked at and forgotten.
fn drain<T>(rows: impl Iterator<Item = Result<T, Malformed>>) {
    rows.for_each(|row| {
        let _row = black_box(row);
    });
}

/// Each parser on these bytes, whatever they are.
fn parse_all(bytes: &[u8]) {
    drain(disks(bytes));
    drain(interfaces(bytes));
    drain(mounts(bytes).inspect(|row| {
        let _kind = black_box(row.map(|row| (row.kind(), row.point.bytes().count())));
    }));
    drain(swaps(bytes));
    drain(cpus(bytes));
    drain(memberships(bytes));
    drain(io_stat(bytes));
    let _host = black_box((HostStat::parse(bytes), MemInfo::parse(bytes), VmStat::parse(bytes)));
    let _online = black_box(online_cpus(bytes));
    let _load = black_box((parse_loadavg(bytes), parse_uptime(bytes), TaskCounts::parse(bytes)));
    let _memory = black_box((parse_meminfo(bytes), PressureLines::parse(bytes), TcpCounters::parse(bytes)));
    let _net = black_box((Sockets::parse(bytes), Sockets6::parse(bytes), FileHandles::parse(bytes)));
    let _one = black_box((single(bytes), limit(bytes), CpuMax::parse(bytes), GroupKind::parse(bytes)));
    let _process = black_box((StatRow::parse(bytes), StatusRow::parse(bytes), MemoryPages::parse(bytes)));
    let _small = black_box((ProcessIo::parse(bytes), Schedule::parse(bytes), ProcessLimits::parse(bytes)));
    let _place = black_box((Memberships::parse(bytes), wait_channel(bytes), Executable::parse(bytes)));
    let _rollup = black_box(MemoryRollup::parse(bytes));
    let _group = black_box((GroupEvents::parse(bytes), GroupCounts::parse(bytes), GroupPath::parse(bytes)));
    let _usage = black_box((CpuStat::parse(bytes), MemoryEvents::parse(bytes), MemoryStat::parse(bytes)));
    let _pids = black_box(PidsEvents::parse(bytes));
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Ok(record) = black_box(Record::parse(line)) {
            let _meaning = black_box((Meaning::of(&record), record.detail("DEVICE")));
        }
    }
}

#[test]
fn no_parser_allocates() {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    assert!(files.len() > 200, "only {} files", files.len());
    // The counter counts.
    let before = COUNT.get();
    let _vector = black_box(vec![0_u8; 9]);
    assert_eq!(COUNT.get(), before + 1);
    for (path, bytes) in &files {
        let before = COUNT.get();
        parse_all(bytes);
        parse_all(&bytes[..bytes.len() * 2 / 3]);
        assert_eq!(COUNT.get(), before, "{}", path.display());
    }
}

/// The files of a kernel, and the boot id that the trees leave out.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What is read goes into the history at once: minutes of it, with the batches that go to the disk and come back.
#[test]
fn no_row_of_the_history_allocates() {
    let folder = tempfile::tempdir().unwrap();
    let proc = folder.path().join("proc");
    let tree = "tests/kernels/6.1-debian12-x86_64/proc";
    copied(&Path::new(env!("CARGO_MANIFEST_DIR")).join(tree), &proc);
    std::fs::create_dir_all(proc.join("sys/kernel/random")).unwrap();
    std::fs::write(proc.join("sys/kernel/random/boot_id"), "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
    let mut reader = HostReader::new(&Roots { proc, sys: folder.path().join("sys") }).unwrap();
    let at = |second: u32| {
        let millis = i64::from(second) * 1000;
        Timestamp::new(BootTime::from_millis(millis), WallTime::from_unix_millis(millis))
    };
    let mut recorder = Recorder::new(reader.boot());
    let mut spare = Some(Batch::empty(reader.boot(), at(0)));
    reader.pass(PassTime { boot: Duration::ZERO, awake: Duration::ZERO });
    let (vitals, numbers) = reader.tell();
    let mut batches = 0;
    let mut second = |second: u32| {
        let time = Duration::from_secs(second.into());
        reader.pass(PassTime { boot: time, awake: time });
        if recorder.is_due(at(second)) {
            spare = recorder.take(spare.take().unwrap());
            batches += 1;
        }
        recorder.host(at(second), &black_box(reader.second()));
        if second.is_multiple_of(10) {
            recorder.told(at(second), &vitals, &numbers);
        }
    };
    // The buffers grow to the length of a batch, both of them.
    (1..=300).for_each(&mut second);
    let before = COUNT.get();
    // Sensors are looked for anew after ten minutes: not before the end of this.
    (301..=590).for_each(&mut second);
    assert_eq!((COUNT.get(), batches), (before, 9));
}

/// Two minutes of passes, those of the slow files among them.
#[test]
fn no_pass_of_the_host_allocates() {
    for tree in ["6.1-debian12-x86_64", "4.18-rhel8-x86_64", "6.12-debian13-s390x"] {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path().join("proc");
        copied(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels").join(tree).join("proc"), &proc);
        std::fs::create_dir_all(proc.join("sys/kernel/random")).unwrap();
        std::fs::write(proc.join("sys/kernel/random/boot_id"), "01234567-89ab-cdef-0123-456789abcdef\n")
            .unwrap();
        let mut reader = HostReader::new(&Roots { proc, sys: folder.path().join("sys") }).unwrap();
        let mut pass = |second: u64| {
            let time = Duration::from_secs(second);
            reader.pass(PassTime { boot: time, awake: time });
            black_box(reader.is_due());
        };
        // What is there is found at first.
        pass(1);
        let before = COUNT.get();
        (2..=120).for_each(pass);
        assert_eq!(COUNT.get(), before, "{tree}");
    }
}
