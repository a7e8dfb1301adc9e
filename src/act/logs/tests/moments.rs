//! Between the look, the record and the removal: the file is written to, replaced, renamed or removed.

use super::*;

fn gone(yard: &mut Yard) {
    std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
}

fn linked(yard: &mut Yard) {
    symlink(yard.path("outside/app.log.2"), yard.logs("link")).expect("a link");
    std::fs::rename(yard.logs("link"), yard.logs(VICTIM)).expect("it takes its place");
}

fn renamed_and_linked(yard: &mut Yard) {
    std::fs::rename(yard.logs(VICTIM), yard.logs("elsewhere")).expect("it moves");
    linked(yard);
}

#[test]
fn a_link_that_takes_its_place_is_noticed() {
    check_found(linked, Refused::Link);
    check_found(renamed_and_linked, Refused::Link);
    check_prepared(linked, Refused::Gone);
    check_prepared(renamed_and_linked, Refused::Changed);
}

#[test]
fn one_that_is_gone_is_gone() {
    check_found(gone, Refused::Gone);
    check_prepared(gone, Refused::Gone);
}

fn replaced(yard: &mut Yard) {
    yard.file("logs/new", "victim", 9);
    std::fs::rename(yard.logs("new"), yard.logs(VICTIM)).expect("it takes its place");
}

fn exchanged(yard: &mut Yard) {
    yard.file("logs/new", "victim", 9);
    std::fs::rename(yard.logs(VICTIM), yard.logs("old")).expect("it moves");
    std::fs::rename(yard.logs("new"), yard.logs(VICTIM)).expect("it takes its place");
}

#[test]
fn another_of_the_same_name_size_and_time_is_noticed() {
    check_found(replaced, Refused::Replaced);
    check_found(exchanged, Refused::Replaced);
    check_prepared(replaced, Refused::Gone);
    check_prepared(exchanged, Refused::Changed);
}

#[test]
fn one_that_was_renamed_and_back_is_not_what_was_seen() {
    let there_and_back = |yard: &mut Yard| {
        std::fs::rename(yard.logs(VICTIM), yard.logs("elsewhere")).expect("it moves");
        std::fs::rename(yard.logs("elsewhere"), yard.logs(VICTIM)).expect("it moves");
    };
    check_found(there_and_back, Refused::Changed);
    check_prepared(there_and_back, Refused::Changed);
}

#[test]
fn what_is_written_is_noticed() {
    use std::io::Write as _;
    let appended = |yard: &mut Yard| append(&yard.logs(VICTIM)).write_all(b"more").expect("it is written");
    check_found(appended, Refused::Changed);
    check_prepared(appended, Refused::Changed);

    let cut = |yard: &mut Yard| append(&yard.logs(VICTIM)).set_len(0).expect("it is cut");
    check_found(cut, Refused::Changed);
    check_prepared(cut, Refused::Changed);

    let touched = |yard: &mut Yard| set_age(&yard.logs(VICTIM), 20);
    check_found(touched, Refused::Changed);
    check_prepared(touched, Refused::Changed);

    // As long as before, and its time set back.
    let forged = |yard: &mut Yard| yard.file("logs/app.log.2", "VICTIM", 9);
    check_found(forged, Refused::Changed);
    check_prepared(forged, Refused::Changed);

    if !rustix::process::geteuid().is_root() {
        return skipped("files that are given away", "not root");
    }
    let given = |yard: &mut Yard| {
        std::os::unix::fs::chown(yard.logs(VICTIM), Some(1), Some(1)).expect("as root");
    };
    check_found(given, Refused::Changed);
    check_prepared(given, Refused::Changed);
}

/// As logrotate does it; the oldest is removed.
fn rotated(yard: &mut Yard) {
    std::fs::rename(yard.logs("app.log.2"), yard.logs("app.log.3")).expect("it moves");
    std::fs::rename(yard.logs("app.log.1"), yard.logs("app.log.2")).expect("it moves");
    std::fs::rename(yard.logs("app.log"), yard.logs("app.log.1")).expect("it moves");
}

#[test]
fn a_rotation_in_between_loses_nothing() {
    // The kept one has moved as well.
    check_found(rotated, Refused::NothingKept);
    check_prepared(rotated, Refused::Changed);
    let mut yard = Yard::new();
    let search = yard.search();
    let ready = yard.ready(&search);
    rotated(&mut yard);
    assert_eq!(ready.remove(NOW), Err(Refused::Changed));
    assert_eq!(["app.log.1", "app.log.2", "app.log.3"].map(|it| yard.read(it)), ["now", "kept", "victim"]);
}

#[test]
fn the_last_of_a_log_stays_when_the_kept_one_goes() {
    check_found(
        |yard| std::fs::remove_file(yard.logs("app.log.1")).expect("it was there"),
        Refused::NothingKept,
    );
}
