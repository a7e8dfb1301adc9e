//! A lease on a file: the one question that the kernel answers without a race on whether anybody can write to it.
//!
//! A read lease is granted only where no descriptor and no mapping is open for writing, and whoever opens the file for
//! writing afterwards waits until it is given back (fcntl(2), `F_SETLEASE`). So it is held for a moment only, and
//! never while anything is written to a disk.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use super::refused::Refused;

/// Which signal tells that somebody waits; the C library has it, the `libc` crate does not for every target.
pub(super) const F_SETSIG: libc::c_int = 10;

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    file: BorrowedFd<'a>,
}

impl<'a> Lease<'a> {
    /// On a file that is open for reading.
    pub(super) fn take(file: BorrowedFd<'a>) -> Result<Self, Refused> {
        // SIGIO, the usual one, would end the process. This one is ignored unless somebody asked for it.
        control(file, F_SETSIG, libc::SIGURG).map_err(Refused::Untold)?;
        match control(file, libc::F_SETLEASE, libc::F_RDLCK) {
            Ok(_) => Ok(Self { file }),
            Err(Errno::AGAIN) => Err(Refused::OpenForWriting),
            // Not of this file system, or without the right to ask (CAP_LEASE).
            Err(errno) => Err(Refused::Untold(errno)),
        }
    }

    /// Nobody waits to write since it was taken.
    pub(super) fn is_undisturbed(&self) -> bool {
        control(self.file, libc::F_GETLEASE, 0) == Ok(libc::F_RDLCK)
    }
}

impl Drop for Lease<'_> {
    /// Closing the file would do it too, but not while a child that is being started still has it.
    fn drop(&mut self) {
        let _ = control(self.file, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

#[expect(unsafe_code, reason = "rustix has no leases")]
pub(super) fn control(
    file: BorrowedFd<'_>,
    command: libc::c_int,
    argument: libc::c_int,
) -> Result<libc::c_int, Errno> {
    // SAFETY: the descriptor is open while it is borrowed. Each of these commands takes a number, and touches no
    // memory.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), command, libc::c_long::from(argument)) };
    if answer < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::NOSYS));
    }
    Ok(answer)
}
