//! A way and a table brought together: one side reads, on a thread of its own; the other shows, to whoever asks.
//!
//! Nothing is read while the table is locked: who asks does not wait for a pass that hangs longer than he says.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::change::Moment;
use super::closer::{LookError, look_closer};
use super::fast::Choice;
use super::folder::{FILE_BYTES, Folder};
use super::pace;
use super::procfs::ProcfsWay;
use super::row::{Extra, ProcessRow};
use super::show::{Scale, complete};
use super::table::{Table, Wanted};
use super::way::{Coverage, Way};
use crate::model::{
    Absence, BootTime, ProcessCounts, ProcessDetail, ProcessList, ProcessSort, ProcessWay, Reading,
    RefusedWay,
};

/// Processes whose storage is read in one slow pass, three small files each: by the figures of these, some 80 ms of CPU
/// time for all. Where there are more, the others' turn comes with the next pass.
const EXTRA_SLICE: usize = 2048;

/// What came of the passes so far.
#[derive(Debug)]
struct State {
    /// How it is read, and what would be cheaper and can't be done here.
    way: ProcessWay,
    refused: Vec<RefusedWay>,
    table: Table,
    /// Of the last pass.
    counts: Reading<ProcessCounts>,
    passes: u64,
    tried: Option<Moment>,
    /// CPU time of the last pass.
    cost: Duration,
}

/// The table, to be asked.
#[derive(Debug)]
pub struct Processes {
    proc: PathBuf,
    scale: Scale,
    state: Mutex<State>,
    passed: Condvar,
}

impl Processes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many passes there were, when the table is too old to be shown and one more is worth its cost.
    #[must_use]
    pub fn due(&self, now: Moment) -> Option<u64> {
        let state = self.state();
        let age = state.tried.map(|tried| now.boot.since(tried.boot));
        age.is_none_or(|age| age >= pace::fresh_for(state.cost)).then_some(state.passes)
    }

    /// Nobody looks at them any more: what was seen is not shown as if it were still so.
    pub fn fail(&self, why: &str) {
        let mut state = self.state();
        state.table = Table::default();
        state.counts = Reading::Failed(why.to_owned());
    }

    /// Waits until there were more passes than this, or for so long.
    pub fn wait_for_more(&self, than: u64, patience: Duration) {
        let waiting = self.passed.wait_timeout_while(self.state(), patience, |state| state.passes <= than);
        drop(waiting);
    }

    /// The first of all processes, each with its user and place where it still runs.
    #[must_use]
    pub fn list(&self, sort: ProcessSort, most: usize) -> ProcessList {
        let mut list = self.listed(sort, most);
        for view in &mut list.processes {
            if let Ok(Some(folder)) = Folder::open(&self.proc, view.line.pid) {
                complete(&mut view.line, &folder);
            }
        }
        list
    }

    fn listed(&self, sort: ProcessSort, most: usize) -> ProcessList {
        let state = self.state();
        let read = state.table.read();
        let at = read.map_or(BootTime::ZERO, |(at, _)| at.boot);
        let interval = state.table.interval();
        let lacks = read.and_then(|(_, coverage)| incomplete(coverage));
        let found = state.table.top(sort, most);
        let processes = found.iter().map(|known| self.scale.view(known, &interval, at)).collect();
        ProcessList {
            way: state.way,
            refused: state.refused.clone(),
            storms: None,
            at: read.map_or(Reading::Absent(Absence::TooEarly), |_| Reading::Value(at)),
            interval,
            counts: state.counts.clone(),
            incomplete: lacks,
            sort,
            processes,
        }
    }

    /// One process; see [`look_closer`].
    ///
    /// # Errors
    /// When it is not there, or can't be read at all; where processes are hidden, these can't be told apart.
    pub fn look(&self, pid: i32, shares: bool, now: BootTime) -> Result<ProcessDetail, LookError> {
        match look_closer(&self.proc, pid, shares, now) {
            // To whom it is hidden, a process is not there.
            Err(LookError::Gone(pid)) if self.hides_some() => {
                Err(LookError::Failed { pid, why: Coverage::Hidden.to_string() })
            }
            looked => looked,
        }
    }

    fn hides_some(&self) -> bool {
        self.state().table.read().is_some_and(|(_, coverage)| coverage == Coverage::Hidden)
    }
}

