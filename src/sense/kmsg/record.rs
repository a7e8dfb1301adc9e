//! One record, as one read(2) of `/dev/kmsg` gives it.

use crate::model::Micros;
use crate::sense::scan::{find, lines, number, split_text};
use crate::sense::{HexText, Malformed};

const WHAT: &str = "a record of the kernel's log";

/// How bad the writer thought it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    const fn of(priority: u64) -> Self {
        match priority & 7 {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// A record. The kernel joins the pieces of a line before it shows them; what came in between splits it, and then the
/// later pieces are [`Record::fragment`]s of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// syslog(3)'s: 0 is the kernel, anything else a program.
    pub facility: u64,
    pub level: Level,
    /// Of this boot, without gaps: a gap is what the ring lost, or `EPIPE` told.
    pub sequence: u64,
    /// Since boot, suspend not counted.
    pub at: Micros,
    /// A piece of a line that another record split.
    pub fragment: bool,
    pub text: HexText<'a>,
    /// The lines behind, each ` KEY=value`: see [`Record::detail`].
    details: &'a [u8],
}

impl<'a> Record<'a> {
    /// From `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT` and its lines.
    ///
    /// # Errors
    /// When it is not understood or its last line does not end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut lines = lines(WHAT, bytes);
        let first = lines.next().unwrap_or(Err(Malformed::Cut { what: WHAT, line: 1 }))?;
        let record = Self::line(first.text, &bytes[first.text.len() + 1..])
            .ok_or(Malformed::Line { what: WHAT, line: 1 })?;
        for line in lines {
            let line = line?;
            if !line.text.starts_with(b" ") {
                return Err(Malformed::Line { what: WHAT, line: line.number });
            }
        }
        Ok(record)
    }

    fn line(line: &'a [u8], details: &'a [u8]) -> Option<Self> {
        let end = find(line, b';')?;
        // Later kernels may add fields before the `;`: `caller=T1` came with 5.1.
        let mut fields = line[..end].split(|byte| *byte == b',');
        let priority = number(fields.next()?)?;
        let sequence = number(fields.next()?)?;
        let at = Micros(number(fields.next()?)?);
        let fragment = fields.next()?.contains(&b'c');
        let text = HexText::new(&line[end + 1..]);
        Some(Self {
            facility: priority >> 3,
            level: Level::of(priority),
            sequence,
            at,
            fragment,
            text,
            details,
        })
    }

    /// The kernel wrote it: a program's record has another facility, whatever it asked for.
    #[must_use]
    pub const fn is_kernel(&self) -> bool {
        self.facility == 0
    }

    /// What the driver core added: `SUBSYSTEM`, `DEVICE` (`b8:0`, `n2`, `+pci:0000:00:1f.2`).
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<HexText<'a>> {
        self.details.split(|byte| *byte == b'\n').find_map(|line| {
            let (found, value) = split_text(line.strip_prefix(b" ")?, b"=")?;
            (found == key.as_bytes()).then_some(HexText::new(value))
        })
    }
}
