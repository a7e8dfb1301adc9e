//! Archives of logs on a disk that has no room for them: begun elsewhere, brought home, and broken off in between.

use super::archives::*;
use super::mounts::{apart, mount_with, unmount};
use super::*;

/// Of a disk in memory.
const DISK: &str = "size=24m";
const MINUTE: Duration = Duration::from_mins(1);

/// A log on a disk without a free byte, and the folder for its archive.
struct Full {
    yard: Yard,
    away: AwayFolder,
    away_path: PathBuf,
}

/// The folder is `beside` on the same disk, or on another.
fn on_a_full_disk(beside: bool, work: impl FnOnce(&Full) + Send) {
    apart(|| {
        let disk = tempfile::tempdir().expect("a folder");
        mount_with(Path::new("none"), disk.path(), "tmpfs", 0, DISK).expect("it can be mounted");
        let elsewhere = tempfile::tempdir().expect("a folder");
        {
            let yard = Yard::within(tempfile::tempdir_in(disk.path()).expect("a folder"));
            yard.file("logs/app.log", lines(0, LINES), 0);
            std::fs::create_dir_all(nobody(&yard)).expect("a folder");
            let away_path = if beside { yard.path("archiving") } else { elsewhere.path().join("archiving") };
            let away = AwayFolder::open(&away_path).expect("a folder");
            assert_eq!(away.keep_reserve(), Ok(true));
            fill(&yard);
            work(&Full { yard, away, away_path });
        }
        unmount(disk.path());
    });
}

fn fill(yard: &Yard) {
    let mut file = File::options().create(true).append(true).open(yard.path("data")).expect("a file");
    while file.write(&[7; 4096]).is_ok() {}
}

impl Full {
    fn search(&self) -> Search {
        self.yard.search()
    }

    fn begin(&self) -> Archiving {
        let search = self.search();
        let log = &found(&search)[0];
        let beside = search.archive(log, None, &nobody(&self.yard), NOW, &never).map(drop);
        assert_eq!(beside, Err(Refused::NoRoom));
        search
            .archive(log, Some(&self.away), &nobody(&self.yard), NOW, &never)
            .expect("it is begun elsewhere")
    }

    fn waiting(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.away_path).expect("a folder").flatten();
        let names = entries.map(|it| it.file_name().into_string().expect("text"));
        names.filter(|name| name != "reserve").collect()
    }

    /// What the next act makes of it.
    fn go_on(&self, what: &str) {
        let search = self.search();
        for log in search.find_live(Some(&self.away), &never).logs {
            let away = Some(&self.away).filter(|_| log.is_begun());
            match search.archive(&log, away, &nobody(&self.yard), NOW + MINUTE, &never) {
                Ok(mut archiving) => {
                    all_stages(&mut archiving);
                    match archiving.finish(&never) {
                        Ok(_) | Err(Refused::NothingToArchive) => {}
                        Err(why) => panic!("{what}: {why}"),
                    }
                }
                Err(Refused::NothingToArchive | Refused::Gone) => {}
                Err(other) => panic!("{what}: {other:?}"),
            }
        }
        assert_eq!(self.waiting(), [""; 0], "{what}");
        check_text(&self.yard, LINES);
    }
}

#[test]
fn it_is_begun_elsewhere_and_comes_home() {
    for beside in [false, true] {
        on_a_full_disk(beside, |full| {
            let mut archiving = full.begin();
            let before = full.search().usage().expect("its room").free;
            archiving.pack(STAGE, &never).expect("there is room elsewhere");
            assert!(archiving.away().is_some());
            archiving.give_back().expect("it is as it was packed");
            let after = full.search().usage().expect("its room").free;
            assert_eq!((before.0, after.0 >= STAGE - 4096), (0, true), "{after:?}");
            assert_eq!(full.waiting().len(), 1);
            let path = archiving.finish(&never).expect("it comes home");
            assert_eq!(full.yard.name(&path), "app.log-20400101-000000.gz");
            assert_eq!(full.waiting(), [""; 0]);
            check_text(&full.yard, LINES);
            // There is room beside it now.
            archive_once(&full.yard, NOW + MINUTE, &nobody(&full.yard));
            check_text(&full.yard, LINES);
            // Only where there is plenty of room.
            assert_eq!(full.away.keep_reserve(), Ok(!beside));
        });
    }
}

