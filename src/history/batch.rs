//! What was read since the last batch: rows in full, and their reduction. In memory; pure.
//!
//! Asks for no memory while nothing new appears: the buffers go to the disk and come back.

use std::time::Duration;

use crate::model::{
    BootId, DeviceNumbers, FilesystemStatus, Gap, HistoryTier, HostNumbers, HostSecond, HostVitals,
    InterfaceKind, InterfaceNumbers, Reading, Timestamp,
};

use super::catalogue::{self, Group, cells};
use super::frame::FRAME_BYTES_MAX;
use super::reduce::Sum;
use super::rows::{Content, FIELDS_MAX, Last, NAME_BYTES_MAX, SUBJECTS_MAX};

/// As long as a batch grows, and a row of the reduced tier tells of. Rows come a moment early or late: the sixtieth
/// second is the sixtieth row.
const BATCH: Duration = Duration::from_millis(60_000 - 500);
/// A clock that moved by so much against the time since boot was set; less is slewed. As the agent's own detector.
pub(super) const CLOCK_STEP_MS: u64 = 2000;
/// A batch of so many bytes goes early. Half a frame: one round of rows of every subject still fits behind it.
const EARLY: usize = FRAME_BYTES_MAX / 2;
/// The longest row with its subject's name: every field 64 bits.
const ROW_BYTES_MAX: usize = 3 * 10 * FIELDS_MAX + NAME_BYTES_MAX + 32;
/// Disks and interfaces that are kept, each. More is a host of a kind that has its own means.
const DEVICES_MAX: usize = 32;
/// File systems that are kept.
const FILESYSTEMS_MAX: usize = 64;

/// Bytes on their way to the disk.
#[derive(Debug)]
pub struct Batch {
    pub(super) boot: BootId,
    pub(super) begin: Timestamp,
    full: Vec<u8>,
    reduced: Vec<u8>,
    rows: u64,
}

impl Batch {
    /// One without rows, for its buffers.
    #[must_use]
    pub const fn empty(boot: BootId, begin: Timestamp) -> Self {
        Self { boot, begin, full: Vec::new(), reduced: Vec::new(), rows: 0 }
    }

    /// Rows of the full tier.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn content(&self, tier: HistoryTier) -> &[u8] {
        match tier {
            HistoryTier::Full => &self.full,
            HistoryTier::Reduced => &self.reduced,
        }
    }
}

#[derive(Debug)]
struct Subject {
    group: Group,
    name: Box<str>,
    /// In the batch's full content.
    number: Option<u32>,
    last: Vec<Last>,
    sums: Vec<Sum>,
    rows: u32,
}

impl Subject {
    fn new(group: Group, name: &str, fields: usize) -> Self {
        Self {
            group,
            name: name.into(),
            number: None,
            last: vec![Last::default(); fields],
            sums: vec![Sum::default(); fields],
            rows: 0,
        }
    }

    fn begin_batch(&mut self) {
        self.number = None;
        self.last.fill(Last::default());
        self.sums.fill(Sum::default());
        self.rows = 0;
    }
}

/// Why a batch should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The clock was set: no batch reaches over that.
    ClockSet,
    /// It is a minute old.
    Old,
    /// It is long; for a while, more rows fit into it.
    Long,
}

/// Takes rows, and gives batches.
#[derive(Debug)]
pub struct Recorder {
    boot: BootId,
    begin: Option<Timestamp>,
    full: Content,
    reduced: Content,
    subjects: Vec<Subject>,
    rows: u64,
    rows_lost: u64,
    left_out: [usize; 3],
    filesystems_told: bool,
}

impl Recorder {
    /// Without any row.
    #[must_use]
    pub fn new(boot: BootId) -> Self {
        Self {
            boot,
            begin: None,
            full: Content::default(),
            reduced: Content::default(),
            subjects: Vec::new(),
            rows: 0,
            rows_lost: 0,
            left_out: [0; 3],
            filesystems_told: false,
        }
    }

