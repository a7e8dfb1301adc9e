//! What a message means: the closed list.

use super::filesystem::{self, FilesystemKind, FilesystemTrouble};
use super::hardware::{self, MachineCheck, Sensor};
use super::network::{self, TableFull};
use super::oom::{self, OomConstraint, OomScope};
use super::record::Record;
use super::storage::{self, AtaTrouble, IoErrorKind, NvmeTrouble};
use super::stuck::{self, KernelFault};
use crate::model::Bytes;
use crate::sense::HexText;

/// One understood message, with whom it names.
///
/// Pids are of the initial pid namespace; an interface may be of any network namespace, for the message does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// The kernel killed a process for want of memory.
    OomKill {
        pid: i32,
        comm: HexText<'a>,
        scope: OomScope,
        anonymous: Option<Bytes>,
        user: Option<u32>,
    },
    /// The line before it (5.0; RHEL 8): whose limit it was, and whose process. Paths are `None` where the line
    /// can be read in two ways, because a group's or a process's name was made to look like a part of it.
    OomContext {
        constraint: OomConstraint,
        /// The group whose limit it was; none when the host ran out.
        limited: Option<HexText<'a>>,
        victim_group: Option<HexText<'a>>,
        pid: i32,
        comm: Option<HexText<'a>>,
        user: u32,
    },
    /// The same before 5.0, without the victim's pid.
    OomLimit {
        victim_group: HexText<'a>,
        limited: HexText<'a>,
    },
    /// All of a group is killed (`memory.oom.group`).
    OomGroup {
        group: HexText<'a>,
    },
    /// Nobody could be killed; as a rule the host panics next.
    OomNobody,
    /// A task has not run for so long, waiting for what can't be interrupted.
    HungTask {
        pid: i32,
        comm: HexText<'a>,
        seconds: u64,
    },
    /// A processor ran one task in the kernel for so long.
    SoftLockup {
        cpu: u32,
        seconds: u64,
        pid: i32,
        comm: HexText<'a>,
    },
    /// A processor took no interrupts.
    HardLockup {
        cpu: u32,
    },
    /// A processor or task holds up RCU.
    RcuStall,
    /// A pool of kernel workers is stuck.
    WorkqueueLockup {
        seconds: Option<u64>,
    },
    /// A device failed a request.
    IoError {
        device: HexText<'a>,
        kind: IoErrorKind,
        sector: Option<u64>,
        operation: Option<HexText<'a>>,
    },
    /// A filesystem found itself in trouble.
    Filesystem {
        kind: FilesystemKind,
        device: HexText<'a>,
        trouble: FilesystemTrouble,
    },
    /// A machine check.
    MachineCheck {
        cpu: Option<u32>,
        what: MachineCheck,
    },
    /// ECC memory, by controller: corrected (CE) or not (UE).
    MemoryErrors {
        controller: u32,
        count: u64,
        corrected: bool,
    },
    /// A page of memory failed and is taken out of use.
    MemoryFailure {
        frame: u64,
    },
    Nvme {
        device: HexText<'a>,
        trouble: NvmeTrouble,
    },
    /// By port (`ata1`) or device on it (`ata1.00`).
    Ata {
        port: HexText<'a>,
        trouble: AtaTrouble,
    },
    /// An interface lost or found its carrier.
    Link {
        interface: HexText<'a>,
        up: bool,
    },
    /// A network device did not send what it was given.
    TransmitTimeout {
        interface: HexText<'a>,
    },
    /// A table of the kernel is full.
    TableFull(TableFull),
    /// `pids.max` of a group refused a fork. The kernel says it once for each group.
    ForkRefused {
        group: HexText<'a>,
    },
    /// A program crashed; to be counted.
    Segfault {
        pid: i32,
        comm: HexText<'a>,
    },
    /// A processor is slowed by its heat, or no longer.
    Thermal {
        cpu: u32,
        sensor: Sensor,
        hot: bool,
    },
    /// A zone is so hot that the host shuts down.
    ThermalCritical {
        zone: HexText<'a>,
    },
    /// The kernel itself failed.
    Kernel(KernelFault),
}

impl<'a> Meaning<'a> {
    /// Of a record of the kernel's; `None` for a program's, for a piece of a line, and for all that is not known
    /// here: as a rule after one look at the first byte.
    #[must_use]
    pub fn of(record: &Record<'a>) -> Option<Self> {
        if !record.is_kernel() || record.fragment {
            return None;
        }
        Self::of_text(record.text.written())
    }

    fn of_text(text: &'a [u8]) -> Option<Self> {
        let known = match text.first()? {
            b'O' => oom::meaning(text).or_else(|| stuck::meaning(text)),
            b'M' => oom::meaning(text).or_else(|| hardware::meaning(text)),
            b'T' => oom::meaning(text).or_else(|| network::meaning(text)),
            b'K' => oom::meaning(text).or_else(|| stuck::meaning(text)),
            b'I' => stuck::meaning(text).or_else(|| storage::meaning(text)),
            b'B' => {
                filesystem::meaning(text).or_else(|| storage::meaning(text)).or_else(|| stuck::meaning(text))
            }
            b'N' => stuck::meaning(text).or_else(|| network::meaning(text)),
            b'E' => filesystem::meaning(text).or_else(|| hardware::meaning(text)),
            b'A' | b'X' | b'F' => filesystem::meaning(text),
            b'V' => network::meaning(text),
            b'C' | b'[' | b'{' => hardware::meaning(text),
            b'U' | b'W' | b'g' | b'w' => stuck::meaning(text),
            b'm' => hardware::meaning(text),
            b'n' => network::meaning(text).or_else(|| storage::meaning(text)),
            b'o' => oom::meaning(text).or_else(|| storage::meaning(text)),
            b'r' => stuck::meaning(text).or_else(|| storage::meaning(text)),
            b't' => hardware::meaning(text).or_else(|| storage::meaning(text)),
            b'k' => stuck::meaning(text).or_else(|| storage::meaning(text)),
            b'c' => network::meaning(text).or_else(|| storage::meaning(text)),
            b'a' | b'b' | b'd' | b'p' | b'z' => storage::meaning(text),
            _ => None,
        };
        let known = known.or_else(|| network::of_interface(text));
        // A process may be named `EDAC MC0: 1 CE ` and crash.
        known.filter(|_| !stuck::begins_with_process(text)).or_else(|| stuck::of_process(text))
    }
}
