//! What stands in the place of a log and is none: links, pipes, devices, folders, marks.

use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, IFlags, ioctl_getflags, ioctl_setflags, mknodat};

use super::*;

fn linked(to: &'static str) -> impl FnOnce(&mut Yard) {
    move |yard| {
        std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
        symlink(to, yard.logs(VICTIM)).expect("a link");
    }
}

#[test]
fn links_of_every_kind_stay() {
    let link = [(VICTIM, Err(Refused::Link))];
    check(linked("../outside/secret"), &link);
    check(linked("../outside"), &link);
    check(linked("app.log.1"), &link);
    check(linked("nowhere"), &link);
    check(linked(VICTIM), &link);
    check(linked("/etc/hostname"), &link);
    check(linked("/proc/self/fd/0"), &link);
    check(
        |yard| {
            std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
            symlink(yard.path("outside/app.log.2"), yard.logs(VICTIM)).expect("a link");
        },
        &link,
    );
}

fn other_name(yard: &mut Yard) {
    std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
    std::fs::hard_link(yard.path("outside/secret"), yard.logs(VICTIM)).expect("a link");
}

#[test]
fn another_name_of_a_file_outside_stays() {
    check(other_name, &[(VICTIM, Err(Refused::OtherNames))]);
    check_found(other_name, Refused::OtherNames);
}

#[test]
fn a_second_name_is_noticed_at_any_time() {
    let link = |yard: &mut Yard| {
        std::fs::hard_link(yard.logs(VICTIM), yard.path("outside/mine")).expect("a link");
    };
    check_found(link, Refused::OtherNames);
    check_prepared(link, Refused::OtherNames);
}

fn made(kind: FileType) -> impl FnOnce(&mut Yard) {
    move |yard| {
        std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
        // /dev/full, where it is a device.
        let device = rustix::fs::makedev(1, 7);
        mknodat(CWD, yard.logs(VICTIM), kind, Mode::RUSR, device).expect("it is made");
    }
}

#[test]
fn pipes_sockets_devices_and_folders_stay() {
    let other = [(VICTIM, Err(Refused::NotAFile))];
    check(made(FileType::Fifo), &other);
    // Opening it would wait for a writer.
    check_found(made(FileType::Fifo), Refused::NotAFile);
    check_prepared(made(FileType::Fifo), Refused::Gone);
    check(
        |yard| {
            std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
            drop(UnixListener::bind(yard.logs(VICTIM)).expect("a socket"));
        },
        &other,
    );
    check(
        |yard| {
            std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
            std::fs::create_dir(yard.logs(VICTIM)).expect("a folder");
        },
        &other,
    );
    if rustix::process::geteuid().is_root() {
        check(made(FileType::CharacterDevice), &other);
        check_found(made(FileType::CharacterDevice), Refused::NotAFile);
    } else {
        skipped("devices", "not root");
    }
}

#[test]
fn programs_with_rights_of_others_stay() {
    let marked = |mode| {
        move |yard: &mut Yard| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(yard.logs(VICTIM), mode).expect("it is set");
        }
    };
    check(marked(0o4755), &[(VICTIM, Err(Refused::SetId))]);
    check(marked(0o2755), &[(VICTIM, Err(Refused::SetId))]);
    check_prepared(marked(0o4755), Refused::SetId);
    if rustix::process::geteuid().is_root() {
        check(marked(0o000), &[(VICTIM, Ok(()))]);
    } else {
        skipped("files that nobody may read", "not root");
    }
}

/// Takes the mark off again, so that the tree can be removed.
struct Marked(File);

impl Marked {
    fn new(path: &Path, mark: IFlags) -> Option<Self> {
        let file = File::open(path).expect("it can be read");
        let set = ioctl_getflags(&file).and_then(|flags| ioctl_setflags(&file, flags | mark));
        match set {
            Ok(()) => Some(Self(file)),
            Err(errno) => {
                skipped("files with marks", errno);
                None
            }
        }
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        let flags = ioctl_getflags(&self.0).expect("they were set");
        ioctl_setflags(&self.0, flags - IFlags::IMMUTABLE - IFlags::APPEND).expect("they were set");
    }
}