    /// Whether the batch should go before a row of this time is added.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due(now).is_some()
    }

    /// Why the batch should go before a row of this time is added; nothing when it should not.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        let begin = self.begin?;
        let offset = |at: Timestamp| at.wall.unix_millis().saturating_sub(at.boot.millis());
        if offset(now).abs_diff(offset(begin)) >= CLOCK_STEP_MS {
            Some(Due::ClockSet)
        } else if now.boot.since(begin.boot) >= BATCH {
            Some(Due::Old)
        } else {
            (self.full.bytes.len() >= EARLY).then_some(Due::Long)
        }
    }

    /// The batch, in the buffers of an earlier one; nothing when there is no row.
    pub fn take(&mut self, buffers: Batch) -> Option<Batch> {
        let begin = self.begin?;
        self.reduce(begin);
        let batch = Batch {
            boot: self.boot,
            begin,
            full: std::mem::replace(&mut self.full.bytes, buffers.full),
            reduced: std::mem::replace(&mut self.reduced.bytes, buffers.reduced),
            rows: self.rows,
        };
        self.forget();
        Some(batch)
    }

    /// Drops the batch: nothing can be written, and memory is not for waiting in.
    pub fn drop_batch(&mut self) {
        self.rows_lost += self.rows;
        self.forget();
    }

    fn forget(&mut self) {
        self.full.clear();
        self.reduced.clear();
        self.begin = None;
        self.rows = 0;
        self.filesystems_told = false;
        // What had no row is gone; the host's own are never.
        self.subjects.retain(|subject| subject.rows > 0 || !subject.group.has_subjects());
        self.subjects.iter_mut().for_each(Subject::begin_batch);
    }

    fn reduce(&mut self, begin: Timestamp) {
        for subject in self.subjects.iter().filter(|subject| subject.rows > 0) {
            if self.reduced.bytes.len() + ROW_BYTES_MAX > FRAME_BYTES_MAX {
                self.rows_lost += 1;
                continue;
            }
            let of = (subject.group, subject.sums.len(), &*subject.name);
            self.reduced.begin_row(begin, &mut None, of);
            self.reduced.reduced(subject.rows, &subject.sums);
        }
    }

    /// Whether a batch would hold anything.
    #[must_use]
    pub const fn has_rows(&self) -> bool {
        self.begin.is_some()
    }

    /// Rows of the batch so far.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that were not kept for want of room in memory.
    #[must_use]
    pub const fn rows_lost(&self) -> u64 {
        self.rows_lost
    }

    /// Subjects beyond the bound when they were last told of.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.iter().sum()
    }

    /// A pass of the host.
    pub fn host(&mut self, at: Timestamp, second: &HostSecond) {
        self.row(at, Group::Host, "", cells(&catalogue::HOST, second));
    }

    /// What is told of the host at longer intervals, with each disk and interface.
    pub fn told(&mut self, at: Timestamp, vitals: &HostVitals, numbers: &HostNumbers) {
        self.row(at, Group::Vitals, "", cells(&catalogue::VITALS, vitals));
        self.row(at, Group::Slow, "", cells(&catalogue::SLOW, numbers));
        if let Reading::Value(devices) = &numbers.devices {
            let mut kept = 0;
            devices.iter().take(DEVICES_MAX).for_each(|device: &DeviceNumbers| {
                let row = cells(&catalogue::DISK, device);
                kept += usize::from(self.row(at, Group::Disk, &device.name, row));
            });
            self.left_out[0] = devices.len() - kept + numbers.devices_left_out;
        }
        if let Reading::Value(interfaces) = &numbers.interfaces {
            // Cards first: containers come with an interface each.
            let of = |kind| interfaces.iter().filter(move |it| it.kind == kind);
            let all = of(InterfaceKind::Hardware).chain(of(InterfaceKind::Virtual));
            let mut kept = 0;
            all.clone().take(DEVICES_MAX).for_each(|interface: &InterfaceNumbers| {
                let row = cells(&catalogue::INTERFACE, interface);
                kept += usize::from(self.row(at, Group::Interface, &interface.name, row));
            });
            self.left_out[1] = all.count() - kept + numbers.interfaces_left_out;
        }
    }

    /// The file systems, once a batch: a disk does not fill faster than people look.
    pub fn filesystems(&mut self, at: Timestamp, all: &[FilesystemStatus]) {
        if std::mem::replace(&mut self.filesystems_told, true) {
            return;
        }
        let fits = |it: &&FilesystemStatus| it.mount_point.as_str().len() <= NAME_BYTES_MAX;
        let mut kept = 0;
        for status in all.iter().filter(fits).take(FILESYSTEMS_MAX) {
            let row = cells(&catalogue::FILESYSTEM, status);
            kept += usize::from(self.row(at, Group::Filesystem, status.mount_point.as_str(), row));
        }
        self.left_out[2] = all.len() - kept;
    }

    /// False where the subject is left out: a batch names no more than are read back, however short their lives are.
    pub(super) fn row(
        &mut self,
        at: Timestamp,
        group: Group,
        name: &str,
        cells: impl ExactSizeIterator<Item = Result<i64, Gap>>,
    ) -> bool {
        if self.full.bytes.len() + ROW_BYTES_MAX > FRAME_BYTES_MAX {
            self.rows_lost += 1;
            return true;
        }
        let mut row = [Ok(0); FIELDS_MAX];
        let count = cells.len().min(FIELDS_MAX);
        row.iter_mut().zip(cells).for_each(|(place, cell)| *place = cell);
        let row = &row[..count];
        let known = self.subjects.iter().position(|it| it.group == group && *it.name == *name);
        let named = known.is_some_and(|index| self.subjects[index].number.is_some());
        if !named && self.full.named() >= SUBJECTS_MAX {
            return false;
        }
        let index = known.unwrap_or_else(|| {
            self.subjects.push(Subject::new(group, name, count));
            self.subjects.len() - 1
        });
        let subject = &mut self.subjects[index];
        self.full.begin_row(at, &mut subject.number, (group, count, &subject.name));
        self.full.full(row, &mut subject.last);
        subject.sums.iter_mut().zip(row).for_each(|(sum, cell)| sum.add(*cell));
        subject.rows += 1;
        self.rows += 1;
        self.begin.get_or_insert(at);
        true
    }
}
