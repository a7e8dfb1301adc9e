//! What the operator wants: rules, limits, windows, probes, services; validated, and never half-applied.
//!
//! TOML drop-ins → draft → merged → validated [`Policy`]:
//!
//! ```text
//!  load ──► parse ──► document ──► build ──► Policy
//!  files    TOML      sections,    typed,    or every mistake, each with
//!           errors    merged       checked   file, line, caret and help
//! ```
//!
//! Owns the rule language and its errors. Must not touch: the host beyond the policy files it is told to read
//! (`load` alone does), the engine's state, the clock.

mod build;
mod builtin;
mod diagnostic;
mod document;
mod duration;
mod limits;
mod load;
mod manual;
mod openings;
mod parse;
mod predicate;
mod reference;
mod schedule;
mod section;
mod show;
mod suggest;
mod syntax;
mod types;

pub use builtin::builtin_files;
pub use diagnostic::{ERRORS_MAX, Excerpt, Location, PolicyError, PolicyErrors, SourceFile};
pub use document::{ENTRIES_MAX, NAME_BYTES_MAX};
pub use duration::DURATION_MAX;
pub use limits::*;
pub use load::{Sources, load, load_with, read, watch_paths};
pub use manual::manual;
pub use openings::Openings;
pub use parse::{FILE_BYTES_MAX, FILES_MAX, parse};
pub use predicate::{
    EXPRESSION_BYTES_MAX, EXPRESSION_NESTING_MAX, EXPRESSION_OPERATORS_MAX, Predicate, PredicateError, Truth,
};
pub use reference::reference;
pub use schedule::{Schedule, WINDOW_MAX};
pub use types::*;
