//! What to simulate, and how it ended.

use super::check::Violation;
use super::hazard::{Hazard, Weights};
use super::policy::Wishes;
use super::run::HOUR;
use super::transcript::Transcript;
use super::world::{Moment, World};

/// What is broken in the shell on purpose, to see that a checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Says that a record is durable before it is.
    EarlyRecorded,
    /// Carries out again after a crash what was under way, without the last look: that alone would stop it.
    SecondAct,
    /// Does not look whether the subject is still in the run that was judged.
    BlindActuator,
    /// Loses synced records in a power cut.
    ForgetfulDisk,
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Simulated time in all.
    pub length: Moment,
    /// What befalls the host; drawn from the seed when not given.
    pub weights: Option<Weights>,
    /// Mean time between two troubles; drawn when not given.
    pub every: Option<Moment>,
    pub sabotage: Option<Sabotage>,
    /// The agent ends at this effect boundary, once; with the power or without.
    pub crash_at: Option<(u64, bool)>,
    pub transcript: bool,
    /// What is to befall the host, and when; nothing befalls it by chance then.
    pub script: Option<Script>,
}

impl Options {
    /// A random life of so many hours.
    #[must_use]
    pub const fn random(seed: u64, hours: u64) -> Self {
        Self {
            seed,
            length: hours * HOUR,
            weights: None,
            every: None,
            sabotage: None,
            crash_at: None,
            transcript: false,
            script: None,
        }
    }
}

/// A story told by hand.
#[derive(Clone, Debug)]
pub struct Script {
    pub world: World,
    pub wishes: Wishes,
    pub events: Vec<(Moment, Hazard)>,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub simulated: Moment,
    pub handled: u64,
    pub effects: u64,
    pub acts: u64,
    pub crashes: u64,
    pub incidents: u64,
    pub repaired: u64,
    pub pages: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub transcript: Transcript,
    pub stats: Stats,
    /// Effect boundaries that were passed: where a crash could have been.
    pub boundaries: u64,
}
