//! Whether two folds of the same records agree.

use crate::model::BootTime;

use super::Memory;

impl Memory {
    /// Forgets attempts that no budget looks at any more.
    pub(in crate::engine) fn forget_attempts_before(&mut self, moment: BootTime) {
        self.host_attempts.forget_before(moment);
        for attempts in self.rule_attempts.values_mut() {
            attempts.forget_before(moment);
        }
        self.rule_attempts.retain(|_, attempts| !attempts.is_empty());
    }

    /// Compares with another fold of the same records. Attempts that no budget looks at any more are dropped by
    /// time and not by a record, so they do not count.
    pub(in crate::engine) fn same_as(&self, other: &Self, now: BootTime) -> Result<(), String> {
        let [mine, theirs] = [self, other].map(|it| {
            let mut it = it.clone();
            it.axis = None;
            it.forget_attempts_before(now);
            it
        });
        if mine == theirs {
            return Ok(());
        }
        let differs = [
            ("incidents", mine.incidents == theirs.incidents),
            ("current incidents", mine.current == theirs.current),
            ("histories", mine.histories == theirs.histories),
            ("attempts of rules", mine.rule_attempts == theirs.rule_attempts),
            ("attempts on the host", mine.host_attempts == theirs.host_attempts),
            ("actions", mine.actions == theirs.actions),
            ("proposals", mine.proposals == theirs.proposals),
            ("denials", mine.denied == theirs.denied),
            ("what is held back", mine.restraints == theirs.restraints),
            ("pauses", mine.pauses == theirs.pauses),
            (
                "operator's stops",
                mine.operator_stopped == theirs.operator_stopped && mine.stopped_runs == theirs.stopped_runs,
            ),
            ("starts owed", mine.owed == theirs.owed),
            ("acts left half done", mine.half_done == theirs.half_done),
            ("what is to be told", mine.untold == theirs.untold),
            ("counts", mine.counts == theirs.counts),
        ];
        let names: Vec<&str> = differs.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
        Err(format!("the folds differ in {}", names.join(", ")))
    }
}
