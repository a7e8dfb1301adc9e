//! The core: composes assess, decide, guard and verify; sole owner of the decision state.
//!
//! `handle(Input, now)` returns effects; `next_deadline()` says when to be called again at the latest. Pure:
//! no clock, no I/O, no entropy. What the ledger holds, folded through `recover`, is the state.

mod io;

pub use io::*;
