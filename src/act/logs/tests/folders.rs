//! Folders that are links, move away, or become others.

use super::*;

#[test]
fn a_link_in_the_place_of_a_folder_is_not_followed() {
    check(
        |yard| {
            std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
            symlink(yard.path("outside"), yard.logs("absolute")).expect("a link");
            symlink("../outside/folder", yard.logs("relative")).expect("a link");
            symlink(".", yard.logs("self")).expect("a link");
            symlink("..", yard.logs("above")).expect("a link");
        },
        &[],
    );
}

#[test]
fn a_folder_of_logs_that_is_a_link_is_told() {
    let yard = Yard::new();
    symlink(yard.path("outside"), yard.path("linked")).expect("a link");
    for (path, folders) in [("linked", 1), ("linked/folder", 1), ("linked", 2)] {
        let rule = LogRoot { name: "l".into(), folder: yard.path(path), ..yard.rule() };
        let why = "a part of its path is a link, or no folder";
        if folders == 1 {
            let told = yard.search_by(&[rule]).expect_err("nothing to search");
            assert_eq!(told, NoSearch::NoFolder(format!("; l: {why}")));
        } else {
            let search = yard.search_by(&[rule, yard.rule()]).expect("the other can be searched");
            assert_eq!(search.passed_over(), [PassedOver { name: "l".into(), why: why.into() }]);
            check_yard(&yard, &search, &[(VICTIM, Ok(()))]);
        }
    }
}

#[test]
fn a_mount_point_that_is_a_link_is_none() {
    let yard = Yard::new();
    symlink(yard.path("logs"), yard.path("linked")).expect("a link");
    let at = |path: &str, device| Search::open(&root(), &point(&yard.path(path)), device, &[yard.rule()]);
    let right = device(yard.tree.path());
    assert!(matches!(at("linked", right), Err(NoSearch::Errno(_))));
    assert!(matches!(at("nowhere", right), Err(NoSearch::Errno(rustix::io::Errno::NOENT))));
    let wrong = DeviceNumber { major: 4095, minor: 1 };
    assert_eq!(at("logs", wrong).map(drop), Err(NoSearch::Gone));
}

/// The victim in a folder of its own, and what happens to that.
fn check_folder(attack: impl Fn(&Yard), expected: Refused) {
    for prepared in [false, true] {
        let mut yard = Yard::new();
        std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
        yard.file("logs/sub/deep/app.log.1", "kept", 2);
        yard.file("logs/sub/deep/app.log.2", "victim", 9);
        let search = yard.search();
        let found = yard.found(&search);
        let ready = prepared.then(|| search.prepare(&found, NOW).expect("it may go"));
        attack(&yard);
        yard.seal();
        let before = snapshot(&yard.path("logs"));
        let done = match ready {
            Some(ready) => ready.remove(NOW),
            None => search.prepare(&found, NOW).map(drop),
        };
        assert_eq!(done, Err(expected), "prepared: {prepared}");
        assert_eq!(snapshot(&yard.path("logs")), before);
    }
}

#[test]
fn folders_that_move_are_left() {
    let moved = |from: &'static str, to: &'static str| {
        move |yard: &Yard| std::fs::rename(yard.path(from), yard.path(to)).expect("it moves")
    };
    check_folder(moved("logs/sub/deep", "logs/sub/elsewhere"), Refused::FolderMoved);
    check_folder(moved("logs/sub", "logs/elsewhere"), Refused::FolderMoved);
    check_folder(moved("logs/sub/deep", "outside/deep"), Refused::FolderMoved);
    check_folder(moved("logs/sub", "outside/sub"), Refused::FolderMoved);
    // The folder of logs itself.
    check_folder(
        |yard| {
            std::fs::rename(yard.path("logs"), yard.path("outside/logs")).expect("it moves");
            std::fs::create_dir(yard.path("logs")).expect("a folder");
        },
        Refused::FolderMoved,
    );
}

#[test]
fn folders_that_become_others_are_left() {
    let linked = |part: &'static str, to: &'static str| {
        move |yard: &Yard| {
            std::fs::rename(yard.path(part), yard.path("outside/was")).expect("it moves");
            symlink(yard.path(to), yard.path(part)).expect("a link");
        }
    };
    check_folder(linked("logs/sub/deep", "outside/folder"), Refused::FolderMoved);
    check_folder(linked("logs/sub", "outside"), Refused::FolderMoved);
    // To where it was: the file is the same, its path is not.
    check_folder(linked("logs/sub", "outside/was"), Refused::FolderMoved);
    check_folder(
        |yard| {
            std::fs::rename(yard.logs("sub/deep"), yard.path("outside/was")).expect("it moves");
            yard.file("logs/sub/deep/app.log.1", "kept", 2);
            yard.file("logs/sub/deep/app.log.2", "another", 9);
        },
        Refused::FolderMoved,
    );
}

