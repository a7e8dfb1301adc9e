//! Files that somebody has open.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::*;
use crate::act::logs::lease::{F_SETSIG, Lease, control};

const WRITING: [(&str, Result<(), Refused>); 1] = [(VICTIM, Err(Refused::OpenForWriting))];
const REMOVED: [(&str, Result<(), Refused>); 1] = [(VICTIM, Ok(()))];

#[test]
fn a_file_that_is_open_for_writing_stays() {
    let yard = Yard::new();
    let search = yard.search();
    let ready = yard.ready(&search);
    let writer = append(&yard.logs(VICTIM));
    assert_eq!(ready.remove(NOW), Err(Refused::OpenForWriting));
    check_yard(&yard, &search, &WRITING);
    drop(writer);
    check_yard(&yard, &search, &REMOVED);
}

#[test]
fn a_file_that_is_open_for_reading_goes() {
    let yard = Yard::new();
    let mut reader = File::open(yard.logs(VICTIM)).expect("it can be read");
    check_yard(&yard, &yard.search(), &REMOVED);
    let mut content = String::new();
    reader.read_to_string(&mut content).expect("it can be read");
    assert_eq!(content, "victim");
}

#[test]
fn another_process_that_writes_is_noticed() {
    let yard = Yard::new();
    // It writes what it reads, and ends when there is no more.
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(append(&yard.logs(VICTIM)))
        .spawn()
        .expect("every host has it");
    check_yard(&yard, &yard.search(), &WRITING);
    drop(child.stdin.take());
    child.wait().expect("it ends");
    check_yard(&yard, &yard.search(), &REMOVED);
}

/// The mapping holds the file open for writing, though no descriptor does.
#[test]
#[expect(unsafe_code, reason = "mapping has no safe form")]
fn a_file_that_is_mapped_for_writing_stays() {
    let yard = Yard::new();
    let search = yard.search();
    let ready = yard.ready(&search);
    let file =
        OpenOptions::new().read(true).write(true).open(yard.logs(VICTIM)).expect("it can be written to");
    // SAFETY: a new mapping at a place of the kernel's choice, which nobody looks into.
    let mapped = unsafe {
        mmap(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)
    };
    let mapped = mapped.expect("it can be mapped");
    drop(file);
    assert_eq!(ready.remove(NOW), Err(Refused::OpenForWriting));
    check_yard(&yard, &search, &WRITING);
    // SAFETY: exactly what was mapped above, and nothing points into it.
    unsafe { munmap(mapped, 4096).expect("it was mapped") };
    check_yard(&yard, &search, &REMOVED);
}

#[test]
fn nobody_waits_between_record_and_removal() {
    let yard = Yard::new();
    let ready = yard.ready(&yard.search());
    // Nor for one that was prepared and forgotten.
    drop(append(&yard.logs(VICTIM)));
    drop(ready);
    drop(append(&yard.logs(VICTIM)));
}

#[test]
fn a_writer_that_waits_goes_on_when_it_is_decided() {
    let yard = Yard::new();
    let file = File::open(yard.logs(VICTIM)).expect("it can be read");
    let lease = Lease::take(file.as_fd()).expect("nobody writes");
    assert!(lease.is_undisturbed());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| drop(append(&yard.logs(VICTIM))));
        // It waits by then, and the signal that says so has not ended this process.
        while lease.is_undisturbed() {
            std::thread::yield_now();
        }
        assert!(!writer.is_finished());
        drop(lease);
        writer.join().expect("it got on");
    });
    assert!(Lease::take(file.as_fd()).is_ok());
}

/// A file server, which wants to be told before anybody reads what it caches.
#[test]
fn a_file_that_somebody_leased_stays() {
    let yard = Yard::new();
    let search = yard.search();
    let found = yard.found(&search);
    let leased = append(&yard.logs(VICTIM));
    control(leased.as_fd(), F_SETSIG, libc::SIGURG).expect("it can be set");
    control(leased.as_fd(), libc::F_SETLEASE, libc::F_WRLCK).expect("nobody else has it open");
    assert_eq!(search.prepare(&found, NOW).map(drop), Err(Refused::Leased));
    drop(leased);
    assert!(search.prepare(&found, NOW).is_ok());
}

#[test]
fn where_there_are_no_leases_nothing_is_removed() {
    let folder = File::open("/").expect("it can be read");
    assert!(matches!(Lease::take(folder.as_fd()).map(drop), Err(Refused::Untold(_))));
    let (pipe, _other) = std::io::pipe().expect("a pipe");
    assert!(matches!(Lease::take(pipe.as_fd()).map(drop), Err(Refused::Untold(_))));
}
