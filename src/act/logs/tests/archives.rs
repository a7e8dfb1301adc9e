//! Live logs are archived: every line is there afterwards, once, whoever writes and reads meanwhile, and wherever it was
//! broken off.

use std::os::unix::fs::{FileExt as _, PermissionsExt, chown};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::act::logs::archive::TAIL;
use crate::act::logs::archive::openers::only_appended_to;
use crate::act::logs::live::archiving_name;
use crate::act::logs::place::{self, About};

/// Of a log that is worth it: some stages.
pub(super) const LINES: u64 = 120_000;
pub(super) const STAGE: u64 = 512 << 10;

pub(super) const fn never() -> bool {
    false
}

pub(super) fn line(number: u64) -> String {
    format!("{number:>12} a line that somebody wrote, of no great length\n")
}

pub(super) fn lines(from: u64, to: u64) -> String {
    (from..to).map(line).collect()
}

/// A yard with a log of so many lines.
pub(super) fn yard_with(lines_in_it: u64) -> Yard {
    let yard = Yard::new();
    yard.file("logs/app.log", lines(0, lines_in_it), 0);
    yard
}

/// What `proc` shows where nobody has anything open: then the hole is taken out of the log.
pub(super) fn nobody(yard: &Yard) -> PathBuf {
    yard.path("empty")
}

pub(super) fn found(search: &Search) -> Vec<LiveLog> {
    search.find_live(None, &never).logs
}

pub(super) fn begin(yard: &Yard, search: &Search) -> Result<Archiving, Refused> {
    begin_at(yard, search, NOW, &nobody(yard))
}

pub(super) fn begin_at(
    yard: &Yard,
    search: &Search,
    now: WallTime,
    proc: &Path,
) -> Result<Archiving, Refused> {
    std::fs::create_dir_all(nobody(yard)).expect("a folder");
    let found = found(search);
    search.archive(found.first().expect("a live log"), None, proc, now, &never)
}

/// Packs and gives back until there is no more.
pub(super) fn all_stages(archiving: &mut Archiving) -> u64 {
    let mut stages = 0;
    loop {
        match archiving.pack(STAGE, &never) {
            Ok(_) => {}
            Err(Halt::Done) => return stages,
            Err(other) => panic!("{other:?}"),
        }
        archiving.give_back().expect("it is as it was packed");
        stages += 1;
    }
}

pub(super) fn archive_once(yard: &Yard, now: WallTime, proc: &Path) {
    let mut archiving = begin_at(yard, &yard.search(), now, proc).expect("it can be archived");
    all_stages(&mut archiving);
    archiving.finish(&never).expect("it gets its name");
}

pub(super) fn archives(yard: &Yard) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(yard.path("logs")).expect("a folder").flatten();
    let mut all: Vec<_> =
        entries.map(|it| it.path()).filter(|it| it.extension() == Some("gz".as_ref())).collect();
    all.sort();
    all
}

/// As people read it: the archives by the usual tool, then the log without what was taken out.
fn text(yard: &Yard) -> String {
    let mut text = String::new();
    for archive in archives(yard) {
        let out = Command::new("gzip").args(["-dc"]).arg(&archive).output().expect("gzip is there");
        assert!(out.status.success(), "{}: {}", archive.display(), String::from_utf8_lossy(&out.stderr));
        text.push_str(&String::from_utf8(out.stdout).expect("lines"));
    }
    let log = std::fs::read(yard.logs("app.log")).expect("it is there");
    text.push_str(&String::from_utf8(log).expect("lines").replace('\0', ""));
    text
}

#[track_caller]
pub(super) fn check_text(yard: &Yard, lines_in_it: u64) {
    let text = text(yard);
    let differs = text.lines().zip(0..).find(|(found, number)| format!("{found}\n") != line(*number));
    assert_eq!((text.lines().count(), differs), (usize::try_from(lines_in_it).expect("a count"), None));
    assert!(!yard.has(&private(yard)), "an archive was left unfinished");
}

/// What its archive is called while it is being made.
pub(super) fn private(yard: &Yard) -> String {
    let inode = yard.logs("app.log").metadata().expect("it is there").ino();
    String::from_utf8(archiving_name(inode)).expect("text")
}

