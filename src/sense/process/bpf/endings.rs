//! The program that is called whenever a task ends (`bpf/endings.bpf.c`), tied to the kernel for a moment at a time.
//!
//! It is loaded at the start, while the right to is still there, and costs the host nothing until it is tied: 33 KB of
//! the kernel's memory and two descriptors. Tying takes no capability since Linux 5.19; where an older kernel refuses,
//! loading says so. What is written is read by [`crate::sense::storm`]: must not know its form.

use std::io::Result;
use std::os::fd::OwnedFd;

use super::load::Loader;
use super::refusal::Refusal;
use super::sys;

/// The loaded program and the value that it writes to.
#[derive(Debug)]
pub struct EndingHook {
    program: OwnedFd,
    value: OwnedFd,
    bytes: usize,
}

/// The hook is in place until this is dropped.
#[derive(Debug)]
pub struct Tied(#[expect(dead_code, reason = "closing it unties")] OwnedFd);

impl EndingHook {
    /// Loads it; `bytes` is the size of what it writes. Needs `CAP_BPF` and `CAP_PERFMON`.
    ///
    /// # Errors
    /// Why there is none here.
    pub fn load(bytes: usize) -> std::result::Result<Self, Refusal> {
        let loader = Loader::of_endings()?;
        let value = sys::create_value(bytes)
            .map_err(|source| Refusal::of("there is no room for what it writes", source))?;
        let program = loader.endings(&value)?;
        Ok(Self { program, value, bytes })
    }

    /// Ties it. From now on the end of every task on the host takes a fraction of a microsecond more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn tie(&self) -> Result<Tied> {
        sys::tie_to_tracepoint(&self.program).map(Tied)
    }

    /// What it has written so far, as much as was asked for when it was loaded.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read(&self) -> Result<Box<[u8]>> {
        let mut value = vec![0; self.bytes].into_boxed_slice();
        sys::read_value(&self.value, &mut value)?;
        Ok(value)
    }
}
