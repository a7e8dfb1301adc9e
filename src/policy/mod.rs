//! What the operator wants: rules, limits, windows, probes, services; validated, and never half-applied.
//!
//! TOML drop-ins → draft → merged → validated [`Policy`]. Owns the rule language and its errors. Must not
//! touch: the host beyond the policy files it is told to read, the engine's state, the clock.

mod limits;
mod predicate;
mod schedule;
mod suggest;
mod types;

pub use limits::*;
pub use predicate::*;
pub use schedule::*;
pub use types::*;
