//! One pass between two readings of procfs: what did not change between the two must be so in the pass, what grows must
//! lie between them.

use std::collections::BTreeMap;
use std::time::Duration;

use prunella::sense::process::ProcessRow;

use crate::procfs::Seen;

/// `stat` cuts user and system time to whole ticks, each.
const CUT: Duration = Duration::from_millis(20);

/// Pages that a counter may be off: each processor keeps up to a batch back (`percpu_counter_batch`), in each of three
/// counters; before 6.2 each thread kept up to 64.
fn memory_slack(threads: u64) -> u64 {
    let count = processors();
    3 * (count * (2 * count).max(32) + 64 * threads)
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// How many were compared; every difference otherwise.
pub(crate) fn compare(
    before: &BTreeMap<i32, Seen>,
    rows: &[ProcessRow],
    after: &BTreeMap<i32, Seen>,
) -> Result<usize, String> {
    let mut by_pid = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows {
        if by_pid.insert(row.pid, row).is_some() {
            wrong.push(format!("{} comes twice", row.pid));
        }
    }
    let mut compared = 0;
    for (pid, early) in before {
        let Some(late) = after.get(pid).filter(|late| late.start == early.start) else { continue };
        match by_pid.get(pid) {
            None => wrong.push(format!("{pid} is missing: {early:?}")),
            Some(row) => {
                compared += 1;
                let found = differences(early, row, late);
                if !found.is_empty() {
                    wrong.push(format!("{pid}: {}\n  {early:?}\n  {row:?}\n  {late:?}", found.join(", ")));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(compared) } else { Err(wrong.join("\n")) }
}

fn differences(early: &Seen, row: &ProcessRow, late: &Seen) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut must = |what, holds: bool| {
        if !holds {
            found.push(what);
        }
    };
    // Equal to one of the two; where both differ, it may have been a third thing in between.
    fn same<T: PartialEq>(early: &T, row: &T, late: &T) -> bool {
        early == row || late == row || early != late
    }
    fn between<T: PartialOrd + Copy>(early: T, row: T, late: T) -> bool {
        early <= row && row <= late
    }
    must("start", row.start == early.start);
    must("parent", same(&early.parent, &row.parent, &late.parent));
    must("kernel_thread", row.kernel_thread == early.kernel_thread);
    must("threads", same(&early.threads, &u64::from(row.threads), &late.threads));
    // Where it was read from stat it is cut itself.
    must("cpu", between(early.cpu, row.cpu, late.cpu + CUT));
    must("minor_faults", between(early.minor_faults, row.minor_faults, late.minor_faults));
    must("major_faults", between(early.major_faults, row.major_faults, late.major_faults));
    let slack = memory_slack(early.threads.max(late.threads));
    let (least, most) = (early.resident.min(late.resident), early.resident.max(late.resident));
    // Without a fault it gained nothing; with one, it may have had and lost anything in between.
    let calm = early.minor_faults == late.minor_faults;
    must("resident", !calm || between(least.saturating_sub(slack), row.resident.0, most + slack));
    // Those that work change between running and sleeping all the time.
    let still = |state: char| matches!(state, 'Z' | 'T' | 't' | 'X' | 'P');
    let state = row.state.letter();
    must("state", early.state != late.state || !(still(early.state) || still(state)) || state == early.state);
    // procfs shows of a kernel's worker what it works on, behind its name.
    let named = |seen: &Seen| {
        if row.kernel_thread { seen.comm.starts_with(row.name()) } else { seen.comm == row.name() }
    };
    must("comm", named(early) || named(late) || early.comm != late.comm);
    if let Some(extra) = row.extra {
        must("user", same(&early.user, &Some(extra.user), &late.user));
        if let (Some(least), Some(most)) = (early.read, late.read) {
            must("storage_read", between(least, extra.storage_read.0, most));
        }
        if let (Some(least), Some(most)) = (early.written, late.written) {
            must("storage_written", between(least, extra.storage_written.0, most));
        }
        if early.cgroup.is_some() {
            must("cgroup", same(&early.cgroup, &Some(extra.cgroup), &late.cgroup));
        }
    }
    found
}
