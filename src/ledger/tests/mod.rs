//! Tests of the room as a whole.

mod damage;
mod life;
mod room;
pub(in crate::ledger) mod support;
mod writer;
