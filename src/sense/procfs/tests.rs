#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "makes fixture trees")]

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Absence, Bytes, Percent, Reading};

#[test]
fn load_and_uptime() {
    let load = parse_loadavg(b"0.20 0.18 12.12 1/80 11206\n").unwrap();
    assert_eq!((load.one, load.five, load.fifteen), (0.20, 0.18, 12.12));
    assert_eq!(parse_uptime(b"350735.47 234388.90\n"), Some(Duration::from_millis(350_735_470)));
    for bad in ["", "\n", "x", "-1 2 3", "1 2", "nan inf 1", "1e9999 1 1", "1..2 1 1"] {
        assert_eq!(parse_loadavg(bad.as_bytes()), None, "{bad:?}");
    }
    assert_eq!(parse_uptime(b"99999999999999999999999999 1"), None);
}

#[test]
fn memory() {
    let text = b"MemTotal:       24634496 kB\nMemFree:        22001884 kB\nMemAvailable:   23010000 kB\n\
        Buffers:  1 kB\nSwapTotal:      2048 kB\nSwapFree:       1024 kB\nHugePages_Total:       0\n";
    let memory = parse_meminfo(text).unwrap();
    assert_eq!(memory.total, Bytes(24_634_496 * 1024));
    assert_eq!((memory.swap_total, memory.swap_free), (Bytes(2048 * 1024), Bytes(1024 * 1024)));
    assert_eq!(parse_meminfo(b"MemTotal: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"), None);
    assert_eq!(parse_meminfo(b"MemTotal: x kB\n"), None);
}

