//! Conditions → incidents and the next step of a ladder. Pure.
//!
//! Must not touch: the clock, the host, permission (that is `guard`'s) or the outcome (that is `verify`'s).
