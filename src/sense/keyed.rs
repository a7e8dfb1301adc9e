//! Files of one `KEY VALUE` a line: `meminfo`, `vmstat`, `cpu.stat`, `memory.events` …
//!
//! [`keyed!`] writes the struct and its parser in one place. Three kinds of field: `needed` is there since Linux 4.18
//! at the latest, and a file without it is malformed; `later` is `None` on a kernel, or in a configuration, that does
//! not have it; `sum` adds up several keys and is `None` when none of them is there. A key that is not named is passed
//! over: a later kernel's.

use super::malformed::Malformed;
use super::scan::{lines, number};

/// One line of such a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a [u8],
    /// Without the blanks around it.
    pub(super) value: &'a [u8],
    pub(super) line: u32,
}

/// The lines, split at their first blank.
pub(super) fn pairs<'a>(
    what: &'static str,
    bytes: &'a [u8],
) -> impl Iterator<Item = Result<Pair<'a>, Malformed>> {
    lines(what, bytes).map(|line| {
        let line = line?;
        let blank = line.text.iter().position(u8::is_ascii_whitespace).unwrap_or(line.text.len());
        let (key, value) = line.text.split_at(blank);
        Ok(Pair { key, value: value.trim_ascii(), line: line.number })
    })
}

/// A value that is a number and nothing else.
pub(super) fn plain(value: &[u8]) -> Option<u64> {
    number(value)
}

macro_rules! keyed {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident of $what:literal by $value:path {
            $( $(#[$doc:meta])* $kind:ident $field:ident: $type:ty = $($key:literal)|+ ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $name {
            $( $(#[$doc])* $vis $field: $crate::sense::keyed::keyed!(@type $kind $type), )*
        }

        impl $name {
            /// From the whole file.
            ///
            /// # Errors
            /// When a value has another form, a needed one is missing or the last line does not end.
            $vis fn parse(bytes: &[u8]) -> Result<Self, $crate::sense::Malformed> {
                $( let mut $field: Option<u64> = None; )*
                for pair in $crate::sense::keyed::pairs($what, bytes) {
                    let pair = pair?;
                    let place = match pair.key {
                        $( $($key)|+ => (&mut $field, $crate::sense::keyed::keyed!(@adds $kind)), )*
                        _ => continue,
                    };
                    let value = $value(pair.value).and_then(|value| match (place.1, &*place.0) {
                        (true, Some(sum)) => sum.checked_add(value),
                        (true, None) | (false, _) => Some(value),
                    });
                    let malformed = $crate::sense::Malformed::Line { what: $what, line: pair.line };
                    *place.0 = Some(value.ok_or(malformed)?);
                }
                Ok(Self { $( $field: $crate::sense::keyed::keyed!(@take $kind $type, $field, $what), )* })
            }
        }
    };
    (@type needed $type:ty) => { $type };
    (@type later $type:ty) => { Option<$type> };
    (@type sum $type:ty) => { Option<$type> };
    (@adds needed) => { false };
    (@adds later) => { false };
    (@adds sum) => { true };
    (@take needed $type:ty, $field:ident, $what:literal) => {
        match $field {
            Some(value) => <$type>::from(value),
            None => return Err($crate::sense::Malformed::Lacks { what: $what, field: stringify!($field) }),
        }
    };
    (@take $kind:ident $type:ty, $field:ident, $what:literal) => { $field.map(<$type>::from) };
}
pub(super) use keyed;
