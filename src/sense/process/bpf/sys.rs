//! bpf(2): the few commands that are needed, each as a function of owned descriptors and slices.
//!
//! The only place that makes the call. Must not know what the programs do.

use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::object::{Program, Relocations};

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP: libc::c_int = 1;
const PROG_LOAD: libc::c_int = 5;
const PROG_RUN: libc::c_int = 10;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const BTF_LOAD: libc::c_int = 18;
const LINK_CREATE: libc::c_int = 28;
const ITER_CREATE: libc::c_int = 33;

const MAP_TYPE_ARRAY: u32 = 2;
/// The array can be mapped. (Not together with `BPF_F_RDONLY`: the kernel then takes a shared mapping for a private one.)
const MAP_MMAPABLE: u32 = 1 << 10;

const PROG_TYPE_TRACING: u32 = 26;
const PROG_TYPE_SYSCALL: u32 = 31;
const ATTACH_TRACEPOINT: u32 = 23;
const ATTACH_ITER: u32 = 28;
/// What a `syscall` program must be: it runs where it may wait.
const PROG_SLEEPABLE: u32 = 1 << 4;

/// A load is given up by the kernel when a signal comes: tried again so often.
const LOAD_TRIES: u32 = 5;

/// An argument of bpf(2): a C structure of integers without gaps, so that no byte of it is undefined. Of these in this
/// file alone, all `repr(C)`.
trait Argument {}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
    end: u32,
}

