//! What a finding is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MountPoint, UnitName};

/// One thing that can be healthy or not. Ordered and hashed by its identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The machine as a whole.
    Host,
    /// The agent itself: its policy, its ledger.
    Agent,
    /// A unit of the service manager.
    Unit(UnitName),
    /// A file system, by where it is mounted.
    Filesystem(MountPoint),
}

impl Subject {
    /// Which family of fields and rules applies.
    #[must_use]
    pub const fn kind(&self) -> SubjectKind {
        match self {
            Self::Host => SubjectKind::Host,
            Self::Agent => SubjectKind::Agent,
            Self::Unit(_) => SubjectKind::Unit,
            Self::Filesystem(_) => SubjectKind::Filesystem,
        }
    }

    /// The unit, where it is one.
    #[must_use]
    pub const fn unit(&self) -> Option<&UnitName> {
        match self {
            Self::Unit(name) => Some(name),
            Self::Host | Self::Agent | Self::Filesystem(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Agent => f.write_str("agent"),
            Self::Unit(name) => name.fmt(f),
            Self::Filesystem(point) => point.fmt(f),
        }
    }
}

/// The family of a subject: what a policy rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    Host,
    Agent,
    Unit,
    Filesystem,
}

impl SubjectKind {
    /// The word for it, in policy and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Agent => "agent",
            Self::Unit => "unit",
            Self::Filesystem => "filesystem",
        }
    }

    /// Every one, as the documentation lists them.
    pub const ALL: [Self; 4] = [Self::Unit, Self::Filesystem, Self::Host, Self::Agent];
}