#[test]
fn every_line_is_there_and_the_log_is_short() {
    let yard = yard_with(LINES);
    let log = yard.logs("app.log");
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o640)).expect("its mode");
    chown(&log, Some(33), Some(4)).expect("its owner");
    let before = log.metadata().expect("it is there");
    archive_once(&yard, NOW, &nobody(&yard));
    check_text(&yard, LINES);
    let (after, archive) = (log.metadata().expect("it is there"), &archives(&yard)[0]);
    assert_eq!(archive.file_name(), Some("app.log-20400101-000000.gz".as_ref()));
    let kept = archive.metadata().expect("it is there");
    assert_eq!((kept.uid(), kept.gid(), kept.mode()), (33, 4, before.mode()));
    assert_eq!((after.ino(), after.uid(), after.mode()), (before.ino(), before.uid(), before.mode()));
    assert!(after.blocks() * 512 < 2 * TAIL, "{} blocks", after.blocks());
    assert!(kept.len() < before.len() / 5, "{}", kept.len());
    // Taken out of it where the file system can, as this one can.
    assert!(after.len() < 2 * TAIL, "{}", after.len());
}

#[test]
fn whoever_reads_it_keeps_his_place() {
    let yard = yard_with(LINES);
    let log = yard.logs("app.log");
    let length = log.metadata().expect("it is there").len();
    let mut reader = Running::begin(Command::new("tail").args(["-n", "1", "-f"]).arg(&log));
    reader.first_line();
    archive_once(&yard, NOW, Path::new("/proc"));
    let about = log.metadata().expect("it is there");
    assert_eq!(about.len(), length);
    assert!(about.blocks() * 512 < 2 * TAIL);
    // Neither the archive nor the log has half a line.
    let left = std::fs::read_to_string(&log).expect("lines").replace('\0', "");
    let first = left.lines().next().expect("a line");
    assert_eq!(format!("{first}\n"), line(first.trim()[..6].trim().parse().expect("a number")));
    check_text(&yard, LINES);
    // Again, when there is more.
    let mut more = append(&log);
    more.write_all(lines(LINES, 2 * LINES).as_bytes()).expect("it can be written");
    archive_once(&yard, NOW + Duration::from_mins(1), Path::new("/proc"));
    check_text(&yard, 2 * LINES);
    assert_eq!(archives(&yard).len(), 2);
}

struct Running(Child);

impl Running {
    fn begin(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).spawn().expect("it runs"))
    }

    /// Its output stays open: some end when nobody reads it.
    fn first_line(&mut self) {
        let output = self.0.stdout.as_mut().expect("its output");
        let mut byte = [0];
        while byte != *b"\n" {
            output.read_exact(&mut byte).expect("a line");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets the writer end, whatever has happened.
struct Over<'a>(&'a AtomicU64);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Ten rotations while somebody writes as fast as he can, with the file opened like this.
fn check_under_load(options: &OpenOptions, proc: &Path) {
    let yard = yard_with(0);
    let log = yard.logs("app.log");
    let file = options.open(&log).expect("it can be written to");
    // A disk is not to be filled by a test that fails.
    let (limit, written) = (AtomicU64::new(1), AtomicU64::new(0));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut file = file;
            let mut number = 0;
            loop {
                match limit.load(Ordering::Relaxed) {
                    0 => return,
                    limit if number < limit => {}
                    _ => {
                        std::thread::yield_now();
                        continue;
                    }
                }
                // Some lines at once, as loggers do.
                file.write_all(lines(number, number + 7).as_bytes()).expect("it can be written");
                number += 7;
                written.store(number, Ordering::Relaxed);
            }
        });
        let over = Over(&limit);
        for rotation in 0..10_u32 {
            let so_far = written.load(Ordering::Relaxed);
            limit.store(so_far + 2 * LINES, Ordering::Relaxed);
            while written.load(Ordering::Relaxed) < so_far + LINES / 2 {
                std::thread::yield_now();
            }
            archive_once(&yard, NOW + Duration::from_mins(1) * rotation, proc);
        }
        drop(over);
    });
    check_text(&yard, written.load(Ordering::Relaxed));
    assert_eq!(archives(&yard).len(), 10);
}

