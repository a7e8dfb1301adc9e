//! The process table as the kernel itself fills it, by a BPF program; and the hook that tells who ends ([`EndingHook`]).
//!
//! Owns the files in `bpf/` at the top of the tree and their loading, and the records of the table. Two ways, of the
//! same records:
//!
//! * the *table*: one system call for all processes (Linux 6.7);
//! * *lines*: a read of an iterator's descriptor for each 290 processes (older kernels, from 5.17).
//!
//! The kernel relocates the fields that the program reads (5.17), so there is no loader that stays in memory and no
//! second process that would load in its place: what is looked up in the kernel's own types is six numbers. Loading needs
//! `CAP_BPF` and `CAP_PERFMON`; reading needs neither, see [`give_up_capabilities`].
//!
//! Must not judge, and must not fall back by itself: whoever asks takes procfs when [`probe`] finds no way.

mod endings;
mod kernel_types;
mod lines;
mod load;
mod object;
mod record;
mod refusal;
mod single;
mod sys;
mod table;
#[cfg(test)]
mod tests;
mod window;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use thiserror::Error;

use lines::LinesProgram;
use load::Loader;
use record::Record;
use table::TableProgram;

use super::ProcessRow;
pub use endings::{EndingHook, Tied};
pub use refusal::Refusal;

/// The probed table has room for so many processes at the least: 0.9 MB of the kernel's memory, none of the agent's.
const ROOM_MIN: usize = 8_192;
/// And at the most: 7.3 MB. A host with more has a fault that the number alone tells.
const ROOM_MAX: usize = 65_536;

/// Which program reads the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BpfWay {
    /// The open-coded task iterator: one system call.
    Table,
    /// `iter/task`.
    Lines,
}

impl std::fmt::Display for BpfWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Table => "BPF, one call (open-coded task iterator)",
            Self::Lines => "BPF, read by lines (iter/task)",
        })
    }
}

/// What a pass told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Processes there are.
    pub processes: u32,
    /// Of which so many were told. Fewer: there was no room for the others, and the table has holes.
    pub told: u32,
    /// Threads that were walked for their sums; [`BpfWay::Lines`] does not count them.
    pub threads: u32,
    /// Of these, read from `/proc/PID/stat` instead, without their [`super::Extra`]: those that ended, or whose threads
    /// did, while they were summed up, and process 1 where the kernel keeps it from BPF.
    pub mended: u32,
}

impl Told {
    fn take(&mut self, record: Record, rows: &mut Vec<ProcessRow>) {
        self.told += 1;
        let row = record.row();
        if record.is_torn() {
            self.mended += 1;
            // One that is gone by now, or another, is in the table or not as it likes.
            rows.extend(single::read(row.pid).filter(|read| read.start == row.start));
        } else {
            rows.push(row);
        }
    }
}

