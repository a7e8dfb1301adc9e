//! Somebody changes things as fast as he can while searches and removals run. What is checked is what never happens:
//! nothing outside changes, nothing hangs, and nothing is lost that was not to be removed.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, RenameFlags, mknodat, renameat_with};

use super::rights::without_openat2;
use super::*;

/// Of searching and removing.
const ROUNDS: u32 = 10_000;
/// Rounds between two looks outside.
const LOOK: u32 = 500;
/// Turns of a processor: a round takes about as long as the longest of these waits.
const TURNS: u64 = 1_024;

/// On a disk, each rename over another file would wait for its content to be written.
fn yard_in_memory() -> Yard {
    let memory = Path::new("/dev/shm");
    let tree = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Yard::within(tree.expect("a folder"))
}

/// Removes what may go, again and again, while somebody disturbs. Before each round there is something to remove.
fn race(yard: &Yard, restore: impl Fn(), disturb: impl Fn(u64) + Sync) {
    let stop = AtomicBool::new(false);
    let mut told = BTreeMap::<String, u32>::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // At another moment of the round each time (xorshift).
            let mut random = 0x2545_f491_4f6c_dd1d_u64;
            while !stop.load(Ordering::Relaxed) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                for _ in 0..random % TURNS {
                    std::hint::spin_loop();
                }
                disturb(random);
            }
        });
        let stopped = Stopped(&stop);
        let search = yard.search();
        for round in 0..ROUNDS {
            restore();
            for done in yard.outcome(&search).into_values() {
                *told.entry(format!("{done:?}")).or_default() += 1;
            }
            if round % LOOK == 0 {
                assert_eq!(snapshot(&yard.path("outside")), yard.before, "round {round}");
            }
        }
        drop(stopped);
    });
    assert!(yard.has("app.log.1") && yard.has("app.log"), "what is kept is there");
    assert!(told.contains_key("Ok(())"), "nothing was ever removed: {told:?}");
}

/// Ends the other thread also where this one fails.
struct Stopped<'a>(&'a AtomicBool);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes the place of the victim, whatever that is.
fn take_place(yard: &Yard, by: &str, make: impl FnOnce(&Path)) {
    let new = yard.path(by);
    make(&new);
    std::fs::rename(&new, yard.logs(VICTIM)).expect("it takes its place");
    // Two names of one file stay both.
    let _ = std::fs::remove_file(&new);
}

fn put_file(yard: &Yard) {
    take_place(yard, "restored", |new| std::fs::write(new, "a log").expect("a file"));
}

fn race_of_files(make: impl Fn(&Yard, &Path) + Sync) {
    let yard = yard_in_memory();
    race(&yard, || put_file(&yard), |_| take_place(&yard, "disturbed", |new| make(&yard, new)));
}

#[test]
fn a_file_that_turns_into_a_link() {
    race_of_files(|yard, new| symlink(yard.path("outside/app.log.2"), new).expect("a link"));
}

#[test]
fn a_file_that_turns_into_another_name_of_one_outside() {
    race_of_files(|yard, new| std::fs::hard_link(yard.path("outside/secret"), new).expect("a link"));
}

#[test]
fn a_file_that_turns_into_a_pipe() {
    race_of_files(|_, new| mknodat(CWD, new, FileType::Fifo, Mode::RUSR, 0).expect("a pipe"));
}

#[test]
fn a_file_that_turns_into_another() {
    race_of_files(|_, new| std::fs::write(new, "other").expect("a file"));
}

#[test]
fn a_file_that_gets_another_name() {
    let yard = yard_in_memory();
    let second = yard.path("second");
    race(
        &yard,
        || put_file(&yard),
        |_| {
            let _ = std::fs::remove_file(&second);
            let _ = std::fs::hard_link(yard.logs(VICTIM), &second);
        },
    );
}

