//! `/proc/vmstat` (`mm/vmstat.c` of the kernel): costly for the kernel to write, so not for every pass.

use crate::model::Pages;
use crate::sense::keyed::{keyed, plain};

keyed! {
    /// Reclaim, faults and swap since boot. The kernel must be built with `CONFIG_VM_EVENT_COUNTERS`, as all are.
    pub struct VmStat of "vmstat" by plain {
        /// Looked at by the background reclaimer.
        needed scanned_background: Pages = b"pgscan_kswapd",
        /// Looked at by programs that had to wait for memory, among them (6.2) `khugepaged`, and (6.15) reclaim
        /// that somebody asked for. `pgscan_anon` and `pgscan_file` are the same pages by kind: not added.
        sum scanned_directly: Pages = b"pgscan_direct" | b"pgscan_khugepaged" | b"pgscan_proactive",
        needed reclaimed_background: Pages = b"pgsteal_kswapd",
        sum reclaimed_directly: Pages = b"pgsteal_direct" | b"pgsteal_khugepaged" | b"pgsteal_proactive",
        /// How often a program had to wait for memory, all zones.
        sum allocation_stalls: u64 = b"allocstall_dma" | b"allocstall_dma32" | b"allocstall_normal"
            | b"allocstall_high" | b"allocstall_movable" | b"allocstall_device",
        needed faults: u64 = b"pgfault",
        /// Faults that waited for a disk.
        needed major_faults: u64 = b"pgmajfault",
        /// `CONFIG_SWAP`.
        later swapped_in: Pages = b"pswpin",
        later swapped_out: Pages = b"pswpout",
        /// Read again soon after they were dropped: thrashing. One line before 5.9, two since.
        sum refaults: Pages = b"workingset_refault" | b"workingset_refault_anon" | b"workingset_refault_file",
        /// Processes that the kernel killed for want of memory, those of control groups included (4.13).
        needed oom_kills: u64 = b"oom_kill",
    }
}
