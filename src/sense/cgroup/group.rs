//! `cgroup.events`, `cgroup.stat` and `cgroup.type`: the group itself.

use crate::sense::Malformed;
use crate::sense::keyed::{keyed, plain};
use crate::sense::scan::one;

keyed! {
    /// `cgroup.events`: a change of it is notified (poll(2) with `POLLPRI`, inotify(7) modify).
    pub struct GroupEvents of "cgroup.events" by plain {
        /// 1 while a process lives in it or below; 0 when all have ended.
        needed populated: u64 = b"populated",
        /// 1 when all of it stands still (5.2).
        later frozen: u64 = b"frozen",
    }
}

keyed! {
    /// `cgroup.stat` (4.14).
    pub struct GroupCounts of "cgroup.stat" by plain {
        needed descendants: u64 = b"nr_descendants",
        /// Removed, and still holding memory: many of them are a leak of the kernel's or of a container runtime's.
        needed dying: u64 = b"nr_dying_descendants",
    }
}

/// `cgroup.type`; the root group has no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    Domain,
    /// The root of a threaded subtree.
    DomainThreaded,
    /// Below a threaded group and unusable.
    DomainInvalid,
    /// Its processes are listed by the group above.
    Threaded,
}

impl GroupKind {
    /// From the whole file.
    ///
    /// # Errors
    /// When it is another word, or does not end its line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        one("cgroup.type", bytes, |line| match line {
            b"domain" => Some(Self::Domain),
            b"domain threaded" => Some(Self::DomainThreaded),
            b"domain invalid" => Some(Self::DomainInvalid),
            b"threaded" => Some(Self::Threaded),
            _ => None,
        })
    }
}
