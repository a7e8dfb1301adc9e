//! Rows as the content of a frame, and back. Pure.
//!
//! A frame begins with both clocks of its first row. Then comes, again and again, either a subject that is named for
//! the first time (its group, how many fields it has, its name), or a row: its subject's number, the time since the row
//! before, and its fields. In full, a bit for each field says whether it differs from this subject's row before in
//! this frame, and only those that do follow. Reduced, each field has its mean and how far the least and the most are
//! from it. Nothing needs another frame to be understood.

use crate::model::{Gap, HistoryTier, Timestamp};

use super::catalogue::Group;
use super::code::{Taken, gap_code, gap_of, put, put_signed, unzigzag, zigzag};
use super::reduce::{Sum, Summary};

/// Fields of one group at the most: a bit each.
pub(super) const FIELDS_MAX: usize = 32;
/// Subjects of a frame at the most: above what is told at once. Who writes holds to it, and who reads insists on it.
pub(super) const SUBJECTS_MAX: usize = 256;
/// The longest name: its length is one byte. A mount point that is longer is not kept.
pub(super) const NAME_BYTES_MAX: usize = 255;

const NAMED: u8 = 0;
const ROW: u8 = 1;

/// How a reduced field is written.
const NO_VALUE: u8 = 0;
const CONSTANT: u8 = 1;
const SPREAD: u8 = 2;
const KIND: u8 = 3;
const SOME_ABSENT: u8 = 4;

/// The newest value of a field, and whether its newest row had one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    value: i64,
    gap: Option<Gap>,
}

/// A frame that is being written.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    begin: Option<Timestamp>,
    /// Of the newest row.
    boot_ms: i64,
    named: u32,
}

impl Content {
    /// Empty, with the room that it had.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
    }

    /// Subjects that were named so far.
    pub(super) const fn named(&self) -> usize {
        self.named as usize
    }

    /// Begins a row. `number` is the subject's in this frame, once it was named.
    pub(super) fn begin_row(
        &mut self,
        at: Timestamp,
        number: &mut Option<u32>,
        (group, fields, name): (Group, usize, &str),
    ) {
        if self.begin.is_none() {
            self.begin = Some(at);
            self.boot_ms = at.boot.millis();
            put_signed(&mut self.bytes, at.boot.millis());
            put_signed(&mut self.bytes, at.wall.unix_millis());
        }
        let known = *number.get_or_insert_with(|| {
            let length = u8::try_from(name.len()).unwrap_or(0);
            self.bytes.extend_from_slice(&[NAMED, group.code(), u8::try_from(fields).unwrap_or(0), length]);
            self.bytes.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
            self.named += 1;
            self.named - 1
        });
        self.bytes.push(ROW);
        put(&mut self.bytes, u64::from(known));
        put_signed(&mut self.bytes, at.boot.millis().saturating_sub(self.boot_ms));
        self.boot_ms = at.boot.millis();
    }

    /// The fields of a row in full; `last` are those of the subject's row before.
    pub(super) fn full(&mut self, cells: &[Result<i64, Gap>], last: &mut [Last]) {
        let mut changed = 0_u64;
        for (index, (cell, last)) in cells.iter().zip(&*last).enumerate() {
            let same = match cell {
                Ok(value) => last.gap.is_none() && *value == last.value,
                Err(gap) => last.gap == Some(*gap),
            };
            changed |= u64::from(!same) << index;
        }
        put(&mut self.bytes, changed);
        for (index, (cell, last)) in cells.iter().zip(last).enumerate() {
            if changed >> index & 1 == 0 {
                continue;
            }
            match cell {
                Ok(value) => {
                    put(&mut self.bytes, zigzag(value.wrapping_sub(last.value)) << 1);
                    *last = Last { value: *value, gap: None };
                }
                Err(gap) => {
                    put(&mut self.bytes, u64::from(gap_code(*gap)) << 1 | 1);
                    last.gap = Some(*gap);
                }
            }
        }
    }

    /// The fields of a minute: of so many rows.
    pub(super) fn reduced(&mut self, rows: u32, sums: &[Sum]) {
        put(&mut self.bytes, u64::from(rows));
        for sum in sums {
            let it = sum.summary();
            let gap = gap_code(it.gap.unwrap_or(Gap::NotObserved));
            if it.values == 0 {
                self.bytes.extend_from_slice(&[NO_VALUE, gap]);
                continue;
            }
            let kind = if it.min == it.max { CONSTANT } else { SPREAD };
            let absent = if it.absent > 0 { SOME_ABSENT } else { 0 };
            self.bytes.push(kind | absent);
            put_signed(&mut self.bytes, it.mean);
            if kind == SPREAD {
                put(&mut self.bytes, it.mean.abs_diff(it.min));
                put(&mut self.bytes, it.max.abs_diff(it.mean));
            }
            if absent > 0 {
                put(&mut self.bytes, u64::from(it.absent));
                self.bytes.push(gap);
            }
        }
    }
}

