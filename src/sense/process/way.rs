//! What every way of reading the process table has in common, and which one is taken.

use std::fmt;

use rustix::io::Errno;

use super::row::ProcessRow;
use crate::model::{ProcessWay, Reading};

/// Processes that are told of. `pid_max` allows four million; each takes some 230 bytes in each of two generations, so
/// that this many are 30 MiB, an eighth of what the unit allows the agent. Hosts with more have a fault that their
/// number alone tells.
pub const PROCESSES_MAX: usize = 65_536;

/// How much of the table a pass got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    Complete,
    /// Over [`PROCESSES_MAX`]; `listed` is how many there are.
    TooMany {
        listed: u32,
    },
    /// Process 1 is not there, and it always is: `/proc` is mounted with `hidepid=` against this reader.
    Hidden,
    /// Listed, and not to be read or not understood.
    Unreadable {
        count: u32,
        why: Unreadable,
    },
}

/// Why a process that is listed could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Refused(Errno),
    Malformed,
}

/// What the table lacks, for people.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("every process is known"),
            Self::TooMany { listed } => {
                write!(f, "there are {listed} processes; the first {PROCESSES_MAX} are known")
            }
            Self::Hidden => f.write_str(
                "processes of other users are hidden: /proc is mounted with hidepid, and the agent lacks \
                 CAP_SYS_PTRACE",
            ),
            Self::Unreadable { count, why: Unreadable::Refused(errno) } => {
                write!(f, "{count} processes can't be read: {errno}")
            }
            Self::Unreadable { count, why: Unreadable::Malformed } => {
                write!(f, "{count} processes can't be read: their stat has an unknown form")
            }
        }
    }
}

/// A way to read the process table.
pub trait Way: fmt::Debug + Send {
    /// Which one it is.
    fn kind(&self) -> ProcessWay;

    /// Whether its rows come with their [`super::Extra`].
    fn gives_extra(&self) -> bool {
        false
    }

    /// One pass: what was in `rows` is replaced. Their order does not matter, and none comes twice. Allocates nothing
    /// once `rows` has room. One that began or ended meanwhile is there or not. Absent: this host does not offer the
    /// way, or no longer; failed: the pass broke off, and `rows` means nothing.
    fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Reading<Coverage>;
}
