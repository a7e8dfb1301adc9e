//! Lists of processors, and small files into memory.
#![expect(clippy::disallowed_methods, reason = "reads the kernel's files")]

use std::io::Read;
use std::path::Path;

use crate::sense::scan::number;

/// How many numbers a kernel list names: `0-3,5` is five (cpuset(7), List format).
#[must_use]
pub fn count_list(bytes: &[u8]) -> Option<u32> {
    let list = bytes.trim_ascii();
    if list.is_empty() {
        return None;
    }
    list.split(|byte| *byte == b',').try_fold(0_u32, |sum, range| {
        let mut ends = range.splitn(2, |byte| *byte == b'-');
        let first = number(ends.next()?)?;
        let last = ends.next().map_or(Some(first), number)?;
        let count = last.checked_sub(first)?.checked_add(1)?;
        sum.checked_add(u32::try_from(count).ok()?)
    })
}

/// The whole of a small file.
///
/// # Errors
/// When it can't be read, or is longer than `most` bytes.
pub fn read_bounded(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(std::io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}
