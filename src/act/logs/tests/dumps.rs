//! Folders of core dumps: by program, and nothing but dumps; and folders of logs, from which no dump goes.

use super::*;

const BOOT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

fn name(program: &str, pid: u32, end: &str) -> String {
    format!("core.{program}.{BOOT}.{pid}.1767358455000000{end}")
}

/// Dumps of one program, each a day older than the one before.
fn crash(yard: &Yard, folder: &str, program: &str, pids: std::ops::Range<u32>) {
    for pid in pids {
        yard.file(format!("{folder}/{}", name(program, pid, ".zst")), "memory", pid);
    }
}

fn dumps(yard: &Yard, folder: &str) -> LogRoot {
    LogRoot {
        name: "core-dumps".into(),
        folder: yard.path(folder),
        holds: Holds::CoreDumps,
        keep: 3,
        ..yard.rule()
    }
}

/// A yard in which this is set up: of `logs`, searched by these rules, exactly these go, the oldest first.
#[track_caller]
fn check_dumps(set_up: impl FnOnce(&Yard), roots: impl FnOnce(&Yard) -> Vec<LogRoot>, expected: &[String]) {
    let yard = Yard::new();
    set_up(&yard);
    let search = yard.search_by(&roots(&yard)).expect("it can be searched");
    assert_eq!(yard.names(&search.find(NOW, &|| false)), expected);
    let all: Vec<(&str, Result<(), Refused>)> = expected.iter().map(|name| (&name[..], Ok(()))).collect();
    check_yard(&yard, &search, &all);
}

#[test]
fn the_newest_of_each_program_and_user_stay() {
    check_dumps(
        |yard| {
            crash(yard, "logs", "shop.1000", 1..9);
            crash(yard, "logs", "shop.33", 20..23);
            crash(yard, "logs", r"my\x2eshop.1000", 30..32);
        },
        |yard| vec![dumps(yard, "logs")],
        &[8, 7, 6, 5, 4].map(|pid| name("shop.1000", pid, ".zst")),
    );
}

#[test]
fn young_dumps_stay() {
    check_dumps(
        |yard| {
            for pid in 1..9 {
                yard.file(format!("logs/{}", name("shop.0", pid, "")), "memory", pid / 8);
            }
        },
        |yard| vec![LogRoot { keep: 1, keep_for: DAY, ..dumps(yard, "logs") }],
        &[name("shop.0", 8, "")],
    );
}

#[test]
fn nothing_else_goes_from_a_folder_of_dumps() {
    check_dumps(
        |yard| {
            // The logs of the yard are there as well.
            for name in
                ["core.1", "core.2", "core.shop.1", "core.shop.2", "notes", "shop.log.3", "shop.log.4"]
            {
                yard.file(format!("logs/{name}"), "not one of them", 90);
            }
            for pid in 1..9 {
                yard.file(format!("logs/{}", name("a.b.0", pid, "")), "not escaped", 90);
                yard.file(format!("logs/{}", name("shop.0", pid, ".gz")), "by somebody", 90);
                symlink("../outside/secret", yard.logs(name("shop.7", pid, "x"))).expect("a link");
            }
        },
        |yard| vec![dumps(yard, "logs")],
        &[],
    );
}

#[test]
fn what_stands_in_the_place_of_a_dump_stays() {
    let yard = Yard::new();
    crash(&yard, "logs", "shop.0", 1..5);
    let link = name("shop.0", 7, ".zst");
    symlink("../outside/secret", yard.logs(&link)).expect("a link");
    let second = name("shop.0", 8, ".zst");
    std::fs::hard_link(yard.path("outside/secret"), yard.logs(&second)).expect("a link");
    let search = yard.search_by(&[dumps(&yard, "logs")]).expect("it can be searched");
    check_yard(
        &yard,
        &search,
        &[
            (&link, Err(Refused::Link)),
            (&second, Err(Refused::OtherNames)),
            (&name("shop.0", 4, ".zst"), Ok(())),
        ],
    );
}

#[test]
fn no_dump_goes_from_a_folder_of_logs() {
    check_dumps(
        |yard| {
            crash(yard, "logs", "shop.1000", 1..9);
            // Nor does a live file beside it make it a log.
            yard.file("logs/core", "live", 0);
            yard.file("logs/core.shop.1000", "live", 0);
        },
        |yard| vec![yard.rule()],
        &[VICTIM.to_owned()],
    );
}

/// Both kinds in both folders.
fn mixed(yard: &Yard) {
    for folder in ["logs", "logs/dumps"] {
        crash(yard, folder, "shop.1000", 1..5);
        yard.file(format!("{folder}/app.log.1"), "kept", 2);
        yard.file(format!("{folder}/app.log.2"), "a log", 9);
    }
}

#[test]
fn each_folder_is_searched_for_what_it_holds() {
    let dump = format!("dumps/{}", name("shop.1000", 4, ".zst"));
    let both = |yard: &Yard| vec![yard.rule(), dumps(yard, "logs/dumps")];
    check_dumps(mixed, both, &[VICTIM.to_owned(), dump.clone()]);
    // As a permit says it: what holds the others is left alone.
    check_dumps(mixed, |yard| LogRoot::holding(&both(yard), Holds::Logs), &[VICTIM.to_owned()]);
    check_dumps(mixed, |yard| LogRoot::holding(&both(yard), Holds::CoreDumps), &[dump]);
}

#[test]
fn a_search_that_begins_within_keeps_to_what_is_held_there() {
    let yard = Yard::new();
    mixed(&yard);
    let both = [yard.rule(), dumps(&yard, "logs/dumps")];
    let at = |holds| {
        let point_path = yard.path("logs/dumps");
        let roots = LogRoot::holding(&both, holds);
        let search = Search::open(&root(), &point(&point_path), device(&point_path), &roots)?;
        Ok(yard.names(&search.find(NOW, &|| false)))
    };
    assert_eq!(at(Holds::Logs), Err(NoSearch::NoFolder(String::new())));
    assert_eq!(at(Holds::CoreDumps), Ok(vec![format!("dumps/{}", name("shop.1000", 4, ".zst"))]));
}

#[test]
fn a_dump_that_is_written_stays() {
    let yard = Yard::new();
    crash(&yard, "logs", "shop.0", 1..6);
    let written = name("shop.0", 5, ".zst");
    let writer = append(&yard.logs(&written));
    let search = yard.search_by(&[dumps(&yard, "logs")]).expect("it can be searched");
    let expected = [(&written[..], Err(Refused::OpenForWriting)), (&name("shop.0", 4, ".zst"), Ok(()))];
    check_yard(&yard, &search, &expected);
    drop(writer);
}