#[test]
fn no_line_is_lost_to_who_appends() {
    let yard = yard_with(0);
    std::fs::create_dir_all(nobody(&yard)).expect("a folder");
    // The writer is in this process, which is not asked: the hole is taken out under him.
    check_under_load(OpenOptions::new().append(true), &nobody(&yard));
}

#[test]
fn no_line_is_lost_to_who_writes_at_his_own_place() {
    // Where it can't be told who has it open, the hole stays.
    check_under_load(OpenOptions::new().write(true), Path::new("/nowhere"));
}

#[test]
fn who_may_write_elsewhere_is_noticed() {
    let check = |how: &str, appends: bool| {
        let yard = yard_with(1);
        let log = yard.logs("app.log");
        let script = format!("exec 3{how}'{}'; echo; exec sleep 60", log.display());
        let mut other = Running::begin(Command::new("sh").args(["-c", &script]));
        other.first_line();
        let about = look_at(&log);
        // That of one process alone: not every sandbox shows all of them.
        let proc = yard.path("proc");
        std::fs::create_dir(&proc).expect("a folder");
        symlink(format!("/proc/{}", other.0.id()), proc.join(other.0.id().to_string())).expect("a link");
        assert_eq!(only_appended_to(&proc, about.identity, &never), appends, "{how}");
    };
    check(">>", true);
    check(">", false);
    check("<", false);
    check("<>", false);
    let yard = yard_with(1);
    let about = look_at(&yard.logs("app.log"));
    assert!(!only_appended_to(Path::new("/nowhere"), about.identity, &never));
    assert!(!only_appended_to(Path::new("/proc"), about.identity, &|| true));
}

fn look_at(path: &Path) -> About {
    let file = File::open(path).expect("it is there");
    place::look_at(std::os::fd::AsFd::as_fd(&file)).expect("it can be asked")
}

/// What becomes of a stage when this happens between packing it and giving it back.
#[track_caller]
fn check_packed(attack: impl FnOnce(&Yard), expected: Refused) {
    let yard = yard_with(LINES);
    let search = yard.search();
    let mut archiving = begin(&yard, &search).expect("it can be archived");
    archiving.pack(STAGE, &never).expect("there is more");
    attack(&yard);
    let log = std::fs::read(yard.logs("app.log")).ok();
    assert_eq!(archiving.give_back(), Err(expected));
    assert_eq!(std::fs::read(yard.logs("app.log")).ok(), log, "it was refused, and the log has changed");
    assert_eq!(archiving.finish(&never), Err(Refused::NothingToArchive));
    assert_eq!(archives(&yard).len(), 0);
}

#[test]
fn what_changed_after_it_was_packed_stays() {
    let log = |yard: &Yard| OpenOptions::new().write(true).open(yard.logs("app.log")).expect("it is there");
    check_packed(|yard| log(yard).set_len(0).expect("it can be cut"), Refused::Changed);
    check_packed(|yard| log(yard).write_all_at(b"other", 10).expect("it can be written"), Refused::Changed);
    check_packed(
        |yard| {
            std::fs::rename(yard.logs("app.log"), yard.logs("app.log.5")).expect("it can be renamed");
            yard.file("logs/app.log", "new\n", 0);
        },
        Refused::Replaced,
    );
    check_packed(
        |yard| std::fs::hard_link(yard.logs("app.log"), yard.logs("other")).expect("it can be linked"),
        Refused::OtherNames,
    );
    check_packed(
        |yard| {
            std::fs::rename(yard.path("logs"), yard.path("moved")).expect("it can be renamed");
            symlink(yard.path("outside"), yard.path("logs")).expect("a link");
        },
        Refused::FolderMoved,
    );
}

#[test]
fn an_archive_that_is_gone_is_none() {
    let yard = yard_with(LINES);
    let mut archiving = begin(&yard, &yard.search()).expect("it can be archived");
    archiving.pack(STAGE, &never).expect("there is more");
    std::fs::remove_file(yard.logs(private(&yard))).expect("it can be removed");
    assert_eq!(archiving.give_back(), Err(Refused::Gone));
    drop(archiving);
    check_text(&yard, LINES);
}

