//! A removal that is broken off at each of its steps, and what the next search makes of what it finds.

use super::*;
use crate::act::logs::lease::Lease;
use crate::act::logs::place::look;
use crate::act::logs::remove::move_to_what_looks_free;
use std::os::fd::AsFd as _;

/// As after a crash behind the renaming.
fn broken_off(yard: &Yard) -> String {
    let aside = yard.aside(VICTIM);
    let ready = yard.ready(&yard.search());
    assert_eq!(ready.put_aside().map(|name| String::from_utf8(name).expect("text")), Ok(aside.clone()));
    drop(ready);
    assert!(!yard.has(VICTIM) && yard.has(&aside));
    aside
}

#[test]
fn before_the_renaming_nothing_has_changed() {
    let yard = Yard::new();
    let search = yard.search();
    drop(yard.ready(&search));
    check_yard(&yard, &search, &[(VICTIM, Ok(()))]);
}

#[test]
fn after_the_renaming_the_next_search_removes_it() {
    let yard = Yard::new();
    let aside = broken_off(&yard);
    let search = yard.search();
    let found = search.find(NOW, &|| false);
    assert!(found.whole && found.candidates[0].is_leftover(), "{found:?}");
    check_yard(&yard, &search, &[(&aside, Ok(()))]);
}

#[test]
fn a_leftover_is_looked_at_like_any_other() {
    let outcome = |change: &dyn Fn(&Yard, &str), expected: Refused| {
        let mut yard = Yard::new();
        let aside = broken_off(&yard);
        change(&yard, &aside);
        yard.seal();
        check_yard(&yard, &yard.search(), &[(&aside, Err(expected))]);
    };
    outcome(
        &|yard, aside| std::fs::hard_link(yard.logs(aside), yard.path("outside/mine")).expect("a link"),
        Refused::OtherNames,
    );
    outcome(&|yard, aside| set_age(&yard.logs(aside), 0), Refused::Young);
    outcome(
        &|yard, aside| {
            std::fs::remove_file(yard.logs(aside)).expect("it was there");
            symlink(yard.path("outside/secret"), yard.logs(aside)).expect("a link");
        },
        Refused::Link,
    );
    let yard = Yard::new();
    let aside = broken_off(&yard);
    let writer = append(&yard.logs(&aside));
    check_yard(&yard, &yard.search(), &[(&aside, Err(Refused::OpenForWriting))]);
    drop(writer);
    check_yard(&yard, &yard.search(), &[(&aside, Ok(()))]);
}

#[test]
fn what_has_the_number_of_another_is_told_and_stays() {
    check(
        |yard| yard.file("logs/.prunella-removing-1", "another's", 9),
        &[(VICTIM, Ok(())), (".prunella-removing-1", Err(Refused::Stray))],
    );
}

#[test]
fn a_private_name_that_is_taken_stays_with_its_owner() {
    for link in [true, false] {
        let yard = Yard::new();
        let aside = yard.aside(VICTIM);
        let ready = yard.ready(&yard.search());
        if link {
            symlink(yard.path("outside/secret"), yard.logs(&aside)).expect("a link");
        } else {
            yard.file(format!("logs/{aside}"), "mine", 0);
        }
        assert_eq!(ready.remove(NOW), Err(Refused::AsideTaken));
        assert!(yard.has(VICTIM) && yard.has(&aside));
    }
}

/// Breaks in between the renaming and the removal.
fn check_aside(attack: impl FnOnce(&mut Yard, &str), expected: Refused, left: &[(&str, &str)]) {
    let mut yard = Yard::new();
    let aside = yard.aside(VICTIM);
    let ready = yard.ready(&yard.search());
    let lease = Lease::take(ready.file.as_fd()).expect("nobody writes");
    assert_eq!(ready.look_again(NOW), Ok(()));
    let name = ready.put_aside().expect("it is renamed");
    attack(&mut yard, &aside);
    yard.seal();
    let why = ready.is_the_one(&name, &lease).expect_err("it is not what it was");
    assert_eq!(ready.put_back(&name, why), expected);
    for (name, content) in left {
        let name = if *name == "ASIDE" { &aside } else { *name };
        assert_eq!(yard.read(name), *content, "{name}");
    }
    let aside_left = left.iter().any(|(name, _)| *name == "ASIDE");
    assert_eq!(yard.has(&aside), aside_left);
}

