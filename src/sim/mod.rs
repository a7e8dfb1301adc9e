//! A small simulated host with faults, driven by one seed, and the checkers that watch the engine on it.
//!
//! For tests, `scripts/sim`, and later `prunella drill` and `replay`. Must not be reachable from the daemon.
