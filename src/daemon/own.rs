//! Watches what the agent itself takes, and has it look less often while that is too much.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::engine::Input;
use crate::model::{Bytes, OwnBudget, OwnUse, Percent, Slowdown};
use crate::sense::own::{OwnReader, Taken, Thrift};

use super::effects::Hands;

/// One window: long enough that a person who asks for everything at once does not count as a habit.
const WINDOW: Duration = Duration::from_secs(60);
/// Half of `MemoryMax=` in the unit: there is time to tell before the kernel ends the agent. On a host with 5,000 units
/// it takes 25 MB.
const MEMORY_MAX: Bytes = Bytes(128 << 20);

/// How much less often is looked at present, for every task and thread that looks at intervals of its own. The tripwire
/// of the memory, probes, and news that the host tells by itself are never slowed.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<AtomicU32>);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(Slowdown::NONE.times())))
    }

    /// So many times less often.
    pub(super) fn times(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// What would be waited, by an agent that looks so many times less often.
    pub(super) fn slow(&self, pause: Duration) -> Duration {
        pause.saturating_mul(self.times())
    }

    fn set(&self, slowdown: Slowdown) {
        self.0.store(slowdown.times(), Ordering::Relaxed);
    }
}

/// Watches for ever.
pub(super) async fn watch_own_use(hands: Hands, proc: &'static Path) {
    let mut thrift = Thrift::default();
    let mut beats = hands.beats().listen();
    // The start itself is dearer than all that follows, and no measure of it.
    beats.reach(beats.after(WINDOW)).await;
    let mut reader = OwnReader::new(proc);
    let mut before = Slowdown::NONE;
    loop {
        beats.reach(beats.after(WINDOW)).await;
        let taken = reader.read();
        if hands.rooms().take_worked() {
            // Compressing logs takes a processor, and does not recur by itself.
            continue;
        }
        let budget = OwnBudget { cpu: Percent(hands.cpu_budget()), memory: MEMORY_MAX };
        let slowdown = thrift.take(&taken, budget);
        hands.pace().set(slowdown);
        if slowdown != before {
            log_change(&taken, budget, slowdown);
            before = slowdown;
        }
        let Taken { cpu, window, memory, threads, open_files } = taken;
        let own = OwnUse { cpu, window, memory, threads, open_files, budget, slowdown };
        hands.tell(Input::OwnUse(Box::new(own))).await;
    }
}

fn log_change(taken: &Taken, budget: OwnBudget, slowdown: Slowdown) {
    let memory = taken.memory.value().map(ToString::to_string);
    tracing::warn!(
        cpu = %taken.cpu,
        cpu_budget = %budget.cpu,
        memory = memory.as_deref().unwrap_or("unknown"),
        memory_budget = %budget.memory,
        times = slowdown.times(),
        "what the agent itself takes has changed how often it looks"
    );
}
