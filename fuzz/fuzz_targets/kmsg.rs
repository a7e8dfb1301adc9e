//! Any record of the kernel's log: no panic, what it names stands in it, and a program never speaks for the kernel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella::sense::kmsg::{Meaning, Record};

/// Every record of this text, as the kernel writes them for programs.
const BY_A_PROGRAM: &[u8] = b"11,1,2,-;";
const BY_THE_KERNEL: &[u8] = b"3,1,2,-;";

fn record(head: &[u8], text: &[u8]) -> Vec<u8> {
    let text = text.iter().copied().filter(|byte| (b' '..127).contains(byte));
    head.iter().copied().chain(text).chain([b'\n']).collect()
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::parse(bytes) {
        let _any = (Meaning::of(&record), record.detail("DEVICE"), record.text.bytes().count());
    }
    assert!(bytes.ends_with(b"\n") || Record::parse(bytes).is_err());
    let by_a_program = record(BY_A_PROGRAM, bytes);
    let record_of_a_program = Record::parse(&by_a_program).expect("it has the form");
    assert_eq!(Meaning::of(&record_of_a_program), None);
    let by_the_kernel = record(BY_THE_KERNEL, bytes);
    let record_of_the_kernel = Record::parse(&by_the_kernel).expect("it has the form");
    let Some(meaning) = Meaning::of(&record_of_the_kernel) else { return };
    // Names are pieces of the record, not made up.
    let written = record_of_the_kernel.text.written();
    let stands = |name: &[u8]| name.is_empty() || written.windows(name.len()).any(|piece| piece == name);
    match meaning {
        Meaning::OomKill { comm, .. } | Meaning::HungTask { comm, .. } | Meaning::Segfault { comm, .. } => {
            assert!(stands(comm.written()));
        }
        Meaning::IoError { device, .. } | Meaning::Filesystem { device, .. } => {
            assert!(stands(device.written()))
        }
        Meaning::Link { interface, .. } => {
            assert!(stands(interface.written()) && !interface.written().is_empty())
        }
        _ => {}
    }
});