#[test]
fn pressure() {
    let line = "avg10=0.50 avg60=1.25 avg300=0.00 total=42000000";
    let both = parse_pressure(format!("some {line}\nfull {line}\n").as_bytes()).unwrap();
    let some = both.some.value().unwrap();
    assert_eq!((some.avg60, some.total), (Percent(1.25), Duration::from_secs(42)));
    assert_eq!(both.full, both.some);
    let one = parse_pressure(format!("some {line}\n").as_bytes()).unwrap();
    assert_eq!(one.full, Reading::Absent(Absence::Unsupported));
    assert!(parse_pressure(format!("some {line} new=1\n").as_bytes()).is_some());
    for bad in [
        "",
        "some\n",
        "some avg10=1\n",
        "other avg10=1 avg60=1 avg300=1 total=1\n",
        "full avg10",
        "some avg10=1 avg60=1 avg300=1 total=1",
    ] {
        assert_eq!(parse_pressure(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn lists_of_numbers() {
    let counts = [("0\n", 1), ("0-3", 4), ("0-3,5\n", 5), ("0,2,4-7", 6)];
    for (list, count) in counts {
        assert_eq!(count_list(list.as_bytes()), Some(count), "{list:?}");
    }
    for bad in ["", "\n", "3-1", "a", "0-", ",", "0-18446744073709551615"] {
        assert_eq!(count_list(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn locks() {
    let table = b"1: POSIX  ADVISORY  WRITE 708 fd:01:2888508 0 EOF\n1: -> POSIX  ADVISORY  WRITE 9 fd:01:2888508 0 EOF\n\
        2: FLOCK  ADVISORY  READ 650 00:19:7 0 EOF\n3: OFDLCK ADVISORY  WRITE -1 08:02:9 0 EOF\n4: LEASE BREAKER READ 1 08:02:9 0 EOF\n";
    let locks: Vec<_> = parse_locks(table).collect();
    let line = |kind, write, pid, device, inode| LockLine { kind, write, pid, device, inode };
    assert_eq!(
        locks,
        [
            line(LockKind::Posix, true, Some(708), (0xfd, 1), 2_888_508),
            line(LockKind::Flock, false, Some(650), (0, 0x19), 7),
            line(LockKind::OpenFile, true, None, (8, 2), 9),
        ]
    );
}

fn stat_line(comm: &str) -> String {
    format!(
        "4711 ({comm}) S 1 4711 4711 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 7 0 987654 12345678 250 18446744073709551615 1 1\n"
    )
}

#[test]
fn processes() {
    for comm in ["nginx", "a b", "(sd-pam)", ") R 1 (", "", "x\ny"] {
        let stat = parse_stat(stat_line(comm).as_bytes()).unwrap();
        assert_eq!(stat.comm, comm);
        assert_eq!((stat.pid, stat.parent, stat.state), (4711, 1, 'S'));
        assert_eq!((stat.cpu_ticks, stat.threads), (124, 7));
        assert_eq!((stat.start_ticks, stat.resident_pages), (987_654, 250));
        assert!(!stat.kernel_thread && !stat.is_dead());
    }
    let line = stat_line("x");
    assert!(parse_stat(line.replace("4194560", "2129984").as_bytes()).unwrap().kernel_thread);
    // A main thread that ended before the others is not a dead process.
    assert!(!parse_stat(line.replace(") S", ") Z").as_bytes()).unwrap().is_dead());
    assert!(parse_stat(line.replace(") S", ") Z").replace(" 7 0 ", " 1 0 ").as_bytes()).unwrap().is_dead());
    for bad in ["", "1", "1 (x", "1 (x)", "x (x) S 1", ")(", "1 (x) SS 1", "1 (x) S 1\n"] {
        assert_eq!(parse_stat(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
fn this_very_process() {
    let proc = Path::new("/proc");
    let me = std::process::id().cast_signed();
    let stat = read_stat(proc, me).unwrap().unwrap();
    assert_eq!(stat.pid, me);
    assert!(stat.resident_pages > 0 && stat.threads > 0 && stat.start_ticks > 0);
    assert_eq!(process_uid(proc, me).unwrap(), rustix::process::geteuid().as_raw());
    assert_eq!(read_stat(proc, i32::MAX).unwrap(), None);
    assert!(family_of(proc, me).contains(&me));
}

#[test]
fn handlers_of_signals() {
    let status = b"Name:\tx\nSigCgt:\t0000000000004001\n";
    assert_eq!(catches_signal(status, 1), Some(true));
    assert_eq!(catches_signal(status, 15), Some(true));
    assert_eq!(catches_signal(status, 2), Some(false));
    assert_eq!(catches_signal(b"Name:\tx\n", 1), None);
    assert_eq!(catches_signal(status, 0), None);
}

const HYBRID: &str = "25 20 0:22 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro\n\
    26 25 0:23 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n\
    27 25 0:24 / /sys/fs/cgroup/systemd rw shared:11 master:2 - cgroup cgroup rw,xattr,name=systemd\n\
    28 25 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

#[test]
fn mounts_of_control_groups() {
    let hybrid = CgroupMounts::parse(HYBRID.as_bytes());
    assert_eq!(hybrid.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
    assert_eq!(hybrid.named_systemd.as_deref(), Some(Path::new("/sys/fs/cgroup/systemd")));
    let unified = CgroupMounts::parse(b"30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    assert_eq!((unified.unified.is_some(), unified.named_systemd), (true, None));
    let odd = CgroupMounts::parse(b"30 24 0:26 / /sys/fs/c\\040g rw - cgroup2  rw\n");
    assert_eq!(odd.unified.as_deref(), Some(Path::new("/sys/fs/c g")));
    assert_eq!(CgroupMounts::parse(b"garbage\n\n1 2 3"), CgroupMounts::default());
}

fn mount(dir: &Path) -> CgroupMounts {
    CgroupMounts { unified: Some(dir.to_owned()), named_systemd: None }
}

#[test]
fn processes_of_a_group_and_the_groups_inside() {
    let dir = tempfile::tempdir().unwrap();
    let group = dir.path().join("system.slice/web.service");
    std::fs::create_dir_all(group.join("inner")).unwrap();
    std::fs::write(group.join("cgroup.procs"), "20\n0\n10\n").unwrap();
    std::fs::write(group.join("inner/cgroup.procs"), "30\n").unwrap();
    let mounts = mount(dir.path());
    assert_eq!(mounts.pids("/system.slice/web.service").unwrap(), [10, 20, 30]);
    assert!(mounts.pids("/system.slice/none.service").unwrap().is_empty());
    for outside in ["/../etc", "/", "", "/system.slice/../../etc"] {
        assert_eq!(mounts.folder(outside), None, "{outside:?}");
    }
    let many: String = (1..1000).map(|pid| format!("{pid}\n")).collect();
    std::fs::write(group.join("cgroup.procs"), many).unwrap();
    assert_eq!(mounts.pids("/system.slice/web.service").unwrap().len(), PROCESSES_MAX);
}

#[test]
fn a_group_that_can_not_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("g/cgroup.procs")).unwrap();
    assert!(mount(dir.path()).pids("/g").is_err());
}

#[test]
fn lines_of_processes() {
    let proc = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(proc.path().join("4711")).unwrap();
    std::fs::write(proc.path().join("4711/stat"), stat_line("web")).unwrap();
    // One that has gone is left out.
    assert_eq!(process_list(proc.path(), &[4711, 4712]), Reading::Value(vec!["4711 web S".to_owned()]));
    std::fs::write(proc.path().join("4711/stat"), "garbage").unwrap();
    assert!(matches!(process_list(proc.path(), &[4711]), Reading::Failed(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes: Vec<u8>) {
        parse_all(&bytes);
    }

    #[test]
    fn nor_do_bytes_that_look_right(
        text in "((some|full|MemTotal:|MemAvailable:|SwapTotal:|1 \\(|\\)|POSIX|avg10=|total=|[0-9.]{1,22}|[-,:= \n()SZ]){1,2}){0,30}"
    ) {
        parse_all(text.as_bytes());
    }

    #[test]
    fn a_name_never_hides_the_rest(comm in "\\PC{0,15}") {
        let stat = parse_stat(stat_line(&comm).as_bytes()).unwrap();
        prop_assert_eq!((stat.comm, stat.start_ticks), (comm, 987_654));
    }
}

fn parse_all(bytes: &[u8]) {
    let _ = (parse_loadavg(bytes), parse_uptime(bytes), parse_meminfo(bytes), parse_pressure(bytes));
    let _ = (count_list(bytes), parse_stat(bytes), catches_signal(bytes, 1), CgroupMounts::parse(bytes));
    let _ = parse_locks(bytes).count();
}
