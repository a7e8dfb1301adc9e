//! What the parsers read from the files of several kernels, distributions and machines: one golden text for each
//! tree. Where the trees come from stands in README.md beside this file.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads files"
)]

mod allocation;

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

use prunella::sense::Malformed;
use prunella::sense::cgroup::{
    CpuMax, CpuStat, GroupCounts, GroupEvents, GroupKind, GroupPath, MemoryEvents, MemoryStat, PidsEvents,
    io_stat, limit,
};
use prunella::sense::kmsg::{Meaning, Record};
use prunella::sense::procfs::{
    Executable, FileHandles, HostStat, MemInfo, Memberships, MemoryPages, PressureLines, ProcessIo,
    ProcessLimits, Schedule, Sockets, Sockets6, StatRow, StatusRow, TaskCounts, TcpCounters, VmStat, cpus,
    disks, interfaces, mounts, online_cpus, parse_loadavg, parse_meminfo, parse_pressure, parse_stat,
    parse_uptime, single, swaps, wait_channel,
};

/// A tree and what was read from it so far.
struct Tree {
    folder: PathBuf,
    read: BTreeSet<PathBuf>,
    told: String,
}

impl Tree {
    /// One file: what `tell` says of it.
    fn file(&mut self, path: &str, tell: impl Fn(&[u8]) -> String) {
        let told = match std::fs::read(self.folder.join(path)) {
            Ok(bytes) => {
                self.read.insert(path.into());
                tell(&bytes)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => " absent".into(),
            Err(error) => panic!("{path}: {error}"),
        };
        writeln!(self.told, "{path}:{told}").unwrap();
    }

    /// The files below, relative to the tree.
    fn files(&self, folder: &str) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.folder.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.strip_prefix(&self.folder).unwrap().to_owned());
                }
            }
        }
        found
    }
}

/// A value on one line.
fn one<T: Debug>(value: &Result<T, Malformed>) -> String {
    match value {
        Ok(value) => format!(" {}", readable(&format!("{value:?}"))),
        Err(error) => panic!("{error}"),
    }
}

/// Of the older parsers.
fn known<T: Debug>(value: Option<T>) -> String {
    format!(" {}", readable(&format!("{:?}", value.unwrap())))
}

/// A table, each row on a line; all of them must be understood.
fn rows<T: Debug>(rows: impl Iterator<Item = Result<T, Malformed>>) -> String {
    rows.map(|row| format!("\n    {}", one(&row).trim_start())).collect()
}

/// `[115, 100, 97]`, as names borrowed from bytes are shown, as `"sda"`.
fn readable(debug: &str) -> String {
    let mut parts = debug.split('[');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (inside, rest) = part.split_once(']').unwrap_or((part, ""));
        let bytes: Result<Vec<u8>, _> = inside.split(", ").map(str::parse).collect();
        match bytes {
            Ok(bytes) => write!(text, "\"{}\"{rest}", bytes.escape_ascii()).unwrap(),
            Err(_) if inside.is_empty() => write!(text, "\"\"{rest}").unwrap(),
            Err(_) => write!(text, "[{part}").unwrap(),
        }
    }
    text
}

fn host(tree: &mut Tree) {
    tree.file("proc/stat", |bytes| {
        let online = online_cpus(bytes).unwrap();
        assert_eq!(usize::try_from(online.count).unwrap(), cpus(bytes).count());
        one(&HostStat::parse(bytes)) + &rows(cpus(bytes))
    });
    tree.file("proc/meminfo", |bytes| {
        let vital = parse_meminfo(bytes).unwrap();
        let all = MemInfo::parse(bytes).unwrap();
        assert_eq!((vital.total, vital.available), (all.total, all.available));
        one(&Ok(all))
    });
    tree.file("proc/vmstat", |bytes| one(&VmStat::parse(bytes)));
    tree.file("proc/loadavg", |bytes| known(parse_loadavg(bytes)) + &one(&TaskCounts::parse(bytes)));
    tree.file("proc/uptime", |bytes| known(parse_uptime(bytes)));
    tree.file("proc/diskstats", |bytes| rows(disks(bytes)));
    tree.file("proc/swaps", |bytes| rows(swaps(bytes)));
    for resource in ["cpu", "memory", "io", "irq"] {
        tree.file(&format!("proc/pressure/{resource}"), |bytes| {
            assert_eq!(parse_pressure(bytes).is_some(), resource != "irq");
            one(&PressureLines::parse(bytes))
        });
    }
    tree.file("proc/net/dev", |bytes| rows(interfaces(bytes)));
    tree.file("proc/net/snmp", |bytes| one(&TcpCounters::parse(bytes)));
    tree.file("proc/net/sockstat", |bytes| one(&Sockets::parse(bytes)));
    tree.file("proc/net/sockstat6", |bytes| one(&Sockets6::parse(bytes)));
    tree.file("proc/sys/fs/file-nr", |bytes| one(&FileHandles::parse(bytes)));
    for number in ["kernel/pid_max", "kernel/threads-max", "net/netfilter/nf_conntrack_count"] {
        tree.file(&format!("proc/sys/{number}"), |bytes| one(&single(bytes)));
    }
    tree.file("proc/sys/net/netfilter/nf_conntrack_max", |bytes| one(&single(bytes)));
    tree.file("proc/mountinfo", |bytes| {
        let notes = |row: Result<prunella::sense::procfs::MountRow<'_>, Malformed>| {
            let row = row.unwrap();
            let state = if row.is_read_only_filesystem() { ", read-only" } else { "" };
            format!("\n    {:?}{state}: {}", row.kind(), one(&Ok(row)).trim_start())
        };
        mounts(bytes).map(notes).collect()
    });
}

