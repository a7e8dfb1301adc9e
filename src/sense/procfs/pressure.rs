//! `/proc/pressure/*` and `*.pressure` of control groups (`Documentation/accounting/psi.rst`).

use std::time::Duration;

use super::text::{decimal, fields, number};
use crate::model::{Absence, Percent, Pressure, PressureAverages, Reading};

/// Both lines. A kernel that has no `full` line for a resource says so by leaving it out.
#[must_use]
pub fn parse_pressure(bytes: &[u8]) -> Option<Pressure> {
    let (mut some, mut full) = (None, None);
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut fields = fields(line);
        match fields.next() {
            Some(b"some") => some = Some(averages(fields)?),
            Some(b"full") => full = Some(averages(fields)?),
            Some(_) => return None,
            None => {}
        }
    }
    let full = full.map_or(Reading::Absent(Absence::Unsupported), Reading::Value);
    Some(Pressure { some: Reading::Value(some?), full })
}

fn averages<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<PressureAverages> {
    let (mut avg10, mut avg60, mut avg300, mut total) = (None, None, None, None);
    for field in fields {
        let at = field.iter().position(|byte| *byte == b'=')?;
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
