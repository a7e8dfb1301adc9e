//! The pass of each second: few files, no memory asked for, everything added up until it is told.

use std::time::Duration;

use crate::model::{
    Bytes, CpuUse, Fill, Gap, HostNumbers, HostSecond, MemoryUse, Percent, Reading, TaskRates,
};
use crate::sense::procfs::{FileHandles, HostStat, MemInfo, OnlineCpus, TaskCounts, online_cpus, single};

use super::Roots;
use super::disks::Disks;
use super::gather::{Gather, NoPart, Source, measured};
use super::interfaces::Interfaces;
use super::kept::{Kept, Scratch, Trouble};
use super::rates::{self, CpuShares, PassTime, TaskParts};
use super::slow::Slow;
use super::step::Levels;

#[derive(Clone, Copy, Debug, Default)]
struct CpuGather {
    busy: Gather,
    user: Gather,
    system: Gather,
    iowait: Gather,
    steal: Gather,
}

impl CpuGather {
    fn add(&mut self, shares: CpuShares) {
        let busy = shares.user.amount + shares.system.amount;
        self.busy.add(rates::Part { amount: busy, ..shares.user });
        self.user.add(shares.user);
        self.system.add(shares.system);
        self.iowait.add(shares.iowait);
        self.steal.add(shares.steal);
    }

