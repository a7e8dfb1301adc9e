//! `/proc/diskstats` from pass to pass.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::model::{Absence, DeviceNumbers, DeviceRates, Measured, Reading};
use crate::sense::Malformed;
use crate::sense::procfs::{DiskRow, disks};

use super::gather::{Gather, NoPart, Source, measured};
use super::kept::{Kept, Scratch, Trouble};
use super::rates::{self, DiskCounters, DiskParts, Part};
use super::table::Table;

/// `Documentation/admin-guide/devices.txt`. A RAM disk is memory. What a loop device does is done again by the disk
/// that its file lies on.
const RAM_DISKS: u32 = 1;
const LOOP_DEVICES: u32 = 7;

#[derive(Clone, Copy, Debug, Default)]
struct DiskGather {
    busy: Gather,
    reads: Gather,
    writes: Gather,
    read_bytes: Gather,
    written_bytes: Gather,
    wait: Gather,
    queue: Gather,
}

impl DiskGather {
    fn add(&mut self, parts: DiskParts) {
        self.busy.add(parts.busy);
        self.reads.add(parts.reads);
        self.writes.add(parts.writes);
        self.read_bytes.add(parts.read_bytes);
        self.written_bytes.add(parts.written_bytes);
        self.wait.add(parts.wait);
        self.queue.add(parts.queue);
    }

    fn told(&self) -> Option<DeviceRates> {
        Some(DeviceRates {
            busy: self.busy.told(100.0)?,
            reads: self.reads.told(1.0)?,
            writes: self.writes.told(1.0)?,
            read_bytes: self.read_bytes.told(1.0)?,
            written_bytes: self.written_bytes.told(1.0)?,
            await_ms: self.wait.told(1.0).map_or(Reading::Absent(Absence::NotApplicable), Reading::Value),
            queue: self.queue.told(1.0)?,
        })
    }
}

#[derive(Debug)]
struct Held {
    /// A part of a disk: known, so that it is asked for once only, and not told.
    partition: bool,
    counters: DiskCounters,
    in_flight: u64,
    source: Source<DiskGather>,
}

/// The block devices.
#[derive(Debug)]
pub(super) struct Disks {
    file: Kept,
    blocks: PathBuf,
    table: Table<Held>,
    /// Of the newest pass.
    newest: Sum,
    trouble: Option<Trouble>,
}

/// What the whole disks did together in one pass.
#[derive(Debug, Default)]
struct Sum {
    /// The one that was busy for most of it.
    busiest: Part,
    read: Part,
    written: Part,
    any: bool,
    /// Why one of them gave no part.
    missing: Option<NoPart>,
}

impl Sum {
    fn add(&mut self, one: Result<DiskParts, NoPart>) {
        let one = match one {
            Ok(one) => one,
            Err(why) => return self.missing = Some(why),
        };
        if one.busy.amount >= self.busiest.amount {
            self.busiest = one.busy;
        }
        for (sum, one) in [(&mut self.read, one.read_bytes), (&mut self.written, one.written_bytes)] {
            sum.amount += one.amount;
            // All of one pass are over the same time.
            sum.weight = one.weight;
        }
        self.any = true;
    }

    fn part(&self, trouble: Option<Trouble>, pick: fn(&Self) -> Part) -> Result<Part, NoPart> {
        match (trouble, self.missing) {
            (Some(trouble), _) => Err(trouble.into()),
            (None, Some(why)) if !self.any => Err(why),
            (None, _) => Ok(pick(self)),
        }
    }
}

impl Disks {
    pub(super) fn new(proc: &Path, sys: &Path) -> Self {
        Self {
            file: Kept::table(proc.join("diskstats")),
            blocks: sys.join("class/block"),
            table: Table::new(),
            newest: Sum::default(),
            trouble: None,
        }
    }

