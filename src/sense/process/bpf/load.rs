//! From the object to programs that the kernel has taken.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use super::kernel_types::{KERNEL_TYPES, functions};
use super::object::{ENDINGS, KERNEL_FUNCTIONS, OBJECT, Object, Program};
use super::refusal::{Refusal, may_load};
use super::sys::{self, Kind};

/// The function that stands for the iterator over tasks.
const ITERATOR: &str = "bpf_iter_task";
/// The type of what is called when a task ends.
const TRACEPOINT: &str = "btf_trace_sched_process_exit";

/// The verifier's words are asked for only when it refused, and thrown away when their last line is told.
const LOG_BYTES: usize = 256 * 1024;

/// Number of the first PID namespace (`PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// What the programs of one object need, looked up once.
#[derive(Debug)]
pub(super) struct Loader {
    object: Object<'static>,
    /// The kernel's numbers of its functions.
    functions: BTreeMap<&'static str, u32>,
    types: OwnedFd,
}

impl Loader {
    /// Of the two programs that fill the table.
    pub(super) fn new() -> Result<Self, Refusal> {
        let wanted: Vec<&str> = KERNEL_FUNCTIONS.into_iter().chain([ITERATOR]).collect();
        Self::of(OBJECT, &wanted)
    }

    /// Of the program that is called when a task ends.
    pub(super) fn of_endings() -> Result<Self, Refusal> {
        Self::of(ENDINGS, &[TRACEPOINT])
    }

    fn of(object: &'static [u8], wanted: &[&'static str]) -> Result<Self, Refusal> {
        if cfg!(target_endian = "big") {
            return Err(Refusal::ByteOrder);
        }
        // Where that can't be told, the numbers can't be trusted either.
        if !rustix::fs::stat("/proc/self/ns/pid").is_ok_and(|it| it.st_ino == FIRST_PID_NAMESPACE) {
            return Err(Refusal::PidNamespace);
        }
        if !may_load() {
            return Err(Refusal::Capability);
        }
        let functions = functions(Path::new(KERNEL_TYPES), wanted)
            .map_err(|source| Refusal::NoTypes { path: KERNEL_TYPES, source })?;
        let object = Object::new(object).map_err(Refusal::Object)?;
        let types = sys::load_types(object.types().map_err(Refusal::Object)?)
            .map_err(|source| Refusal::of("the kernel does not take the programs' types", source))?;
        Ok(Self { object, functions, types })
    }

    /// The program that fills `array`.
    pub(super) fn table(&self, array: &OwnedFd) -> Result<OwnedFd, Refusal> {
        let numbers =
            KERNEL_FUNCTIONS.iter().map(|function| self.function(function)).collect::<Result<Vec<_>, _>>()?;
        let map = array.as_raw_fd().unsigned_abs();
        let program = self.object.program("syscall", &numbers, Some(map)).map_err(Refusal::Object)?;
        self.load(Kind::Syscall, &program)
    }

    /// The program that is called for each task.
    pub(super) fn lines(&self) -> Result<OwnedFd, Refusal> {
        let function = self.function(ITERATOR)?;
        let program = self.object.program("iter/task", &[], None).map_err(Refusal::Object)?;
        self.load(Kind::Iterator(function), &program)
    }

    /// The program that is called when a task ends, and writes to the one value of `array`.
    pub(super) fn endings(&self, array: &OwnedFd) -> Result<OwnedFd, Refusal> {
        let tracepoint = self.function(TRACEPOINT)?;
        let map = array.as_raw_fd().unsigned_abs();
        let program =
            self.object.program("tp_btf/sched_process_exit", &[], Some(map)).map_err(Refusal::Object)?;
        self.load(Kind::Tracepoint(tracepoint), &program)
    }

    fn function(&self, function: &'static str) -> Result<u32, Refusal> {
        self.functions.get(function).copied().ok_or(Refusal::NoFunction { function })
    }

    fn load(&self, kind: Kind, program: &Program) -> Result<OwnedFd, Refusal> {
        let licence = self.object.licence().map_err(Refusal::Object)?;
        sys::load_program(kind, program, licence, &self.types, &mut []).or_else(|_| {
            let mut log = vec![0; LOG_BYTES];
            sys::load_program(kind, program, licence, &self.types, &mut log)
                .map_err(|source| Refusal::verifier(source, &log))
        })
    }
}
