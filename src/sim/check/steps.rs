//! What a checker that counts by the wall clock must know of its steps.

use crate::model::RecordBody;

use super::Facts;

/// Steps of the wall clock whose records were written. One that a power cut takes with it can't be told from time
/// that has passed while the power was off.
#[derive(Debug, Default)]
pub(super) struct Steps(usize);

impl Steps {
    pub(super) fn count(&mut self, body: &RecordBody) {
        self.0 += usize::from(matches!(body, RecordBody::ClockStepped { .. }));
    }

    /// Whether what the disk has kept does not tell all of them.
    pub(super) fn is_lost(&mut self, facts: &Facts<'_>) -> bool {
        let steps = facts.disk.entries().filter(|it| matches!(it.body, RecordBody::ClockStepped { .. }));
        let kept = steps.count();
        std::mem::replace(&mut self.0, kept) > kept
    }
}
