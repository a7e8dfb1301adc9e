//! Why a way can't be taken here, in words for `prunella doctor`.

use std::io::Error;

use rustix::thread::{CapabilitySet, capabilities};
use thiserror::Error;

/// Longest line of the verifier that is told.
const LINE_MAX: usize = 200;
/// What the kernel says of lockdown (kernel_lockdown(7)); the mode in force stands in brackets.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// The modes are three words.
const LOCKDOWN_BYTES: usize = 128;

/// Why there is no table by BPF, or not by this program.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The object is of the other byte order.
    #[error("the programs are compiled for little-endian machines")]
    ByteOrder,
    /// The programs give the numbers of the host; `/proc` shows others.
    #[error("the agent is in a PID namespace of its own, where processes have other numbers")]
    PidNamespace,
    #[error("CAP_BPF and CAP_PERFMON are not granted")]
    Capability,
    /// `CONFIG_DEBUG_INFO_BTF` is off, or the kernel is older than 5.4.
    #[error("the kernel does not describe its types (BTF): {path}")]
    NoTypes { path: &'static str, source: Error },
    #[error("the kernel is too old: it has no {function}")]
    NoFunction { function: &'static str },
    #[error("bpf(2) is refused: by {by}")]
    Refused { by: &'static str, source: Error },
    #[error("{what}")]
    Failed { what: &'static str, source: Error },
    /// Last line of what the verifier says.
    #[error("the kernel does not take the program: {line}")]
    Verifier { line: String, source: Error },
    #[error("{0}")]
    Object(&'static str),
    /// It was loaded, and its first pass went wrong.
    #[error("its first pass failed")]
    FirstPass(#[from] super::PassError),
}

impl Refusal {
    /// Of a command of bpf(2).
    pub(super) fn of(what: &'static str, source: Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) if is_locked_down() => {
                Self::Refused { by: "kernel lockdown", source }
            }
            Some(libc::EPERM) => {
                Self::Refused { by: "a filter of system calls or a security module", source }
            }
            Some(libc::ENOSYS) => Self::Refused { by: "a kernel without BPF", source },
            _ => Self::Failed { what, source },
        }
    }

    /// Of the verifier, with what it said.
    pub(super) fn verifier(source: Error, log: &[u8]) -> Self {
        match last_line(log) {
            Some(line) => Self::Verifier { line, source },
            None => Self::of("the kernel does not take the program", source),
        }
    }
}

/// The last line that says why: those behind it are about how long it took.
fn last_line(log: &[u8]) -> Option<String> {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]);
    let told = |line: &&str| {
        let line = line.trim();
        !(line.is_empty()
            || line.starts_with("processed ")
            || line.starts_with("verification time")
            || line.starts_with("stack depth"))
    };
    let line = text.lines().rev().find(told)?;
    Some(line.trim().chars().take(LINE_MAX).collect())
}

/// Whether this thread may load programs that read the kernel's tasks (capabilities(7); before 5.8 only
/// `CAP_SYS_ADMIN` could, and it still includes both).
pub(super) fn may_load() -> bool {
    capabilities(None).is_ok_and(|sets| {
        let both = CapabilitySet::BPF | CapabilitySet::PERFMON;
        sets.effective.contains(both) || sets.effective.contains(CapabilitySet::SYS_ADMIN)
    })
}

fn is_locked_down() -> bool {
    let read = crate::sense::procfs::read_bounded(LOCKDOWN.as_ref(), LOCKDOWN_BYTES);
    read.is_ok_and(|text| text.contains(&b'[') && !text.starts_with(b"[none]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_told() {
        let log = b"0: R1=ctx() R10=fp0\nR1 invalid mem access 'scalar'\nverification time 40 usec\nstack depth 0\n\
                    processed 3 insns (limit 1000000)\n\0\0\0";
        assert_eq!(last_line(log).as_deref(), Some("R1 invalid mem access 'scalar'"));
        assert_eq!(last_line(b"\0\0"), None);
        assert_eq!(last_line(b"processed 0 insns\n"), None);
    }
}
