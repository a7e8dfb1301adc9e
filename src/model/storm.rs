//! Storms of short-lived processes: how many the kernel made, and who makes them as far as a look tells.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Percent, Reading};

/// Makers that a look names on one grounds.
pub const STORM_MAKERS_MAX: usize = 4;
/// Names of children that are told of each of them.
pub const STORM_CHILDREN_MAX: usize = 3;

/// For how long a look watches: 333 endings in a storm of 20,000 a minute, which give shares to a few percent.
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

/// What a name rests on, and so how sure it is.
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
            Self::Ended => "those seen to end",
            Self::Young => "those that began and stayed",
            Self::Reaped => "the page faults of reaped children, so it is likely",
        })
    }
}

/// Who makes them: the parent of the processes, or the process of the threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StormMaker {
    pub pid: i32,
    /// Of its main thread, as it chose it.
    pub name: String,
    pub grounds: StormGrounds,
    /// In the unit of its grounds.
    pub count: u64,
    /// Of all that was counted on the same grounds.
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
    /// Endings that the names rest on.
    pub counted: u64,
    /// Of these, the tasks that lived for less than a second.
    pub brief: u64,
    /// Ended and not counted, because the bounded room had been used again by later ones.
    pub uncounted: u64,
    /// Processes that began meanwhile and still ran at the end; failed when `/proc` could not be listed before or after.
    pub young: Reading<u64>,
    /// On each grounds the largest first; bounded.
    pub makers: Vec<StormMaker>,
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
        if self.counted > 0 {
            let (brief, counted) = (self.brief, self.counted);
            lines.push(format!("{brief} of {counted} that were told apart lived for less than a second"));
        }

        lines.extend(self.makers.iter().map(StormMaker::line));
        if self.uncounted > 0 {
            lines.push(format!("{} more ended than there was room to tell apart", self.uncounted));
        }
        if let Reading::Failed(why) = &self.young {
            lines.push(format!("the process table can't be read: {why}"));
        }
        lines.extend(self.refused.iter().map(|why| format!("not by the hook: {why}")));
        lines
    }
}

impl StormMaker {
    /// `812 cron (cron.service): 331 children (date, sh), 97.4 % of those seen to end`
    fn line(&self) -> String {
        let place = match (&self.unit, &self.group) {
            (Reading::Value(place), _) | (_, Reading::Value(place)) => format!(" ({place})"),
            _ => String::new(),
        };
        let made = if self.made.is_empty() { String::new() } else { format!(" ({})", self.made.join(", ")) };
        let what = match (self.grounds, self.threads) {
            (StormGrounds::Reaped, _) => String::new(),
            (_, true) => format!("{} threads of its own{made}, ", self.count),
            (_, false) => format!("{} children{made}, ", self.count),
        };
        format!("{} {}{place}: {what}{} of {}", self.pid, self.name, self.share, self.grounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Absence;

    fn maker(grounds: StormGrounds, count: u64, threads: bool) -> StormMaker {
        StormMaker {
            pid: 812,
            name: "cron".into(),
            grounds,
            count,
            share: Percent(97.4),
            threads,
            made: if grounds == StormGrounds::Reaped { Vec::new() } else { vec!["date".into(), "sh".into()] },
            group: Reading::Value("/system.slice/cron.service".into()),
            unit: Reading::Value("cron.service".into()),
        }
    }

    #[test]
    fn people_are_told_how_many_who_and_how_sure_it_is() {
        let look = StormLook {
            way: StormWay::EndingHook,
            refused: None,
            over: Duration::from_millis(1002),
            made: Reading::Value(345),
            ended: Reading::Value(340),
            ended_threads: Reading::Value(2),
            counted: 342,
            brief: 339,
            uncounted: 0,
            young: Reading::Value(40),
            makers: vec![maker(StormGrounds::Ended, 331, false), maker(StormGrounds::Young, 38, false)],
        };
        let told = [
            "345 processes and threads made in 1.0 s; 340 processes and 2 threads ended; by ending-hook",
            "339 of 342 that were told apart lived for less than a second",
            "812 cron (cron.service): 331 children (date, sh), 97.4 % of those seen to end",
            "812 cron (cron.service): 38 children (date, sh), 97.4 % of those that began and stayed",
        ];
        assert_eq!(look.lines(), told);
        let not = Reading::Absent(Absence::Unsupported);
        let scan = StormLook {
            way: StormWay::Scan,
            refused: Some("CAP_BPF is not granted".into()),
            ended: not.clone(),
            ended_threads: not,
            counted: 0,
            brief: 0,
            makers: vec![maker(StormGrounds::Reaped, 28_264, false)],
            ..look
        };
        let told = [
            "345 processes and threads made in 1.0 s; by scan",
            "812 cron (cron.service): 97.4 % of the page faults of reaped children, so it is likely",
            "not by the hook: CAP_BPF is not granted",
        ];
        assert_eq!(scan.lines(), told);
    }
}
