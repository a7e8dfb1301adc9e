//! Whether the wall clock is kept in step: adjtimex(2). Asks, and never sets.

use rustix::io::Errno;

use crate::model::ClockState;

/// As the kernel answers it now.
///
/// # Errors
/// `EPERM` where a sandbox forbids the call.
pub(super) fn read() -> Result<ClockState, Errno> {
    let answer = ask()?;
    let synchronised = answer.status & libc::STA_UNSYNC == 0;
    let scale = if answer.status & libc::STA_NANO == 0 { 1e3 } else { 1e6 };
    #[expect(clippy::cast_precision_loss, reason = "the kernel bounds the offset to half a second")]
    let (offset, error) = (answer.offset as f64 / scale, answer.maxerror as f64 / 1e3);
    Ok(ClockState { synchronised, offset_ms: offset, error_ms: error })
}

#[expect(unsafe_code, reason = "rustix has no wrapper of adjtimex, and the call takes a pointer")]
fn ask() -> Result<libc::timex, Errno> {
    // SAFETY: `timex` is a plain C struct of integers, for which all zeros are a value. No `modes` are set: the
    // kernel only fills it in.
    let (result, answer) = unsafe {
        let mut answer: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut answer), answer)
    };
    if result < 0 {
        let errno = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&errno).unwrap_or(Errno::NOSYS));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any kernel answers, unless a sandbox forbids it.
    #[test]
    fn this_very_host() {
        match read() {
            Ok(clock) => assert!(clock.offset_ms.abs() <= 1000.0 && clock.error_ms >= 0.0, "{clock:?}"),
            Err(errno) => assert_eq!(errno, Errno::PERM),
        }
    }
}
