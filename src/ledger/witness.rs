//! A note of the last record that certainly reached the disk, kept outside the database.
//!
//! SQLite takes a damaged end of its log for a transaction that was never finished, and drops it without a
//! word; so does a file that was replaced by an older copy. This note tells. It is written after each synced
//! commit, itself not synced: after a power cut it may be older than the ledger, never newer.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::LedgerError;
use super::folder::open_own;
use super::hash::{ChainId, HASH_BYTES, Place, RecordHash};
use crate::model::{Id128, Seq};

const WITNESS_FILE: &str = "ledger.head";
/// Chain, number, hash, and the SHA-256 of these, which makes a torn note an absent one.
const BODY_BYTES: usize = 16 + 8 + HASH_BYTES;
const NOTE_BYTES: usize = BODY_BYTES + HASH_BYTES;

/// The note's file.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
}

impl Witness {
    pub(super) fn open(dir: &Path) -> Result<Self, LedgerError> {
        Ok(Self { file: open_own(&dir.join(WITNESS_FILE))? })
    }

    /// Notes that `place` is on the disk. Fails without harm: an old note proves less, nothing false.
    pub(super) fn note(&self, chain: ChainId, place: Place) {
        // Overwrites in place: no room is needed, and a reader sees one version or the other.
        let _old_note_is_true_too = self.file.write_all_at(&encode(chain, place), 0);
    }

    /// The place noted for `chain`, if there is one.
    pub(super) fn read(&self, chain: ChainId) -> Option<Place> {
        let mut note = [0; NOTE_BYTES];
        self.file.read_exact_at(&mut note, 0).ok()?;
        decode(&note).filter(|(of, _)| *of == chain).map(|(_, place)| place)
    }
}

fn encode(chain: ChainId, place: Place) -> [u8; NOTE_BYTES] {
    let mut note = [0; NOTE_BYTES];
    note[..16].copy_from_slice(&chain.0.bytes());
    note[16..24].copy_from_slice(&place.seq.0.to_be_bytes());
    note[24..BODY_BYTES].copy_from_slice(place.hash.bytes());
    let sum: [u8; HASH_BYTES] = Sha256::digest(&note[..BODY_BYTES]).into();
    note[BODY_BYTES..].copy_from_slice(&sum);
    note
}

fn decode(note: &[u8; NOTE_BYTES]) -> Option<(ChainId, Place)> {
    let sum: [u8; HASH_BYTES] = Sha256::digest(&note[..BODY_BYTES]).into();
    if note[BODY_BYTES..] != sum {
        return None;
    }
    let chain = ChainId(Id128::from_bytes(note[..16].try_into().ok()?));
    let seq = Seq(u64::from_be_bytes(note[16..24].try_into().ok()?));
    Some((chain, Place { seq, hash: RecordHash::from_slice(&note[24..BODY_BYTES])? }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_note_is_whole_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let witness = Witness::open(dir.path()).unwrap();
        let chain = ChainId(Id128::from_bytes([3; 16]));
        let place = Place::start_of(chain).then(b"{}");
        assert_eq!(witness.read(chain), None);
        witness.note(chain, place);
        assert_eq!(witness.read(chain), Some(place));
        assert_eq!(witness.read(ChainId(Id128::from_bytes([4; 16]))), None);
        for n in 0..NOTE_BYTES as u64 {
            let mut byte = [0];
            witness.file.read_exact_at(&mut byte, n).unwrap();
            witness.file.write_all_at(&[byte[0] ^ 1], n).unwrap();
            assert_eq!(witness.read(chain), None, "byte {n}");
            witness.file.write_all_at(&byte, n).unwrap();
        }
    }
}
