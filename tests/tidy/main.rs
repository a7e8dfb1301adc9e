//! The house rules that the compiler can't hold, as tests.
//!
//! [`paths`] reads a source file's paths, [`map`] says which room may use which, [`rules`] checks the rest of the
//! sources, [`dependencies`] what the agent links, [`scripts`] what the README and scripts/ promise. A rule that is
//! in the way is changed here, with its reason, not worked around.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the rules are about files, and some are asked of programs")]

mod dependencies;
mod map;
mod paths;
mod rules;
mod scripts;
mod source;
