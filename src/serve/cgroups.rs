//! `GET /v1/cgroups`: the groups that use, or wait for, the most.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{CgroupStatus, CgroupTree, CgroupWatches, Pressure, Reading, Timestamp};

use super::request::{CgroupSort, CgroupsQuery};

/// `GET /v1/cgroups`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cgroups {
    pub now: Timestamp,
    /// Why nothing is known of them, when nothing is.
    pub cgroups_lost: Option<String>,
    /// How many there are, shown or not.
    pub total: usize,
    /// Groups beyond what is kept, or that could not be opened.
    pub left_out: u64,
    /// Of which the kernel tells at once what befalls them.
    pub watches: CgroupWatches,
    /// The first of them, in the order that was asked for.
    pub cgroups: Vec<CgroupStatus>,
}

impl Cgroups {
    /// Of the tree as it was last walked.
    #[must_use]
    pub fn of(tree: &Result<Arc<CgroupTree>, String>, query: CgroupsQuery, now: Timestamp) -> Self {
        let tree = match tree {
            Ok(tree) => tree,
            Err(why) => {
                let cgroups_lost = Some(why.clone());
                let watches = CgroupWatches::default();
                return Self { now, cgroups_lost, total: 0, left_out: 0, watches, cgroups: Vec::new() };
            }
        };
        let mut groups: Vec<&CgroupStatus> = tree.groups.iter().collect();
        let key = |group: &CgroupStatus| rank(group, query.sort);
        // What is not known comes last: it is no culprit. Groups above come before those that they hold.
        groups.sort_by(|a, b| {
            let (a_key, b_key) = (key(a), key(b));
            b_key.partial_cmp(&a_key).unwrap_or(Ordering::Equal).then_with(|| a.path.cmp(&b.path))
        });
        Self {
            now,
            cgroups_lost: None,
            total: groups.len(),
            left_out: tree.left_out,
            watches: tree.watches.clone(),
            cgroups: groups.into_iter().take(query.limit).cloned().collect(),
        }
    }
}

fn rank(group: &CgroupStatus, sort: CgroupSort) -> Option<f64> {
    match sort {
        CgroupSort::Cpu => group.cpu.value().map(|cpu| cpu.0),
        CgroupSort::Memory => group.memory.value().map(|memory| float(memory.0)),
        CgroupSort::Io => {
            let closely = group.closely.value()?;
            let moved = [&closely.read, &closely.written].map(|rate| rate.value().map(|rate| float(rate.0)));
            match moved {
                [None, None] => None,
                [read, written] => Some(read.unwrap_or(0.0) + written.unwrap_or(0.0)),
            }
        }
        CgroupSort::Pressure => {
            let closely = group.closely.value()?;
            let waits = [&closely.cpu_pressure, &closely.memory_pressure, &closely.io_pressure];
            waits.into_iter().filter_map(waited).max_by(f64::total_cmp)
        }
    }
}

fn waited(pressure: &Reading<Pressure>) -> Option<f64> {
    pressure.value()?.some.value().map(|some| some.avg10.0)
}

#[expect(clippy::cast_precision_loss, reason = "an order of sizes needs no more than 52 bits")]
const fn float(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{cgroups, now};

    fn check(sort: CgroupSort, limit: usize, expected: &[&str]) {
        let page = Cgroups::of(&cgroups(), CgroupsQuery { sort, limit }, now());
        let paths: Vec<_> = page.cgroups.iter().map(|group| group.path.as_str()).collect();
        assert_eq!(paths, expected, "{sort:?}");
        assert_eq!((page.total, page.cgroups_lost), (4, None));
    }

    #[test]
    fn the_greediest_come_first_and_the_unknown_last() {
        let [slice, db, backup, new] = [
            "/system.slice",
            "/system.slice/db.service",
            "/system.slice/backup.service",
            "/system.slice/new.service",
        ];
        check(CgroupSort::Cpu, 9, &[slice, db, backup, new]);
        check(CgroupSort::Memory, 2, &[slice, db]);
        check(CgroupSort::Io, 2, &[backup, db]);
        check(CgroupSort::Pressure, 1, &[db]);
    }
}
