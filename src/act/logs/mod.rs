//! The hands that make room among logs and core dumps, in folders that users may write to: rotated logs and old dumps are
//! removed, live logs archived.
//!
//! Three steps, so that each removal is on record before it happens: [`Search::find`] walks and tells what may go,
//! [`Search::prepare`] opens one file and says what to put on record, [`Ready::remove`] removes it. Each trusts
//! nothing that the one before saw: it looks again, at descriptors. Archiving goes the same way, see [`Archiving`].
//!
//! Must not touch: the ledger, the clock, anything outside of the folders that the policy names, any file that is not
//! of the kind that its folder holds, a rotated log or a core dump, and any file on another file system or mount. No
//! link is followed. What can't be told is a reason to leave a file alone.

mod archive;
mod candidate;
mod digest;
mod dumps;
mod lease;
mod live;
mod names;
mod paths;
mod place;
mod prepare;
mod refused;
mod remove;
mod search;
mod select;
mod walk;

#[cfg(test)]
mod tests;

pub(super) use archive::{Archiving, AwayFolder, Halt};
pub(super) use candidate::{Candidate, LiveLog};
pub(super) use prepare::Ready;
pub(super) use refused::{NoSearch, Refused};
pub(super) use search::{PassedOver, Search};
