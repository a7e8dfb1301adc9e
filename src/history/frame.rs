//! A frame: some bytes with their length and checksum, found again among damaged ones. Pure.

use sha2::{Digest, Sha256};

/// What a frame begins with, so that the next one is found behind a damaged one.
const MARK: [u8; 4] = *b"\xf7his";
/// Mark, length, checksum.
pub(super) const ENVELOPE: usize = 4 + 4 + 8;
/// The longest content: a minute of rows of every subject that is kept has a third of it.
pub(super) const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Places of one file that look like a frame and are none. More than damage makes: each is looked at whole.
const FALSE_MARKS_MAX: usize = 1024;

/// Against torn and damaged bytes, not against an enemy, who has root if he can write here.
pub(super) fn checksum(bytes: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut sum = [0; 8];
    sum.copy_from_slice(&digest[..8]);
    sum
}

/// Adds a frame. Its content is at most [`FRAME_BYTES_MAX`] long.
pub(super) fn seal(out: &mut Vec<u8>, content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(content));
    out.extend_from_slice(content);
}

/// The frames of some bytes, in order.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the last whole frame ended.
    pub(super) sound_end: usize,
    /// Stretches between whole frames that are none.
    pub(super) damaged: u64,
    in_damage: bool,
    false_marks: usize,
}

impl<'a> Frames<'a> {
    /// From `at` on.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, sound_end: at, damaged: 0, in_damage: false, false_marks: 0 }
    }

    /// Nothing but whole frames was met, and perhaps an end that was torn.
    pub(super) fn is_sound_but_for_its_end(&self) -> bool {
        let torn = u64::from(self.sound_end < self.bytes.len());
        self.damaged == torn && self.false_marks <= FALSE_MARKS_MAX
    }

    /// The frame that begins here.
    fn here(&self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let (mark, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let content = rest.get(..length).filter(|_| *mark == MARK && length <= FRAME_BYTES_MAX)?;
        (checksum(content) == *sum).then_some(content)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.at < self.bytes.len() {
            if let Some(content) = self.here() {
                self.at += ENVELOPE + content.len();
                self.sound_end = self.at;
                self.in_damage = false;
                return Some(content);
            }
            self.damaged += u64::from(!self.in_damage);
            self.in_damage = true;
            self.false_marks += 1;
            if self.false_marks > FALSE_MARKS_MAX {
                break;
            }
            let from = self.at + 1;
            let next = self.bytes[from..].windows(MARK.len()).position(|window| window == MARK);
            self.at = next.map_or(self.bytes.len(), |next| from + next);
        }
        self.at = self.bytes.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)
    }

    proptest! {
        #[test]
        fn cut_anywhere_what_came_before_is_whole(contents in contents(), cut in 0.0..1.0_f64) {
            let mut bytes = Vec::new();
            contents.iter().for_each(|content| seal(&mut bytes, content));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a few bytes")]
            let cut = (bytes.len() as f64 * cut) as usize;
            let mut frames = Frames::new(&bytes[..cut], 0);
            let found: Vec<&[u8]> = frames.by_ref().collect();
            prop_assert!(found.len() <= contents.len());
            for (found, written) in found.iter().zip(&contents) {
                prop_assert_eq!(found, &written.as_slice());
            }
            let whole: usize = contents[..found.len()].iter().map(|it| it.len() + ENVELOPE).sum();
            prop_assert_eq!(frames.sound_end, whole);
            prop_assert!(found.len() == contents.len() || whole + ENVELOPE + contents[found.len()].len() > cut);
        }

        #[test]
        fn behind_damage_the_rest_is_found(contents in contents(), at in any::<prop::sample::Index>(), by in 1..=u8::MAX) {
            let mut bytes = Vec::new();
            contents.iter().for_each(|content| seal(&mut bytes, content));
            prop_assume!(!bytes.is_empty());
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let found: Vec<Vec<u8>> = Frames::new(&bytes, 0).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(found.len(), contents.len() - 1);
            let mut rest = found.iter().peekable();
            for written in &contents {
                rest.next_if(|found| *found == written);
            }
            prop_assert_eq!(rest.next(), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Frames::new(&bytes, 0).for_each(drop);
        }
    }
}