    /// One pass; `span` are the seconds since the one before.
    pub(super) fn pass(&mut self, scratch: &mut Scratch, span: Result<f64, NoPart>) {
        let Self { file, blocks, table, newest, trouble } = self;
        let taken = file.take(scratch, |bytes| {
            table.begin();
            *newest = Sum::default();
            for row in disks(bytes) {
                if let Some(parts) = take(table, blocks, row, span) {
                    newest.add(parts);
                }
            }
            table.end();
            Ok(())
        });
        *trouble = taken.err();
        if trouble.is_some() {
            // What was counted while nobody could look is of no known time.
            table.clear();
        }
    }

    /// What all did in the newest pass: the busiest in percent, bytes read and written a second.
    pub(super) fn second(&self) -> [Measured; 3] {
        let part = |pick| self.newest.part(self.trouble, pick);
        [
            measured(part(|sum| sum.busiest), 100.0),
            measured(part(|sum| sum.read), 1.0),
            measured(part(|sum| sum.written), 1.0),
        ]
    }

    /// Ends the interval.
    pub(super) fn tell(&mut self) -> (Reading<Vec<DeviceNumbers>>, usize) {
        if let Some(trouble) = self.trouble {
            return (trouble.told(self.file.path()), 0);
        }
        let path = self.file.path();
        let whole = self.table.rows_mut().iter_mut().filter(|row| !row.held.partition);
        let told = whole.map(|row| DeviceNumbers {
            name: row.name.text(),
            device: row.held.counters.device,
            in_flight: row.held.in_flight,
            rates: row.held.source.tell(path, DiskGather::told),
        });
        (Reading::Value(told.collect()), self.table.left_out())
    }

    /// The names of the whole disks.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.table.rows().iter().filter(|row| !row.held.partition).map(|row| row.name.text())
    }
}

/// What a whole disk did.
fn take(
    table: &mut Table<Held>,
    blocks: &Path,
    row: Result<DiskRow<'_>, Malformed>,
    span: Result<f64, NoPart>,
) -> Option<Result<DiskParts, NoPart>> {
    let Ok(row) = row else {
        table.leave_out();
        return None;
    };
    if matches!(row.device.major, RAM_DISKS | LOOP_DEVICES) {
        return None;
    }
    let now = DiskCounters {
        device: row.device,
        reads: row.reads,
        writes: row.writes,
        busy: row.busy,
        weighted: row.weighted,
    };
    // The kernel lists a disk before its partitions.
    let make = || Held { partition: false, counters: now, in_flight: 0, source: Source::new() };
    let (held, new) = table.row(row.name, make)?;
    held.in_flight = row.in_flight;
    if new {
        let partition = is_partition(blocks, row.name);
        let partition = partition.unwrap_or_else(|| named_as_part(table, row.name));
        if let Some(held) = table.newest() {
            held.partition = partition;
        }
        return (!partition).then_some(Err(NoPart::First));
    }
    let parts = span.and_then(|seconds| Ok(rates::disk(&held.counters, &now, seconds)?));
    held.source.add(parts, DiskGather::add);
    held.counters = now;
    (!held.partition).then_some(parts)
}

/// As sysfs says; `None` where it does not show the device.
fn is_partition(blocks: &Path, name: &[u8]) -> Option<bool> {
    let name = std::str::from_utf8(name).ok()?.replace('/', "!");
    let device = blocks.join(name);
    let there = |path: &Path| rustix::fs::access(path, Access::EXISTS).is_ok();
    there(&device).then(|| there(&device.join("partition")))
}

/// Without sysfs: `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn named_as_part(table: &Table<Held>, name: &[u8]) -> bool {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = &name[..name.len() - digits];
    let disk = match stem.strip_suffix(b"p") {
        Some(disk) if disk.last().is_some_and(u8::is_ascii_digit) => disk,
        Some(_) | None => stem,
    };
    digits > 0 && table.rows().iter().any(|row| row.name.as_bytes() == disk)
}
