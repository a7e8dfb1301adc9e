//! The table read through the descriptor of an iterator: the kernel calls the program for each task and hands out what
//! it wrote, up to 32 KiB for each read(2).

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::load::Loader;
use super::record::{RECORD_BYTES, Record};
use super::refusal::Refusal;
use super::{PassError, Told, sys};
use crate::sense::process::ProcessRow;

/// What the kernel gathers before it hands out (`bpf_seq_read`: eight pages); more room would stay empty.
const READ_BYTES: usize = 32 * 1024;

/// Processes that are told. Those over it are counted.
const ROWS_MAX: usize = 65_536;

/// Reads without an answer that are tried again: the kernel looks at a million tasks before it gives up one.
const EMPTY_READS_MAX: u32 = 16;

/// The loaded program, tied to the kernel's tasks.
#[derive(Debug)]
pub(super) struct LinesProgram {
    link: OwnedFd,
    buffer: Box<[u8]>,
}

impl LinesProgram {
    pub(super) fn load(loader: &Loader) -> Result<Self, Refusal> {
        let program = loader.lines()?;
        let link = sys::link_iterator(&program)
            .map_err(|source| Refusal::of("the kernel does not tie the program to its tasks", source))?;
        Ok(Self { link, buffer: vec![0; READ_BYTES].into() })
    }

    pub(super) fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Result<Told, PassError> {
        let pass = sys::open_iterator(&self.link).map_err(PassError::Run)?;
        let (mut kept, mut empty) = (0, 0);
        let mut told = Told::default();
        loop {
            match rustix::io::read(&pass, &mut self.buffer[kept..]) {
                Ok(0) if kept == 0 => return Ok(told),
                Ok(0) => return Err(PassError::Layout),
                Ok(length) => {
                    let filled = kept + length;
                    let (records, rest) = self.buffer[..filled].as_chunks::<RECORD_BYTES>();
                    for record in records {
                        told.processes += 1;
                        if rows.len() < ROWS_MAX {
                            told.take(Record(*record), rows);
                        }
                    }
                    kept = rest.len();
                    self.buffer.copy_within(filled - kept..filled, 0);
                }
                Err(Errno::AGAIN | Errno::INTR) if empty < EMPTY_READS_MAX => empty += 1,
                Err(error) => return Err(PassError::Run(error.into())),
            }
        }
    }
}
