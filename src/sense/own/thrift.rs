//! How much less often the agent looks while it takes too much. Pure.

use crate::model::{OwnBudget, Reading, Slowdown};

use super::Taken;

/// Windows in a row that must be cheap enough before the agent looks more often again: a fault that comes and goes is
/// not to make it swing.
const CALM_WINDOWS: u32 = 3;
/// Looking twice as often doubles the cost at the most: below this part of the budget it is still within it.
const CALM_PARTS: f64 = 2.0;

/// The agent's own economy over time.
#[derive(Clone, Copy, Debug)]
pub struct Thrift {
    slowdown: Slowdown,
    /// Cheap windows in a row.
    calm: u32,
}

impl Default for Thrift {
    fn default() -> Self {
        Self { slowdown: Slowdown::NONE, calm: 0 }
    }
}

impl Thrift {
    /// After one more window. Memory that can't be read neither slows the agent nor lets it look more often.
    pub fn take(&mut self, taken: &Taken, budget: OwnBudget) -> Slowdown {
        let fat = match &taken.memory {
            Reading::Value(memory) => Some(*memory > budget.memory),
            Reading::Absent(_) | Reading::Failed(_) => None,
        };
        if taken.cpu.0 > budget.cpu.0 || fat == Some(true) {
            self.calm = 0;
            self.slowdown = self.slowdown.more();
        } else if taken.cpu.0 * CALM_PARTS <= budget.cpu.0 && fat == Some(false) {
            self.calm += 1;
            if self.calm >= CALM_WINDOWS {
                self.calm = 0;
                self.slowdown = self.slowdown.less();
            }
        } else {
            self.calm = 0;
        }
        self.slowdown
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Absence, Bytes, Percent};

    const BUDGET: OwnBudget = OwnBudget { cpu: Percent(2.0), memory: Bytes(1000) };

    fn taken(cpu: f64, memory: Reading<Bytes>) -> Taken {
        Taken {
            cpu: Percent(cpu),
            window: Duration::from_secs(60),
            memory,
            threads: Reading::Value(5),
            open_files: Reading::Value(20),
        }
    }

    fn check(windows: &[(f64, u64)], expected: &[u32]) {
        let mut thrift = Thrift::default();
        let seen: Vec<u32> = windows
            .iter()
            .map(|(cpu, memory)| thrift.take(&taken(*cpu, Reading::Value(Bytes(*memory))), BUDGET).times())
            .collect();
        assert_eq!(seen, expected, "{windows:?}");
    }

    #[test]
    fn too_much_of_either_slows_and_calm_for_a_while_ends_it() {
        check(&[(0.1, 10); 4], &[1; 4]);
        check(&[(2.1, 10), (2.1, 10), (2.1, 10), (2.1, 10)], &[2, 4, 8, 8]);
        check(&[(0.1, 1001), (0.1, 1000), (0.1, 10), (0.1, 10)], &[2, 2, 2, 1]);
        // Between half the budget and all of it nothing changes, and calm is counted anew.
        check(
            &[(3.0, 10), (0.5, 10), (0.5, 10), (1.5, 10), (0.5, 10), (0.5, 10), (0.5, 10)],
            &[2, 2, 2, 2, 2, 2, 1],
        );
    }

    #[test]
    fn memory_that_is_not_known_is_not_calm() {
        let mut thrift = Thrift::default();
        thrift.take(&taken(9.0, Reading::Value(Bytes(1))), BUDGET);
        for _ in 0..9 {
            let slowdown = thrift.take(&taken(0.0, Reading::Absent(Absence::NotObserved)), BUDGET);
            assert_eq!(slowdown.times(), 2);
        }
    }

    proptest! {
        /// Whatever the cost of a look is: the agent settles within its budget, or looks as seldom as it can.
        #[test]
        fn it_settles(per_look in 0.0..40.0_f64) {
            let mut thrift = Thrift::default();
            let mut slowdown = Slowdown::NONE;
            let mut seen = Vec::new();
            for _ in 0..40 {
                let cost = per_look / f64::from(slowdown.times());
                slowdown = thrift.take(&taken(cost, Reading::Value(Bytes(1))), BUDGET);
                seen.push(slowdown);
            }
            let last = seen[seen.len() - 1];
            prop_assert!(last == Slowdown::MAX || per_look / f64::from(last.times()) <= BUDGET.cpu.0);
            prop_assert!(seen[20..].iter().all(|it| *it == last), "it swings: {seen:?}");
        }
    }
}
