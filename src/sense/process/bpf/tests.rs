//! The object, without a kernel: what the programs write is what is read. How they run is in `tests/bpf`.

use super::object::{ENDINGS, KERNEL_FUNCTIONS, OBJECT, Object};
use super::record::{RECORD_BYTES, at};

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn size(bytes: &[u8], at: usize) -> usize {
    usize::try_from(word(bytes, at)).expect("fits")
}

/// Size and members of a structure, from the object's own types.
fn structure(object: &[u8], name: &str) -> (usize, Vec<(String, usize)>) {
    let types = Object::new(object).and_then(|object| object.types()).expect("the object has types");
    let header = size(types, 4);
    let names = &types[header + size(types, 16)..];
    let text = |at: usize| {
        let bytes = names[at..].split(|byte| *byte == 0).next().expect("a name");
        String::from_utf8(bytes.to_vec()).expect("text")
    };
    let mut rest = &types[header + size(types, 8)..header + size(types, 8) + size(types, 12)];
    while !rest.is_empty() {
        let (kind, members) = (rest[7] & 0x1f, usize::from(rest[4]) | usize::from(rest[5]) << 8);
        let more = match kind {
            1 | 14 => 4,
            3 => 12,
            4 | 5 | 15 => members * 12,
            6 | 13 => members * 8,
            _ => 0,
        };
        if kind == 4 && text(size(rest, 0)) == name {
            let member = |at: &[u8]| (text(size(at, 0)), size(at, 8) / 8);
            return (size(rest, 8), rest[12..12 + more].chunks_exact(12).map(member).collect());
        }
        rest = &rest[12 + more..];
    }
    panic!("the object has no type {name}");
}

#[track_caller]
fn check(object: &[u8], name: &str, bytes: usize, members: &[(&str, usize)]) {
    let (length, found) = structure(object, name);
    let expected: Vec<(String, usize)> = members.iter().map(|(name, at)| ((*name).into(), *at)).collect();
    assert_eq!((length, found), (bytes, expected));
}

#[test]
fn records_are_laid_out_as_they_are_read() {
    check(
        OBJECT,
        "record",
        RECORD_BYTES,
        &[
            ("pid", at::PID),
            ("parent", at::PARENT),
            ("start_ns", at::START_NS),
            ("cpu_ns", at::CPU_NS),
            ("minor_faults", at::MINOR_FAULTS),
            ("major_faults", at::MAJOR_FAULTS),
            ("read_bytes", at::READ_BYTES),
            ("written_bytes", at::WRITTEN_BYTES),
            ("cgroup", at::CGROUP),
            ("resident_pages", at::RESIDENT_PAGES),
            ("state", at::STATE),
            ("exit_state", at::EXIT_STATE),
            ("flags", at::FLAGS),
            ("threads", at::THREADS),
            ("user", at::USER),
            ("marks", at::MARKS),
            ("comm", at::COMM),
        ],
    );
    let pass = ["tasks_max", "reserved", "record_size", "unused", "records", "processes", "threads", "cut"];
    let pass: Vec<(&str, usize)> = pass.into_iter().chain(["form"]).zip((0..).step_by(4)).collect();
    check(OBJECT, "pass", 32, &pass);
}

#[test]
fn endings_are_laid_out_as_they_are_read() {
    use crate::sense::storm::ending::{ENDING_BYTES, ENDINGS_BYTES, at};
    let members = [
        ("number", at::NUMBER),
        ("lived_ns", at::LIVED_NS),
        ("cgroup", at::CGROUP),
        ("maker", at::MAKER),
        ("marks", at::MARKS),
        ("comm", at::COMM),
        ("maker_comm", at::MAKER_COMM),
    ];
    check(ENDINGS, "ending", ENDING_BYTES, &members);
    let head = [("processes", 0), ("threads", 8), ("numbers", 16), ("ring", 24)];
    check(ENDINGS, "endings", ENDINGS_BYTES, &head);
    let object = Object::new(ENDINGS).expect("the object");
    let program = object.program("tp_btf/sched_process_exit", &[], Some(77)).expect("the program");
    assert!(program.code.contains(&(77 << 32 | 0x1118)), "the array is not put in");
    assert!(program.relocations.bytes.len() > 16 * 5, "few fields are relocated");
}

#[test]
fn the_kernels_numbers_are_put_in() {
    let object = Object::new(OBJECT).expect("the object");
    let numbers: Vec<u32> = (1..).map(|number| number * 100).take(KERNEL_FUNCTIONS.len()).collect();
    let program = object.program("syscall", &numbers, Some(77)).expect("the program");
    let calls: Vec<(u64, u64)> = program
        .code
        .iter()
        .filter(|instruction| *instruction & 0xff == 0x85)
        .map(|instruction| (instruction >> 12 & 0xf, instruction >> 32))
        .collect();
    for number in numbers {
        assert!(calls.contains(&(2, u64::from(number))), "{number} is not called: {calls:?}");
    }
    assert!(calls.iter().all(|(source, number)| *source == 2 || *number < 1000), "{calls:?}");
    assert!(program.code.contains(&(77 << 32 | 0x1118)), "the array is not put in");
    assert_eq!(program.functions.bytes.len(), 8);
    assert!(program.relocations.bytes.len() > 16 * 20, "few fields are relocated");
    assert!(object.program("syscall", &[1], Some(77)).is_err(), "a function without a number");
    assert!(object.program("syscall", &[1; 7], None).is_err(), "no array");
}

#[test]
fn a_damaged_object_is_refused_and_never_panics() {
    // The file ends with the header of its table of symbols, which is not read.
    for length in (0..OBJECT.len() - 64).step_by(97) {
        let cut = &OBJECT[..length];
        let made = Object::new(cut).and_then(|object| object.program("syscall", &[1; 7], Some(7)));
        assert!(made.is_err(), "{length}");
    }
    for at in (0..OBJECT.len()).step_by(5) {
        let mut bytes = OBJECT.to_vec();
        bytes[at] ^= 0xff;
        let _ = Object::new(&bytes).and_then(|object| object.program("iter/task", &[], None));
    }
}