#[test]
fn a_part_that_climbs_leads_nowhere() {
    let yard = Yard::new();
    let told = |folder: PathBuf, except: Vec<PathBuf>| {
        let rule = LogRoot { folder, except, ..yard.rule() };
        yard.search_by(&[rule]).map(drop).expect_err("nothing to search").to_string()
    };
    let climbs = "climbs";
    assert!(told(yard.path("logs/../outside"), vec![]).contains(climbs));
    assert!(told(PathBuf::from("logs"), vec![]).contains(climbs));
    assert!(told(yard.path("logs"), vec![yard.path("logs/../logs/sub")]).contains(climbs));
    assert!(told(yard.path("logs"), vec![PathBuf::from("sub")]).contains(climbs));
    assert_eq!(told(yard.path("nowhere"), vec![]), "no folder that the policy names is on it");
    assert!(told(yard.path("outside/secret"), vec![]).contains("is a link, or no folder"));
}

#[test]
fn folders_left_alone_stay_so_under_any_name() {
    let mut yard = Yard::new();
    yard.file("logs/mine/app.log.1", "kept", 2);
    yard.file("logs/mine/app.log.2", "mine", 9);
    yard.file("logs/mine/deep/app.log.1", "kept", 2);
    yard.file("logs/mine/deep/app.log.2", "mine", 9);
    yard.file("logs/minefield/app.log.1", "kept", 2);
    yard.file("logs/minefield/app.log.2", "goes", 9);
    yard.seal();
    let rule = LogRoot { except: vec![yard.path("logs/mine"), yard.path("nowhere")], ..yard.rule() };
    let search = yard.search_by(&[rule]).expect("it can be searched");
    std::fs::rename(yard.logs("mine"), yard.logs("renamed")).expect("it moves");
    check_yard(&yard, &search, &[(VICTIM, Ok(())), ("minefield/app.log.2", Ok(()))]);
    std::fs::rename(yard.logs("renamed"), yard.logs("mine")).expect("it moves");
    check_yard(&yard, &search, &[]);
    // All of it.
    let rule = LogRoot { except: vec![yard.tree.path().to_owned()], ..yard.rule() };
    assert_eq!(yard.search_by(&[rule]).map(drop), Err(NoSearch::NoFolder(String::new())));
}

#[test]
fn hidden_folders_are_not_entered() {
    check(
        |yard| {
            yard.file("logs/.snapshots/app.log.1", "kept", 2);
            yard.file("logs/.snapshots/app.log.2", "a copy", 9);
        },
        &[(VICTIM, Ok(()))],
    );
}

#[test]
fn a_folder_of_logs_within_another_has_its_own_rules() {
    let yard = Yard::new();
    for n in 1..5 {
        yard.file(format!("logs/own/app.log.{n}"), "own", n + 1);
    }
    let own = LogRoot { name: "own".into(), folder: yard.path("logs/own"), keep: 3, ..yard.rule() };
    let again = LogRoot { name: "again".into(), keep: 1, ..own.clone() };
    let search = yard.search_by(&[yard.rule(), own, again]).expect("they can be searched");
    let twice = PassedOver { name: "again".into(), why: "another has the same path".into() };
    assert_eq!(search.passed_over(), [twice]);
    check_yard(&yard, &search, &[("own/app.log.4", Ok(())), (VICTIM, Ok(()))]);
}

#[test]
fn a_search_can_begin_below_a_folder_of_logs() {
    let yard = Yard::new();
    for folder in ["logs/a", "logs/a/b"] {
        yard.file(format!("{folder}/app.log.1"), "kept", 2);
        yard.file(format!("{folder}/app.log.2"), "goes", 9);
    }
    let at = |path: &str, roots: &[LogRoot]| {
        let path = yard.path(path);
        Search::open(&root(), &point(&path), device(&path), roots)
    };
    let inner = LogRoot { name: "inner".into(), folder: yard.path("logs/a"), keep: 2, ..yard.rule() };
    let names = |search: Result<Search, NoSearch>| {
        yard.names(&search.expect("it can be searched").find(NOW, &|| false))
    };
    assert_eq!(names(at("logs/a/b", &[yard.rule()])), ["a/b/app.log.2"]);
    // The rules of the innermost hold: it keeps two.
    assert!(names(at("logs/a/b", &[yard.rule(), inner.clone()])).is_empty());
    assert!(names(at("logs/a", &[inner.clone(), yard.rule()])).is_empty());
    let except = LogRoot { except: vec![yard.path("logs/a")], ..yard.rule() };
    assert_eq!(at("logs/a/b", &[except]).map(drop), Err(NoSearch::NoFolder(String::new())));
    assert_eq!(at("outside", &[yard.rule(), inner]).map(drop), Err(NoSearch::NoFolder(String::new())));
}