#[repr(C)]
struct MapLookup {
    map: u32,
    end: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct TracepointOpen {
    name: u64,
    program: u32,
    end: u32,
}

#[repr(C)]
struct BtfLoad {
    types: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    end: u32,
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    code: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    device: u32,
    attach: u32,
    types: u32,
    function_size: u32,
    functions: u64,
    function_count: u32,
    line_size: u32,
    lines: u64,
    line_count: u32,
    attach_type_id: u32,
    attach_object: u32,
    relocation_count: u32,
    descriptors: u64,
    relocations: u64,
    relocation_size: u32,
    end: u32,
}

#[repr(C)]
struct ProgramRun {
    program: u32,
    result: u32,
    data: [u32; 2],
    data_at: [u64; 2],
    repeat: u32,
    duration: u32,
    context_in: u32,
    context_out: u32,
    context_in_at: u64,
    context_out_at: u64,
    flags: u32,
    processor: u32,
    batch: u32,
    end: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach: u32,
    flags: u32,
}

#[repr(C)]
struct IteratorCreate {
    link: u32,
    flags: u32,
}

/// Each with the sum of the sizes of its members: were there padding, it would be larger.
macro_rules! argument {
    ($($name:ident: $size:literal),*) => {$(
        const _: () = assert!(size_of::<$name>() == $size);
        impl Argument for $name {}
    )*};
}
argument!(MapCreate: 48, MapLookup: 32, BtfLoad: 32, ProgramLoad: 144, ProgramRun: 80);
argument!(TracepointOpen: 16, LinkCreate: 16, IteratorCreate: 8);

/// The call itself. A kernel that knows a shorter argument wants zeros behind what it knows, and gets them.
fn call<A: Argument>(command: libc::c_int, argument: &mut A) -> Result<libc::c_int> {
    #[expect(unsafe_code, reason = "no library in the tree offers bpf(2)")]
    // SAFETY: the kernel reads and writes `size_of::<A>()` bytes at a place that is borrowed for writing, all of them
    // integers. The addresses within are those of slices that every caller below keeps borrowed over the call, with
    // their lengths beside them; what the kernel writes to is borrowed for writing.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(argument), size_of::<A>()) };
    libc::c_int::try_from(answer).ok().filter(|answer| *answer >= 0).ok_or_else(Error::last_os_error)
}

/// For the commands that answer with a new descriptor.
fn make<A: Argument>(command: libc::c_int, argument: &mut A) -> Result<OwnedFd> {
    let descriptor = call(command, argument)?;
    #[expect(unsafe_code, reason = "the descriptor comes as a number")]
    // SAFETY: the kernel has just made it for this call alone (with O_CLOEXEC), and it is not negative.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok(descriptor)
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn length<T>(slice: &[T]) -> Result<u32> {
    u32::try_from(slice.len()).map_err(Error::other)
}

fn number(descriptor: impl AsFd) -> u32 {
    // Descriptors are never negative.
    descriptor.as_fd().as_raw_fd().unsigned_abs()
}

/// An array that can be mapped for reading.
pub(super) fn create_array(entries: u32, value_size: u32) -> Result<OwnedFd> {
    create(entries, value_size, MAP_MMAPABLE)
}

/// An array of one value of so many bytes, to be read by [`read_value`].
pub(super) fn create_value(bytes: usize) -> Result<OwnedFd> {
    create(1, u32::try_from(bytes).map_err(Error::other)?, 0)
}

fn create(entries: u32, value_size: u32, flags: u32) -> Result<OwnedFd> {
    let mut argument = MapCreate {
        kind: MAP_TYPE_ARRAY,
        key_size: 4,
        value_size,
        entries,
        flags,
        inner: 0,
        node: 0,
        name: *b"prunella_table\0\0",
        end: 0,
    };
    make(MAP_CREATE, &mut argument)
}

/// Copies the value of an array that [`create_value`] made with exactly this length. Whoever writes to it meanwhile is
/// not waited for.
pub(super) fn read_value(array: &OwnedFd, value: &mut [u8]) -> Result<()> {
    let key = [0_u32];
    let mut argument = MapLookup {
        map: number(array),
        end: 0,
        key: address(&key),
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    call(MAP_LOOKUP, &mut argument).map(|_| ())
}

/// The types that a program's relocations speak of.
pub(super) fn load_types(types: &[u8]) -> Result<OwnedFd> {
    let size = length(types)?;
    let mut argument = BtfLoad { types: address(types), log: 0, size, log_size: 0, log_level: 0, end: 0 };
    make(BTF_LOAD, &mut argument)
}

/// What a program is loaded as.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Syscall,
    /// Called for each item of this iterator: the kernel's number of its function.
    Iterator(u32),
    /// Called at this tracepoint: the kernel's number of the type of its handlers.
    Tracepoint(u32),
}

/// Has the verifier look at it. What the verifier says goes to `log`; without one it says nothing.
pub(super) fn load_program(
    kind: Kind,
    program: &Program,
    licence: &std::ffi::CStr,
    types: &OwnedFd,
    log: &mut [u8],
) -> Result<OwnedFd> {
    let (kind, flags, attach, attach_type_id) = match kind {
        Kind::Syscall => (PROG_TYPE_SYSCALL, PROG_SLEEPABLE, 0, 0),
        Kind::Iterator(function) => (PROG_TYPE_TRACING, 0, ATTACH_ITER, function),
        Kind::Tracepoint(handlers) => (PROG_TYPE_TRACING, 0, ATTACH_TRACEPOINT, handlers),
    };
    let Relocations { bytes: relocations, record_size: relocation_size } = &program.relocations;
    let mut argument = ProgramLoad {
        kind,
        instructions: length(&program.code)?,
        code: address(&program.code),
        licence: licence.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: length(log)?,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kernel_version: 0,
        flags,
        name: *b"prunella_table\0\0",
        device: 0,
        attach,
        types: number(types),
        function_size: program.functions.record_size,
        functions: address(&program.functions.bytes),
        function_count: length(&program.functions.bytes)? / program.functions.record_size.max(1),
        line_size: 0,
        lines: 0,
        line_count: 0,
        attach_type_id,
        attach_object: 0,
        relocation_count: length(relocations)? / (*relocation_size).max(1),
        descriptors: 0,
        relocations: address(relocations),
        relocation_size: *relocation_size,
        end: 0,
    };
    for _ in 1..LOAD_TRIES {
        match make(PROG_LOAD, &mut argument) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            done => return done,
        }
    }
    make(PROG_LOAD, &mut argument)
}

/// Runs a `syscall` program once, with `context` for it to read and write; its result.
pub(super) fn run(program: &OwnedFd, context: &mut [u32]) -> Result<u32> {
    let mut argument = ProgramRun {
        program: number(program),
        result: 0,
        data: [0; 2],
        data_at: [0; 2],
        repeat: 0,
        duration: 0,
        context_in: length(context)? * 4,
        context_out: 0,
        // The kernel copies the context back to where it came from.
        context_in_at: context.as_mut_ptr() as u64,
        context_out_at: 0,
        flags: 0,
        processor: 0,
        batch: 0,
        end: 0,
    };
    call(PROG_RUN, &mut argument)?;
    Ok(argument.result)
}

/// Ties an iterator's program to the kernel's tasks.
pub(super) fn link_iterator(program: &OwnedFd) -> Result<OwnedFd> {
    make(LINK_CREATE, &mut LinkCreate { program: number(program), target: 0, attach: ATTACH_ITER, flags: 0 })
}

/// Ties a tracepoint's program to the tracepoint that it was loaded for, until what is returned is dropped.
pub(super) fn tie_to_tracepoint(program: &OwnedFd) -> Result<OwnedFd> {
    make(RAW_TRACEPOINT_OPEN, &mut TracepointOpen { name: 0, program: number(program), end: 0 })
}

/// One pass of an iterator: reading it to its end gives what the program wrote.
pub(super) fn open_iterator(link: &OwnedFd) -> Result<OwnedFd> {
    make(ITER_CREATE, &mut IteratorCreate { link: number(link), flags: 0 })
}
