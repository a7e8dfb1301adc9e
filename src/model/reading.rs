//! What came of trying to read something: the reason is kept when there is no value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why there is nothing to read. Absent is not healthy: a condition over it is `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// The kernel or service manager does not offer this reading on this host.
    Unsupported,
    /// The subject does not have this property (a timer has no main process).
    NotApplicable,
    /// Not looked at yet, or not looked at because nothing asked for it.
    NotObserved,
    /// A rate or a window has too little history to be said.
    TooEarly,
    /// It stays where it is: the policy wants it so.
    Withheld,
    /// Counting was interrupted since the reading before: there is no rate over the break.
    Interrupted(Interruption),
}

/// What makes two readings of a counter no measure of what happened between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interruption {
    /// A counter went back, or further than time allows: it wrapped, was reset, or is another one's.
    CounterReset,
    /// The machine slept.
    Slept,
    /// Too little time passed for the counter's own steps.
    TooShort,
    /// So much time passed that a rate over it would say nothing of now.
    TooLong,
    /// Processors went on or off line.
    ProcessorsChanged,
    /// Another device has taken the name.
    Replaced,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CounterReset => "the counter started over",
            Self::Slept => "the machine slept",
            Self::TooShort => "too little time has passed",
            Self::TooLong => "nobody looked for too long",
            Self::ProcessorsChanged => "processors went on or off line",
            Self::Replaced => "the device was replaced",
        })
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted(why) => return write!(f, "no rate yet: {why}"),
            Self::Unsupported => "not offered by this host",
            Self::NotApplicable => "not applicable",
            Self::NotObserved => "not observed",
            Self::TooEarly => "too early to say",
            Self::Withheld => "withheld by the policy",
        })
    }
}

/// A value, a reason for there being none, or the error met on the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// Read.
    Value(T),
    /// There is none, and that is known.
    Absent(Absence),
    /// It could not be found out: one sentence, for people.
    Failed(String),
}

impl<T> Reading<T> {
    /// The value, where there is one; asking this way gives up the reason.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent(_) | Self::Failed(_) => None,
        }
    }

    /// The same reading of something derived from the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Value(value) => Reading::Value(change(value)),
            Self::Absent(reason) => Reading::Absent(reason),
            Self::Failed(error) => Reading::Failed(error),
        }
    }

    /// The same reading, borrowed.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Value(value) => Reading::Value(value),
            Self::Absent(reason) => Reading::Absent(reason.clone()),
            Self::Failed(error) => Reading::Failed(error.clone()),
        }
    }

    /// Why there is no value, in a phrase; `None` when there is one.
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Value(_) => None,
            Self::Absent(reason) => Some(reason.to_string()),
            Self::Failed(error) => Some(format!("could not be read: {error}")),
        }
    }
}
