//! Which units take the host's memory and processors: one bounded look.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bytes, Percent, WallTime};

/// Units that a look names on each of its grounds.
pub const CULPRITS_MAX: usize = 5;
/// For how long it watches. Who fills the memory within less can't be held back by anybody; a tick of the scheduler is a
/// hundredth of it.
pub const CULPRIT_LOOK_FOR: Duration = Duration::from_millis(250);
/// When it is given up: it reads four files of each unit, on a host that hardly gets to anything.
pub const CULPRIT_LOOK_WITHIN: Duration = Duration::from_secs(5);

/// One unit of the system's service manager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitUse {
    /// Its name, as the path of its control group says.
    pub unit: String,
    /// Memory, and swap, that only the end of its processes gives back.
    pub held: Bytes,
    /// By how much that grew in a second; nothing where it shrank.
    pub growth: Bytes,
    /// Percent of one processor.
    pub cpu: Percent,
    /// Processes and threads.
    pub tasks: u64,
}

/// What the units did while they were looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CulpritLook {
    pub at: WallTime,
    pub over: Duration,
    /// Units that were looked at.
    pub units: u64,
    /// Those that could not be, or of which there were too many.
    pub left_out: u64,
    /// Of all that grew, in a second.
    pub growth: Bytes,
    /// Of all, percent of one processor.
    pub cpu: Percent,
    /// Of all.
    pub tasks: u64,
    /// Those that grow most, hold most, run most and have most tasks; each once.
    pub largest: Vec<UnitUse>,
}

impl CulpritLook {
    /// For people: the numbers first, then a line for each unit.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let over = self.over.as_millis();
        let head = format!(
            "{} units over {over} ms: {} of a processor, {} tasks, memory grows by {}/s",
            self.units, self.cpu, self.tasks, self.growth
        );
        let left = (self.left_out > 0).then(|| format!("{} groups could not be looked at", self.left_out));
        let line = |it: &UnitUse| {
            format!(
                "{}: {} of a processor, {} tasks, holds {}, grows by {}/s",
                it.unit, it.cpu, it.tasks, it.held, it.growth
            )
        };
        std::iter::once(head).chain(self.largest.iter().map(line)).chain(left).collect()
    }
}
