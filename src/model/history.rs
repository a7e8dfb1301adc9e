//! The history of the host's numbers: what can be asked of it, and what it answers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Absence, BootId, Human, Interruption, Reading, WallTime};

/// Why a row has no value. What exactly failed is told by the present; the past keeps that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    Unsupported,
    NotApplicable,
    NotObserved,
    TooEarly,
    Withheld,
    Interrupted(Interruption),
    Failed,
}

impl From<&Absence> for Gap {
    fn from(reason: &Absence) -> Self {
        match reason {
            Absence::Unsupported => Self::Unsupported,
            Absence::NotApplicable => Self::NotApplicable,
            Absence::NotObserved => Self::NotObserved,
            Absence::TooEarly => Self::TooEarly,
            Absence::Withheld => Self::Withheld,
            Absence::Interrupted(why) => Self::Interrupted(*why),
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absence = match self {
            Self::Failed => return f.write_str("could not be read"),
            Self::Unsupported => Absence::Unsupported,
            Self::NotApplicable => Absence::NotApplicable,
            Self::NotObserved => Absence::NotObserved,
            Self::TooEarly => Absence::TooEarly,
            Self::Withheld => Absence::Withheld,
            Self::Interrupted(why) => Absence::Interrupted(*why),
        };
        absence.fmt(f)
    }
}

/// One number, or why there is none. Costs no memory, unlike a [`Reading`].
pub type Measured = Result<f64, Gap>;

impl<T> Reading<T> {
    /// A number of the value, for the history.
    ///
    /// # Errors
    /// Why there is none.
    pub fn measured(&self, pick: impl FnOnce(&T) -> f64) -> Measured {
        match self {
            Self::Value(value) => Ok(pick(value)),
            Self::Absent(reason) => Err(reason.into()),
            Self::Failed(_) => Err(Gap::Failed),
        }
    }
}

/// The host over one pass, as a rule of one second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostSecond {
    /// Shares of the time of all processors, percent.
    pub cpu: Measured,
    pub cpu_system: Measured,
    pub iowait: Measured,
    pub steal: Measured,
    /// Per second.
    pub forks: Measured,
    pub context_switches: Measured,
    /// Tasks.
    pub running: Measured,
    pub blocked: Measured,
    /// Bytes.
    pub memory_available: Measured,
    pub memory_total: Measured,
    pub memory_dirty: Measured,
    pub swap_free: Measured,
    /// Counts.
    pub pids: Measured,
    pub open_files: Measured,
    pub conntrack: Measured,
    /// Bytes per second, of all cards.
    pub received: Measured,
    pub sent: Measured,
    /// Packets per second, of all cards.
    pub network_errors: Measured,
    pub network_drops: Measured,
    /// The busiest whole disk, percent of the time.
    pub busiest_disk: Measured,
    /// Bytes per second, of all whole disks.
    pub disks_read: Measured,
    pub disks_written: Measured,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryUnit {
    Percent,
    PerSecond,
    /// A number of things at a time; a mean has fractions.
    Count,
    Bytes,
    BytesPerSecond,
    Milliseconds,
    Celsius,
    Load,
}

/// How finely the past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryTier {
    /// Every row as it was read.
    Full,
    /// Least, mean and most of each minute.
    Reduced,
}

impl HistoryTier {
    /// Both, the finer one first.
    pub const ALL: [Self; 2] = [Self::Full, Self::Reduced];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
        }
    }
}

/// On the disk when nothing else is said: weeks of minutes and days of seconds of a usual host.
pub const HISTORY_BYTES_DEFAULT: u64 = 64 << 20;
/// Points of an answer at the most: several screens wide, and some hundred kilobytes of JSON.
pub const HISTORY_POINTS_MAX: u64 = 2000;
/// Points of an answer when nobody says how many.
const POINTS_DEFAULT: u64 = 240;

/// A moment, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(WallTime),
    /// So long before now.
    Ago(Duration),
}

impl Moment {
    fn resolve(self, now: WallTime) -> WallTime {
        match self {
            Self::At(at) => at,
            Self::Ago(length) => {
                let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
                WallTime::from_unix_millis(now.unix_millis().saturating_sub(millis))
            }
        }
    }
}

