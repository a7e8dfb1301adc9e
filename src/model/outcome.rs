//! What became of an act, in two steps: what was applied, and what it changed for the better.

use serde::{Deserialize, Serialize};

use super::{Bytes, Timestamp};

/// What the actuator knows when it is done. Not success: that is [`Verification`]'s to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "applied")]
pub enum Applied {
    /// Carried out.
    Changed,
    /// Files were removed. What that made free was measured on the file system, and is what it made free for all: others
    /// write meanwhile.
    Removed {
        files: u64,
        freed: Bytes,
        inodes_freed: u64,
        /// Why it went no further.
        why: String,
    },
    /// The older parts of live logs were compressed into archives beside them. What that made free was measured on the file
    /// system, as above.
    Archived {
        logs: u64,
        /// Of the logs, before they were compressed.
        content: Bytes,
        freed: Bytes,
        /// Why it went no further.
        why: String,
    },
    /// A unit is held back until then at the most.
    Restrained {
        /// What was set, and what it was: for people.
        what: String,
        until: Timestamp,
    },
    /// There was nothing to do.
    AlreadySo,
    /// At the moment of execution the subject was no longer what the permit was for; nothing was done.
    Withdrawn { why: String },
    /// Tried, and refused or failed.
    Failed { why: String },
    /// The deadline passed, or the agent restarted: it may or may not have happened.
    Unknown { why: String },
}

/// Whether the expectation came true, by later samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verification")]
pub enum Verification {
    Confirmed {
        why: String,
    },
    Refuted {
        why: String,
    },
    /// The deadline passed without telemetry to judge by.
    Inconclusive {
        why: String,
    },
}
