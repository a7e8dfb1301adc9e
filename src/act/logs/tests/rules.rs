//! What is selected: by name, age, owner and number, within bounds.

use super::*;
use crate::model::PathText;

#[test]
fn the_plain_case() {
    check(|_| {}, &[(VICTIM, Ok(()))]);
}

#[test]
fn the_newest_stay_however_old() {
    let kept = |keep: u32, expected: &[&str]| {
        let yard = Yard::new();
        for n in 3..6 {
            yard.file(format!("logs/app.log.{n}.gz"), "old", n * 100);
        }
        let search = yard.search_by(&[LogRoot { keep, ..yard.rule() }]).expect("it can be searched");
        assert_eq!(yard.names(&search.find(NOW, &|| false)), expected, "{keep}");
    };
    let all = ["app.log.5.gz", "app.log.4.gz", "app.log.3.gz", "app.log.2"];
    kept(0, &all);
    kept(1, &all);
    kept(2, &all[..3]);
    kept(4, &all[..1]);
    kept(5, &[]);
    kept(u32::MAX, &[]);
}

#[test]
fn the_young_stay() {
    let yard = Yard::new();
    for (name, days) in [("a.log.1", 0), ("a.log.2", 1), ("a.log.3", 2), ("b.log.1", 1), ("b.log.2", 3)] {
        yard.file(format!("logs/{name}"), "x", days);
    }
    let names = |keep_for| {
        let search = yard.search_by(&[LogRoot { keep_for, ..yard.rule() }]).expect("it can be searched");
        yard.names(&search.find(NOW, &|| false))
    };
    assert_eq!(names(DAY), [VICTIM, "b.log.2", "a.log.3", "a.log.2"]);
    assert_eq!(names(DAY + Duration::from_millis(1)), [VICTIM, "b.log.2", "a.log.3"]);
    assert_eq!(names(DAY * 9), [VICTIM]);
    assert!(names(DAY * 10).is_empty());
    assert!(names(Duration::MAX).is_empty());
}

#[test]
fn times_in_the_future_are_young() {
    let yard = Yard::new();
    let mut rule = yard.rule();
    rule.keep_for = Duration::ZERO;
    let search = yard.search_by(&[rule]).expect("it can be searched");
    let ahead = |path: &str, by: Duration| {
        let now = Duration::from_millis(NOW.unix_millis().unsigned_abs());
        let file = File::open(yard.logs(path)).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH + now + by).expect("its time can be set");
    };
    ahead("app.log.1", DAY * 3);
    ahead(VICTIM, Duration::from_millis(1));
    assert!(search.find(NOW, &|| false).candidates.is_empty());
    ahead(VICTIM, Duration::ZERO);
    assert_eq!(yard.names(&search.find(NOW, &|| false)), [VICTIM]);
}

#[test]
fn what_changed_a_moment_ago_is_still_being_rotated() {
    let yard = Yard::new();
    let search = yard.search();
    let changed = {
        let about = yard.logs(VICTIM).metadata().expect("it is there");
        WallTime::from_unix_millis(about.ctime() * 1000 + about.ctime_nsec() / 1_000_000)
    };
    // Written to years ago, if one asks the file.
    set_age(&yard.logs("app.log.1"), 300 * 100);
    set_age(&yard.logs(VICTIM), 301 * 100);
    yard.let_time_pass();
    let names = |now| yard.names(&search.find(now, &|| false));
    assert!(names(before(changed + select::SETTLE, Duration::from_mins(1))).is_empty());
    assert_eq!(names(changed + select::SETTLE + Duration::from_mins(1)), [VICTIM]);
    assert!(names(WallTime::from_unix_millis(0)).is_empty(), "a clock that was set back");
}

fn before(moment: WallTime, by: Duration) -> WallTime {
    WallTime::from_unix_millis(moment.unix_millis() - i64::try_from(by.as_millis()).expect("short"))
}

#[test]
fn age_is_judged_again_at_each_step() {
    let yard = Yard::new();
    let search = yard.search();
    let found = yard.found(&search);
    let before = before(NOW, DAY * 9);
    assert_eq!(search.prepare(&found, before).map(drop), Err(Refused::Young));
    let ready = search.prepare(&found, NOW).expect("it may go");
    assert_eq!(ready.remove(before), Err(Refused::Young));
    assert!(yard.has(VICTIM));
}

