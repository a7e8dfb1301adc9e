//! The process table, twice: which processes came, and who reaped children meanwhile. The way that always works.
//!
//! A process of a millisecond is in neither pass. But whoever waits for it is given its page faults
//! (`cmin_flt`, proc_pid_stat(5)), and a program that starts takes some hundred: who reaps the most shows the most.
#![expect(clippy::disallowed_methods, reason = "lists /proc")]

use std::collections::BTreeMap;
use std::path::Path;

use super::tally::Tally;
use crate::model::Ticks;
use crate::sense::procfs::{StatRow, read_bounded};

/// Processes that a pass looks at: some 80 bytes each, and 15 µs of CPU time. Where there are more, a storm of those
/// that stay has a rule of its own, about the host's limit of pids.
const PROCESSES_MAX: usize = 65_536;
/// Longest `stat`: 52 numbers of at most 20 digits and a name of 64 bytes.
const STAT_MAX: usize = 2048;
/// Of a name of the kernel's, with its closing zero.
pub(super) const NAME_BYTES: usize = 16;

pub(super) type Name = [u8; NAME_BYTES];

/// What is remembered of a process between the passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) start: Ticks,
    pub(super) parent: i32,
    pub(super) reaped_faults: u64,
    pub(super) name: Name,
}

/// One pass, by pid.
pub(super) type Pass = BTreeMap<i32, Seen>;

/// Reads it; processes that end meanwhile are left out.
///
/// # Errors
/// When `/proc` can't be listed.
pub(super) fn pass(proc: &Path) -> std::io::Result<Pass> {
    let mut pass = Pass::new();
    for entry in std::fs::read_dir(proc)? {
        let entry = entry?;
        let is_pid = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_pid || pass.len() >= PROCESSES_MAX {
            continue;
        }
        // Gone, or hidden: what remains says who.
        let Ok(bytes) = read_bounded(&entry.path().join("stat"), STAT_MAX) else { continue };
        let Ok(row) = StatRow::parse(&bytes) else { continue };
        pass.insert(row.pid, seen(&row));
    }
    Ok(pass)
}

fn seen(row: &StatRow<'_>) -> Seen {
    let mut name = [0; NAME_BYTES];
    let length = row.comm.len().min(NAME_BYTES - 1);
    name[..length].copy_from_slice(&row.comm[..length]);
    Seen { start: row.start, parent: row.parent, reaped_faults: row.children_minor_faults, name }
}

/// Processes that began since then and are there, by their parents.
pub(super) fn young(after: &Pass, since: Ticks) -> Tally<Name> {
    let mut tally = Tally::default();
    for it in after.values().filter(|it| it.start >= since) {
        let parent = after.get(&it.parent).map_or([0; NAME_BYTES], |parent| parent.name);
        tally.add((it.parent, false), parent, 1, Some((it.name, 0)));
    }
    tally
}

/// Page faults of children that were reaped between the passes, by who reaped them.
pub(super) fn reaped(before: &Pass, after: &Pass) -> Tally<Name> {
    let mut grown: Vec<(u64, i32, Name)> = after
        .iter()
        .filter_map(|(pid, it)| {
            let old = before.get(pid).filter(|old| old.start == it.start).map_or(0, |old| old.reaped_faults);
            let more = it.reaped_faults.checked_sub(old).filter(|more| *more > 0)?;
            Some((more, *pid, it.name))
        })
        .collect();
    // The largest find room.
    grown.sort_unstable_by_key(|(more, pid, _)| (std::cmp::Reverse(*more), *pid));
    let mut tally = Tally::default();
    for (more, pid, name) in grown {
        tally.add((pid, false), name, more, None);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass_of(rows: &[(i32, u64, i32, u64)]) -> Pass {
        let seen = |&(pid, start, parent, reaped_faults): &(i32, u64, i32, u64)| {
            (pid, Seen { start: Ticks(start), parent, reaped_faults, name: [b'a'; NAME_BYTES] })
        };
        rows.iter().map(seen).collect()
    }

    #[test]
    fn who_reaps_and_whose_children_came_is_told() {
        // 70 went, and its pid to another; 50 reaped a lot; 60 has two new children.
        let before = pass_of(&[(1, 0, 0, 500), (50, 9, 1, 1000), (60, 9, 1, 0), (70, 9, 1, 40)]);
        let after =
            pass_of(&[(1, 0, 0, 530), (50, 9, 1, 9000), (60, 9, 1, 0), (70, 20, 60, 0), (71, 21, 60, 0)]);
        let told = |tally: &Tally<Name>| -> Vec<(i32, u64)> {
            tally.top(usize::MAX).iter().map(|it| (it.maker, it.count)).collect()
        };
        assert_eq!(told(&reaped(&before, &after)), [(50, 8000), (1, 30)]);
        assert_eq!(told(&young(&after, Ticks(20))), [(60, 2)]);
    }

    #[test]
    fn this_process_is_in_a_pass_and_its_child_is_young() {
        let proc = Path::new("/proc");
        let before = pass(proc).expect("/proc can be listed");
        let this = rustix::process::getpid().as_raw_pid();
        assert!(before.contains_key(&this));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep can be started");
        let after = pass(proc).expect("/proc can be listed");
        // Not the youngest of all: others are born as well.
        let id = i32::try_from(child.id()).expect("a process id");
        let born = after.get(&id).expect("it runs").start;
        let parents = young(&after, born).top(usize::MAX);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert!(parents.iter().any(|it| it.maker == this), "{parents:?}");
        let reapers = reaped(&before, &pass(proc).expect("/proc can be listed")).top(usize::MAX);
        assert!(reapers.iter().any(|it| it.maker == this), "{reapers:?}");
    }
}
