//! The calling thread reads the disk only when nobody else wants it, and takes the processor last.
#![expect(unsafe_code, reason = "no safe wrapper gives a thread its priority for reading disks")]

/// `IOPRIO_CLASS_IDLE` in the place of the class (ioprio_set(2), linux/ioprio.h).
const IDLE: libc::c_int = 3 << 13;
/// `IOPRIO_WHO_PROCESS`: a thread, and 0 is the one that calls.
const THREAD: libc::c_int = 1;
/// The lowest (setpriority(2)).
const NICEST: i32 = 19;

/// Where the host does not allow it, the look is bounded in time all the same.
pub fn give_way() {
    // SAFETY: three numbers, and no memory is touched.
    let _ = unsafe { libc::syscall(libc::SYS_ioprio_set, THREAD, 0, IDLE) };
    let _ = rustix::process::setpriority_process(None, NICEST);
}
