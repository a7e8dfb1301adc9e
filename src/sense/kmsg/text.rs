//! Pieces of messages: a number, a name, a word.

use crate::sense::HexText;
use crate::sense::scan::{number, split_text};

/// The number at the start, and what follows it.
pub(super) fn leading(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    Some((number(&text[..end])?, &text[end..]))
}

/// The same for what is counted in 32 bits: processors, controllers, seconds.
pub(super) fn leading_u32(text: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = leading(text)?;
    Some((u32::try_from(number).ok()?, rest))
}

/// `NAME` and what follows the first place of `end`; the name is one of a device or an interface: without blanks
/// and, as the record writes it, printable.
pub(super) fn name_before<'a>(text: &'a [u8], end: &[u8]) -> Option<(HexText<'a>, &'a [u8])> {
    let (name, rest) = split_text(text, end)?;
    is_name(name).then_some((HexText::new(name), rest))
}

/// Longest name of a device: a filesystem may be named by up to 32 bytes (`s_id`), an interface by 15.
const NAME_MAX: usize = 32;

pub(super) fn is_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// One of the texts stands at the start: what follows it.
pub(super) fn after_any<'a>(text: &'a [u8], starts: &[&[u8]]) -> Option<&'a [u8]> {
    starts.iter().find_map(|start| text.strip_prefix(*start))
}