#[test]
fn a_name_that_went_to_another_is_given_back() {
    let taken = |yard: &mut Yard, aside: &str| {
        // What a rotation in that moment would have had put aside in its place.
        std::fs::rename(yard.logs(aside), yard.logs("app.log.3")).expect("it moves");
        yard.file(format!("logs/{aside}"), "newer", 1);
    };
    check_aside(taken, Refused::Replaced, &[(VICTIM, "newer"), ("app.log.3", "victim")]);
    let retaken = |yard: &mut Yard, aside: &str| {
        taken(yard, aside);
        yard.file("logs/app.log.2", "newest", 1);
    };
    let number = |refused: Refused| matches!(refused, Refused::LeftAside(_));
    let mut yard = Yard::new();
    let aside = yard.aside(VICTIM);
    let ready = yard.ready(&yard.search());
    let name = ready.put_aside().expect("it is renamed");
    retaken(&mut yard, &aside);
    assert!(number(ready.put_back(&name, Refused::Replaced)));
    assert_eq!(
        [VICTIM, "app.log.3", &aside].map(|it| yard.read(it)),
        ["newest", "victim", "newer"],
        "all three live on"
    );
    // Nobody takes what was left for a leftover. The other's private name is taken as long as it is there.
    let told =
        [(&aside[..], Err(Refused::Stray)), ("app.log.1", Ok(())), ("app.log.3", Err(Refused::AsideTaken))];
    check_yard(&yard, &yard.search(), &told);
}

#[test]
fn a_change_at_the_last_moment_brings_it_back() {
    check_aside(
        |yard, aside| std::fs::hard_link(yard.logs(aside), yard.path("outside/mine")).expect("a link"),
        Refused::OtherNames,
        &[(VICTIM, "victim")],
    );
    check_aside(
        |yard, aside| {
            // It can't be opened for writing without waiting, and that somebody tried is known.
            let flags = OFlags::WRONLY | OFlags::NONBLOCK;
            let opened = rustix::fs::open(yard.logs(aside), flags, Mode::empty()).map(drop);
            assert_eq!(opened, Err(rustix::io::Errno::AGAIN));
        },
        Refused::OpenForWriting,
        &[(VICTIM, "victim")],
    );
    check_aside(
        |yard, aside| std::fs::remove_file(yard.logs(aside)).expect("it was there"),
        Refused::Gone,
        &[],
    );
    check_aside(|yard, aside| set_age(&yard.logs(aside), 20), Refused::Changed, &[(VICTIM, "victim")]);
}

#[test]
fn a_removal_that_removed_another_name_says_so() {
    let yard = Yard::new();
    let ready = yard.ready(&yard.search());
    let held = ready.file.try_clone().expect("a descriptor");
    assert_eq!(ready.remove(NOW), Ok(()));
    let about = place::look_at(held.as_fd()).expect("it is open");
    assert_eq!(about.links, 0, "it has no name, and its room is free when it is closed");
}

#[test]
fn without_help_of_the_file_system_names_are_looked_at_first() {
    let yard = Yard::new();
    let logs = File::open(yard.path("logs")).expect("a folder");
    let to = |to: &str| move_to_what_looks_free(logs.as_fd(), VICTIM.as_bytes(), to.as_bytes());
    assert_eq!(to("app.log.1"), Err(rustix::io::Errno::EXIST));
    assert_eq!(to("app.log.3"), Ok(()));
    assert_eq!(to("app.log.4"), Err(rustix::io::Errno::NOENT));
    assert_eq!((yard.read("app.log.1"), yard.read("app.log.3")), ("kept".into(), "victim".into()));
    assert!(look(logs.as_fd(), b"app.log.3").is_ok());
}
