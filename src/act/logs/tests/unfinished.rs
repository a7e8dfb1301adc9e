//! Archives that were broken off at each of their steps, and what the next act makes of them.

use std::os::unix::fs::{FileExt as _, PermissionsExt};
use std::process::Command;

use super::archives::*;
use super::*;

/// After the agent ended at that moment, the next one goes on.
#[track_caller]
fn check_broken_off(what: &str, stages: u32, then: impl Fn(Archiving, &Yard)) {
    for proc in ["empty", "nowhere"] {
        let yard = yard_with(LINES);
        let proc = yard.path(proc);
        let search = yard.search();
        let mut archiving = begin_at(&yard, &search, NOW, &proc).expect("it can be archived");
        for _ in 0..stages {
            archiving.pack(STAGE, &never).expect("there is more");
            archiving.give_back().expect("it is as it was packed");
        }
        then(archiving, &yard);
        go_on(&yard, &proc, what);
    }
}

fn go_on(yard: &Yard, proc: &Path, what: &str) {
    let search = yard.search();
    for log in found(&search) {
        match search.archive(&log, None, proc, NOW + Duration::from_mins(1), &never) {
            Ok(mut archiving) => {
                all_stages(&mut archiving);
                match archiving.finish(&never) {
                    Ok(_) | Err(Refused::NothingToArchive) => {}
                    Err(other) => panic!("{what}: {other:?}"),
                }
            }
            Err(Refused::NothingToArchive) => {}
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
    check_text(yard, LINES);
}

#[test]
fn an_act_that_was_broken_off_is_gone_on_with() {
    check_broken_off("begun", 0, |archiving, _| drop(archiving));
    check_broken_off("given back", 3, |archiving, _| drop(archiving));
    check_broken_off("packed", 2, |mut archiving, _| {
        archiving.pack(STAGE, &never).expect("there is more");
    });
    check_broken_off("packed first", 0, |mut archiving, _| {
        archiving.pack(STAGE, &never).expect("there is more");
    });
    check_broken_off("within the next stage", 2, |archiving, yard| {
        drop(archiving);
        append(&yard.logs(private(yard))).write_all(b"half a member").expect("it can be written");
    });
    check_broken_off("the disk has not all of the last stage", 2, |mut archiving, yard| {
        archiving.pack(STAGE, &never).expect("there is more");
        let archive = OpenOptions::new().write(true).open(yard.logs(private(yard))).expect("it is there");
        let length = archive.metadata().expect("it is there").len();
        archive.set_len(length - 100).expect("it can be cut");
    });
    check_broken_off("the disk has other bytes in its last stage", 2, |mut archiving, yard| {
        archiving.pack(STAGE, &never).expect("there is more");
        let archive = OpenOptions::new().write(true).open(yard.logs(private(yard))).expect("it is there");
        let length = archive.metadata().expect("it is there").len();
        archive.write_all_at(&[0; 300], length - 400).expect("it can be written");
    });
    check_broken_off("a part of the last stage is a hole", 1, half_given_back);
    check_broken_off("before there was anything in its archive", 0, |archiving, yard| {
        drop(archiving);
        let archive = OpenOptions::new().write(true).open(yard.logs(private(yard))).expect("it is there");
        archive.set_len(20).expect("it can be cut");
    });
}

fn half_given_back(mut archiving: Archiving, yard: &Yard) {
    archiving.pack(STAGE, &never).expect("there is more");
    let log = OpenOptions::new().write(true).open(yard.logs("app.log")).expect("it is there");
    log.write_all_at(&[0; 8192], STAGE + 4096).expect("it can be written");
}

#[test]
fn what_was_half_given_back_is_not_given_up() {
    let yard = yard_with(LINES);
    let mut archiving = begin(&yard, &yard.search()).expect("it can be archived");
    archiving.pack(STAGE, &never).expect("there is more");
    archiving.give_back().expect("it is as it was packed");
    half_given_back(archiving, &yard);
    // Nobody wants more, and it is finished without another stage.
    let search = yard.search();
    let log = &found(&search)[0];
    search
        .archive(log, None, &nobody(&yard), NOW, &never)
        .expect("a leftover")
        .finish(&never)
        .expect("its name");
    check_text(&yard, LINES);
}

#[test]
fn one_act_at_a_time_is_at_work_on_an_archive() {
    let yard = yard_with(LINES);
    let mut first = begin(&yard, &yard.search()).expect("it can be archived");
    first.pack(STAGE, &never).expect("there is more");
    assert_eq!(begin(&yard, &yard.search()).map(drop), Err(Refused::Busy));
    first.give_back().expect("it is as it was packed");
    first.finish(&never).expect("it gets its name");
    check_text(&yard, LINES);
}

#[test]
fn what_is_sparse_is_archived_without_its_holes() {
    let yard = yard_with(LINES);
    let log = OpenOptions::new().write(true).open(yard.logs("app.log")).expect("it is there");
    // A terabyte of nothing, as a writer leaves it whose log others have truncated.
    let begin = 1_u64 << 40;
    log.write_all_at(lines(LINES, 2 * LINES).as_bytes(), begin).expect("it can be written");
    let mut archiving =
        begin_at(&yard, &yard.search(), NOW, Path::new("/nowhere")).expect("it can be archived");
    assert!(all_stages(&mut archiving) < 40);
    archiving.finish(&never).expect("it gets its name");
    let out = Command::new("gzip").arg("-dc").arg(&archives(&yard)[0]).output().expect("gzip is there");
    let text = String::from_utf8(out.stdout).expect("lines");
    assert!(text.lines().zip(0..).all(|(found, number)| format!("{found}\n") == line(number)));
}

#[test]
fn whoever_may_not_read_the_log_may_not_read_its_archive() {
    let yard = yard_with(LINES);
    let log = yard.logs("app.log");
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o640)).expect("its mode");
    // user::rw-, user:1000:r--, group::---, mask::r--, other::---
    let entry = |tag: u16, rights: u16, id: u32| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let list = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 6, none),
        entry(2, 4, 1000),
        entry(4, 0, none),
        entry(16, 4, none),
        entry(32, 0, none),
    ]
    .concat();
    let file = File::open(&log).expect("it is there");
    let name = "system.posix_acl_access";
    match rustix::fs::fsetxattr(&file, name, &list, rustix::fs::XattrFlags::empty()) {
        Ok(()) => {}
        Err(errno) => return skipped("a log with an access list", errno),
    }
    let list_of = |path: &Path| {
        let mut value = [0; 200];
        let length = rustix::fs::getxattr(path, name, &mut value);
        length.map(|length| value[..length].to_vec())
    };
    archive_once(&yard, NOW, &nobody(&yard));
    assert_eq!(list_of(&archives(&yard)[0]), list_of(&log));
    // The log is gone before its archive is finished: the mode alone would give its group too much.
    let more = lines(LINES, 2 * LINES);
    append(&log).write_all(more.as_bytes()).expect("it can be written");
    let mut archiving =
        begin_at(&yard, &yard.search(), NOW + DAY, &nobody(&yard)).expect("it can be archived");
    archiving.pack(STAGE, &never).expect("there is more");
    drop(archiving);
    std::fs::rename(&log, yard.logs("app.log.1")).expect("it can be renamed");
    let search = yard.search();
    let found = found(&search);
    search
        .archive(&found[0], None, &nobody(&yard), NOW, &never)
        .expect("a leftover")
        .finish(&never)
        .expect("its name");
    let mode = archives(&yard)[1].metadata().expect("it is there").mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn an_archive_of_a_log_that_was_rotated_meanwhile_gets_its_name() {
    let yard = yard_with(LINES);
    let mut archiving = begin(&yard, &yard.search()).expect("it can be archived");
    archiving.pack(STAGE, &never).expect("there is more");
    archiving.give_back().expect("it is as it was packed");
    archiving.pack(STAGE, &never).expect("there is more");
    drop(archiving);
    std::fs::rename(yard.logs("app.log"), yard.logs("app.log.1")).expect("it can be renamed");
    yard.file("logs/app.log", "new\n", 0);
    let search = yard.search();
    let archiving =
        search.archive(&found(&search)[0], None, &nobody(&yard), NOW, &never).expect("a leftover");
    archiving.finish(&never).expect("it gets its name");
    assert_eq!(archives(&yard).len(), 1);
    // Its last stage is in both: never in neither.
    let out = Command::new("gzip").arg("-dc").arg(&archives(&yard)[0]).output().expect("gzip is there");
    assert_eq!(out.stdout.len(), 2 * usize::try_from(STAGE).expect("a length"));
}
