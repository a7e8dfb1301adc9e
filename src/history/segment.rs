//! A file of the history: its name, its header, and what is in it. Pure.

use crate::model::{BootId, BootTime, HistoryTier, Id128, Timestamp, WallTime};

use super::frame::{Frames, checksum, seal};
use super::rows::decode;

/// The form of the files; a file of a later one is left alone. The header has this layout and this checksum in every
/// form: a later one is known by it, and damage is not taken for one.
pub const HISTORY_FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"PRUNHIST";
/// Magic, format, tier, boot, both clocks, checksum.
pub(super) const HEADER_BYTES: usize = 8 + 4 + 4 + 16 + 8 + 8 + 8;
const SUM_BYTES: usize = 8;
/// Digits of the number in a name, so that names sort by it.
const NUMBER_DIGITS: usize = 12;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tier: HistoryTier,
    pub(super) boot: BootId,
    /// When its first row was read.
    pub(super) begin: Timestamp,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// A crash came before it was written, or it was damaged.
    Damaged,
    /// A later version wrote it.
    Newer(u32),
}

const fn tier_code(tier: HistoryTier) -> u8 {
    match tier {
        HistoryTier::Full => 1,
        HistoryTier::Reduced => 2,
    }
}

impl Header {
    pub(super) fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&HISTORY_FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[tier_code(self.tier), 0, 0, 0]);
        bytes.extend_from_slice(&self.boot.0.bytes());
        bytes.extend_from_slice(&self.begin.boot.millis().to_le_bytes());
        bytes.extend_from_slice(&self.begin.wall.unix_millis().to_le_bytes());
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        bytes.try_into().expect("the parts are as long as the whole")
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NoHeader> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(NoHeader::Damaged)?;
        let number = |at: usize| -> [u8; 8] { bytes[at..at + 8].try_into().expect("eight bytes") };
        let format = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        let (content, sum) = bytes.split_at(HEADER_BYTES - SUM_BYTES);
        if bytes[..8] != MAGIC || checksum(content) != *sum {
            return Err(NoHeader::Damaged);
        }
        if format > HISTORY_FORMAT {
            return Err(NoHeader::Newer(format));
        }
        let tier = HistoryTier::ALL.into_iter().find(|tier| tier_code(*tier) == bytes[12]);
        let tier = tier.ok_or(NoHeader::Damaged)?;
        Ok(Self {
            tier,
            boot: BootId(Id128::from_bytes(bytes[16..32].try_into().expect("sixteen bytes"))),
            begin: Timestamp::new(
                BootTime::from_millis(i64::from_le_bytes(number(32))),
                WallTime::from_unix_millis(i64::from_le_bytes(number(40))),
            ),
        })
    }
}

/// The name of a file.
pub(super) fn name_of(tier: HistoryTier, number: u64) -> String {
    format!("{}-{number:0digits$}", tier.as_str(), digits = NUMBER_DIGITS)
}

/// Tier and number of a name; nothing for a name of another form.
pub(super) fn number_of(name: &str) -> Option<(HistoryTier, u64)> {
    let (tier, number) = name.split_once('-')?;
    let tier = HistoryTier::ALL.into_iter().find(|known| known.as_str() == tier)?;
    let number = number.parse().ok()?;
    // Only what is written: no sign, no lack of digits.
    (name_of(tier, number) == name).then_some((tier, number))
}

/// A file of one frame with this content, whatever it is: for tests of what reads it.
#[must_use]
pub fn sealed_segment(tier: HistoryTier, content: &[u8]) -> Vec<u8> {
    let begin = Timestamp::new(BootTime::ZERO, WallTime::from_unix_millis(0));
    let mut bytes = Header { tier, boot: BootId(Id128::from_bytes([0; 16])), begin }.bytes().to_vec();
    seal(&mut bytes, content);
    bytes
}

/// Whether the bytes are a file of the history, and how many rows it holds: for tests that damage files.
#[must_use]
pub fn scan_segment(bytes: &[u8]) -> Option<usize> {
    let header = Header::parse(bytes).ok()?;
    let mut rows = 0;
    for frame in Frames::new(bytes, HEADER_BYTES) {
        decode(frame, header.tier, &mut |row| rows += usize::from(!row.cells.is_empty()));
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_or_says_why_not() {
        let header = Header {
            tier: HistoryTier::Reduced,
            boot: BootId(Id128::from_bytes([7; 16])),
            begin: Timestamp::new(BootTime::from_millis(-5), WallTime::from_unix_millis(1 << 40)),
        };
        let bytes = header.bytes();
        assert_eq!(Header::parse(&bytes), Ok(header));
        for cut in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..cut]), Err(NoHeader::Damaged), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(Header::parse(&damaged), Err(NoHeader::Damaged), "{at}");
        }
        let mut newer = bytes;
        newer[8] = 2;
        let (content, sum) = newer.split_at_mut(HEADER_BYTES - SUM_BYTES);
        sum.copy_from_slice(&checksum(content));
        assert_eq!(Header::parse(&newer), Err(NoHeader::Newer(2)));
    }

    #[test]
    fn names() {
        assert_eq!(name_of(HistoryTier::Full, 17), "full-000000000017");
        assert_eq!(number_of("reduced-000000000003"), Some((HistoryTier::Reduced, 3)));
        for other in ["full-17", "full-+00000000017", "other-000000000017", "full", "full-000000000017.old"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
