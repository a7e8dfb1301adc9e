//! Where the room on a file system is going.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FilesystemStatus, Percent};

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resort {
    Space,
    Inodes,
}

impl Resort {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Inodes => "inodes",
        }
    }
}

/// It gets less, and goes on to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filling {
    /// What runs out first.
    pub what: Resort,
    /// Until nothing is left for everybody but root, at this rate.
    pub full_in: Duration,
    /// Bytes or inodes a second, without the largest step up and the largest down.
    pub rate: f64,
    /// For how long it was watched: an estimate reaches no further than ten times as far.
    pub watched: Duration,
    /// Parts of this time in which it got less. The rest of them it stood still, or got more.
    pub steady: Percent,
}

/// What the room will do, as far as that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// Not enough was seen yet.
    TooEarly,
    /// It gets no less, or not for long, or only as it has come and gone before.
    Steady,
    Filling(Filling),
    /// Nothing of it is left.
    Full(Resort),
}

impl Outlook {
    /// The end that is in sight.
    #[must_use]
    pub const fn filling(&self) -> Option<&Filling> {
        match self {
            Self::Filling(filling) => Some(filling),
            Self::TooEarly | Self::Steady | Self::Full(_) => None,
        }
    }
}

/// A file system with what the agent makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesystemView {
    #[serde(flatten)]
    pub status: FilesystemStatus,
    #[serde(default = "too_early")]
    pub outlook: Outlook,
    /// For how long its room was watched: since the agent began, or since it was mounted or made larger.
    #[serde(default)]
    pub watched: Duration,
}

const fn too_early() -> Outlook {
    Outlook::TooEarly
}
