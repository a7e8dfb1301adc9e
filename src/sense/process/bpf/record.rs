//! What the programs write of one process, and how it becomes a [`ProcessRow`].
//!
//! The bytes are copied out of what the kernel wrote before anything looks at them. Must not call the kernel.

use std::time::Duration;

use crate::model::{Bytes, Pages, Ticks};
use crate::sense::process::{COMM_LEN, Extra, ProcessRow};
use crate::sense::procfs::ProcessState;

/// `sizeof(struct record)`.
pub(super) const RECORD_BYTES: usize = 112;

/// Nanoseconds of a tick of `USER_HZ`, which is 100 wherever the programs run: the kernel divides by it as well.
const TICK_NANOS: u64 = 10_000_000;

/// `PF_KTHREAD`.
const KERNEL_THREAD: u32 = 0x0020_0000;
/// `RECORD_TORN`.
const TORN: u32 = 1;

/// `RECORD_HAS_IO` and `RECORD_HAS_CGROUP`: the kernel keeps what [`Extra`] tells.
const HAS_ALL: u32 = 2 | 4;

/// Where a member of `struct record` begins; a test compares it with the object's own types.
pub(super) mod at {
    pub(in super::super) const PID: usize = 0;
    pub(in super::super) const PARENT: usize = 4;
    pub(in super::super) const START_NS: usize = 8;
    pub(in super::super) const CPU_NS: usize = 16;
    pub(in super::super) const MINOR_FAULTS: usize = 24;
    pub(in super::super) const MAJOR_FAULTS: usize = 32;
    pub(in super::super) const READ_BYTES: usize = 40;
    pub(in super::super) const WRITTEN_BYTES: usize = 48;
    pub(in super::super) const CGROUP: usize = 56;
    pub(in super::super) const RESIDENT_PAGES: usize = 64;
    pub(in super::super) const STATE: usize = 72;
    pub(in super::super) const EXIT_STATE: usize = 76;
    pub(in super::super) const FLAGS: usize = 80;
    pub(in super::super) const THREADS: usize = 84;
    pub(in super::super) const USER: usize = 88;
    pub(in super::super) const MARKS: usize = 92;
    pub(in super::super) const COMM: usize = 96;
}

/// One process, copied out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record(pub(super) [u8; RECORD_BYTES]);

impl Record {
    pub(super) const EMPTY: Self = Self([0; RECORD_BYTES]);

    fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    fn long(&self, at: usize) -> u64 {
        let (low, high) = if cfg!(target_endian = "little") { (at, at + 4) } else { (at + 4, at) };
        u64::from(self.word(high)) << 32 | u64::from(self.word(low))
    }

    /// The threads changed under the sums, or the main one was replaced: CPU time, faults and bytes may miss or double one.
    pub(super) fn is_torn(&self) -> bool {
        self.word(at::MARKS) & TORN != 0
    }

    /// The row; without its [`Extra`] where the kernel does not keep all of that.
    pub(super) fn row(&self) -> ProcessRow {
        let mut comm = [0; COMM_LEN];
        comm.copy_from_slice(&self.0[at::COMM..at::COMM + COMM_LEN]);
        // What is behind the closing zero is left from longer names.
        let end = comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
        comm[end..].fill(0);
        let extra = Extra {
            user: self.word(at::USER),
            storage_read: Bytes(self.long(at::READ_BYTES)),
            storage_written: Bytes(self.long(at::WRITTEN_BYTES)),
            cgroup: self.long(at::CGROUP),
        };
        ProcessRow {
            pid: self.word(at::PID).cast_signed(),
            start: Ticks(self.long(at::START_NS) / TICK_NANOS),
            parent: self.word(at::PARENT).cast_signed(),
            state: state(self.word(at::STATE), self.word(at::EXIT_STATE)),
            kernel_thread: self.word(at::FLAGS) & KERNEL_THREAD != 0,
            threads: self.word(at::THREADS),
            cpu: Duration::from_nanos(self.long(at::CPU_NS)),
            // Sums of counters that each processor keeps apart may be below zero for a moment.
            resident: Pages(u64::try_from(self.long(at::RESIDENT_PAGES).cast_signed()).unwrap_or(0)),
            minor_faults: self.long(at::MINOR_FAULTS),
            major_faults: self.long(at::MAJOR_FAULTS),
            extra: (self.word(at::MARKS) & HAS_ALL == HAS_ALL).then_some(extra),
            comm,
        }
    }
}

/// As `task_state_index` of the kernel's `include/linux/sched.h` makes it for `/proc/PID/stat`.
fn state(state: u32, exit_state: u32) -> ProcessState {
    /// `TASK_UNINTERRUPTIBLE | TASK_NOLOAD`.
    const IDLE: u32 = 0x402;
    /// `TASK_RTLOCK_WAIT` and `TASK_FROZEN`: shown as the sleep that can't be interrupted.
    const LIKE_DISK: u32 = 0x1000 | 0x8000;
    if state & IDLE == IDLE {
        return ProcessState::Idle;
    }
    if state & LIKE_DISK != 0 && exit_state == 0 {
        return ProcessState::DiskSleep;
    }
    // The highest bit of those that are reported.
    match ((state | exit_state) & 0x7f).checked_ilog2() {
        None => ProcessState::Running,
        Some(0) => ProcessState::Sleeping,
        Some(1) => ProcessState::DiskSleep,
        Some(2) => ProcessState::Stopped,
        Some(3) => ProcessState::Traced,
        Some(4) => ProcessState::Dead,
        Some(5) => ProcessState::Zombie,
        Some(_) => ProcessState::Parked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_state(words: (u32, u32), expected: ProcessState) {
        assert_eq!(state(words.0, words.1), expected, "{words:x?}");
    }

    #[test]
    fn states_are_those_of_procfs() {
        check_state((0, 0), ProcessState::Running);
        check_state((1, 0), ProcessState::Sleeping);
        check_state((2, 0), ProcessState::DiskSleep);
        // TASK_KILLABLE.
        check_state((0x102, 0), ProcessState::DiskSleep);
        check_state((0x402, 0), ProcessState::Idle);
        check_state((0x8000, 0), ProcessState::DiskSleep);
        check_state((0x104, 0), ProcessState::Stopped);
        check_state((0x8, 0), ProcessState::Traced);
        check_state((0x40, 0), ProcessState::Parked);
        // TASK_DEAD of one that has ended.
        check_state((0x80, 0x20), ProcessState::Zombie);
        check_state((0x80, 0x10), ProcessState::Dead);
    }

    #[test]
    fn a_name_ends_at_its_zero_and_memory_is_never_negative() {
        let mut record = Record::EMPTY;
        record.0[at::COMM..at::COMM + 8].copy_from_slice(b"sh\0shd\0x");
        record.0[at::RESIDENT_PAGES..at::RESIDENT_PAGES + 8].copy_from_slice(&(-3_i64).to_ne_bytes());
        record.0[at::MARKS] = 7;
        let row = record.row();
        assert_eq!((row.name(), row.resident, row.comm[3]), (&b"sh"[..], Pages(0), 0));
        assert!(row.extra.is_some() && record.is_torn());
        // No accounting of I/O, no cgroups, neither.
        for marks in [4, 2, 0] {
            record.0[at::MARKS] = marks;
            assert!(record.row().extra.is_none() && !record.is_torn(), "what the kernel lacks is not zero");
        }
    }
}
