//! The same processes from their files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use prunella::model::Ticks;
use prunella::sense::procfs::{CgroupMounts, ProcessIo, StatRow};

/// What is compared of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) start: Ticks,
    pub(crate) parent: i32,
    pub(crate) state: char,
    pub(crate) kernel_thread: bool,
    pub(crate) threads: u64,
    pub(crate) cpu: Duration,
    pub(crate) resident: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) comm: Vec<u8>,
    pub(crate) user: Option<u32>,
    pub(crate) read: Option<u64>,
    pub(crate) written: Option<u64>,
    /// Where the host has the unified hierarchy and the group is still there.
    pub(crate) cgroup: Option<u64>,
}

/// Every process that is there all the while.
pub(crate) fn read() -> BTreeMap<i32, Seen> {
    let unified = CgroupMounts::find(Path::new("/proc")).unified;
    let entries = fs::read_dir("/proc").expect("/proc is there");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, one(pid, unified.as_deref())?))).collect()
}

fn one(pid: i32, unified: Option<&Path>) -> Option<Seen> {
    let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let stat = file("stat")?;
    let row = StatRow::parse(&stat).expect("stat is understood");
    let tick = Duration::from_millis(10);
    let times = |ticks: Ticks| tick * u32::try_from(ticks.0).expect("less than a year");
    let io = file("io").and_then(|bytes| ProcessIo::parse(&bytes).ok());
    let status = String::from_utf8_lossy(&file("status")?).into_owned();
    let user =
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok());
    Some(Seen {
        start: row.start,
        parent: row.parent,
        state: row.state.letter(),
        kernel_thread: row.kernel_thread,
        threads: row.threads,
        cpu: times(row.user) + times(row.system),
        resident: row.resident.0,
        minor_faults: row.minor_faults,
        major_faults: row.major_faults,
        comm: row.comm.to_vec(),
        user,
        read: io.map(|io| io.read_bytes.0),
        written: io.map(|io| io.written_bytes.0),
        cgroup: unified.and_then(|mount| {
            let groups = String::from_utf8(file("cgroup")?).ok()?;
            let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
            Some(fs::metadata(mount.join(path)).ok()?.ino())
        }),
    })
}
