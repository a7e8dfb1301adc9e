//! Names and paths of any bytes and any length.

use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

use super::*;
use crate::act::logs::place::{handle, look_at, mount_by_proc, open_beneath};

#[test]
fn names_of_any_bytes_are_found_and_removed() {
    for name in [
        b"new\nline.log".to_vec(),
        b"\x1b[2J\x1b]0;title\x07.log".to_vec(),
        b"not \xff\xfe text.log".to_vec(),
        b" .log".to_vec(),
        b"-rf.log".to_vec(),
        b"a\\b*?[x]$(id)`id`;&.log".to_vec(),
        [&[b'x'; 255 - 6][..], b".log"].concat(),
        ["ä".repeat(123).as_bytes(), b".el.log"].concat(),
    ] {
        let yard = Yard::new();
        let path = |end: &str| yard.logs(OsStr::from_bytes(&[&name[..], end.as_bytes()].concat()));
        std::fs::remove_file(yard.logs(VICTIM)).expect("it was there");
        for (end, days) in [(".1", 2), (".2", 9)] {
            std::fs::write(path(end), "x").expect("a file");
            set_age(&path(end), days);
        }
        let search = yard.search();
        let found = search.find(NOW, &|| false);
        assert_eq!(found.candidates.len(), 1, "{name:?}");
        let told = found.candidates[0].path().to_string();
        assert!(!told.contains(char::is_control), "{told}");
        let ready = search.prepare(&found.candidates[0], NOW).expect("it may go");
        assert_eq!(ready.removal().path.to_string(), told);
        assert_eq!(ready.remove(NOW), Ok(()), "{name:?}");
        assert!(path(".1").exists() && !path(".2").exists());
    }
}

#[test]
fn a_path_longer_than_the_kernel_takes_works() {
    let yard = Yard::new();
    let part = "d".repeat(250);
    let mut folder = OwnedFd::from(File::open(yard.path("logs")).expect("a folder"));
    for _ in 0..20 {
        rustix::fs::mkdirat(&folder, &part[..], Mode::RWXU).expect("a folder");
        folder = handle(folder.as_fd(), part.as_bytes()).expect("it is there");
    }
    for name in ["app.log.1", VICTIM] {
        std::fs::rename(yard.logs(name), yard.path("moved")).expect("it moves");
        rustix::fs::renameat(rustix::fs::CWD, yard.path("moved"), &folder, name).expect("it moves");
    }
    let search = yard.search();
    let found = search.find(NOW, &|| false);
    assert!(found.whole && found.candidates.len() == 1, "{found:?}");
    let ready = search.prepare(&found.candidates[0], NOW).expect("it may go");
    assert!(ready.folder.path.len() > 5000 && ready.removal().path.to_string().len() < 600);
    assert_eq!(ready.remove(NOW), Ok(()));
    assert!(handle(folder.as_fd(), b"app.log.1").is_ok());
    assert_eq!(handle(folder.as_fd(), b"app.log.2").map(drop), Err(rustix::io::Errno::NOENT));
}

#[test]
fn what_lies_too_deep_is_told_as_not_read() {
    let yard = Yard::new();
    let deep = |levels| (0..levels).fold(PathBuf::from("logs"), |path, _| path.join("d"));
    for (levels, name) in [(walk::DEPTH_MAX, "in"), (walk::DEPTH_MAX + 1, "out")] {
        yard.file(deep(levels).join(format!("{name}.log.1")), "kept", 2);
        yard.file(deep(levels).join(format!("{name}.log.2")), "goes", 9);
    }
    let found = yard.search().find(NOW, &|| false);
    let names = yard.names(&found);
    assert!(!found.whole && names.len() == 2 && names.iter().all(|it| !it.contains("out")), "{names:?}");
}

#[test]
fn the_mount_is_told_in_two_ways_that_agree() {
    for path in ["/", "/proc", "/dev"] {
        let file = File::open(path).expect("it can be read");
        assert_eq!(
            mount_by_proc(file.as_fd()).ok(),
            look_at(file.as_fd()).expect("it is open").mount,
            "{path}"
        );
    }
}

#[test]
fn ways_do_not_climb() {
    let yard = Yard::new();
    let logs = File::open(yard.path("logs")).expect("a folder");
    for way in ["..", "../outside", "sub/../../outside", "./..", "a/..", "/../.."] {
        let opened = open_beneath(logs.as_fd(), way.as_bytes()).map(drop);
        assert_eq!(opened, Err(rustix::io::Errno::XDEV), "{way}");
    }
    assert!(open_beneath(logs.as_fd(), b"").is_ok());
    assert!(open_beneath(logs.as_fd(), b"none").is_err());
    assert!(open_beneath(logs.as_fd(), b"app.log").is_err());
    assert!(open_beneath(logs.as_fd(), b"a\0b").is_err());
}
