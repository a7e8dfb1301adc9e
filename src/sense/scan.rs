//! Bytes into lines, fields and numbers: what every parser of the kernel's text files is made of.
//!
//! Nothing here allocates, checks for UTF-8 or panics. A line counts only when its end is there: a number that was
//! cut must not be taken for a smaller one. Files that the kernel ends without a line end have parsers of their own,
//! which say so.

use std::time::Duration;

use super::malformed::Malformed;
use crate::model::Bytes;

/// Most digits that can't run over 64 bits.
const SAFE_DIGITS: usize = 19;
/// Most digits of a decimal that a double holds exactly.
const EXACT_DIGITS: usize = 15;

/// Where a byte first stands, eight bytes at a time: `/proc/stat` has one line of tens of thousands of bytes.
pub(super) fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let pattern = LOW * u64::from(wanted);
    let (words, _) = bytes.as_chunks::<8>();
    let whole = words.iter().position(|word| {
        // Has a zero byte where the wanted one was.
        let word = u64::from_le_bytes(*word) ^ pattern;
        word.wrapping_sub(LOW) & !word & HIGH != 0
    });
    let from = whole.unwrap_or(words.len()) * 8;
    bytes[from..].iter().position(|byte| *byte == wanted).map(|at| from + at)
}

/// Where a text first stands.
pub(super) fn find_text(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + find(bytes.get(from..)?, first)?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Where a text last stands.
pub(super) fn rfind_text(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    (0..=bytes.len().checked_sub(wanted.len())?).rev().find(|at| bytes[*at..].starts_with(wanted))
}

/// What stands before and after the first place of a text.
pub(super) fn split_text<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = find_text(bytes, at)?;
    Some((&bytes[..place], &bytes[place + at.len()..]))
}

/// One line without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    pub(super) number: u32,
}

/// The lines of a file. The last one is an error when it has no end.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    what: &'static str,
    rest: &'a [u8],
    number: u32,
}

pub(super) const fn lines<'a>(what: &'static str, bytes: &'a [u8]) -> Lines<'a> {
    Lines { what, rest: bytes, number: 0 }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        match find(self.rest, b'\n') {
            Some(end) => {
                let text = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                Some(Ok(Line { text, number: self.number }))
            }
            None => {
                self.rest = &[];
                Some(Err(Malformed::Cut { what: self.what, line: self.number }))
            }
        }
    }
}

/// The rows of a table, one a line. A row that is not understood is an error in its place and loses no other.
/// `row` gives `None` for it; lines that `passed` names (headings) are no rows.
pub(super) fn rows<'a, T>(
    what: &'static str,
    bytes: &'a [u8],
    passed: fn(&[u8]) -> bool,
    row: fn(&'a [u8]) -> Option<T>,
) -> impl Iterator<Item = Result<T, Malformed>> + Clone {
    lines(what, bytes).filter(move |line| !line.is_ok_and(|line| passed(line.text))).map(move |line| {
        let line = line?;
        row(line.text).ok_or(Malformed::Line { what, line: line.number })
    })
}

/// The only line of a file that has one: what follows it is another format.
pub(super) fn only_line<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], Malformed> {
    let mut lines = lines(what, bytes);
    let line = lines.next().unwrap_or(Err(Malformed::Cut { what, line: 1 }))?;
    match lines.next() {
        None => Ok(line.text),
        Some(_) => Err(Malformed::Line { what, line: 2 }),
    }
}

/// The file's only line, understood.
pub(super) fn one<'a, T>(
    what: &'static str,
    bytes: &'a [u8],
    parse: impl FnOnce(&'a [u8]) -> Option<T>,
) -> Result<T, Malformed> {
    parse(only_line(what, bytes)?).ok_or(Malformed::Line { what, line: 1 })
}

/// The fields between blanks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

pub(super) const fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields(bytes)
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let rest = &self.0[start..];
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        self.0 = &rest[end..];
        Some(&rest[..end])
    }
}

impl<'a> Fields<'a> {
    /// The next field as a number.
    pub(super) fn number(&mut self) -> Option<u64> {
        number(self.next()?)
    }

    /// The next field as a number of a unit.
    pub(super) fn amount<T: From<u64>>(&mut self) -> Option<T> {
        self.number().map(T::from)
    }

    /// The next field as a number, where older kernels end the line before it: `Some(None)`.
    pub(super) fn later<T: From<u64>>(&mut self) -> Option<Option<T>> {
        match self.next() {
            None => Some(None),
            Some(field) => Some(Some(T::from(number(field)?))),
        }
    }
}

/// A decimal number and nothing else.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    if bytes.len() <= SAFE_DIGITS {
        let mut sum = 0_u64;
        for byte in bytes {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            sum = sum * 10 + u64::from(digit);
        }
        return Some(sum);
    }
    bytes.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The same with or without a minus.
pub(super) fn signed(bytes: &[u8]) -> Option<i64> {
    match bytes.strip_prefix(b"-") {
        None => i64::try_from(number(bytes)?).ok(),
        Some(digits) => 0_i64.checked_sub_unsigned(number(digits)?),
    }
}

/// A number that fits a process id, not negative.
pub(super) fn pid(bytes: &[u8]) -> Option<i32> {
    i32::try_from(number(bytes)?).ok()
}

/// Hexadecimal, of 64 bits, without `0x`.
pub(super) fn hex(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(sum << 4 | u64::from(digit))
    })
}

/// The digits of a decimal as one number, and how many of them stand after the point.
fn decimal_parts(bytes: &[u8]) -> Option<(u64, u32)> {
    let Some(point) = bytes.iter().position(|byte| *byte == b'.') else { return Some((number(bytes)?, 0)) };
    let (whole, fraction) = (number(&bytes[..point])?, &bytes[point + 1..]);
    let digits = u32::try_from(fraction.len()).ok()?;
    let all = whole.checked_mul(10_u64.checked_pow(digits)?)?.checked_add(number(fraction)?)?;
    Some((all, digits))
}

/// A decimal with or without a fraction, not negative: `12.34`. Exact to the last bit; longer than the kernel ever
/// writes is not understood.
pub(super) fn decimal(bytes: &[u8]) -> Option<f64> {
    if bytes.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let (all, digits) = decimal_parts(bytes)?;
    // Both are exact, so the quotient is the nearest double, as a full parser would give it.
    #[expect(clippy::cast_precision_loss, reason = "at most 15 digits")]
    let (all, scale) = (all as f64, 10_u64.pow(digits) as f64);
    Some(all / scale)
}

/// Seconds with or without a fraction of at most nine digits.
pub(super) fn seconds(bytes: &[u8]) -> Option<Duration> {
    let (all, digits) = decimal_parts(bytes)?;
    let scale = 10_u64.pow(digits);
    let nanos = (all % scale).checked_mul(10_u64.checked_pow(9_u32.checked_sub(digits)?)?)?;
    Some(Duration::new(all / scale, u32::try_from(nanos).ok()?))
}

/// `123 kB` in bytes; a plain number as it is.
pub(super) fn kib(value: &[u8]) -> Option<u64> {
    let mut fields = fields(value);
    let amount = fields.number()?;
    match fields.next() {
        None => Some(amount),
        Some(b"kB") => amount.checked_mul(1024),
        Some(_) => None,
    }
}

/// Bytes in KiB, without a unit.
pub(super) fn plain_kib(field: &[u8]) -> Option<Bytes> {
    number(field)?.checked_mul(1024).map(Bytes)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
