//! Control groups: what each uses, and what makes it wait.

use serde::{Deserialize, Serialize};

use super::{Bytes, Limit, Percent, Pressure, Reading, Timestamp};

/// One control group of version 2. Its numbers include those of the groups below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CgroupStatus {
    /// Below the root of the hierarchy: `/system.slice/nginx.service`. For people: control characters are escaped.
    pub path: String,
    /// The inode of its directory: another group of the same name has another one.
    pub id: u64,
    /// When it was last looked at.
    pub at: Timestamp,
    /// Percent of one processor, since the look before.
    pub cpu: Reading<Percent>,
    pub memory: Reading<Bytes>,
    pub tasks: Reading<u64>,
    /// A process lives in it or below; asked of services and containers.
    pub populated: Reading<bool>,
    /// Processes that were killed in it for want of memory, since it was made.
    pub oom_kills: Reading<u64>,
    /// Forks that were refused for its limit of tasks, since it was made; asked of services and containers.
    pub forks_refused: Reading<u64>,
    /// What is read only of groups that draw attention.
    pub closely: Reading<CgroupClosely>,
}

/// A closer look at a group that is hot, growing or near its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CgroupClosely {
    pub at: Timestamp,
    /// Bytes a second from and to all block devices, since the look before.
    pub read: Reading<Bytes>,
    pub written: Reading<Bytes>,
    /// `memory.max`.
    pub memory_max: Reading<Limit<Bytes>>,
    /// Memory that only swap or an end of the process gives back.
    pub anonymous: Reading<Bytes>,
    pub cpu_pressure: Reading<Pressure>,
    pub memory_pressure: Reading<Pressure>,
    pub io_pressure: Reading<Pressure>,
    /// It is made to stand still.
    pub frozen: Reading<bool>,
}

/// Of which services and containers the kernel tells at once that they were emptied, that a process was killed for want
/// of memory, or that a fork was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupWatches {
    pub watched: u64,
    /// These are asked with each walk over all groups.
    pub unwatched: u64,
    /// Why, of the first of them.
    pub why: Option<String>,
}

/// The tree as it was last walked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CgroupTree {
    /// By path.
    pub groups: Vec<CgroupStatus>,
    /// Groups that are there and are not told of: too many, too deep, or not readable.
    pub left_out: u64,
    pub watches: CgroupWatches,
}
