//! Any bytes as any of the host's files: no panic, and no row that a cut file has and the whole has not.
//!
//! The first byte chooses the file, the second where it is cut.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prunella::sense::Malformed;
use prunella::sense::cgroup::{
    CpuMax, CpuStat, GroupCounts, GroupEvents, GroupKind, GroupPath, MemoryEvents, MemoryStat, PidsEvents,
    io_stat, limit,
};
use prunella::sense::procfs::{
    CgroupMounts, Executable, FileHandles, HostStat, MemInfo, Memberships, MemoryPages, MemoryRollup,
    PressureLines, ProcessIo, ProcessLimits, Schedule, Sockets, Sockets6, StatRow, StatusRow, TaskCounts,
    TcpCounters, VmStat, catches_signal, count_list, cpus, disks, interfaces, memberships, mounts, online_cpus,
    parse_loadavg, parse_locks, parse_meminfo, parse_pressure, parse_stat, parse_uptime, single, swaps,
    wait_channel,
};

/// The rows that were understood.
fn rows<T: Debug>(rows: impl Iterator<Item = Result<T, Malformed>>) -> Vec<String> {
    rows.filter_map(|row| match row {
        Ok(row) => Some(format!("{row:?}")),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    })
    .collect()
}

fn one<T: Debug>(value: Result<T, Malformed>) -> Vec<String> {
    rows(std::iter::once(value))
}

fn known<T: Debug>(value: Option<T>) -> Vec<String> {
    value.map(|value| format!("{value:?}")).into_iter().collect()
}

/// Tables come first: what is cut off their end changes no row before it.
const TABLES: u8 = 7;

fn parse(which: u8, bytes: &[u8]) -> Vec<String> {
    match which {
        0 => rows(disks(bytes)),
        1 => rows(interfaces(bytes)),
        2 => {
            for mount in mounts(bytes).filter_map(Result::ok) {
                let _any = (mount.kind(), mount.is_read_only_filesystem(), mount.is_read_only_mount());
                assert!(mount.point.bytes().count() <= mount.point.written().len());
            }
            rows(mounts(bytes))
        }
        3 => rows(swaps(bytes)),
        4 => rows(cpus(bytes)),
        5 => rows(memberships(bytes)),
        6 => rows(io_stat(bytes)),
        7 => [one(HostStat::parse(bytes)), one(online_cpus(bytes))].concat(),
        8 => [one(MemInfo::parse(bytes)), known(parse_meminfo(bytes))].concat(),
        9 => one(VmStat::parse(bytes)),
        10 => {
            [known(parse_loadavg(bytes)), known(parse_uptime(bytes)), one(TaskCounts::parse(bytes))].concat()
        }
        11 => [one(PressureLines::parse(bytes)), known(parse_pressure(bytes))].concat(),
        12 => one(TcpCounters::parse(bytes)),
        13 => [one(Sockets::parse(bytes)), one(Sockets6::parse(bytes))].concat(),
        14 => [one(FileHandles::parse(bytes)), one(single(bytes)), one(limit(bytes))].concat(),
        15 => [one(StatRow::parse(bytes)), known(parse_stat(bytes))].concat(),
        16 => [one(StatusRow::parse(bytes)), known(catches_signal(bytes, 15))].concat(),
        17 => [one(MemoryPages::parse(bytes)), one(Schedule::parse(bytes)), one(ProcessIo::parse(bytes))]
            .concat(),
        18 => [one(ProcessLimits::parse(bytes)), one(MemoryRollup::parse(bytes))].concat(),
        19 => [known(wait_channel(bytes)), known(Executable::parse(bytes))].concat(),
        20 => one(Memberships::parse(bytes)),
        21 => [one(CpuStat::parse(bytes)), one(CpuMax::parse(bytes)), one(PidsEvents::parse(bytes))].concat(),
        22 => [one(MemoryStat::parse(bytes)), one(MemoryEvents::parse(bytes))].concat(),
        23 => [one(GroupKind::parse(bytes)), one(GroupEvents::parse(bytes)), one(GroupCounts::parse(bytes))]
            .concat(),
        24 => known(Some(GroupPath::parse(bytes))),
        25 => [known(count_list(bytes)), known(Some(CgroupMounts::parse(bytes)))].concat(),
        // Its lines are read without their ends.
        26 => parse_locks(bytes).map(|lock| format!("{lock:?}")).collect(),
        _ => Vec::new(),
    }
}

fuzz_target!(|input: &[u8]| {
    let [which, cut, bytes @ ..] = input else { return };
    let whole = parse(*which, bytes);
    let part = parse(*which, &bytes[..bytes.len() * usize::from(*cut) / 256]);
    if *which < TABLES {
        assert_eq!(part[..], whole[..part.len()]);
    }
});
