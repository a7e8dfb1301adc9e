//! Waiting for a descriptor without a thread of its own.

use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime, to wait for what `interest` names: readable, or the exceptional condition
/// by which the kernel tells of changes in files such as `mountinfo` and `pressure/*`.
///
/// # Errors
/// When the descriptor can't be waited for, or there is no runtime.
pub(super) fn watch(descriptor: OwnedFd, interest: Interest) -> std::io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor that its type can't show")]
    // SAFETY: the `AsyncFd` owns the descriptor, an `OwnedFd` always shows the same number and closes it only
    // when the `AsyncFd` is dropped.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(watched?)
}
