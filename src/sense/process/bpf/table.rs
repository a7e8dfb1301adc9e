//! The whole table in one system call: the program walks the kernel's processes and leaves the records in an array.

use std::os::fd::OwnedFd;

use super::load::Loader;
use super::record::RECORD_BYTES;
use super::refusal::Refusal;
use super::window::Window;
use super::{PassError, Told, sys};
use crate::sense::process::ProcessRow;

/// Processes and threads that one run walks: a tenth of a second of a processor that does nothing else meanwhile, where
/// the kernel can't be preempted.
const TASKS_MAX: u32 = 500_000;

/// Words of `struct pass`, and the place of each.
const PASS_WORDS: usize = 8;
const TASKS_MAX_AT: usize = 0;
const RECORD_SIZE_AT: usize = 2;
const RECORDS_AT: usize = 4;
const PROCESSES_AT: usize = 5;
const THREADS_AT: usize = 6;
const CUT_AT: usize = 7;

/// The loaded program and its array.
#[derive(Debug)]
pub(super) struct TableProgram {
    program: OwnedFd,
    window: Window,
}

impl TableProgram {
    /// With room for so many processes.
    pub(super) fn load(loader: &Loader, room: usize) -> Result<Self, Refusal> {
        let sizes = u32::try_from(room).ok().zip(u32::try_from(RECORD_BYTES).ok());
        let (entries, size) = sizes.ok_or(Refusal::Object("the array would be too large"))?;
        let array = sys::create_array(entries, size)
            .map_err(|source| Refusal::of("there is no room for the table", source))?;
        let program = loader.table(&array)?;
        Ok(Self { program, window: Window::new(array, room) })
    }

    pub(super) fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Result<Told, PassError> {
        let mut pass = [0; PASS_WORDS];
        pass[TASKS_MAX_AT] = TASKS_MAX;
        sys::run(&self.program, &mut pass).map_err(PassError::Run)?;
        if usize::try_from(pass[RECORD_SIZE_AT]) != Ok(RECORD_BYTES) {
            return Err(PassError::Layout);
        }
        if pass[CUT_AT] != 0 {
            return Err(PassError::TooManyThreads { most: TASKS_MAX });
        }
        let count = usize::try_from(pass[RECORDS_AT]).unwrap_or(usize::MAX).min(self.window.capacity());
        let records = self.window.records(count).map_err(|error| PassError::Map(error.into()))?;
        let mut told = Told { processes: pass[PROCESSES_AT], threads: pass[THREADS_AT], ..Told::default() };
        for record in records {
            told.take(record, rows);
        }
        Ok(told)
    }
}
