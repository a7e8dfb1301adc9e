//! Names as the kernel writes them into its text files: with escapes, decoded only where somebody looks.

use std::fmt;

/// A path of `mountinfo` or `swaps`: blank, tab, line end, `\` and, in some files, `#` stand as `\ooo`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OctalText<'a>(&'a [u8]);

impl<'a> OctalText<'a> {
    pub(super) const fn new(written: &'a [u8]) -> Self {
        Self(written)
    }

    /// As it stands in the file: good for telling one from another.
    #[must_use]
    pub const fn written(self) -> &'a [u8] {
        self.0
    }

    /// What it means, byte by byte: a path may be anything but UTF-8.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        decode(self.0, octal)
    }

    /// Whether it means this path.
    #[must_use]
    pub fn is(self, path: &[u8]) -> bool {
        self.bytes().eq(path.iter().copied())
    }
}

/// A text of `/dev/kmsg`: what can't be printed, and `\`, stand as `\xNN` (`Documentation/ABI/testing/dev-kmsg`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexText<'a>(&'a [u8]);

impl<'a> HexText<'a> {
    pub(super) const fn new(written: &'a [u8]) -> Self {
        Self(written)
    }

    /// As it stands in the record: safe to show, for no control character is left in it.
    #[must_use]
    pub const fn written(self) -> &'a [u8] {
        self.0
    }

    /// What it means, byte by byte.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        decode(self.0, hexadecimal)
    }

    /// Whether it means this text.
    #[must_use]
    pub fn is(self, text: &[u8]) -> bool {
        self.bytes().eq(text.iter().copied())
    }
}

/// The byte behind a `\`, and how long its escape is; `None` where it is none, and the `\` stands for itself.
type Escape = fn(&[u8]) -> Option<(u8, usize)>;

fn octal(after: &[u8]) -> Option<(u8, usize)> {
    let digits = after.first_chunk::<3>()?;
    let value =
        digits.iter().try_fold(0_u32, |sum, digit| Some(sum * 8 + char::from(*digit).to_digit(8)?))?;
    Some((u8::try_from(value).ok()?, 3))
}

fn hexadecimal(after: &[u8]) -> Option<(u8, usize)> {
    let [b'x', high, low] = after.first_chunk::<3>()? else { return None };
    let value = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
    Some((u8::try_from(value).ok()?, 3))
}

fn decode(written: &[u8], escape: Escape) -> impl Iterator<Item = u8> {
    let mut rest = written;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let (byte, length) = match first {
            b'\\' => escape(after).unwrap_or((b'\\', 0)),
            plain => (*plain, 0),
        };
        rest = &after[length..];
        Some(byte)
    })
}

/// As written; what a record of the kernel's never holds unescaped is escaped here, so that it is safe to show.
impl fmt::Display for HexText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b' '..=b'~' => write!(f, "{}", char::from(*byte)),
            other => write!(f, "\\x{other:02x}"),
        })
    }
}

/// As written, where that is text.
impl fmt::Debug for OctalText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for HexText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_half_ones_left_alone() {
        let octal =
            |text: &str, meant: &str| assert!(OctalText::new(text.as_bytes()).is(meant.as_bytes()), "{text}");
        octal("/mnt/a\\040b", "/mnt/a b");
        octal("\\134\\011\\12", "\\\t\\12");
        octal("\\777\\", "\\777\\");
        let hex =
            |text: &str, meant: &str| assert!(HexText::new(text.as_bytes()).is(meant.as_bytes()), "{text}");
        hex("a\\x0ab\\x5c", "a\nb\\");
        hex("\\xg0\\x4", "\\xg0\\x4");
        assert_eq!(HexText::new(b"a\\x0ab\x1b[1m\xff").to_string(), "a\\x0ab\\x1b[1m\\xff");
    }
}
