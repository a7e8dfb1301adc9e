//! The records that a run left, seen through a mapping of the kernel's array.
//!
//! The only place that touches that memory. The kernel writes to it while the program runs and at no other time, and
//! what is here copies it out, byte by byte as far as the compiler knows, and never makes a reference into it.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::record::{RECORD_BYTES, Record};

/// Records that the window grows by: a page holds 36 of 4 KiB.
const STEP: usize = 512;

/// A read-only mapping of the first records of an array. As wide as it was ever needed: a mapped page counts as the
/// agent's memory, the array behind it does not.
#[derive(Debug)]
pub(super) struct Window {
    array: OwnedFd,
    /// Records in the array.
    capacity: usize,
    mapped: Option<Mapped>,
}

#[derive(Debug)]
struct Mapped {
    first: NonNull<u8>,
    bytes: usize,
}

#[expect(unsafe_code, reason = "a pointer is not Send by itself")]
// SAFETY: the mapping belongs to this value alone, is of the whole process and not of a thread.
unsafe impl Send for Mapped {}

impl Drop for Mapped {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "unmapping has no safe form")]
        // SAFETY: exactly what `Window::widen` mapped; nothing points into it, for every reader copies.
        let _ = unsafe { munmap(self.first.as_ptr().cast(), self.bytes) };
    }
}

impl Window {
    pub(super) const fn new(array: OwnedFd, capacity: usize) -> Self {
        Self { array, capacity, mapped: None }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The first `count` records, or as many as the array has.
    ///
    /// # Errors
    /// When they can't be mapped.
    pub(super) fn records(&mut self, count: usize) -> rustix::io::Result<impl Iterator<Item = Record>> {
        let count = count.min(self.capacity);
        let mapped = self.widen(count)?;
        Ok((0..count).map(move |number| mapped.record(number)))
    }

    fn widen(&mut self, count: usize) -> rustix::io::Result<&Mapped> {
        let wanted = count.next_multiple_of(STEP).min(self.capacity) * RECORD_BYTES;
        if self.mapped.as_ref().is_none_or(|mapped| mapped.bytes < wanted) {
            // First, so that the two do not count together.
            self.mapped = None;
            #[expect(unsafe_code, reason = "mapping has no safe form")]
            // SAFETY: a new mapping at a place of the kernel's choice, which overlaps nothing. It is read-only and never
            // lent out. Its length is that of whole records of the array; the kernel refuses more than the array has.
            let first = unsafe {
                mmap(std::ptr::null_mut(), wanted, ProtFlags::READ, MapFlags::SHARED, &self.array, 0)?
            };
            let first = NonNull::new(first.cast()).ok_or(rustix::io::Errno::NOMEM)?;
            self.mapped = Some(Mapped { first, bytes: wanted });
        }
        self.mapped.as_ref().ok_or(rustix::io::Errno::NOMEM)
    }
}

impl Mapped {
    fn record(&self, number: usize) -> Record {
        let mut record = Record::EMPTY;
        let at = number * RECORD_BYTES;
        assert!(at + RECORD_BYTES <= self.bytes, "within the window");
        #[expect(unsafe_code, reason = "copies out of a mapping")]
        // SAFETY: the source lies within the mapping (asserted above), which lives as long as `self`; the target is a
        // local of this length. Bytes have no alignment and no invalid values. Nobody writes meanwhile: only the program
        // writes to the array, it runs within a call of the one who holds `&mut Window`, and that call has returned.
        unsafe {
            std::ptr::copy_nonoverlapping(self.first.as_ptr().add(at), record.0.as_mut_ptr(), RECORD_BYTES);
        }
        record
    }
}
