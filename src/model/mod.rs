//! The vocabulary: every word that the other rooms share, as a type that can't be wrong.
//!
//! Owns: time stamps, identities, readings, samples, findings, incidents, remedies, verdicts and records.
//! Must not touch: the clock, files, the network, or any sibling module. Everything may import `model`;
//! `model` imports nobody.

mod approval;
mod cgroup;
mod command;
mod evidence;
mod field;
mod filesystem;
mod finding;
mod history;
mod host;
mod host_news;
mod host_numbers;
mod identity;
mod incident;
mod kernel_log;
mod notice;
mod outcome;
mod probe;
mod process;
mod quantity;
mod reading;
mod record;
mod remedy;
mod sample;
mod snapshot;
mod subject;
mod time;
mod unit;
mod unit_name;
mod verdict;

pub use approval::*;
pub use cgroup::*;
pub use command::*;
pub use evidence::*;
pub use field::*;
pub use filesystem::*;
pub use finding::*;
pub use history::*;
pub use host::*;
pub use host_news::*;
pub use host_numbers::*;
pub use identity::*;
pub use incident::*;
pub use kernel_log::*;
pub use notice::*;
pub use outcome::*;
pub use probe::*;
pub use process::*;
pub use quantity::*;
pub use reading::*;
pub use record::*;
pub use remedy::*;
pub use sample::*;
pub use snapshot::*;
pub use subject::*;
pub use time::*;
pub use unit::*;
pub use unit_name::*;
pub use verdict::*;
