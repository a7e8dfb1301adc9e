//! Rows as people read them.

use std::path::Path;
use std::time::Duration;

use super::folder::{FILE_BYTES, Folder};
use super::procfs::length_of;
use super::row::ProcessRow;
use super::table::Known;
use crate::model::{Absence, BootTime, Bytes, Percent, ProcessLine, ProcessPlace, ProcessView, Reading};
use crate::sense::cgroup::GroupPath;
use crate::sense::procfs::{Memberships, StatusRow};

/// Longest path of a group that is shown.
const GROUP_CHARS_MAX: usize = 1024;

/// How this host counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) hertz: u64,
    pub(super) page: Bytes,
}

impl Scale {
    pub(super) fn of_host() -> Self {
        Self {
            hertz: rustix::param::clock_ticks_per_second().max(1),
            page: Bytes(rustix::param::page_size() as u64),
        }
    }

    /// What a row tells; whose it is and where it belongs is not in it.
    pub(super) fn line(self, row: &ProcessRow, now: BootTime) -> ProcessLine {
        let began = BootTime::ZERO + length_of(row.start, self.hertz);
        ProcessLine {
            pid: row.pid,
            start_ticks: row.start.0,
            parent: row.parent,
            name: text(row.name()),
            state: row.state.letter(),
            kernel_thread: row.kernel_thread,
            threads: row.threads,
            age: now.since(began),
            cpu_time: row.cpu,
            resident: row.resident.bytes(self.page).unwrap_or(Bytes(u64::MAX)),
            user: Reading::Absent(Absence::NotObserved),
            place: Reading::Absent(Absence::NotObserved),
        }
    }

    /// One row of a list, at the moment of its pass.
    pub(super) fn view(self, known: &Known<'_>, interval: &Reading<Duration>, now: BootTime) -> ProcessView {
        let seconds = interval.value().map_or(0.0, Duration::as_secs_f64);
        let change =
            known.change.filter(|_| seconds > 0.0).map_or(Reading::Absent(Absence::TooEarly), Reading::Value);
        let storage = known.storage.map_or(Reading::Absent(Absence::NotObserved), Reading::Value);
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let rate = |count: u64| count as f64 / seconds;
        let page = i64::try_from(self.page.0).unwrap_or(i64::MAX);
        let millis =
            i64::try_from(interval.value().map_or(1, |over| over.as_millis().max(1))).unwrap_or(i64::MAX);
        let mut line = self.line(known.row, now);
        if let Some(extra) = known.row.extra {
            line.user = Reading::Value(extra.user);
        }
        ProcessView {
            line,
            cpu: change.clone().map(|change| Percent(change.cpu.as_secs_f64() / seconds * 100.0)),
            growth: change
                .clone()
                .map(|change| change.grown.saturating_mul(page).saturating_mul(1000) / millis),
            minor_faults: change.clone().map(|change| rate(change.minor_faults)),
            major_faults: change.map(|change| rate(change.major_faults)),
            storage_read: storage.clone().map(|rate| rate.read),
            storage_written: storage.map(|rate| rate.written),
            blocked_for: known
                .blocked_since
                .map_or(Reading::Absent(Absence::NotApplicable), |since| Reading::Value(now.since(since))),
        }
    }
}

/// Whose the process is and where it belongs, if it is still the one that was meant.
pub(super) fn complete(line: &mut ProcessLine, folder: &Folder) {
    let mut buffer = [0; FILE_BYTES];
    if folder.start(&mut buffer).is_none_or(|start| start.0 != line.start_ticks) {
        return;
    }
    if line.user.value().is_none() {
        line.user = folder.parse("status", &mut buffer, |bytes| Ok(StatusRow::parse(bytes)?.user.real));
    }
    line.place = place(folder, &mut buffer);
}

/// Where the process of this pid belongs. Absent when it is gone.
#[must_use]
pub fn place_of(proc: &Path, pid: i32) -> Reading<ProcessPlace> {
    match Folder::open(proc, pid) {
        Ok(Some(folder)) => place(&folder, &mut [0; FILE_BYTES]),
        Ok(None) => Reading::Absent(Absence::NotObserved),
        Err(errno) => Reading::Failed(format!("/proc/{pid}: {errno}")),
    }
}

/// Where a process belongs.
pub(super) fn place(folder: &Folder, buffer: &mut [u8]) -> Reading<ProcessPlace> {
    let parsed = folder.parse("cgroup", buffer, |bytes| {
        Ok(Memberships::parse(bytes)?.unit_path().map(|path| {
            let names = GroupPath::parse(path);
            let known = |name: Option<&[u8]>| {
                name.map_or(Reading::Absent(Absence::NotApplicable), |name| Reading::Value(text(name)))
            };
            ProcessPlace {
                cgroup: text(path).chars().take(GROUP_CHARS_MAX).collect(),
                unit: known(names.user_unit.or(names.unit)),
                pod: names
                    .pod
                    .map_or(Reading::Absent(Absence::NotApplicable), |pod| Reading::Value(pod.to_string())),
                container: known(names.container.map(|container| container.id)),
            }
        }))
    });
    match parsed {
        Reading::Value(Some(place)) => Reading::Value(place),
        Reading::Value(None) => Reading::Absent(Absence::NotApplicable),
        Reading::Absent(reason) => Reading::Absent(reason),
        Reading::Failed(error) => Reading::Failed(error),
    }
}

/// Names of others are any bytes.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
