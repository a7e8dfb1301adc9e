//! The process table: who runs, and what each of them takes.
//!
//! Several ways lead to the same [`ProcessRow`]s, and the tests compare them field by field. Must not judge.

pub mod bpf;
mod row;

pub use row::{COMM_LEN, Extra, ProcessRow};