/// A row as it is read back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// None for a group that this version does not know.
    pub(super) group: Option<Group>,
    pub(super) name: &'a str,
    pub(super) boot_ms: i64,
    pub(super) wall_ms: i64,
    pub(super) cells: &'a [Summary],
}

struct Subject<'a> {
    group: Option<Group>,
    name: &'a str,
    last: Vec<Last>,
}

/// Hands out the rows of a frame. What is not understood ends it; whether nothing was is the answer.
pub(super) fn decode(content: &[u8], tier: HistoryTier, each: &mut dyn FnMut(Row<'_>)) -> bool {
    let mut taken = Taken(content);
    taken.is_empty() || decode_some(&mut taken, tier, each).is_some()
}

fn decode_some(taken: &mut Taken<'_>, tier: HistoryTier, each: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let (begin_ms, wall_ms) = (taken.signed()?, taken.signed()?);
    let mut boot_ms = begin_ms;
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    let mut cells: Vec<Summary> = Vec::with_capacity(FIELDS_MAX);
    while !taken.is_empty() {
        match taken.byte()? {
            NAMED if subjects.len() < SUBJECTS_MAX => subjects.push(subject(taken)?),
            ROW => {
                let subject = subjects.get_mut(usize::try_from(taken.number()?).ok()?)?;
                boot_ms = boot_ms.checked_add(taken.signed()?)?;
                cells.clear();
                match tier {
                    HistoryTier::Full => full(taken, &mut subject.last, &mut cells)?,
                    HistoryTier::Reduced => reduced(taken, subject.last.len(), &mut cells)?,
                }
                let wall_ms = wall_ms.checked_add(boot_ms.checked_sub(begin_ms)?)?;
                each(Row { group: subject.group, name: subject.name, boot_ms, wall_ms, cells: &cells });
            }
            _ => return None,
        }
    }
    Some(())
}

fn subject<'a>(taken: &mut Taken<'a>) -> Option<Subject<'a>> {
    let (code, fields, length) = (taken.byte()?, taken.byte()?, taken.byte()?);
    let name = std::str::from_utf8(taken.bytes(usize::from(length))?).ok()?;
    let fields = usize::from(fields);
    let group = Group::ALL.into_iter().find(|group| group.code() == code);
    (fields <= FIELDS_MAX).then(|| Subject { group, name, last: vec![Last::default(); fields] })
}

fn full(taken: &mut Taken<'_>, last: &mut [Last], cells: &mut Vec<Summary>) -> Option<()> {
    let changed = taken.number()?;
    for (index, last) in last.iter_mut().enumerate() {
        if changed >> index & 1 == 1 {
            let code = taken.number()?;
            if code & 1 == 0 {
                *last = Last { value: last.value.wrapping_add(unzigzag(code >> 1)), gap: None };
            } else {
                last.gap = Some(gap_of(u8::try_from(code >> 1).unwrap_or(u8::MAX)));
            }
        }
        cells.push(Summary::of_one(last.gap.map_or(Ok(last.value), Err)));
    }
    Some(())
}

fn reduced(taken: &mut Taken<'_>, fields: usize, cells: &mut Vec<Summary>) -> Option<()> {
    let rows = u32::try_from(taken.number()?).ok()?;
    for _ in 0..fields {
        let tag = taken.byte()?;
        let cell = match tag & KIND {
            NO_VALUE => Summary { absent: rows, gap: Some(gap_of(taken.byte()?)), ..Summary::default() },
            kind @ (CONSTANT | SPREAD) => {
                let mean = taken.signed()?;
                let mut distance = || if kind == SPREAD { taken.number() } else { Some(0) };
                let (below, above) = (distance()?, distance()?);
                let some_absent = tag & SOME_ABSENT != 0;
                let absent = if some_absent { u32::try_from(taken.number()?).ok()? } else { 0 };
                let gap = if some_absent { Some(gap_of(taken.byte()?)) } else { None };
                Summary {
                    values: rows.checked_sub(absent)?,
                    absent,
                    min: mean.checked_sub_unsigned(below)?,
                    mean,
                    max: mean.checked_add_unsigned(above)?,
                    gap,
                }
            }
            _ => return None,
        };
        cells.push(cell);
    }
    Some(())
}
