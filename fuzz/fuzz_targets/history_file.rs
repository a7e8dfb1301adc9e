//! Any bytes as a file of the history, as they are, and as the content of a frame whose checksum is right: no panic, and
//! no rows of a file that is cut which the whole has not.
//!
//! The first byte chooses which, the second where it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella::history::{scan_segment, sealed_segment};
use prunella::model::HistoryTier;

/// What a frame begins with (`src/history/frame.rs`).
const FRAME_MARK: &[u8] = b"\xf7his";

fuzz_target!(|input: &[u8]| {
    let [which, cut, bytes @ ..] = input else { return };
    let file = match which % 3 {
        0 => bytes.to_vec(),
        1 => sealed_segment(HistoryTier::Full, bytes),
        _ => sealed_segment(HistoryTier::Reduced, bytes),
    };
    let whole = scan_segment(&file);
    let part = scan_segment(&file[..file.len() * usize::from(*cut) / 256]);
    if which % 3 > 0 {
        assert!(whole.is_some());
        // A frame within the content is one of its own once the frame around it is cut.
        if !bytes.windows(FRAME_MARK.len()).any(|window| window == FRAME_MARK) {
            assert!(part.unwrap_or(0) <= whole.unwrap_or(0));
        }
    }
});
