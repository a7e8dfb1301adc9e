//! What is true of a subject now, and for how long it has been.

use serde::{Deserialize, Serialize};

use super::{BootTime, RuleName, Subject};

/// A rule's statement about a subject, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub rule: RuleName,
    pub subject: Subject,
    /// One sentence, for people: `active_state is "failed", result is "signal"`.
    pub what: String,
}

/// A rule over a subject through time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Condition {
    /// True, but not for long enough yet.
    Pending { since: BootTime },
    /// True for its time: an incident.
    Firing { since: BootTime },
    /// No longer true, its clear threshold not reached yet.
    Clearing { since: BootTime },
    /// A field that it needs has no value: nothing is decided either way.
    Unknown { since: BootTime, why: String, was_firing: bool },
}
