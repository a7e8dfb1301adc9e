//! An incident and what is known of its subject → the next step of its ladder. Pure.
//!
//! Must not touch: the clock, the host, permission (that is `guard`'s) or the outcome (that is `verify`'s).

mod backoff;
mod culprit;
mod holders;
mod room;
mod step;

pub use backoff::gap_after;
pub use culprit::{HeldBack, has_untried_host_rung, looks_for_culprits, next_host_step};
pub use holders::unknown_holders;
pub use room::{Asked, Holders, has_untried_rung, with_takers};
pub use step::{Reaction, Step, next_step, on_refusal};

#[cfg(test)]
mod tests;
