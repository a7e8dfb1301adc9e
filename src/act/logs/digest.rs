//! What is kept of a file's content: a hash of its ends. Reads at most 128 KiB, however long the file is.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

/// Of each end.
pub(super) const END: u64 = 64 << 10;
/// Of one read.
const CHUNK: usize = 16 << 10;

/// SHA-256 over the first and the last 64 KiB, in hexadecimal digits; of a shorter file, over all of it. None when it
/// ends before its size.
pub(super) fn digest(file: BorrowedFd<'_>, size: u64) -> rustix::io::Result<Option<String>> {
    digest_of_part(file, 0, size)
}

/// The same, of the part between two places.
pub(super) fn digest_of_part(file: BorrowedFd<'_>, from: u64, to: u64) -> rustix::io::Result<Option<String>> {
    let mut hash = Sha256::new();
    let size = to.saturating_sub(from);
    let head = size.min(END);
    let tail = (size - head).min(END);
    let whole = add(&mut hash, file, from, head)? && add(&mut hash, file, to.saturating_sub(tail), tail)?;
    Ok(whole.then(|| hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// False when the file ends before.
fn add(hash: &mut Sha256, file: BorrowedFd<'_>, mut at: u64, mut length: u64) -> rustix::io::Result<bool> {
    let mut chunk = [0; CHUNK];
    while length > 0 {
        let most = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let read = match rustix::io::pread(file, chunk.get_mut(..most).unwrap_or_default(), at) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(false);
        }
        hash.update(bytes);
        let read = u64::try_from(read).unwrap_or(0);
        (at, length) = (at + read, length.saturating_sub(read));
    }
    Ok(true)
}
