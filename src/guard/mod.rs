//! Plan step → [`Permit`] | refusal. The only maker of a permit.
//!
//! Every guard fails closed: what it needs and does not know is a no, with the reason. Pure: must not touch
//! the clock, the host, or the engine's state beyond what it is handed.

mod permit;

pub use permit::Permit;