/// Why nothing is taken from the log.
#[track_caller]
fn check_begun(set_up: impl FnOnce(&Yard), expected: Refused) {
    let yard = yard_with(LINES);
    set_up(&yard);
    let before = snapshot(&yard.path("logs"));
    let search = yard.search();
    let all = search.find_live(None, &never);
    let done = all.logs.first().map(|it| search.archive(it, None, &nobody(&yard), NOW, &never).map(drop));
    let refused = all.refused.first().map(|(_, why)| *why);
    assert_eq!(done.and_then(Result::err).or(refused), Some(expected));
    assert_eq!(snapshot(&yard.path("logs")), before, "it was refused, and something has changed");
}

#[test]
fn what_is_no_log_of_lines_is_left_alone() {
    check_begun(|yard| yard.file("logs/app.log", vec![7; 4 << 20], 0), Refused::NoLines);
    check_begun(
        |yard| yard.file("logs/app.log", [lines(0, LINES).as_bytes(), &[0; 64]].concat(), 0),
        Refused::NoLines,
    );
    check_begun(
        |yard| std::fs::hard_link(yard.logs("app.log"), yard.logs("other")).expect("it can be linked"),
        Refused::OtherNames,
    );
    check_begun(
        |yard| {
            std::fs::remove_file(yard.logs("app.log")).expect("it can be removed");
            symlink(yard.path("outside/secret"), yard.logs("app.log")).expect("a link");
        },
        Refused::Link,
    );
    // Somebody has prepared a link where the archive is to be.
    check_begun(
        |yard| symlink(yard.path("outside/secret"), yard.logs(private(yard))).expect("a link"),
        Refused::AsideTaken,
    );
}

#[test]
fn nobody_elses_file_is_taken_for_an_archive() {
    let forge = |change: &dyn Fn(&Path)| {
        let yard = yard_with(LINES);
        let mut archiving = begin(&yard, &yard.search()).expect("it can be archived");
        archiving.pack(STAGE, &never).expect("there is more");
        drop(archiving);
        let path = yard.logs(private(&yard));
        change(&path);
        let before = snapshot(&yard.path("logs"));
        let search = yard.search();
        let all = search.find_live(None, &never);
        // Where it is passed over, its log is as well: nothing is taken for its archive but what is.
        let done = search.archive(&all.logs[0], None, &nobody(&yard), NOW, &never).map(drop);
        let told = all.refused.iter().map(|(_, why)| *why).chain(done.err()).collect::<Vec<_>>();
        assert!(told.contains(&Refused::Stray), "{told:?}");
        assert_eq!(snapshot(&yard.path("logs")), before);
    };
    forge(&|path| chown(path, Some(1000), None).expect("its owner"));
    forge(&|path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).expect("its mode"));
    forge(&|path| {
        let file = OpenOptions::new().write(true).open(path).expect("it is there");
        file.write_all_at(&[9], 30).expect("it can be written");
    });
}

#[test]
fn what_frees_nothing_is_not_archived() {
    let yard = Yard::new();
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Any byte but zero, and a line now and then.
        u8::try_from(state >> 56).unwrap_or(0).max(1)
    });
    yard.file("logs/app.log", noise.take(4 << 20).collect::<Vec<u8>>(), 0);
    let before = snapshot(&yard.path("logs"));
    let mut archiving = begin(&yard, &yard.search()).expect("it looks like lines");
    assert_eq!(archiving.pack(STAGE, &never), Err(Halt::Refused(Refused::Dense)));
    assert_eq!(archiving.finish(&never), Err(Refused::NothingToArchive));
    assert_eq!(snapshot(&yard.path("logs")), before);
}

#[test]
fn it_stops_when_it_is_told_to() {
    let yard = yard_with(LINES);
    let mut archiving = begin(&yard, &yard.search()).expect("it can be archived");
    archiving.pack(STAGE, &never).expect("there is more");
    archiving.give_back().expect("it is as it was packed");
    assert_eq!(archiving.pack(STAGE, &|| true), Err(Halt::Stopped));
    archiving.finish(&never).expect("it gets its name");
    check_text(&yard, LINES);
}