fn process(tree: &mut Tree) {
    tree.file("process/stat", |bytes| {
        let row = StatRow::parse(bytes).unwrap();
        assert_eq!(parse_stat(bytes).unwrap().start_ticks, row.start.0);
        one(&Ok(row))
    });
    tree.file("process/statm", |bytes| one(&MemoryPages::parse(bytes)));
    tree.file("process/status", |bytes| one(&StatusRow::parse(bytes)));
    tree.file("process/io", |bytes| one(&ProcessIo::parse(bytes)));
    tree.file("process/schedstat", |bytes| one(&Schedule::parse(bytes)));
    tree.file("process/limits", |bytes| one(&ProcessLimits::parse(bytes)));
    tree.file("process/cgroup", |bytes| {
        let found = Memberships::parse(bytes).unwrap();
        one(&Ok(found)) + &one(&Ok(GroupPath::parse(found.unit_path().unwrap())))
    });
    tree.file("process/wchan", |bytes| format!(" {}", readable(&format!("{:?}", wait_channel(bytes)))));
    tree.file("process/exe", |bytes| known(Executable::parse(bytes)));
}

fn group_file(name: &str, bytes: &[u8]) -> String {
    match name {
        "cgroup.type" => one(&GroupKind::parse(bytes)),
        "cgroup.events" => one(&GroupEvents::parse(bytes)),
        "cgroup.stat" => one(&GroupCounts::parse(bytes)),
        "cpu.stat" => one(&CpuStat::parse(bytes)),
        "cpu.max" => one(&CpuMax::parse(bytes)),
        "memory.current" | "memory.swap.current" | "pids.current" => one(&single(bytes)),
        "memory.max" | "memory.high" | "memory.low" | "pids.max" => one(&limit(bytes)),
        "memory.events" => one(&MemoryEvents::parse(bytes)),
        "memory.stat" => one(&MemoryStat::parse(bytes)),
        "pids.events" => one(&PidsEvents::parse(bytes)),
        "io.stat" => rows(io_stat(bytes)),
        "cpu.pressure" | "memory.pressure" | "io.pressure" | "irq.pressure" => {
            one(&PressureLines::parse(bytes))
        }
        other => panic!("a file of a group that nothing reads: {other}"),
    }
}

fn groups(tree: &mut Tree) {
    for path in tree.files("cgroup") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        tree.file(path.to_str().unwrap(), |bytes| group_file(&name, bytes));
    }
}

/// A record begins at each line that is no detail of one.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match found.last_mut() {
            Some(record) if line.starts_with(b" ") => record.extend(line),
            Some(_) | None => found.push(line.to_vec()),
        }
    }
    found
}

fn log(tree: &mut Tree) {
    tree.file("kmsg", |bytes| {
        let mut told = String::new();
        for record in records(bytes) {
            let record = Record::parse(&record).unwrap_or_else(|error| panic!("{error}"));
            let sequence = record.sequence;
            match Meaning::of(&record) {
                Some(meaning) => write!(told, "\n    {sequence}: {meaning:?}").unwrap(),
                None if record.is_kernel() => write!(told, "\n    {sequence}: nothing").unwrap(),
                None => write!(told, "\n    {sequence}: of facility {}", record.facility).unwrap(),
            }
        }
        told
    });
}

/// Reads all of it; a file that nothing reads is an error.
fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels").join(name);
    let mut tree = Tree { folder, read: BTreeSet::new(), told: String::new() };
    host(&mut tree);
    process(&mut tree);
    groups(&mut tree);
    log(&mut tree);
    assert_eq!(tree.read, tree.files(""), "{name}: files that nothing reads");
    tree.told
}

#[test]
fn rhel_8_on_x86_64() {
    insta::assert_snapshot!(read("4.18-rhel8-x86_64"));
}

#[test]
fn rhel_8_on_arm64_with_large_pages() {
    insta::assert_snapshot!(read("4.18-rhel8-arm64"));
}

#[test]
fn ubuntu_20_on_x86_64() {
    insta::assert_snapshot!(read("5.4-ubuntu20-x86_64"));
}

#[test]
fn debian_11_on_x86_64() {
    insta::assert_snapshot!(read("5.10-debian11-x86_64"));
}

#[test]
fn debian_12_on_x86_64() {
    insta::assert_snapshot!(read("6.1-debian12-x86_64"));
}

#[test]
fn debian_13_on_s390x() {
    insta::assert_snapshot!(read("6.12-debian13-s390x"));
}

#[test]
fn a_later_kernel_with_hybrid_groups() {
    insta::assert_snapshot!(read("6.18-debian12-x86_64"));
}

/// A tree that is added without a test would prove nothing.
#[test]
fn no_tree_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let trees = std::fs::read_dir(folder).unwrap().filter(|entry| {
        let entry = entry.as_ref().unwrap();
        entry.path().is_dir() && entry.file_name() != "snapshots"
    });
    assert_eq!(trees.count(), 7, "each tree has a test of its own");
}
