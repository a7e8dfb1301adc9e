//! Numbers out of bytes, and small files into memory.
#![expect(clippy::disallowed_methods, reason = "reads the kernel's files")]

use std::io::Read;
use std::path::Path;

/// The fields between blanks.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty())
}

/// A decimal number and nothing else.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// A decimal with or without a fraction, not negative: `12.34`.
pub(super) fn decimal(bytes: &[u8]) -> Option<f64> {
    let plain = bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !plain {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

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
