//! `/proc/swaps` (proc_swaps(5)).

use crate::model::Bytes;
use crate::sense::scan::{fields, plain_kib, rows, signed};
use crate::sense::{Malformed, OctalText};

/// One swap area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwapRow<'a> {
    /// Device or file; ends with ` (deleted)` when the file was removed.
    pub path: OctalText<'a>,
    /// `partition` or `file`.
    pub kind: &'a [u8],
    pub size: Bytes,
    pub used: Bytes,
    /// Higher ones are filled first; those that the kernel chose are negative.
    pub priority: i64,
}

/// The swap areas in use; none on a host without swap.
pub fn swaps(bytes: &[u8]) -> impl Iterator<Item = Result<SwapRow<'_>, Malformed>> {
    rows("swaps", bytes, |line| line.starts_with(b"Filename\t"), row)
}

fn row(line: &[u8]) -> Option<SwapRow<'_>> {
    let mut fields = fields(line);
    Some(SwapRow {
        path: OctalText::new(fields.next()?),
        kind: fields.next()?,
        size: plain_kib(fields.next()?)?,
        used: plain_kib(fields.next()?)?,
        priority: signed(fields.next()?)?,
    })
}