/// Turns this folder into a link to one outside, and back.
fn race_of_folders(part: &str, target: &str) {
    let mut yard = yard_in_memory();
    for (name, days) in [("app.log.1", 2), ("app.log.2", 9)] {
        yard.file(format!("logs/sub/deep/{name}"), "a log", days);
        yard.file(format!("outside/deep/{name}"), "not to be touched", days);
    }
    symlink(yard.path(target), yard.path("link")).expect("a link");
    yard.seal();
    // Also where its path leads elsewhere.
    let deep = File::open(yard.logs("sub/deep")).expect("a folder");
    let exchange = || {
        let (link, folder) = (yard.path("link"), yard.logs(part));
        renameat_with(CWD, link, CWD, folder, RenameFlags::EXCHANGE).expect("both are there");
    };
    race(
        &yard,
        || {
            yard.file("restored", "a log", 9);
            rustix::fs::renameat(CWD, yard.path("restored"), deep.as_fd(), VICTIM).expect("it is put there");
        },
        |random| {
            exchange();
            for _ in 0..random % 512 {
                std::hint::spin_loop();
            }
            exchange();
        },
    );
}

#[test]
fn a_folder_that_turns_into_a_link_and_back() {
    race_of_folders("sub/deep", "outside/folder");
}

#[test]
fn a_folder_above_that_turns_into_a_link_and_back() {
    race_of_folders("sub", "outside");
}

#[test]
fn a_folder_that_turns_into_a_link_and_back_without_openat2() {
    without_openat2(|| race_of_folders("sub", "outside"));
}

/// Two files exchange their names all the time: one may go, the other must never be lost.
#[test]
fn a_rotation_that_never_ends() {
    let yard = yard_in_memory();
    let names = ["app.log.2", "app.log.3"];
    let young = Mutex::new(Vec::new());
    let fill = |by: &str| {
        for name in names {
            let lives = names.iter().any(|it| std::fs::read(yard.logs(it)).is_ok_and(|it| it == b"young"));
            let (content, days) = if lives { ("old", 9) } else { ("young", 0) };
            yard.file(by, content, days);
            let inode = yard.path(by).metadata().expect("it is there").ino();
            let done = renameat_with(CWD, yard.path(by), CWD, yard.logs(name), RenameFlags::NOREPLACE);
            if done.is_ok() && content == "young" {
                young.lock().expect("no panic").push(inode);
            }
        }
    };
    // As new as any, so that none of the others is kept for being the newest.
    set_age(&yard.logs("app.log.1"), 0);
    std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
    race(
        &yard,
        || fill("restored"),
        |random| {
            let [a, b] = names.map(|name| yard.logs(name));
            let exchanged = renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE);
            // One was removed, or put aside for a moment: at times this takes its name from it.
            if exchanged.is_err() && random % 4 == 0 {
                fill("disturbed");
            }
        },
    );
    let left: Vec<u64> = snapshot(&yard.path("logs")).into_values().map(|facts| facts.0).collect();
    for inode in young.lock().expect("no panic").iter() {
        assert!(left.contains(inode), "a young one was lost: {inode}");
    }
}

/// Takes what was put aside, and puts something else there.
#[test]
fn a_thief_of_private_names() {
    let yard = yard_in_memory();
    let stolen = yard.path("stolen");
    race(
        &yard,
        || put_file(&yard),
        |random| {
            let Ok(victim) = yard.logs(VICTIM).metadata() else { return };
            let aside = yard.logs(format!(".prunella-removing-{}", victim.ino()));
            match random % 3 {
                0 => symlink(yard.path("outside/secret"), &stolen).expect("a link"),
                1 => std::fs::hard_link(yard.path("outside/secret"), &stolen).expect("a link"),
                _ => std::fs::write(&stolen, "mine").expect("a file"),
            }
            // As soon as it is there.
            for _ in 0..64 {
                if renameat_with(CWD, &stolen, CWD, &aside, RenameFlags::EXCHANGE).is_ok() {
                    break;
                }
            }
            let _ = std::fs::remove_file(&stolen);
            let _ = std::fs::remove_file(&aside);
        },
    );
}

/// Opens, writes and closes: neither waits for the other for good.
#[test]
fn a_writer_that_comes_and_goes() {
    let yard = yard_in_memory();
    race(
        &yard,
        || put_file(&yard),
        |_| {
            if let Ok(mut file) = OpenOptions::new().append(true).open(yard.logs(VICTIM)) {
                file.write_all(b"more").expect("it is written");
            }
        },
    );
}