/// Why a pass gave no table. What is in the rows then means nothing.
#[derive(Debug, Error)]
pub enum PassError {
    #[error("the BPF program can't be run")]
    Run(#[source] std::io::Error),
    #[error("the BPF program's table can't be mapped")]
    Map(#[source] std::io::Error),
    #[error("the BPF program writes records of another form")]
    Layout,
    #[error("there are more than {most} processes and threads")]
    TooManyThreads { most: u32 },
}

/// A loaded program. Reading needs no capability, and works from any thread.
#[derive(Debug)]
pub struct BpfTable(Loaded);

#[derive(Debug)]
enum Loaded {
    Table(TableProgram),
    Lines(LinesProgram),
}

impl BpfTable {
    /// Loads the program of this way, whether or not there is a better one. `room` is for how many processes the
    /// table has room; [`BpfWay::Lines`] needs none. For what an agent wants, see [`probe`].
    ///
    /// # Errors
    /// Why this way can't be taken here.
    pub fn load(way: BpfWay, room: usize) -> Result<Self, Refusal> {
        Self::by(&Loader::new()?, way, room)
    }

    fn by(loader: &Loader, way: BpfWay, room: usize) -> Result<Self, Refusal> {
        Ok(Self(match way {
            BpfWay::Table => Loaded::Table(TableProgram::load(loader, room)?),
            BpfWay::Lines => Loaded::Lines(LinesProgram::load(loader)?),
        }))
    }

    /// Which way it is.
    #[must_use]
    pub const fn way(&self) -> BpfWay {
        match self.0 {
            Loaded::Table(_) => BpfWay::Table,
            Loaded::Lines(_) => BpfWay::Lines,
        }
    }

    /// One pass: what was in `rows` is replaced. Their order does not matter, and none comes twice. One that began or
    /// ended meanwhile is there or not. Allocates nothing once `rows` has room.
    ///
    /// # Errors
    /// When the kernel refuses, or there are too many threads to walk. The next pass may work again.
    pub fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Result<Told, PassError> {
        rows.clear();
        let mut told = match &mut self.0 {
            Loaded::Table(table) => table.read(rows)?,
            Loaded::Lines(lines) => lines.read(rows)?,
        };
        // It is always there. Kernels have been seen that hide it from BPF, and nothing else.
        if told.told == told.processes && !rows.iter().any(|row| row.pid == 1) {
            rows.extend(single::read(1));
            told.processes += 1;
            told.told += 1;
            told.mended += 1;
        }
        Ok(told)
    }
}

/// What [`probe`] found.
#[derive(Debug)]
pub struct Probe {
    /// The best way that works here; none: procfs.
    pub chosen: Option<BpfTable>,
    /// The better ones, each with the reason why not.
    pub refused: Vec<(BpfWay, Refusal)>,
}

/// Tries the ways, the cheapest first; each must give a pass with this process in it. `processes` is about how many
/// there are: the table has room for twice as many.
///
/// To be called once, and followed by [`give_up_capabilities`]. Blocks while the kernel verifies the program: 0.2 s in
/// a debug build. `refused` is for `prunella doctor`.
#[must_use]
pub fn probe(processes: usize) -> Probe {
    let mut refused = Vec::new();
    let loader = match Loader::new() {
        Ok(loader) => loader,
        // Told of both, so that nobody looks for a second reason.
        Err(refusal) => {
            refused.push((BpfWay::Table, refusal));
            return Probe { chosen: None, refused };
        }
    };
    for way in [BpfWay::Table, BpfWay::Lines] {
        match tried(&loader, way, processes) {
            Ok(table) => return Probe { chosen: Some(table), refused },
            Err(refusal) => refused.push((way, refusal)),
        }
    }
    Probe { chosen: None, refused }
}

/// Loads one and has a look at what it gives.
fn tried(loader: &Loader, way: BpfWay, processes: usize) -> Result<BpfTable, Refusal> {
    let room = processes.saturating_mul(2).next_power_of_two().clamp(ROOM_MIN, ROOM_MAX);
    let mut table = BpfTable::by(loader, way, room)?;
    let mut rows = Vec::with_capacity(processes);
    table.read(&mut rows)?;
    let this = rustix::process::getpid().as_raw_pid();
    if rows.iter().any(|row| row.pid == this) { Ok(table) } else { Err(PassError::Layout.into()) }
}

/// Takes `CAP_BPF` and `CAP_PERFMON` from this thread and all that it makes from now on. With `NoNewPrivileges=` no
/// program that they execute gets them back.
///
/// # Errors
/// When the kernel refuses: then this thread has what it had.
pub fn give_up_capabilities() -> std::io::Result<()> {
    let mut sets = capabilities(None)?;
    let both = CapabilitySet::BPF | CapabilitySet::PERFMON;
    sets.effective.remove(both);
    sets.permitted.remove(both);
    sets.inheritable.remove(both);
    Ok(set_capabilities(None, sets)?)
}