#[test]
fn on_the_disk_that_is_full_no_more_is_taken_than_was_reserved() {
    on_a_full_disk(true, |full| {
        let mut archiving = full.begin();
        let mut stages = 0;
        loop {
            match archiving.pack(1 << 30, &never) {
                Ok(_) => archiving.give_back().expect("it is as it was packed"),
                Err(Halt::Done) => break,
                Err(other) => panic!("{other:?}"),
            };
            // Whoever fills the disk takes what was freed.
            fill(&full.yard);
            stages += 1;
        }
        assert!(stages > 1);
        assert_eq!(archiving.finish(&never), Err(Refused::NoRoom));
        assert_eq!(full.waiting().len(), 1);
        std::fs::remove_file(full.yard.path("data")).expect("it is there");
        full.go_on("when there is room again");
    });
}

/// After the agent ended at that moment, the next act goes on; the disk is as full as before, or is not.
fn check_broken_off(what: &str, then: impl Fn(Archiving, &Full) + Send + Sync) {
    for beside in [false, true] {
        on_a_full_disk(beside, |full| {
            then(full.begin(), full);
            std::fs::remove_file(full.yard.path("data")).expect("it is there");
            full.go_on(what);
        });
    }
}

fn one_stage(archiving: &mut Archiving) {
    archiving.pack(STAGE, &never).expect("there is room elsewhere");
    archiving.give_back().expect("it is as it was packed");
}

#[test]
fn an_act_that_was_broken_off_is_gone_on_with() {
    check_broken_off("begun", |archiving, _| drop(archiving));
    check_broken_off("packed", |mut archiving, _| {
        archiving.pack(STAGE, &never).expect("there is room elsewhere");
    });
    check_broken_off("given back", |mut archiving, _| one_stage(&mut archiving));
    check_broken_off("packed again", |mut archiving, _| {
        one_stage(&mut archiving);
        archiving.pack(STAGE, &never).expect("there is room elsewhere");
    });
    check_broken_off("within the next stage", |mut archiving, full| {
        one_stage(&mut archiving);
        let path = full.away_path.join(&full.waiting()[0]);
        append(&path).write_all(b"half a member").expect("there is room");
    });
    check_broken_off("home already, and not gone from where it was", |mut archiving, full| {
        one_stage(&mut archiving);
        let (from, to) = (full.away_path.join(&full.waiting()[0]), full.yard.logs(private(&full.yard)));
        std::fs::copy(&from, &to).expect("there is room");
    });
}

#[test]
fn what_is_in_its_place_at_home_stays_and_it_waits() {
    on_a_full_disk(false, |full| {
        let mut archiving = full.begin();
        one_stage(&mut archiving);
        let at_home = full.yard.logs(private(&full.yard));
        std::fs::write(&at_home, "of somebody else").expect("there is room");
        assert!(archiving.finish(&never).is_err());
        assert_eq!(
            (full.waiting().len(), full.yard.read(&private(&full.yard))),
            (1, "of somebody else".into())
        );
        std::fs::remove_file(&at_home).expect("it is there");
        full.go_on("when that is gone");
    });
}

#[test]
fn an_archive_waits_for_its_own_disk() {
    on_a_full_disk(false, |full| {
        let mut archiving = full.begin();
        one_stage(&mut archiving);
        drop(archiving);
        let other = yard_with(0);
        let live = other.search().find_live(Some(&full.away), &never);
        assert!(live.logs.is_empty() && live.refused.is_empty(), "{live:?}");
        std::fs::remove_file(full.yard.path("data")).expect("it is there");
        full.go_on("its own");
    });
}
