//! The calling thread takes the processor and the disk behind others.
#![expect(unsafe_code, reason = "no safe wrapper gives a thread its priority for reading disks")]

/// `IOPRIO_CLASS_IDLE` in the place of the class (ioprio_set(2), linux/ioprio.h).
const IDLE: libc::c_int = 3 << 13;
/// `IOPRIO_CLASS_BE`, and the last of its eight levels.
const BEST_EFFORT_LAST: libc::c_int = 2 << 13 | 7;
/// `IOPRIO_WHO_PROCESS`: a thread, and 0 is the one that calls.
const THREAD: libc::c_int = 1;
/// The lowest (setpriority(2)).
const NICEST: i32 = 19;
/// As units have it that compress in the background.
const NICE: i32 = 10;

/// For who only looks: it reads the disk only when nobody else wants it, and takes the processor last. Where the host does
/// not allow it, the look is bounded in time all the same.
pub fn give_way() {
    take_place(IDLE, NICEST);
}

/// For who works on files of others, who may have to wait for it: behind them, but never without a share.
pub fn step_back() {
    take_place(BEST_EFFORT_LAST, NICE);
}

fn take_place(disk: libc::c_int, processor: i32) {
    // SAFETY: three numbers, and no memory is touched.
    let _ = unsafe { libc::syscall(libc::SYS_ioprio_set, THREAD, 0, disk) };
    let _ = rustix::process::setpriority_process(None, processor);
}
