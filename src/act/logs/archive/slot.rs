//! What an archive tells of itself while it is being made, so that after a crash it is known how far it came.
//!
//! An archive is a file of gzip members (RFC 1952, section 2.2), which every tool reads as one. The first is empty and
//! carries these words in its extra field; each stage that follows is a member of its own. The words are written in
//! place, within one sector.

use sha2::{Digest as _, Sha256};

use crate::model::WallTime;

/// Magic and method, `FEXTRA` and `FNAME`; no time, no level; made on Unix.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0x04 | 0x08, 0, 0, 0, 0, 0, 3];
/// The same with `FCOMMENT`.
const HEAD_AWAY: [u8; 10] = [0x1f, 0x8b, 8, 0x04 | 0x08 | 0x10, 0, 0, 0, 0, 0, 3];
/// Of the field within the extra field: ours.
const FIELD: [u8; 2] = *b"Pr";
const WORDS: usize = 8 + 8 + 4 * 4 + 4 * 8;
const CHECK: usize = 8;
const SLOT: usize = WORDS + CHECK;
/// Where in the file the words begin.
pub(super) const SLOT_AT: u64 = 10 + 2 + 4;
/// An empty block, its check sum and its length.
const EMPTY: [u8; 10] = [0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The longest first member: its log's name is at most 255 bytes.
pub(super) const FIRST_MAX: usize = 16 + SLOT + 256 + EMPTY.len();
/// The longest path that the kernel takes (`PATH_MAX`).
const FOLDER_MAX: usize = 4096;
/// The same with the folder of its log.
pub(super) const FIRST_AWAY_MAX: usize = FIRST_MAX + FOLDER_MAX + 1;

/// How far an archive came, and of which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) inode: u64,
    pub(super) begun: WallTime,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    /// Its length without the last stage: so much is known to be on the disk.
    pub(super) sealed: u64,
    /// Its length.
    pub(super) length: u64,
    /// The last stage, in bytes of the log.
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Slot {
    /// As they lie in the file, with a check of their own: the check sums of gzip do not reach them.
    pub(super) fn bytes(&self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        let words = [
            &self.inode.to_le_bytes()[..],
            &self.begun.unix_millis().to_le_bytes(),
            &self.uid.to_le_bytes(),
            &self.gid.to_le_bytes(),
            &self.mode.to_le_bytes(),
            &[0; 4],
            &self.sealed.to_le_bytes(),
            &self.length.to_le_bytes(),
            &self.from.to_le_bytes(),
            &self.to.to_le_bytes(),
        ]
        .concat();
        let check = Sha256::digest(&words);
        for (to, from) in bytes.iter_mut().zip(words.iter().chain(check.iter().take(CHECK))) {
            *to = *from;
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, check) = bytes.split_at_checked(WORDS)?;
        if !Sha256::digest(words).starts_with(check) || check.len() != CHECK {
            return None;
        }
        let mut rest = words;
        let mut long = || {
            let (word, behind) = rest.split_first_chunk::<8>()?;
            rest = behind;
            Some(u64::from_le_bytes(*word))
        };
        let (inode, begun) = (long()?, long()?);
        let (owner, mode) = (long()?, long()?);
        let halves = |word: u64| {
            let bytes = word.to_le_bytes();
            let half = |part: &[u8]| part.try_into().map_or(0, u32::from_le_bytes);
            (half(&bytes[..4]), half(&bytes[4..]))
        };
        let ((uid, gid), (mode, _)) = (halves(owner), halves(mode));
        let slot = Self {
            inode,
            begun: WallTime::from_unix_millis(begun.cast_signed()),
            uid,
            gid,
            mode,
            sealed: long()?,
            length: long()?,
            from: long()?,
            to: long()?,
        };
        (slot.sealed <= slot.length && slot.from <= slot.to).then_some(slot)
    }
}

/// What the first member tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct First {
    pub(super) slot: Slot,
    /// The name of its log.
    pub(super) log: Vec<u8>,
    /// Where that is, as a comment: of an archive that is not begun beside it.
    pub(super) folder: Option<Vec<u8>>,
}

impl First {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let head = if self.folder.is_some() { HEAD_AWAY } else { HEAD };
        let field = [&FIELD[..], &le(SLOT)].concat();
        let comment =
            self.folder.iter().flat_map(|folder| folder.iter().chain(&[0])).copied().collect::<Vec<_>>();
        let lengths = [&le(field.len() + SLOT)[..], &field].concat();
        [&head[..], &lengths, &self.slot.bytes(), &self.log, &[0], &comment, &EMPTY].concat()
    }
}

/// None when it is not one of ours, or was not written whole.
pub(super) fn parse_first_member(bytes: &[u8]) -> Option<First> {
    let (is_away, rest) = match bytes.strip_prefix(&HEAD) {
        Some(rest) => (false, rest),
        None => (true, bytes.strip_prefix(&HEAD_AWAY)?),
    };
    let rest = rest.strip_prefix(&le(4 + SLOT))?.strip_prefix(&FIELD)?.strip_prefix(&le(SLOT))?;
    let (slot, rest) = rest.split_at_checked(SLOT)?;
    let (log, rest) = text(rest)?;
    let (folder, rest) =
        if is_away { text(rest).map(|(folder, rest)| (Some(folder), rest))? } else { (None, rest) };
    rest.strip_prefix(&EMPTY)?;
    Some(First { slot: Slot::parse(slot)?, log, folder })
}

/// Up to the zero byte that ends it, and what follows.
fn text(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    Some((text.to_vec(), rest.strip_prefix(&[0])?))
}

/// A length in two bytes; all that are written here fit.
fn le(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(inode: u64, from: u64) -> Slot {
        Slot {
            inode,
            begun: WallTime::from_unix_millis(1_795_458_600_000),
            uid: 33,
            gid: 4,
            mode: 0o640,
            sealed: 200,
            length: 4000,
            from,
            to: u64::MAX,
        }
    }

    fn first() -> First {
        First { slot: slot(7, 9), log: b"app.log".to_vec(), folder: None }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            inode: u64,
            from: u64,
            log in "[a-z.]{1,255}",
            folder in proptest::option::of("/[a-z/]{0,4095}"),
        ) {
            let first = First { slot: slot(inode, from), log: log.into_bytes(), folder: folder.map(String::into_bytes) };
            let bytes = first.bytes();
            let most = if first.folder.is_some() { FIRST_AWAY_MAX } else { FIRST_MAX };
            prop_assert!(bytes.len() <= most);
            prop_assert_eq!(parse_first_member(&bytes), Some(first));
        }

        #[test]
        fn damage_is_noticed(at in 0..90_usize, bit in 0..8_u32) {
            let mut bytes = first().bytes();
            bytes[at] ^= 1 << bit;
            let read = parse_first_member(&bytes);
            // The name of the log is not within the check.
            prop_assert!(read.is_none() || at >= 16 + SLOT);
        }

        #[test]
        fn anything_is_taken_in(bytes: Vec<u8>) {
            let _ = parse_first_member(&bytes);
        }
    }

    #[test]
    fn it_is_an_empty_member_for_others() {
        let first = First { folder: Some(b"/var/log/shop".to_vec()), ..first() };
        let bytes = first.bytes();
        let mut text = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&bytes[..]);
        std::io::Read::read_to_end(&mut decoder, &mut text).expect("it is whole");
        assert!(text.is_empty());
        let header = decoder.header().expect("it has one");
        assert_eq!(header.filename(), Some(&b"app.log"[..]));
        assert_eq!(header.comment(), Some(&b"/var/log/shop"[..]));
    }
}
