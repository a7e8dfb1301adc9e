//! With fewer rights than root's, and among several users.
#![expect(unsafe_code, reason = "a thread takes its own rights away")]

use std::os::unix::fs::{PermissionsExt as _, chown};

use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::*;

const NOBODY: u32 = 65_534;

/// In a thread that openat2(2) is hidden from, as `RestrictSUIDSGID=` does it.
pub(super) fn without_openat2(work: impl FnOnce() + Send) {
    let number = u32::try_from(libc::SYS_openat2).expect("a small number");
    let denied = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let step =
        |code: u32, jt, jf, k| libc::sock_filter { code: u16::try_from(code).expect("small"), jt, jf, k };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, denied),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    std::thread::scope(|scope| {
        let sandboxed = scope.spawn(move || {
            let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
            // SAFETY: numbers, and a program of four steps that lives over the call; it is of this thread alone.
            let set = unsafe {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
            };
            if set != 0 {
                return skipped("without openat2", std::io::Error::last_os_error());
            }
            let none = rustix::fs::openat2(
                rustix::fs::CWD,
                "/",
                OFlags::PATH,
                Mode::empty(),
                rustix::fs::ResolveFlags::empty(),
            );
            assert_eq!(none.map(drop), Err(Errno::NOSYS));
            work();
        });
        sandboxed.join().expect("it passed");
    });
}

#[test]
fn without_openat2_it_is_all_the_same() {
    without_openat2(|| {
        check(
            |yard| {
                yard.file("logs/a/b/app.log.1", "kept", 2);
                yard.file("logs/a/b/app.log.2", "goes", 9);
                symlink("a", yard.logs("link")).expect("a link");
            },
            &[(VICTIM, Ok(())), ("a/b/app.log.2", Ok(()))],
        );
        let yard = Yard::new();
        symlink(yard.path("logs"), yard.path("linked")).expect("a link");
        let linked = LogRoot { folder: yard.path("linked"), ..yard.rule() };
        let why = "; logs: a part of its path is a link, or no folder";
        assert_eq!(yard.search_by(&[linked]).map(drop), Err(NoSearch::NoFolder(why.into())));
    });
}

/// Open to all, and looked at by a thread without any rights.
fn as_nobody(yard: &Yard, work: impl FnOnce(&Search) + Send) {
    if !rustix::process::geteuid().is_root() {
        return skipped("rights of other users", "not root");
    }
    set_mode(yard.tree.path(), 0o755);
    std::thread::scope(|scope| {
        let nobody = scope.spawn(|| {
            rustix::thread::set_thread_groups(&[]).expect("as root");
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            rustix::thread::set_thread_res_gid(group, group, group).expect("as root");
            rustix::thread::set_thread_res_uid(user, user, user).expect("as root");
            work(&yard.search());
        });
        nobody.join().expect("it passed");
    });
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode can be set");
}

#[test]
fn whether_it_is_open_is_not_guessed() {
    // Without CAP_LEASE only the owner may ask.
    let yard = Yard::new();
    set_mode(&yard.path("logs"), 0o777);
    as_nobody(&yard, |search| {
        let refused = search.prepare(&yard.found(search), NOW).map(drop);
        assert_eq!(refused, Err(Refused::Untold(Errno::ACCESS)));
    });
}

#[test]
fn missing_rights_are_told() {
    let yard = Yard::new();
    chown(yard.logs(VICTIM), Some(NOBODY), Some(NOBODY)).expect("as root");
    yard.file("logs/other.log.1", "kept", 2);
    chown(yard.logs("other.log.1"), Some(NOBODY), Some(NOBODY)).expect("as root");
    yard.file("logs/app.log.1", "kept", 2);
    chown(yard.logs("app.log.1"), Some(NOBODY), Some(NOBODY)).expect("as root");
    as_nobody(&yard, |search| {
        let ready = search.prepare(&yard.found(search), NOW).expect("it is its own");
        assert_eq!(ready.remove(NOW), Err(Refused::Forbidden(Errno::ACCESS)));
    });
    assert!(yard.has(VICTIM));

    set_mode(&yard.logs(VICTIM), 0o000);
    as_nobody(&yard, |search| {
        let refused = search.prepare(&yard.found(search), NOW).map(drop);
        assert_eq!(refused, Err(Refused::Forbidden(Errno::ACCESS)));
    });

    std::fs::create_dir(yard.logs("closed")).expect("a folder");
    set_mode(&yard.logs("closed"), 0o700);
    as_nobody(&yard, |search| {
        let found = search.find(NOW, &|| false);
        assert!(!found.whole && found.candidates.len() == 1, "{found:?}");
    });
}

/// Two users in a folder in which both may make files, and neither may touch the other's.
#[test]
fn one_user_can_not_make_the_logs_of_another_superfluous() {
    const ALICE: u32 = 1001;
    const MALLORY: u32 = 1002;
    if !rustix::process::geteuid().is_root() {
        return skipped("files of two users", "not root");
    }
    let public = |files: &[(&str, u32, u32)]| {
        let yard = Yard::new();
        std::fs::create_dir(yard.logs("public")).expect("a folder");
        set_mode(&yard.logs("public"), 0o1777);
        for (name, owner, days) in files {
            let name = format!("public/{name}");
            yard.file(format!("logs/{name}"), name.as_bytes(), *days);
            chown(yard.logs(&name), Some(*owner), Some(*owner)).expect("as root");
        }
        let search = yard.search();
        let mut names = yard.names(&search.find(NOW, &|| false));
        names.retain(|name| name != VICTIM);
        names
    };
    let none: [&str; 0] = [];
    // Newer ones, so that hers is not the newest.
    assert_eq!(
        public(&[("x.log.3", ALICE, 9), ("x.log.1", MALLORY, 2), ("x.log.2", MALLORY, 3)]),
        ["public/x.log.2"]
    );
    // What hers would be a rotated file of.
    assert_eq!(public(&[("thesis.1", ALICE, 9), ("thesis.2", ALICE, 90), ("thesis", MALLORY, 0)]), none);
    // Her own log is one, and so is what root writes.
    for owner in [ALICE, 0] {
        let files = [("thesis.1", ALICE, 9), ("thesis.2", ALICE, 90), ("thesis", owner, 0)];
        assert_eq!(public(&files), ["public/thesis.2"]);
    }
}
