//! The senses that the agent can be without for a while, and how they do.

use serde::{Deserialize, Serialize};

/// A sense that is begun anew when it breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sense {
    Processes,
    ControlGroups,
    Pressure,
    UnitPressure,
    Memory,
    Filesystems,
    KernelLog,
}

impl Sense {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "the process table",
            Self::ControlGroups => "the control groups",
            Self::Pressure => "the pressure",
            Self::UnitPressure => "the pressure on units",
            Self::Memory => "the tripwire on memory",
            Self::Filesystems => "the file systems",
            Self::KernelLog => "the kernel's log",
        }
    }
}

/// How a sense does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SenseState {
    /// It was begun, and has not broken off since.
    Working,
    /// It broke off, and is begun anew in a moment.
    Broken { why: String },
    /// It broke off too often, and stays off until the agent is started anew.
    Off { why: String },
}

/// News of a sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenseNews {
    pub sense: Sense,
    pub state: SenseState,
}
