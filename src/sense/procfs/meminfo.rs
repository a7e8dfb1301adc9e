//! `/proc/meminfo` (proc_meminfo(5), `Documentation/filesystems/proc.rst`).

use crate::model::{Bytes, Memory};
use crate::sense::keyed::keyed;
use crate::sense::scan::kib;

keyed! {
    /// What is worth keeping of it. In brackets the kernel that brought a line in, where that is later than 4.18 or
    /// depends on how the kernel was built.
    pub struct MemInfo of "meminfo" by kib {
        needed total: Bytes = b"MemTotal:",
        needed free: Bytes = b"MemFree:",
        /// What programs can get without swapping (3.14): no sum of the others means the same.
        needed available: Bytes = b"MemAvailable:",
        needed buffers: Bytes = b"Buffers:",
        /// The page cache, `shmem` included.
        needed cached: Bytes = b"Cached:",
        /// In memory and in swap as well.
        later swap_cached: Bytes = b"SwapCached:",
        needed active_file: Bytes = b"Active(file):",
        needed inactive_file: Bytes = b"Inactive(file):",
        later unevictable: Bytes = b"Unevictable:",
        needed swap_total: Bytes = b"SwapTotal:",
        needed swap_free: Bytes = b"SwapFree:",
        /// Memory that compressed swap takes (5.19, `CONFIG_ZSWAP`).
        later zswap: Bytes = b"Zswap:",
        /// What it holds, uncompressed (5.19, `CONFIG_ZSWAP`).
        later zswapped: Bytes = b"Zswapped:",
        /// Waits to be written.
        needed dirty: Bytes = b"Dirty:",
        /// Is being written.
        needed writeback: Bytes = b"Writeback:",
        /// Anonymous pages mapped by programs.
        needed anonymous: Bytes = b"AnonPages:",
        needed mapped: Bytes = b"Mapped:",
        /// tmpfs and shared memory: part of `cached`, and not to be had back without swap.
        needed shmem: Bytes = b"Shmem:",
        /// Kernel memory that gives way under pressure (4.20).
        later kernel_reclaimable: Bytes = b"KReclaimable:",
        needed slab_reclaimable: Bytes = b"SReclaimable:",
        needed slab_unreclaimable: Bytes = b"SUnreclaim:",
        needed kernel_stack: Bytes = b"KernelStack:",
        needed page_tables: Bytes = b"PageTables:",
        /// Page tables of guests (6.1).
        later secondary_page_tables: Bytes = b"SecPageTables:",
        /// Per-processor memory of the kernel (4.20).
        later percpu: Bytes = b"Percpu:",
        needed commit_limit: Bytes = b"CommitLimit:",
        needed committed: Bytes = b"Committed_AS:",
        /// Memory that failed and is no longer used (`CONFIG_MEMORY_FAILURE`).
        later hardware_corrupted: Bytes = b"HardwareCorrupted:",
        /// Huge pages set aside (`CONFIG_HUGETLBFS`): not part of `available`. A count of pages.
        later huge_pages: u64 = b"HugePages_Total:",
        later huge_pages_free: u64 = b"HugePages_Free:",
        later huge_pages_reserved: u64 = b"HugePages_Rsvd:",
        later huge_pages_surplus: u64 = b"HugePages_Surp:",
        later huge_page_size: Bytes = b"Hugepagesize:",
        /// All sizes of huge pages together (4.19).
        later hugetlb: Bytes = b"Hugetlb:",
    }
}

keyed! {
    /// The four lines that decisions need.
    struct Vital of "meminfo" by kib {
        needed total: Bytes = b"MemTotal:",
        needed available: Bytes = b"MemAvailable:",
        needed swap_total: Bytes = b"SwapTotal:",
        needed swap_free: Bytes = b"SwapFree:",
    }
}

/// The four lines that decisions need; `None` where the file is not of its form.
#[must_use]
pub fn parse_meminfo(bytes: &[u8]) -> Option<Memory> {
    let Vital { total, available, swap_total, swap_free } = Vital::parse(bytes).ok()?;
    Some(Memory { total, available, swap_total, swap_free })
}