#[test]
fn marks_of_the_file_system_are_respected() {
    for (mark, refused) in [(IFlags::IMMUTABLE, Refused::Immutable), (IFlags::APPEND, Refused::AppendOnly)] {
        let yard = Yard::new();
        let search = yard.search();
        let ready = yard.ready(&search);
        let Some(marked) = Marked::new(&yard.logs(VICTIM), mark) else { return };
        assert_eq!(ready.remove(NOW), Err(refused));
        check_yard(&yard, &search, &[(VICTIM, Err(refused))]);
        drop(marked);
        check_yard(&yard, &search, &[(VICTIM, Ok(()))]);
        drop(yard);

        // On the folder: it stays as it is, and so does the name.
        let yard = Yard::new();
        let search = yard.search();
        let marked = Marked::new(&yard.path("logs"), mark).expect("it can be marked");
        check_yard(&yard, &search, &[(VICTIM, Err(Refused::Forbidden(rustix::io::Errno::PERM)))]);
        drop(marked);
    }
}

#[test]
fn the_record_tells_which_file_it_was() {
    let yard = Yard::new();
    yard.file("logs/app.log.2", vec![b'x'; 300 << 10], 9);
    if !rustix::process::geteuid().is_root() {
        return skipped("files of others", "not root");
    }
    for name in ["app.log.1", VICTIM] {
        std::os::unix::fs::chown(yard.logs(name), Some(1234), Some(5678)).expect("as root");
    }
    let search = yard.search();
    let found = yard.found(&search);
    let ready = search.prepare(&found, NOW).expect("it may go");
    let about = yard.logs(VICTIM).metadata().expect("it is there");
    let removal = ready.removal();
    assert_eq!(yard.name(&removal.path), VICTIM);
    assert_eq!((removal.size.0, removal.allocated.0), (300 << 10, about.blocks() * 512));
    assert_eq!(found.allocated(), removal.allocated);
    assert_eq!((removal.uid, removal.gid, removal.inode), (1234, 5678, about.ino()));
    assert_eq!(removal.modified, WallTime::from_unix_millis(NOW.unix_millis() - 9 * 24 * 3_600_000));
    let ends: String =
        Sha256::digest(vec![b'x'; 128 << 10]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(removal.digest, ends);
    assert_eq!(ready.remove(NOW), Ok(()));
    assert!(!yard.has(VICTIM));
}

#[test]
fn the_digest_is_of_both_ends() {
    let digest_of = |content: &[u8]| {
        let yard = Yard::new();
        yard.file("logs/app.log.2", content, 9);
        yard.ready(&yard.search()).removal().digest.clone()
    };
    let plain = |content: &[u8]| -> String {
        Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let numbered: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    for length in [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072] {
        let content = &numbered[..length];
        assert_eq!(digest_of(content), plain(content), "{length}");
    }
    let (head, tail) = (&numbered[..65_536], &numbered[numbered.len() - 65_536..]);
    assert_eq!(digest_of(&numbered), plain(&[head, tail].concat()));
}

#[test]
fn the_longest_file_costs_two_reads() {
    let long = |folder: &Path, sizes: &[u64]| {
        let yard = Yard::within(tempfile::tempdir_in(folder).expect("a folder"));
        let file = File::create(yard.logs(VICTIM)).expect("a file");
        let size = sizes.iter().find(|size| file.set_len(**size).is_ok()).expect("one of them");
        drop(file);
        set_age(&yard.logs(VICTIM), 9);
        let ready = yard.ready(&yard.search());
        let zeros: String = Sha256::digest(vec![0; 128 << 10]).iter().map(|it| format!("{it:02x}")).collect();
        assert_eq!((ready.removal().size.0, &ready.removal().digest), (*size, &zeros));
        assert_eq!(ready.remove(NOW), Ok(()));
    };
    let largest = [(1 << 63) - 1, (1 << 63) - 4096, (16 << 40) - 4096, 1 << 40];
    long(&std::env::temp_dir(), &largest);
    match Path::new("/dev/shm") {
        memory if memory.is_dir() => long(memory, &largest[..2]),
        _ => skipped("a file of 8 EiB", "no /dev/shm"),
    }
}
