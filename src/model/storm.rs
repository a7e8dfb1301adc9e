//! Storms of short-lived processes: how many the kernel made, and who makes them as far as a look tells.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Percent, Reading};

/// Makers that a look names.
pub const STORM_MAKERS_MAX: usize = 5;
/// Names of children that are told of each of them.
pub const STORM_CHILDREN_MAX: usize = 3;

/// For how long a look watches: as many endings as three looks of a storm of 20,000 a minute would need to agree within
/// a few percent, and no more of the host's time than that.
pub const STORM_LOOK_FOR: Duration = Duration::from_secs(1);
/// When it is given up: it reads `/proc` twice as well, on a host that is hard at work.
pub const STORM_LOOK_WITHIN: Duration = Duration::from_secs(15);
/// Fields of the host that tell of new processes: an incident of a rule that names one of them begins with a look.
pub const STORM_FIELDS: [&str; 2] = ["forks_per_second", "forks_1m"];

/// How it is found out who makes short-lived processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StormWay {
    /// A BPF program at the end of every task: who ended, and whose it was.
    EndingHook,
    /// The process table, twice: whose children came, and who reaped some.
    Scan,
}

impl StormWay {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndingHook => "ending-hook",
            Self::Scan => "scan",
        }
    }
}

/// Which way will be taken when a storm is suspected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StormEye {
    pub way: StormWay,
    /// Why it is not the better one; none when it is.
    pub refused: Option<String>,
}

/// What the names of a look rest on, and so how sure they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StormGrounds {
    /// Tasks that ended while the look was on: certain for those.
    Ended,
    /// Children that began while the look was on and still ran at its end: certain for those, and says nothing of the
    /// ones that had ended.
    Young,
    /// Page faults of children that were reaped while the look was on: likely. Children that do more count for more.
    Reaped,
}

impl fmt::Display for StormGrounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "seen to end",
            Self::Young => "begun within the look and still there",
            Self::Reaped => "likely, by page faults of reaped children",
        })
    }
}

/// Who makes them: the parent of the processes, or the process of the threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StormMaker {
    pub pid: i32,
    /// Of its main thread, as it chose it.
    pub name: String,
    /// In the unit of the look's grounds.
    pub count: u64,
    /// Of all that the look has counted.
    pub share: Percent,
    /// What it made were threads of its own.
    pub threads: bool,
    /// The most frequent names of what it made, as they were at the end; bounded.
    pub made: Vec<String>,
    /// The path of the control group that most of them were in.
    pub group: Reading<String>,
    /// The unit that the path names.
    pub unit: Reading<String>,
}

/// One look at who makes short-lived processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StormLook {
    pub way: StormWay,
    /// Why not by the hook; none when it was.
    pub refused: Option<String>,
    pub over: Duration,
    /// Processes and threads that the kernel made meanwhile, by its own counter: exact.
    pub made: Reading<u64>,
    /// Processes that ended meanwhile; only the hook counts them.
    pub ended: Reading<u64>,
    /// Threads, other than main ones, that ended meanwhile.
    pub ended_threads: Reading<u64>,
    pub grounds: StormGrounds,
    /// What the names rest on: all that was counted.
    pub counted: u64,
    /// Of what was counted, those that lived for less than a second; only the hook knows.
    pub brief: Reading<u64>,
    /// Ended and not counted, because the bounded room had been used again by later ones.
    pub uncounted: u64,
    /// The largest first; bounded.
    pub makers: Vec<StormMaker>,
    /// Of what was counted, by others.
    pub others: u64,
}

impl StormLook {
    /// For people: the numbers first, then a line for each maker.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let seconds = self.over.as_secs_f64();
        let made = match &self.made {
            Reading::Value(made) => format!("{made} processes and threads made in {seconds:.1} s"),
            Reading::Absent(_) | Reading::Failed(_) => "how many were made is not known".to_owned(),
        };
        let ended = match (&self.ended, &self.ended_threads) {
            (Reading::Value(processes), Reading::Value(threads)) => {
                format!("; {processes} processes and {threads} threads ended")
            }
            _ => String::new(),
        };
        let mut lines = vec![format!("{made}{ended}; by {}", self.way.as_str())];
        if let Reading::Value(brief) = self.brief {
            lines.push(format!(
                "{brief} of {} that were told apart lived for less than a second",
                self.counted
            ));
        }
        lines.extend(self.makers.iter().map(|maker| self.line(maker)));
        if self.others > 0 {
            lines.push(format!("{} by others", self.others));
        }
        if self.uncounted > 0 {
            lines.push(format!("{} more ended than there was room to tell apart", self.uncounted));
        }
        lines.extend(self.refused.iter().map(|why| format!("not by the hook: {why}")));
        lines
    }

    fn line(&self, maker: &StormMaker) -> String {
        let what = match (self.grounds, maker.threads) {
            (StormGrounds::Reaped, _) => String::new(),
            (_, true) => format!("{} threads of its own, ", maker.count),
            (_, false) => format!("{} children, ", maker.count),
        };
        let made =
            if maker.made.is_empty() { String::new() } else { format!(" ({})", maker.made.join(", ")) };
        let place = match (&maker.unit, &maker.group) {
            (Reading::Value(unit), _) => format!(", in {unit}"),
            (_, Reading::Value(group)) => format!(", in group {group}"),
            _ => String::new(),
        };
        format!("{} {}: {what}{} {}{made}{place}", maker.pid, maker.name, maker.share, self.grounds)
    }
}
