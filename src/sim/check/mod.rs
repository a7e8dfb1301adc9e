//! The checkers: what must never happen, judged by what the world and the records show, never by the engine's
//! own state. Each owns one promise.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a checker looks at the few things that concern its promise"
)]

mod approvals;
mod budgets;
mod effort;
mod holds;
mod intents;
mod liveness;
mod overlap;
mod pages;
mod steps;
mod tellings;
mod touched;

use std::fmt;

use crate::engine::{RecordTicket, Sizes};
use crate::guard::Permit;
use crate::model::{
    ActionId, BootTime, Command, Entry, InvocationId, Notice, Reading, Remedy, Reply, Timestamp, UnitName,
};
use crate::policy::Policy;

use super::disk::Disk;
use super::policy::Wishes;
use super::told::Told;
use super::world::{Disturbance, Moment, UnitIndex, World};

/// Something that the checkers can see.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// The agent's process begins.
    Born,
    /// It ends, without a word.
    Died,
    /// The disk after that.
    Survived,
    Handled {
        effects: usize,
        next: Option<BootTime>,
    },
    Recorded {
        ticket: RecordTicket,
        entry: &'a Entry,
    },
    /// The engine lets an act go.
    Released {
        permit: &'a Permit,
    },
    /// The actuator gives its first order.
    Began {
        action: ActionId,
        remedy: Remedy,
        subject: UnitIndex,
        judged: &'a Reading<InvocationId>,
        current: &'a Reading<InvocationId>,
    },
    /// The world felt it.
    Disturbed {
        action: ActionId,
        disturbance: Disturbance,
    },
    /// The engine hears of it.
    Reported {
        action: ActionId,
    },
    /// The hook is called.
    Telling {
        notice: &'a Notice,
    },
    /// It took it: people know.
    Told {
        notice: &'a Notice,
        /// By the present life of the agent, not by a hook that outlived an earlier one.
        present: bool,
    },
    Asked {
        command: &'a Command,
    },
    Replied {
        command: &'a Command,
        reply: &'a Reply,
    },
    FoldDiffers {
        what: &'a str,
    },
    Sizes {
        sizes: Sizes,
    },
    /// All trouble has been over for long.
    TheEnd,
    /// The run ends, whatever is still going on.
    Over,
}

/// What is so at that moment.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub now: Timestamp,
    pub t: Moment,
    pub told: &'a Told,
    pub world: &'a World,
    pub policy: &'a Policy,
    pub wishes: &'a Wishes,
    pub disk: &'a Disk,
    pub full_disk: bool,
    /// The wall clock was set after the last agent's end, and this is another boot: no agent can tell that from time
    /// that has passed while the power was off.
    pub set_unseen: bool,
}

impl Facts<'_> {
    fn name(&self, unit: UnitIndex) -> &UnitName {
        &self.world.units[unit].name
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub at: Moment,
    pub checker: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, checker, what } = self;
        write!(f, "{checker}, {}.{:03}s into the run: {what}", at / 1000, at % 1000)
    }
}

/// One promise.
trait Checker: fmt::Debug {
    fn name(&self) -> &'static str;
    /// # Errors
    /// When the promise is broken, in one sentence.
    fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> Result<(), String>;
}

/// All of them.
#[derive(Debug)]
pub(super) struct Checkers {
    checkers: Vec<Box<dyn Checker>>,
    violations: Vec<Violation>,
}

/// More say nothing new.
const VIOLATIONS_MAX: usize = 10;

impl Checkers {
    /// Fresh ones.
    pub(super) fn new() -> Self {
        let checkers: Vec<Box<dyn Checker>> = vec![
            Box::new(intents::Intents::default()),
            Box::new(intents::Order::default()),
            Box::new(holds::Holds),
            Box::new(holds::Pauses::default()),
            Box::new(budgets::Budgets::default()),
            Box::new(budgets::Gaps::default()),
            Box::new(touched::Bystanders::default()),
            Box::new(touched::Identity),
            Box::new(overlap::Overlap::default()),
            Box::new(approvals::Approvals::default()),
            Box::new(approvals::EvidenceFirst::default()),
            Box::new(pages::Pages::default()),
            Box::new(tellings::Tellings::default()),
            Box::new(effort::Effort::default()),
            Box::new(effort::Bounded),
            Box::new(liveness::Liveness::default()),
        ];
        Self { checkers, violations: Vec::new() }
    }

    /// Shows them something; true when one of them objects.
    pub(super) fn see(&mut self, seen: &Seen<'_>, facts: &Facts<'_>) -> bool {
        let before = self.violations.len();
        for checker in &mut self.checkers {
            if let Err(what) = checker.see(seen, facts)
                && self.violations.len() < VIOLATIONS_MAX
            {
                self.violations.push(Violation { at: facts.t, checker: checker.name(), what });
            }
        }
        self.violations.len() > before
    }

    pub(super) fn violations(&self) -> &[Violation] {
        &self.violations
    }
}
