//! Expectation + later samples → confirmed, refuted or inconclusive. Pure.
//!
//! Must not touch: the clock, the host, or what happens next.
