//! The kernel's log, `/dev/kmsg`: a record, and what its message means.
//!
//! Owns the record's format (`Documentation/ABI/testing/dev-kmsg`) and the closed list of messages that the agent
//! understands, from Linux 4.18 to 6.18. Parsers alone: bytes in, values out, nothing kept. Must not read the device,
//! join records or judge.
//!
//! **Who wrote it.** Whoever may write to `/dev/kmsg` can write any text, but not as the kernel: the kernel turns
//! facility 0 of such a record into 1. So only facility 0 is looked into ([`Record::is_kernel`]). Inside the kernel's
//! own lines some text is still chosen by others: the name of a process (15 bytes, any), the path of a control group,
//! the name of an interface of a user's own network namespace. So every pattern is anchored at the start of the
//! line, is longer than such a name could fake there, and takes names from their known end. A meaning says what to
//! look at; what acts on it confirms it by another reading.

mod filesystem;
mod hardware;
mod meaning;
mod network;
mod oom;
mod record;
mod storage;
mod stuck;
#[cfg(test)]
mod tests;
mod text;

pub use filesystem::{FilesystemKind, FilesystemTrouble};
pub use hardware::{MachineCheck, Sensor};
pub use meaning::Meaning;
pub use network::TableFull;
pub use oom::{OomConstraint, OomScope};
pub use record::{Level, Record};
pub use storage::{AtaTrouble, IoErrorKind, NvmeTrouble};
pub use stuck::KernelFault;