/// A question, before it is known what time it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryAsk {
    /// `cpu_percent`, `filesystem_used_percent@/srv`.
    pub field: String,
    pub from: Moment,
    /// Until now when left out.
    pub to: Option<Moment>,
    /// Some that gives a good number of points when left out.
    pub step: Option<Duration>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    pub field: String,
    /// From here on, by the wall clock as it stood then.
    pub from: WallTime,
    /// And before this.
    pub to: WallTime,
    /// What comes within so much time is one point: whole seconds, at least one.
    pub step: Duration,
}

/// Why a question has no sense, a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HistoryAskError {
    #[error("the time begins when it has ended already")]
    Backwards,
    #[error("a step is a second or more, in whole seconds")]
    Step,
    #[error("these are more than {HISTORY_POINTS_MAX} points: a step of {} is enough", Human(*.0))]
    TooMany(Duration),
}

impl HistoryAsk {
    /// The question at this time.
    ///
    /// # Errors
    /// When it has no sense.
    pub fn resolve(self, now: WallTime) -> Result<HistoryQuery, HistoryAskError> {
        let (from, to) = (self.from.resolve(now), self.to.map_or(now, |to| to.resolve(now)));
        if from >= to {
            return Err(HistoryAskError::Backwards);
        }
        let seconds = to.since(from).as_secs().max(1);
        let step = match self.step {
            Some(step) if step.as_secs() > 0 && step.subsec_nanos() == 0 => step,
            Some(_) => return Err(HistoryAskError::Step),
            None => Duration::from_secs(seconds.div_ceil(POINTS_DEFAULT)),
        };
        if seconds.div_ceil(step.as_secs()) > HISTORY_POINTS_MAX {
            return Err(HistoryAskError::TooMany(Duration::from_secs(seconds.div_ceil(HISTORY_POINTS_MAX))));
        }
        Ok(HistoryQuery { field: self.field, from, to, step })
    }
}

/// What came of one step of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// When it begins, by the wall clock as it stood then.
    pub wall_ms: WallTime,
    /// Milliseconds since boot of its first row.
    pub boot_ms: i64,
    /// Of the values; none where there is no value.
    pub mean: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Rows with a value, and without one.
    pub values: u64,
    pub absent: u64,
    /// Why the last of those without has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Gap>,
}

/// Points between which neither the host was started anew nor its clock went back: their times grow. Where nothing was
/// read there is no point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRun {
    pub boot: BootId,
    pub points: Vec<HistoryPoint>,
}

/// The answer of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistorySeries {
    pub field: String,
    pub unit: HistoryUnit,
    pub meaning: String,
    pub from: WallTime,
    pub to: WallTime,
    pub step_seconds: u64,
    /// In the order in which they were written.
    pub runs: Vec<HistoryRun>,
    /// Parts that could not be read: damaged, most likely.
    pub unreadable: u64,
    /// There were more points than fit: a clock that was set over and over.
    pub cut: bool,
}

/// What is kept of one tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryExtent {
    pub tier: HistoryTier,
    /// Of the oldest and the newest row; none where there is none.
    pub from: Option<WallTime>,
    pub to: Option<WallTime>,
    pub bytes: u64,
    pub files: usize,
}

/// A field that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryFieldInfo {
    pub name: String,
    pub unit: HistoryUnit,
    pub meaning: String,
    /// It is of a disk, an interface or a file system: asked for with `@` and its name.
    pub of_subject: bool,
    /// The subjects that were seen last, so many that a list of them is of use.
    pub subjects: Vec<String>,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryList {
    pub folder: String,
    pub extents: Vec<HistoryExtent>,
    pub fields: Vec<HistoryFieldInfo>,
    /// Parts that could not be read.
    pub unreadable: u64,
}

/// How the keeping of the history fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStatus {
    /// On the disk at the most; zero when it is switched off.
    pub bytes_max: u64,
    /// On the disk now.
    pub bytes: u64,
    /// Why nothing is written at present, where nothing is: one sentence.
    pub failing: Option<String>,
    /// Rows that were not kept since the agent's start, for that reason.
    pub rows_lost: u64,
    /// Disks, interfaces and file systems beyond the bound, that are not kept.
    pub left_out: usize,
}
