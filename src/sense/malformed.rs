//! Bytes that are not of their documented form.

use thiserror::Error;

/// What was not understood. Lines count from 1. Copying it costs nothing: it names the kind of file, not its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// This line, or a value in it, has an unknown form; others may be good.
    #[error("line {line} of {what} has an unknown form")]
    Line { what: &'static str, line: u32 },
    /// The last line does not end: a number in it may have lost its last digits, so nothing of it counts.
    #[error("{what} breaks off in line {line}")]
    Cut { what: &'static str, line: u32 },
    /// A field that every kernel from 4.18 on has.
    #[error("{what} has no {field}")]
    Lacks { what: &'static str, field: &'static str },
}