    fn told(&self) -> Option<CpuUse> {
        Some(CpuUse {
            busy: self.busy.told(100.0)?,
            user: self.user.told(100.0)?,
            system: self.system.told(100.0)?,
            iowait: self.iowait.told(100.0)?,
            steal: self.steal.told(100.0)?,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct TaskGather {
    forks: Gather,
    context_switches: Gather,
    running: Gather,
    blocked: Gather,
    made: u64,
}

impl TaskGather {
    fn told(&self) -> Option<TaskRates> {
        Some(TaskRates {
            forks: self.forks.told(1.0)?,
            context_switches: self.context_switches.told(1.0)?,
            running: self.running.told(1.0)?,
            blocked: self.blocked.told(1.0)?,
            made: self.made,
        })
    }
}

/// Something that is not counted: now, and at its worst in the interval.
#[derive(Clone, Copy, Debug)]
struct Level {
    now: Result<u64, Trouble>,
    worst: Option<u64>,
}

impl Level {
    const NEW: Self = Self { now: Err(Trouble::Missing), worst: None };

    fn add(&mut self, now: Result<u64, Trouble>, worse: fn(u64, u64) -> u64) {
        self.now = now;
        if let Ok(now) = now {
            self.worst = Some(self.worst.map_or(now, |worst| worse(worst, now)));
        }
    }

    /// Ends the interval.
    fn tell(&mut self, path: &std::path::Path, most: Reading<u64>) -> Reading<Fill> {
        let worst = self.worst.take();
        match self.now {
            Err(trouble) => trouble.told(path),
            Ok(used) => most.map(|most| Fill { used, peak: worst.unwrap_or(used), most }),
        }
    }
}

type Stat = (HostStat, OnlineCpus);

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// The files of each second, and what they added up to since the last telling.
#[derive(Debug)]
pub(super) struct Pass {
    scratch: Scratch,
    /// Of the newest pass, and of the last that was told.
    at: Option<PassTime>,
    told_at: Option<PassTime>,
    stat_file: Kept,
    stat: Option<Stat>,
    cpu: Source<CpuGather>,
    tasks: Source<TaskGather>,
    /// Of the newest pass.
    newest_cpu: Result<CpuShares, NoPart>,
    newest_tasks: Result<TaskParts, NoPart>,
    memory_file: Kept,
    memory: Result<MemInfo, Trouble>,
    available: Level,
    load_file: Kept,
    pids: Level,
    handles_file: Kept,
    handles: Result<FileHandles, Trouble>,
    open_files: Level,
    conntrack_file: Kept,
    conntrack: Level,
    disks: Disks,
    interfaces: Interfaces,
    pub(super) slow: Slow,
}

impl Pass {
    pub(super) fn new(roots: &Roots) -> Self {
        let proc = |path: &str| Kept::new(roots.proc.join(path));
        Self {
            scratch: Scratch::new(),
            at: None,
            told_at: None,
            stat_file: proc("stat"),
            stat: None,
            cpu: Source::new(),
            tasks: Source::new(),
            newest_cpu: Err(NoPart::First),
            newest_tasks: Err(NoPart::First),
            memory_file: proc("meminfo"),
            memory: Err(Trouble::Missing),
            available: Level::NEW,
            load_file: proc("loadavg"),
            pids: Level::NEW,
            handles_file: proc("sys/fs/file-nr"),
            handles: Err(Trouble::Missing),
            open_files: Level::NEW,
            conntrack_file: proc("sys/net/netfilter/nf_conntrack_count"),
            conntrack: Level::NEW,
            disks: Disks::new(&roots.proc, &roots.sys),
            interfaces: Interfaces::new(&roots.proc, &roots.sys),
            slow: Slow::new(roots),
        }
    }

    /// One pass.
    pub(super) fn pass(&mut self, now: PassTime) {
        let span = match self.at {
            None => Err(NoPart::First),
            Some(before) => rates::span(before, now).map_err(NoPart::from),
        };
        self.at = Some(now);
        self.read_stat(span);
        let scratch = &mut self.scratch;
        self.memory = self.memory_file.take(scratch, MemInfo::parse);
        self.available.add(self.memory.map(|memory| memory.available.0), u64::min);
        let tasks = self.load_file.take(scratch, TaskCounts::parse);
        self.pids.add(tasks.map(|tasks| tasks.total), u64::max);
        self.handles = self.handles_file.take(scratch, FileHandles::parse);
        self.open_files.add(self.handles.map(|handles| handles.allocated), u64::max);
        self.conntrack.add(self.conntrack_file.take(scratch, single), u64::max);
        self.disks.pass(scratch, span);
        self.interfaces.pass(scratch, span);
        self.slow.pass(scratch, now);
    }

    fn read_stat(&mut self, span: Result<f64, NoPart>) {
        let read = self
            .stat_file
            .take(&mut self.scratch, |bytes| Ok((HostStat::parse(bytes)?, online_cpus(bytes)?)));
        let (cpu, tasks) = match (&self.stat, &read, span) {
            (_, Err(trouble), _) => (Err((*trouble).into()), Err((*trouble).into())),
            (_, Ok(_), Err(why)) => (Err(why), Err(why)),
            (None, Ok(_), Ok(_)) => (Err(NoPart::First), Err(NoPart::First)),
            (Some((before, cpus)), Ok((now, cpus_now)), Ok(seconds)) => (
                rates::cpu((&before.total, *cpus), (&now.total, *cpus_now)).map_err(NoPart::from),
                rates::tasks(before, now, seconds).map(|parts| (parts, *now)).map_err(NoPart::from),
            ),
        };
        (self.newest_cpu, self.newest_tasks) = (cpu, tasks.map(|(parts, _)| parts));
        self.cpu.add(cpu, CpuGather::add);
        self.tasks.add(tasks, |gather, (parts, now)| {
            gather.forks.add(parts.forks);
            gather.context_switches.add(parts.context_switches);
            // The reader itself runs while it reads.
            gather.running.level(now.running.saturating_sub(1));
            gather.blocked.level(now.blocked);
            gather.made = now.forks;
        });
        self.stat = read.ok();
    }

    /// How the quantities stand of which a sudden change is told at once.
    pub(super) fn levels(&self) -> Levels {
        let share = |used: Result<u64, Trouble>, most: Option<u64>| {
            let (used, most) = (used.ok()?, most?);
            Fill { used, peak: used, most }.share().map(|Percent(share)| share)
        };
        Levels {
            memory_available: share(self.available.now, self.memory.ok().map(|memory| memory.total.0)),
            pids: share(self.pids.now, self.slow.pids_most()),
            open_files: share(self.open_files.now, self.handles.ok().map(|handles| handles.most)),
            conntrack: share(self.conntrack.now, self.slow.conntrack_most()),
            rates: self.stat.is_some() && self.at.is_some() && self.cpu.has_any(),
        }
    }

    /// The newest pass alone. Asks for no memory.
    pub(super) fn second(&self) -> HostSecond {
        let cpu = |pick: fn(CpuShares) -> rates::Part| measured(self.newest_cpu.map(pick), 100.0);
        let rate = |pick: fn(TaskParts) -> rates::Part| measured(self.newest_tasks.map(pick), 1.0);
        let tasks = |pick: fn(&HostStat) -> u64| match &self.stat {
            Some((stat, _)) => Ok(float(pick(stat))),
            None => Err(self.newest_tasks.err().map_or(Gap::NotObserved, Gap::from)),
        };
        let memory = |pick: fn(&MemInfo) -> Bytes| {
            self.memory.as_ref().map(|it| float(pick(it).0)).map_err(|it| (*it).into())
        };
        let level = |level: &Level| level.now.map(float).map_err(Gap::from);
        let [busiest_disk, disks_read, disks_written] = self.disks.second();
        let [received, sent, network_errors, network_drops] = self.interfaces.second();
        HostSecond {
            cpu: cpu(|it| rates::Part { amount: it.user.amount + it.system.amount, ..it.user }),
            cpu_system: cpu(|it| it.system),
            iowait: cpu(|it| it.iowait),
            steal: cpu(|it| it.steal),
            forks: rate(|it| it.forks),
            context_switches: rate(|it| it.context_switches),
            // The reader itself runs while it reads.
            running: tasks(|it| it.running.saturating_sub(1)),
            blocked: tasks(|it| it.blocked),
            memory_available: memory(|it| it.available),
            memory_total: memory(|it| it.total),
            memory_dirty: memory(|it| it.dirty),
            swap_free: memory(|it| it.swap_free),
            pids: level(&self.pids),
            open_files: level(&self.open_files),
            conntrack: level(&self.conntrack),
            received,
            sent,
            network_errors,
            network_drops,
            busiest_disk,
            disks_read,
            disks_written,
        }
    }

    /// Since the last telling.
    pub(super) fn since_told(&self) -> Option<Duration> {
        Some(self.at?.boot.saturating_sub(self.told_at?.boot))
    }

    /// Ends the interval: everything that was added up since the last telling.
    pub(super) fn tell(&mut self) -> HostNumbers {
        let over = self.since_told().unwrap_or_default();
        self.told_at = self.at;
        let (devices, devices_left_out) = self.disks.tell();
        let (network, interfaces, interfaces_left_out) = self.interfaces.tell();
        let used = self.memory.ok().map(|memory| memory.swap_total.0 > memory.swap_free.0);
        let slow = self.slow.tell(&mut self.scratch, over, used.unwrap_or(true), &self.disks);
        let handles = match self.handles {
            Ok(handles) => Reading::Value(handles.most),
            Err(trouble) => trouble.told(self.handles_file.path()),
        };
        HostNumbers {
            over,
            cpu: self.cpu.tell(self.stat_file.path(), CpuGather::told),
            tasks: self.tasks.tell(self.stat_file.path(), TaskGather::told),
            memory: self.tell_memory(),
            swap: slow.swap,
            open_files: self.open_files.tell(self.handles_file.path(), handles),
            pids: self.pids.tell(self.load_file.path(), slow.pids_most),
            conntrack: self.conntrack.tell(self.conntrack_file.path(), slow.conntrack_most),
            sockets: slow.sockets,
            clock: slow.clock,
            temperature: slow.temperature,
            memory_errors: slow.memory_errors,
            network,
            interfaces,
            interfaces_left_out,
            devices,
            devices_left_out,
            inventory: slow.inventory,
        }
    }

    fn tell_memory(&mut self) -> Reading<MemoryUse> {
        let low = self.available.worst.take();
        match self.memory {
            Err(trouble) => trouble.told(self.memory_file.path()),
            Ok(it) => Reading::Value(MemoryUse {
                total: it.total,
                available: it.available,
                available_low: low.map_or(it.available, Bytes),
                cached: Bytes(it.cached.0.saturating_add(it.buffers.0)),
                shared: it.shmem,
                dirty: it.dirty,
                writeback: it.writeback,
                kernel: Bytes(
                    [it.slab_unreclaimable, it.kernel_stack, it.page_tables]
                        .iter()
                        .fold(0_u64, |sum, part| sum.saturating_add(part.0)),
                ),
                swap_total: it.swap_total,
                swap_free: it.swap_free,
            }),
        }
    }
}
