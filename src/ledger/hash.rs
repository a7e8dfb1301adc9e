//! The hash chain: each record's hash covers its place, its predecessor and its exact stored bytes.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::model::{Id128, Seq};

/// Domain of a record's hash. A later way of hashing gets another tag, so that no two ways can be mixed up.
const RECORD_TAG: &[u8] = b"prunella-record-1\0";
/// Domain of the hash that stands before the first record of a chain.
const GENESIS_TAG: &[u8] = b"prunella-genesis-1\0";
/// Bytes of a SHA-256.
pub(super) const HASH_BYTES: usize = 32;

/// SHA-256 of a record in its place. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordHash([u8; HASH_BYTES]);

impl RecordHash {
    /// What the first record of `chain` names as its predecessor.
    #[must_use]
    pub fn genesis(chain: ChainId) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(GENESIS_TAG);
        hasher.update(chain.0.bytes());
        Self(hasher.finalize().into())
    }

    /// The hash of the record that stands at `seq` after `previous` and is stored as `json`.
    ///
    /// All parts before the JSON have a fixed length, so that no two inputs run together to the same bytes.
    #[must_use]
    pub fn of(seq: Seq, previous: Self, json: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(RECORD_TAG);
        hasher.update(seq.0.to_be_bytes());
        hasher.update(previous.0);
        hasher.update(json);
        Self(hasher.finalize().into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// From stored bytes, if there are exactly 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_at_checked(HASH_BYTES)?;
        if text.len() != 2 * HASH_BYTES || text.contains('-') {
            return None;
        }
        let mut bytes = [0; HASH_BYTES];
        bytes[..16].copy_from_slice(&Id128::parse(high)?.bytes());
        bytes[16..].copy_from_slice(&Id128::parse(low)?.bytes());
        Some(Self(bytes))
    }
}

impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One chain, from its first record on; random, so that no two chains are taken for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainId(pub Id128);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a chain that can be proven: the record's number and its hash.
///
/// Number 0 is the place before the first record, with the hash [`RecordHash::genesis`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub seq: Seq,
    pub hash: RecordHash,
}

impl Place {
    /// Before the first record.
    #[must_use]
    pub fn start_of(chain: ChainId) -> Self {
        Self { seq: Seq(0), hash: RecordHash::genesis(chain) }
    }

    /// Where a record stored as `json` stands when it comes next.
    #[must_use]
    pub fn then(self, json: &[u8]) -> Self {
        let seq = Seq(self.seq.0 + 1);
        Self { seq, hash: RecordHash::of(seq, self.hash, json) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn hash_covers_place_predecessor_and_bytes() {
        let start = Place::start_of(ChainId(Id128::from_bytes([7; 16])));
        let other = Place::start_of(ChainId(Id128::from_bytes([8; 16])));
        let hashes = [
            start.then(b"{}").hash,
            other.then(b"{}").hash,
            start.then(b"{ }").hash,
            RecordHash::of(Seq(2), start.hash, b"{}"),
        ];
        for (n, hash) in hashes.iter().enumerate() {
            assert!(!hashes[n + 1..].contains(hash));
        }
    }

    /// Fixed for ever: a stored chain must verify in every later version.
    #[test]
    fn first_format_is_pinned() {
        let place = Place::start_of(ChainId(Id128::from_bytes([0; 16]))).then(b"{}");
        insta::assert_snapshot!(place.hash);
    }

    #[test]
    fn text_form_round_trips_and_rejects_others() {
        let hash = RecordHash::of(Seq(1), RecordHash([9; HASH_BYTES]), b"x");
        assert_eq!(RecordHash::parse(&hash.to_string()), Some(hash));
        for bad in
            ["", "00", &"g".repeat(64), &"0".repeat(65), &format!("{}-", "0".repeat(63)), &"é".repeat(32)]
        {
            assert_eq!(RecordHash::parse(bad), None, "{bad}");
        }
        assert_eq!(RecordHash::from_slice(&[0; 31]), None);
        assert_eq!(RecordHash::from_slice(hash.bytes()).unwrap(), hash);
    }
}
