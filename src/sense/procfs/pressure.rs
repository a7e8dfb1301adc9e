//! `/proc/pressure/*` and `*.pressure` of control groups (`Documentation/accounting/psi.rst`).

use std::time::Duration;

use crate::model::{Absence, Percent, Pressure, PressureAverages, Reading};
use crate::sense::Malformed;
use crate::sense::scan::{decimal, fields, find, lines, number};

const WHAT: &str = "pressure";

/// The lines of one resource. At least one is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PressureLines {
    /// Not for `irq` (6.1).
    pub some: Option<PressureAverages>,
    /// Not for `cpu` before 5.13; of the host's `cpu` always zero.
    pub full: Option<PressureAverages>,
}

impl PressureLines {
    /// From the whole file.
    ///
    /// # Errors
    /// When a line is not understood, none is there, or the last one does not end.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut found = Self { some: None, full: None };
        for line in lines(WHAT, bytes) {
            let line = line?;
            let mut fields = fields(line.text);
            let place = match fields.next() {
                Some(b"some") => &mut found.some,
                Some(b"full") => &mut found.full,
                Some(_) => return Err(Malformed::Line { what: WHAT, line: line.number }),
                None => continue,
            };
            *place = Some(averages(fields).ok_or(Malformed::Line { what: WHAT, line: line.number })?);
        }
        match found {
            Self { some: None, full: None } => Err(Malformed::Lacks { what: WHAT, field: "some" }),
            Self { .. } => Ok(found),
        }
    }
}

/// The same as a reading of cpu, memory or io, all of which have `some`. A kernel that has no `full` line says so
/// by leaving it out.
#[must_use]
pub fn parse_pressure(bytes: &[u8]) -> Option<Pressure> {
    let lines = PressureLines::parse(bytes).ok()?;
    let full = lines.full.map_or(Reading::Absent(Absence::Unsupported), Reading::Value);
    Some(Pressure { some: Reading::Value(lines.some?), full })
}

fn averages<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<PressureAverages> {
    let (mut avg10, mut avg60, mut avg300, mut total) = (None, None, None, None);
    for field in fields {
        let at = find(field, b'=')?;
        let value = &field[at + 1..];
        match &field[..at] {
            b"avg10" => avg10 = Some(Percent(decimal(value)?)),
            b"avg60" => avg60 = Some(Percent(decimal(value)?)),
            b"avg300" => avg300 = Some(Percent(decimal(value)?)),
            b"total" => total = Some(Duration::from_micros(number(value)?)),
            // A field that a later kernel adds is not ours to refuse.
            _ => {}
        }
    }
    Some(PressureAverages { avg10: avg10?, avg60: avg60?, avg300: avg300?, total: total? })
}
