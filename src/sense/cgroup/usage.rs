//! The controllers cpu, memory and pids.

use crate::model::{Bytes, Limit, Micros, Pages};
use crate::sense::Malformed;
use crate::sense::keyed::{keyed, plain};
use crate::sense::scan::{fields, number, one};

keyed! {
    /// `cpu.stat`: the first three lines are always there, the others where the cpu controller is enabled.
    pub struct CpuStat of "cpu.stat" by plain {
        needed usage: Micros = b"usage_usec",
        needed user: Micros = b"user_usec",
        needed system: Micros = b"system_usec",
        /// At low priority (6.13).
        later nice: Micros = b"nice_usec",
        /// Periods of `cpu.max` in which it ran.
        later periods: u64 = b"nr_periods",
        /// Of these, in how many it was held back.
        later throttled_periods: u64 = b"nr_throttled",
        later throttled: Micros = b"throttled_usec",
        /// 5.16.
        later bursts: u64 = b"nr_bursts",
        /// 5.16.
        later burst: Micros = b"burst_usec",
    }
}

/// `cpu.max`: processor time in each period, of all processors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMax {
    pub quota: Limit<Micros>,
    pub period: Micros,
}

impl CpuMax {
    /// From `max 100000`.
    ///
    /// # Errors
    /// When its line is not understood or does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        one("cpu.max", bytes, |line| {
            let mut fields = fields(line);
            Some(Self { quota: max_or(fields.next()?)?.map(Micros), period: fields.amount()? })
        })
    }
}

/// A file that is a number or `max`: `memory.max`, `.high`, `.low`, `.min`, `memory.swap.max`, `pids.max`.
///
/// # Errors
/// When it is something else, or does not end its line.
pub fn limit(bytes: &[u8]) -> Result<Limit<u64>, Malformed> {
    one("a limit", bytes, |line| max_or(line.trim_ascii()))
}

fn max_or(field: &[u8]) -> Option<Limit<u64>> {
    match field {
        b"max" => Some(Limit::Unlimited),
        digits => number(digits).map(Limit::At),
    }
}

keyed! {
    /// `memory.events`, the groups below included; `memory.events.local` (5.2), this group alone.
    pub struct MemoryEvents of "memory.events" by plain {
        /// Reclaimed although below `memory.low`.
        needed low: u64 = b"low",
        /// Held back for being over `memory.high`.
        needed high: u64 = b"high",
        /// Times it was about to go over `memory.max`.
        needed max: u64 = b"max",
        /// Times it stood at its limit and an allocation was about to fail.
        needed oom: u64 = b"oom",
        /// Processes killed, by this group's limit or the host's (4.13).
        needed oom_kill: u64 = b"oom_kill",
        /// Times all of it was killed (5.17).
        later oom_group_kill: u64 = b"oom_group_kill",
    }
}

keyed! {
    /// What matters of `memory.stat`, the groups below included.
    pub struct MemoryStat of "memory.stat" by plain {
        needed anonymous: Bytes = b"anon",
        /// Page cache, `shmem` included.
        needed file: Bytes = b"file",
        /// All kernel memory (5.18).
        later kernel: Bytes = b"kernel",
        needed kernel_stack: Bytes = b"kernel_stack",
        /// 5.11.
        later page_tables: Bytes = b"pagetables",
        /// 5.9.
        later percpu: Bytes = b"percpu",
        needed sockets: Bytes = b"sock",
        /// tmpfs and shared memory: not to be had back without swap.
        needed shmem: Bytes = b"shmem",
        needed file_mapped: Bytes = b"file_mapped",
        needed file_dirty: Bytes = b"file_dirty",
        needed file_writeback: Bytes = b"file_writeback",
        /// In memory and in swap as well (5.12).
        later swap_cached: Bytes = b"swapcached",
        /// What compressed swap takes (5.19).
        later zswap: Bytes = b"zswap",
        /// What it holds, uncompressed (5.19).
        later zswapped: Bytes = b"zswapped",
        needed inactive_file: Bytes = b"inactive_file",
        needed active_file: Bytes = b"active_file",
        needed unevictable: Bytes = b"unevictable",
        needed slab_reclaimable: Bytes = b"slab_reclaimable",
        needed slab_unreclaimable: Bytes = b"slab_unreclaimable",
        /// Read again soon after they were dropped: thrashing. One line before 5.9, two since.
        sum refaults: Pages = b"workingset_refault" | b"workingset_refault_anon" | b"workingset_refault_file",
        needed scanned: Pages = b"pgscan",
        needed reclaimed: Pages = b"pgsteal",
        needed faults: u64 = b"pgfault",
        needed major_faults: u64 = b"pgmajfault",
    }
}

keyed! {
    /// `pids.events`. Before 6.11 counted in the group whose fork failed; since then in the group whose limit it
    /// was.
    pub struct PidsEvents of "pids.events" by plain {
        /// Forks refused.
        needed max: u64 = b"max",
    }
}
