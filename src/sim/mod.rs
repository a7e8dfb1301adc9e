//! A small simulated host with faults, driven by one seed, and the checkers that watch the engine on it.
//!
//! ```text
//!  hazard ──► world ──► senses ──► Engine ──► disk (what survives) ──► actuator ──► world
//!                │         │          │            │                      │
//!                └─────────┴──────────┴──► check ◄─┴──────────────────────┘
//! ```
//!
//! For tests, `scripts/sim`, and later `prunella drill` and `replay`. Must not be reachable from the daemon. Owns
//! no clock: a run jumps from event to event, and one seed always gives one run.

mod actuator;
mod befall;
mod check;
mod disk;
mod hazard;
mod hook;
mod options;
mod policy;
mod rng;
mod run;
mod scenario;
mod senses;
mod told;
mod transcript;
mod world;

#[cfg(test)]
mod tests;

pub use check::Violation;
pub use hazard::{Hazard, KINDS, Kind, Weather, Weights};
pub use options::{Options, Outcome, Sabotage, Script, Stats};
pub use policy::{Wishes, policy};
pub use rng::Rng;
pub use run::run;
pub use scenario::unit_name;
pub use transcript::Transcript;
pub use world::{Ailment, Moment, Unit, UnitIndex, World};