#[test]
fn only_logs_are_rotated_logs() {
    check(
        |yard| {
            for name in [
                "mysql-bin.000001",
                "mysql-bin.000002",
                "libx.so.1",
                "libx.so.2",
                "dump.1.sql",
                "dump.2.sql",
                "backup.tar.1",
                "backup.tar.2",
                "users.db.1",
                "users.db.2",
                "ibdata1",
                "app.log.gz",
                ".app.log.2",
                "thing.1",
                "thing.2",
                "core.1",
                "core.2",
            ] {
                yard.file(format!("logs/{name}"), "data", 400);
            }
            // A file beside it makes no log of data.
            for name in ["users.db", "libx.so", "backup.tar", "core"] {
                yard.file(format!("logs/{name}"), "data", 0);
            }
        },
        &[(VICTIM, Ok(()))],
    );
}

#[test]
fn a_log_of_any_name_is_known_by_its_live_file() {
    let thing = |yard: &Yard| {
        yard.file("logs/thing.1", "kept", 2);
        yard.file("logs/thing.2", "goes", 9);
    };
    check(thing_with(thing, |_| {}), &[(VICTIM, Ok(()))]);
    check(
        thing_with(thing, |yard| yard.file("logs/thing", "live", 0)),
        &[(VICTIM, Ok(())), ("thing.2", Ok(()))],
    );
    check(
        thing_with(thing, |yard| std::fs::create_dir(yard.logs("thing")).expect("a folder")),
        &[(VICTIM, Ok(()))],
    );
    check(
        thing_with(thing, |yard| symlink(yard.logs("app.log"), yard.logs("thing")).expect("a link")),
        &[(VICTIM, Ok(()))],
    );
    check(
        thing_with(thing, |yard| {
            std::fs::hard_link(yard.logs("app.log"), yard.logs("thing")).expect("a link");
        }),
        &[(VICTIM, Ok(()))],
    );
}

fn thing_with(first: impl Fn(&Yard), then: impl Fn(&Yard)) -> impl Fn(&mut Yard) {
    move |yard| {
        first(yard);
        then(yard);
    }
}

#[test]
fn empty_files_go_as_well() {
    check(|yard| yard.file("logs/app.log.2", "", 9), &[(VICTIM, Ok(()))]);
}

#[test]
fn it_stops_when_it_is_told_to() {
    let yard = Yard::new();
    for n in 0..50 {
        yard.file(format!("logs/{n}/app.log.1"), "kept", 2);
        yard.file(format!("logs/{n}/app.log.2"), "goes", 9);
    }
    let search = yard.search();
    let at_once = search.find(NOW, &|| true);
    assert!(!at_once.whole && at_once.candidates.is_empty() && at_once.entries == 0, "{at_once:?}");
    let asked = std::cell::Cell::new(0);
    let later = search.find(NOW, &|| {
        asked.set(asked.get() + 1);
        asked.get() > 10
    });
    assert!(!later.whole && later.entries > 0 && later.candidates.len() < 51, "{later:?}");
    let whole = search.find(NOW, &|| false);
    // Files and folders, each once.
    assert!(whole.whole && whole.candidates.len() == 51 && whole.entries == 3 + 50 * 3, "{whole:?}");
}

#[test]
fn the_oldest_of_a_crowded_folder_go_first() {
    let yard = Yard::new();
    let (logs, of_each) = (40, 300);
    for n in 0..logs * of_each {
        yard.file(format!("logs/b{}.log.{}", n % logs, n / logs + 1), "", 2 + n / logs);
    }
    let search = yard.search();
    let found = search.find(NOW, &|| false);
    assert!(found.whole && found.candidates.is_sorted() && found.entries >= u64::from(logs * of_each));
    let most = u32::try_from(candidate::CANDIDATES_MAX).expect("thousands");
    assert_eq!(
        (found.candidates.len() as u64, found.left_out),
        (most.into(), (logs * (of_each - 1) - most + 1).into())
    );
    let number = |it: &Candidate| {
        let name = String::from_utf8(it.name.clone()).expect("text");
        name.rsplit('.').next().and_then(|number| number.parse::<u32>().ok()).expect("a number")
    };
    let youngest = found.candidates.iter().map(number).min().expect("there are many");
    assert!(youngest >= of_each - most / logs - 1, "{youngest} goes, and older ones are left");
}

