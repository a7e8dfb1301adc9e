//! What is told of the host between two passes over all of it, because it can't wait for the next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Memory, Pressure, Reading, SenseNews, UnitName};

/// What tasks can wait for, as the kernel's pressure files part it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    Memory,
    Io,
    Cpu,
}

impl Resource {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Io, Self::Cpu];

    /// The name of its file in `/proc/pressure`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Cpu => "cpu",
        }
    }
}

/// What a trigger on a pressure file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StallWatch {
    /// Within this span tasks may wait no longer than the trigger allows.
    pub window: Duration,
    /// They just did; false when the trigger was set and has nothing to tell yet.
    pub stalled: bool,
}

/// What the kernel's trigger on the control group of a unit tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStall {
    pub unit: UnitName,
    pub resource: Resource,
    /// Absent as not observed once nobody follows the unit any more.
    pub watch: Reading<StallWatch>,
}

/// News of one part of the host. It says nothing of the other parts: they are as old as they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostNews {
    /// Memory is low, or no longer.
    Memory(Reading<Memory>),
    /// Tasks wait for a resource; or who would tell was asked to tell, or can't.
    Pressure {
        resource: Resource,
        watch: Reading<StallWatch>,
        /// Read just after it was told; none when nothing was read.
        pressure: Option<Reading<Pressure>>,
    },
    /// Tasks of a unit wait, or who would tell of them was asked to tell, or can't.
    Unit(UnitStall),
    /// A sense broke off, or was begun anew.
    Sense(SenseNews),
}
