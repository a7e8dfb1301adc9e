//! `/proc/PID/stat` (proc_pid_stat(5)).

use crate::model::{Bytes, Pages, Ticks};
use crate::sense::Malformed;
use crate::sense::scan::{Fields, fields, find, number, pid, signed};

const WHAT: &str = "the process's stat";

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What a task is doing (proc_pid_stat(5), `task_state_array` of the kernel's `fs/proc/array.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessState {
    Running,
    Sleeping,
    /// Waits and can't be interrupted, as a rule for a disk or a network filesystem.
    DiskSleep,
    /// By a signal.
    Stopped,
    /// By a debugger.
    Traced,
    /// Ended and not yet reaped.
    Zombie,
    /// Ended; seen in passing.
    Dead,
    /// A kernel thread without work.
    Idle,
    /// A kernel thread of a processor that is off-line.
    Parked,
    /// A letter of another kernel.
    Other(char),
}

impl ProcessState {
    /// From its letter.
    #[must_use]
    pub const fn of(letter: u8) -> Self {
        match letter {
            b'R' => Self::Running,
            b'S' => Self::Sleeping,
            b'D' => Self::DiskSleep,
            b'T' => Self::Stopped,
            b't' => Self::Traced,
            b'Z' => Self::Zombie,
            b'X' | b'x' => Self::Dead,
            b'I' => Self::Idle,
            b'P' => Self::Parked,
            other => Self::Other(other as char),
        }
    }

    /// Its letter, as the kernel writes it today.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Running => 'R',
            Self::Sleeping => 'S',
            Self::DiskSleep => 'D',
            Self::Stopped => 'T',
            Self::Traced => 't',
            Self::Zombie => 'Z',
            Self::Dead => 'X',
            Self::Idle => 'I',
            Self::Parked => 'P',
            Self::Other(letter) => letter,
        }
    }
}

/// One process, its threads together. Without the right to see more, addresses and the like are zero; they are not
/// read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatRow<'a> {
    pub pid: i32,
    /// The name of its main thread as it chose it: up to 15 of any bytes; of kernel threads up to 63.
    pub comm: &'a [u8],
    /// Of the main thread: it may be a zombie while others live.
    pub state: ProcessState,
    pub parent: i32,
    pub group: i32,
    /// The pid of its session's first process.
    pub session: i32,
    pub kernel_thread: bool,
    pub minor_faults: u64,
    /// Faults that waited for a disk.
    pub major_faults: u64,
    /// Minor faults of children that it has reaped.
    pub children_minor_faults: u64,
    pub user: Ticks,
    pub system: Ticks,
    /// Of children that it has reaped.
    pub children_user: Ticks,
    pub children_system: Ticks,
    /// -20 to 19, lower is more.
    pub nice: i64,
    pub threads: u64,
    /// Since boot: with pid and boot the identity of a process.
    pub start: Ticks,
    pub virtual_size: Bytes,
    /// Resident; shared pages count in each process, and since 6.2 the count may be a few pages per processor off.
    pub resident: Pages,
    /// Where it ran last (2.2.8).
    pub processor: Option<u64>,
    /// Waited for disks (2.6.18); stays 0 unless `delayacct` is on (5.14 turned its default to off).
    pub block_delay: Option<Ticks>,
}

impl<'a> StatRow<'a> {
    /// From the whole file. The name stands in parentheses and may itself hold parentheses, blanks and line ends:
    /// the last `)` closes it, because no field behind it can hold one.
    ///
    /// # Errors
    /// When it is not understood or does not end its line.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = bytes.strip_suffix(b"\n").ok_or(Malformed::Cut { what: WHAT, line: 1 })?;
        Self::line(bytes).ok_or(Malformed::Line { what: WHAT, line: 1 })
    }

    fn line(bytes: &'a [u8]) -> Option<Self> {
        let open = find(bytes, b'(')?;
        let close = bytes.iter().rposition(|byte| *byte == b')')?;
        let comm = bytes.get(open + 1..close)?;
        let process = pid(bytes[..open].trim_ascii())?;
        // Counted from 3 in the manual: `rest` starts with the state.
        let mut rest = fields(&bytes[close + 1..]);
        let [letter] = rest.next()? else { return None };
        let (parent, group, session) = (pid(rest.next()?)?, pid(rest.next()?)?, pid(rest.next()?)?);
        skip(&mut rest, 2)?;
        let flags = rest.number()?;
        let (minor_faults, children_minor_faults) = (rest.number()?, rest.number()?);
        let major_faults = rest.number()?;
        skip(&mut rest, 1)?;
        let (user, system) = (rest.amount()?, rest.amount()?);
        let (children_user, children_system) = (rest.amount()?, rest.amount()?);
        skip(&mut rest, 1)?;
        let nice = signed(rest.next()?)?;
        let threads = rest.number()?;
        skip(&mut rest, 1)?;
        let (start, virtual_size, resident) = (rest.amount()?, rest.amount()?, rest.amount()?);
        // Fields 25 to 38: addresses, signals, zeros. Then 40 and 41: the scheduler's.
        let processor = rest.nth(14).map(number);
        let block_delay = rest.nth(2).map(number);
        Some(Self {
            pid: process,
            comm,
            state: ProcessState::of(*letter),
            parent,
            group,
            session,
            kernel_thread: flags & KERNEL_THREAD != 0,
            minor_faults,
            major_faults,
            children_minor_faults,
            user,
            system,
            children_user,
            children_system,
            nice,
            threads,
            start,
            virtual_size,
            resident,
            processor: understood(processor)?,
            block_delay: understood(block_delay)?.map(Ticks),
        })
    }

    /// Ended and not yet reaped. A main thread that ended before the others shows `Z` too, and its process lives.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, ProcessState::Zombie | ProcessState::Dead) && self.threads <= 1
    }
}

/// Fields that are passed over; they must be there.
fn skip(fields: &mut Fields<'_>, count: usize) -> Option<()> {
    fields.nth(count.checked_sub(1)?).map(|_| ())
}

/// A field that may be missing but not be something else.
fn understood(field: Option<Option<u64>>) -> Option<Option<u64>> {
    match field {
        None => Some(None),
        Some(None) => None,
        Some(value) => Some(value),
    }
}