#[test]
fn of_a_folder_with_too_many_logs_some_are_looked_at() {
    let yard = Yard::new();
    for n in 0..=select::STAYING_MAX {
        yard.file(format!("logs/b{n}.log.1"), "", 9);
    }
    let found = yard.search().find(NOW, &|| false);
    assert!(!found.whole && found.candidates.len() <= 1, "each is the only one of its log");
}

proptest::proptest! {
    /// In whatever order the files come, those that go are those that were found by looking at all of them at once.
    #[test]
    fn files_are_sorted_out_as_if_all_were_seen_at_once(
        files in proptest::collection::vec((0_u8..3, 0_u32..2, 0_u32..12), 0..40),
        keep in 0_u32..4,
    ) {
        let yard = Yard::new();
        let about = yard.found(&yard.search()).about;
        let rules = select::Rules { holds: Holds::Logs, keep, keep_for: 5 * DAY };
        let mut sorting = select::Sorting::new(rules, NOW);
        let seen: Vec<select::Seen> = files.iter().enumerate().map(|(n, (log, uid, days))| {
            let seconds = NOW.unix_millis() / 1000 - i64::from(*days) * 86_400;
            let modified = place::Stamp { seconds, nanoseconds: 0 };
            let about = place::About { uid: *uid, modified, ..about };
            select::Seen { name: format!("{n:03}").into_bytes(), log: vec![*log], about }
        }).collect();
        seen.iter().cloned().for_each(|it| sorting.see(it));
        let mut went: Vec<_> = sorting.finish().go.into_iter().map(|(it, keeper)| (it.name, keeper.name.clone())).collect();
        went.sort();
        let mut expected = Vec::new();
        for it in &seen {
            let mut group: Vec<_> = seen.iter().filter(|other| other.log == it.log && other.about.uid == it.about.uid).collect();
            group.sort_by_key(|it| (std::cmp::Reverse(it.about.modified), it.name.clone()));
            let place = group.iter().position(|other| other.name == it.name).expect("it is in it");
            if place >= keep.max(1) as usize && rules.is_old(&it.about, NOW) {
                expected.push((it.name.clone(), group[0].name.clone()));
            }
        }
        proptest::prop_assert_eq!(went, expected);
    }
}

#[test]
fn long_paths_take_no_more_memory_than_short_ones() {
    use std::sync::Arc;
    let about = {
        let yard = Yard::new();
        yard.found(&yard.search()).about
    };
    let rules = select::Rules { holds: Holds::Logs, keep: 1, keep_for: DAY };
    let path = vec![b'x'; 10_000];
    let folder = Arc::new(candidate::Folder { path, identity: about.identity, rules });
    let mut pool = candidate::Pool::default();
    for n in 0..1000_u32 {
        let (folder, name) = (Arc::clone(&folder), n.to_string().into_bytes());
        pool.offer(Candidate { folder, name, about, keeper: None });
    }
    let (kept, left_out) = pool.finish();
    assert!(kept.len() > 300 && kept.len() < 500 && kept.len() as u64 + left_out == 1000, "{}", kept.len());
}

#[test]
fn what_was_refused_is_told_in_bounds() {
    let yard = Yard::new();
    for n in 10..90 {
        symlink("nowhere", yard.logs(format!("app.log.{n}"))).expect("a link");
    }
    let found = yard.search().find(NOW, &|| false);
    assert_eq!((found.refused.len(), yard.names(&found)), (walk::REFUSED_MAX, vec![VICTIM.to_owned()]));
    let told: &(PathText, Refused) = &found.refused[0];
    assert_eq!(told.1.to_string(), "it is a link");
}

#[test]
fn the_room_is_that_of_the_file_system() {
    let yard = Yard::new();
    let room = yard.search().usage().expect("it can be asked");
    assert!(room.free.0 > 0 && room.available <= room.free && room.free <= room.total);
    let told = rustix::fs::statvfs(yard.tree.path()).expect("it can be asked");
    assert_eq!(room.inodes.value().is_some(), told.f_files > 0);
}
