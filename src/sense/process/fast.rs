//! Which way is taken: BPF where it works and hides nothing, procfs everywhere else.

use std::path::Path;

use super::bpf::{self, BpfTable, BpfWay};
use super::procfs::ProcfsWay;
use super::row::ProcessRow;
use super::way::{Coverage, Way};
use crate::model::{ProcessWay, Reading, RefusedWay};

/// About how many processes there are, where `/proc` does not say.
const PROCESSES_GUESSED: usize = 1024;

/// A way, and the cheaper ones that can't be taken here.
#[derive(Debug)]
pub struct Choice {
    pub way: Box<dyn Way>,
    pub refused: Vec<RefusedWay>,
}

/// Takes the cheapest way that works and shows every process that `/proc` shows; for once, reads the table three times.
///
/// To be called by a thread that has `CAP_BPF` and `CAP_PERFMON`; where a program could be loaded, it has given them up
/// on return ([`bpf::give_up_capabilities`]). Blocks while the kernel verifies the program: some 0.2 s.
#[must_use]
pub fn choose(proc: &Path) -> Choice {
    let mut procfs = ProcfsWay::new(proc);
    let mut before = Vec::new();
    let listed = procfs.read(&mut before);
    let guess = listed.value().map_or(PROCESSES_GUESSED, |_| before.len());
    let probe = bpf::probe(guess);
    let mut refused: Vec<RefusedWay> = probe
        .refused
        .iter()
        .map(|(way, refusal)| RefusedWay { way: kind(*way), why: told(refusal) })
        .collect();
    let Some(mut table) = probe.chosen else { return Choice { way: Box::new(procfs), refused } };
    let (mut rows, mut after) = (Vec::new(), Vec::new());
    // What is compared is what there will be: some kernels refuse to run what they have loaded to those without.
    if let Err(error) = bpf::give_up_capabilities() {
        let why = format!("CAP_BPF and CAP_PERFMON can't be given up: {error}");
        refused.push(RefusedWay { way: kind(table.way()), why });
        return Choice { way: Box::new(procfs), refused };
    }
    let hidden = match (table.read(&mut rows), procfs.read(&mut after)) {
        (Ok(_), Reading::Value(_)) => hidden(&mut before, &mut rows, &mut after),
        // Nothing to compare with; and nothing else to read by.
        (Ok(_), Reading::Absent(_) | Reading::Failed(_)) => 0,
        (Err(error), _) => {
            refused.push(RefusedWay { way: kind(table.way()), why: told(&error) });
            return Choice { way: Box::new(procfs), refused };
        }
    };
    if hidden > 0 {
        let why = format!("it does not show {hidden} of the processes that /proc shows");
        refused.push(RefusedWay { way: kind(table.way()), why });
        return Choice { way: Box::new(procfs), refused };
    }
    Choice { way: Box::new(Fast { table, procfs }), refused }
}

/// How many were there before and after, and not in between.
fn hidden(before: &mut Vec<ProcessRow>, rows: &mut [ProcessRow], after: &mut [ProcessRow]) -> usize {
    let identity = |row: &ProcessRow| (row.pid, row.start);
    after.sort_unstable_by_key(identity);
    rows.sort_unstable_by_key(identity);
    before.retain(|row| {
        let find = |rows: &[ProcessRow]| rows.binary_search_by_key(&identity(row), identity).is_ok();
        find(after) && !find(rows)
    });
    before.len()
}

const fn kind(way: BpfWay) -> ProcessWay {
    match way {
        BpfWay::Table => ProcessWay::BpfTasks,
        BpfWay::Lines => ProcessWay::BpfIterator,
    }
}

/// An error with all that is behind it.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// BPF, and procfs for the passes that fail or have no room for all.
#[derive(Debug)]
struct Fast {
    table: BpfTable,
    procfs: ProcfsWay,
}

impl Way for Fast {
    fn kind(&self) -> ProcessWay {
        kind(self.table.way())
    }

    fn gives_extra(&self) -> bool {
        true
    }

    fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Reading<Coverage> {
        match self.table.read(rows) {
            Ok(told) if told.told == told.processes => Reading::Value(Coverage::Complete),
            Ok(_) | Err(_) => self.procfs.read(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pages, Ticks};
    use crate::sense::procfs::ProcessState;

    fn rows(of: &[(i32, u64)]) -> Vec<ProcessRow> {
        let row = |&(pid, start): &(i32, u64)| ProcessRow {
            pid,
            start: Ticks(start),
            parent: 0,
            state: ProcessState::Sleeping,
            kernel_thread: false,
            threads: 1,
            cpu: std::time::Duration::ZERO,
            resident: Pages(3),
            minor_faults: 0,
            major_faults: 0,
            extra: None,
            comm: [0; super::super::COMM_LEN],
        };
        of.iter().map(row).collect()
    }

    fn check(before: &[(i32, u64)], between: &[(i32, u64)], after: &[(i32, u64)], expected: usize) {
        assert_eq!(hidden(&mut rows(before), &mut rows(between), &mut rows(after)), expected);
    }

    #[test]
    fn only_what_is_there_throughout_can_be_hidden() {
        check(&[(1, 1), (5, 9)], &[(5, 9), (1, 1)], &[(5, 9), (1, 1)], 0);
        check(&[(1, 1), (5, 9)], &[(1, 1)], &[(5, 9), (1, 1)], 1);
        // It ended, and its pid went to another.
        check(&[(1, 1), (5, 9)], &[(1, 1)], &[(1, 1), (5, 10)], 0);
        check(&[(1, 1)], &[(1, 1)], &[(1, 1), (7, 2)], 0);
    }

    #[test]
    fn on_this_very_host_some_way_works() {
        let mut choice = choose(Path::new("/proc"));
        let mut rows = Vec::new();
        assert!(choice.way.read(&mut rows).value().is_some(), "{choice:?}");
        assert!(rows.len() > 1, "{choice:?}");
    }
}
