//! Make room on a file system: remove what the permit names, in steps that are on record first, until there is enough.
//!
//! Must not touch: what lies outside the permit's folders; what [`super::prune`] refuses.

use std::path::Path;

use crate::guard::Permit;
use crate::model::{ActionId, Applied, Bytes, Remedy, Removal, RoomOrder, Timestamp, Usage};

/// Whoever keeps the records and knows whether there is room enough.
pub trait Consent {
    /// Returns when these removals are on record and still wanted. Blocks: whoever makes room has a thread for it.
    ///
    /// # Errors
    /// Why the act is to end here, one sentence.
    fn may_remove(&self, usage: Usage, removals: Vec<Removal>) -> Result<(), String>;
}

/// Uses the permit up. Bounded by its deadline, unless the disk hangs.
pub fn make_room(
    permit: &Permit,
    proc: &Path,
    consent: &dyn Consent,
    now: &dyn Fn() -> Timestamp,
) -> Applied {
    if now().boot > permit.expires().boot {
        return Applied::Withdrawn { why: "its permit had expired".into() };
    }
    Applied::Failed { why: "not yet".into() }
}