fn incomplete(coverage: Coverage) -> Option<String> {
    (coverage != Coverage::Complete).then(|| coverage.to_string())
}

/// Reads the table, pass after pass.
#[derive(Debug)]
pub struct ProcessWatch {
    way: Box<dyn Way>,
    rows: Vec<ProcessRow>,
    wanted: Vec<Wanted>,
    found: Vec<(Wanted, Extra)>,
    buffer: Box<[u8]>,
    shared: Arc<Processes>,
}

impl ProcessWatch {
    /// By procfs, until it is given a better way.
    #[must_use]
    pub fn new(proc: &Path) -> Self {
        Self::with(proc, Box::new(ProcfsWay::new(proc)))
    }

    /// By this way.
    #[must_use]
    pub fn with(proc: &Path, way: Box<dyn Way>) -> Self {
        let state = State {
            way: way.kind(),
            refused: Vec::new(),
            table: Table::default(),
            counts: Reading::Absent(Absence::TooEarly),
            passes: 0,
            tried: None,
            cost: Duration::ZERO,
        };
        let shared = Processes {
            proc: proc.to_owned(),
            scale: Scale::of_host(),
            state: Mutex::new(state),
            passed: Condvar::new(),
        };
        Self {
            way,
            rows: Vec::new(),
            wanted: Vec::new(),
            found: Vec::new(),
            buffer: vec![0; FILE_BYTES].into(),
            shared: Arc::new(shared),
        }
    }

    /// Reads by this way from now on.
    pub fn take_way(&mut self, choice: Choice) {
        let mut state = self.shared.state();
        state.way = choice.way.kind();
        state.refused = choice.refused;
        drop(state);
        self.way = choice.way;
    }

    /// After a pass that broke off: nothing of it is kept.
    pub fn begin_anew(&mut self) {
        self.rows.clear();
        self.found.clear();
        self.shared.fail("the pass before broke off");
    }

    /// The side that shows.
    #[must_use]
    pub fn shared(&self) -> Arc<Processes> {
        Arc::clone(&self.shared)
    }

    /// One pass; `storage` also reads what each process moved to and from storage, where the way does not tell. Returns
    /// the counts, failed when the table is not whole, and the CPU time that it took.
    pub fn pass(&mut self, now: Moment, storage: bool) -> (Reading<ProcessCounts>, Duration) {
        let begun = cpu_time();
        let coverage = self.way.read(&mut self.rows);
        let mut state = self.shared.state();
        let counts = match coverage {
            Reading::Value(coverage) => {
                state.table.take(&mut self.rows, now, coverage);
                let counts = state.table.counts();
                match incomplete(coverage) {
                    None => Reading::Value(counts),
                    Some(why) => Reading::Failed(why),
                }
            }
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(why) => Reading::Failed(why),
        };
        if storage && !self.way.gives_extra() {
            state.table.want_extra(EXTRA_SLICE, &mut self.wanted);
            drop(state);
            self.read_extra();
            state = self.shared.state();
            for (of, extra) in self.found.drain(..) {
                state.table.put_extra(of, extra, now);
            }
        }
        let cost = cpu_time().saturating_sub(begun);
        state.counts = counts.clone();
        state.passes = state.passes.saturating_add(1);
        state.tried = Some(now);
        state.cost = cost;
        drop(state);
        self.shared.passed.notify_all();
        (counts, cost)
    }

    fn read_extra(&mut self) {
        self.found.clear();
        for wanted in &self.wanted {
            let Ok(Some(folder)) = Folder::open(&self.shared.proc, wanted.pid) else { continue };
            if let Some(extra) = folder.extra(&mut self.buffer)
                && folder.start(&mut self.buffer) == Some(wanted.start)
            {
                self.found.push((*wanted, extra));
            }
        }
    }
}

/// What this thread has used so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
