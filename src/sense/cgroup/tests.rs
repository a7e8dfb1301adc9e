#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::model::{Bytes, Limit, Micros, Pages};
use crate::sense::Malformed;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const POD: &str = "eded8c65-6e8e-4c6e-a889-3e427565c740";
const STATIC_POD: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// `slice unit user-unit pod container`, `-` for none.
fn told(path: &str) -> String {
    let found = GroupPath::parse(path.as_bytes());
    let text =
        |name: Option<&[u8]>| name.map_or("-".into(), |name| String::from_utf8_lossy(name).into_owned());
    let pod = found.pod.map_or("-".into(), |pod| pod.to_string());
    let container = found.container.map_or("-".into(), |container| {
        assert_eq!(container.id, ID.as_bytes());
        format!("{:?}{}", container.runtime, if container.helper { "'s helper" } else { "" })
    });
    format!("{} {} {} {pod} {container}", text(found.slice), text(found.unit), text(found.user_unit))
}

#[test]
fn paths_name_slices_units_and_users() {
    let check = |path: &str, expected: &str| assert_eq!(told(path), expected, "{path}");
    check("/", "- - - - -");
    check("/system.slice/nginx.service", "system.slice nginx.service - - -");
    check("/system.slice/nginx.service/worker.service", "system.slice nginx.service - - -");
    check(
        "/system.slice/system-foo\\x2dbar.slice/foo\\x2dbar@1.service",
        "system-foo\\x2dbar.slice foo\\x2dbar@1.service - - -",
    );
    check("/init.scope", "- init.scope - - -");
    check("/system.slice", "system.slice - - - -");
    check("/user.slice/user-1000.slice/session-2.scope", "user-1000.slice session-2.scope - - -");
    check(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-x-12.scope",
        "user-1000.slice user@1000.service app-gnome-x-12.scope - -",
    );
    check("/system.slice/_odd.service", "system.slice odd.service - - -");
    // A user's group can't pass for a unit of the system.
    check(
        "/user.slice/user-1000.slice/user@1000.service/x/system.slice/sshd.service",
        "user-1000.slice user@1000.service - - -",
    );
    // Nor can one of a systemd inside of a container.
    check("/lxc.payload.web/system.slice/sshd.service", "- - - - -");
    check("/system.slice/box.service/system.slice/sshd.service", "system.slice box.service - - -");
    check("/.service/x", "- - - - -");
}

#[test]
fn paths_name_pods_and_containers() {
    let check = |path: String, expected: &str| assert_eq!(told(&path), expected, "{path}");
    let slice = format!("kubepods-burstable-pod{}.slice", POD.replace('-', "_"));
    let scope = format!("cri-containerd-{ID}.scope");
    check(
        format!("/kubepods.slice/kubepods-burstable.slice/{slice}/{scope}"),
        &format!("{slice} {scope} - {POD} Containerd"),
    );
    let scope = format!("crio-conmon-{ID}.scope");
    let slice = format!("kubepods-pod{STATIC_POD}.slice");
    check(
        format!("/kubepods.slice/{slice}/{scope}"),
        &format!("{slice} {scope} - {STATIC_POD} CriO's helper"),
    );
    check(format!("/kubepods/burstable/pod{POD}/{ID}"), &format!("- - - {POD} Unnamed"));
    check(format!("/kubepods/besteffort/pod{POD}"), &format!("- - - {POD} -"));
    check(format!("/docker/{ID}"), "- - - - Unnamed");
    check(format!("/docker/{ID}/system.slice/sshd.service"), "- - - - Unnamed");
    let scope = format!("docker-{ID}.scope");
    check(format!("/system.slice/{scope}"), &format!("system.slice {scope} - - Docker"));
    let scope = format!("libpod-{ID}.scope");
    check(format!("/machine.slice/{scope}/container"), &format!("machine.slice {scope} - - Podman"));
    check(
        format!("/user.slice/user-1000.slice/user@1000.service/user.slice/{scope}"),
        &format!("user-1000.slice user@1000.service {scope} - Podman"),
    );
    check(format!("/libpod_parent/libpod-{ID}"), "- - - - Podman");
    // Not an id, not a UID, and an id where no container is told of.
    check("/system.slice/docker-1234.scope".into(), "system.slice docker-1234.scope - - -");
    check("/kubepods/pod1234/x".into(), "- - - - -");
    check(format!("/other/{ID}"), "- - - - -");
}

#[test]
fn limits_and_what_is_none() {
    assert_eq!((limit(b"max\n"), limit(b"0\n")), (Ok(Limit::Unlimited), Ok(Limit::At(0))));
    let max = CpuMax::parse(b"50000 100000\n").unwrap();
    assert_eq!((max.quota, max.period), (Limit::At(Micros(50_000)), Micros(100_000)));
    assert_eq!(CpuMax::parse(b"max 100000\n").unwrap().quota, Limit::Unlimited);
    for bad in ["", "\n", "max", "12", "-1\n", "maximum\n", "1 2\n"] {
        assert!(limit(bad.as_bytes()).is_err(), "{bad:?}");
        assert!(CpuMax::parse(bad.as_bytes()).is_err() || bad == "1 2\n", "{bad:?}");
    }
    assert_eq!(GroupKind::parse(b"domain threaded\n"), Ok(GroupKind::DomainThreaded));
    assert!(GroupKind::parse(b"domain").is_err() && GroupKind::parse(b"other\n").is_err());
}

#[test]
fn older_kernels_lack_lines_and_newer_have_more() {
    let cpu = CpuStat::parse(b"usage_usec 7\nuser_usec 5\nsystem_usec 2\n").unwrap();
    assert_eq!((cpu.usage, cpu.throttled, cpu.nice), (Micros(7), None, None));
    let cpu =
        CpuStat::parse(b"usage_usec 7\nuser_usec 5\nsystem_usec 2\nnice_usec 1\nwhat_next x y\n").unwrap();
    assert_eq!(cpu.nice, Some(Micros(1)));
    let lacks = Malformed::Lacks { what: "cpu.stat", field: "system" };
    assert_eq!(CpuStat::parse(b"usage_usec 7\nuser_usec 5\n"), Err(lacks));
    assert_eq!(GroupEvents::parse(b"populated 1\n").unwrap().frozen, None);
    let bad = Malformed::Line { what: "cgroup.events", line: 2 };
    assert_eq!(GroupEvents::parse(b"populated 1\nfrozen x\n"), Err(bad));
    let cut = Malformed::Cut { what: "memory.events", line: 5 };
    assert_eq!(MemoryEvents::parse(b"low 0\nhigh 0\nmax 0\noom 0\noom_kill 12"), Err(cut));
}

#[test]
fn refaults_of_both_kinds_are_added() {
    let stat = |refaults: &str| {
        let needed = "anon 1\nfile 2\nkernel_stack 3\nsock 4\nshmem 5\nfile_mapped 6\nfile_dirty 7\n\
            file_writeback 8\ninactive_file 9\nactive_file 10\nunevictable 11\nslab_reclaimable 12\n\
            slab_unreclaimable 13\npgscan 14\npgsteal 15\npgfault 16\npgmajfault 17\n";
        MemoryStat::parse(format!("{needed}{refaults}").as_bytes())
    };
    assert_eq!(stat("workingset_refault 5\n").unwrap().refaults, Some(Pages(5)));
    let both = stat("workingset_refault_anon 2\nworkingset_refault_file 3\n").unwrap();
    assert_eq!((both.refaults, both.anonymous), (Some(Pages(5)), Bytes(1)));
    assert_eq!(stat("").unwrap().refaults, None);
    let most = u64::MAX;
    assert!(stat(&format!("workingset_refault_anon {most}\nworkingset_refault_file 1\n")).is_err());
}

#[test]
fn devices_of_a_group_and_the_kernels_quirks() {
    let counters = "rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6";
    let text = format!(
        "8:0 {counters}\n7:1 \n7:2 7:3 8:16 {counters} cost.usage=7\n8:32 rbytes=1 wbytes=x rios=3 wios=4\n\
        8:48 rbytes=1 wbytes=2 rios=3 wios=4\n8:64 {counters} 8:80\n8:96 rbytes=1"
    );
    let rows: Vec<_> = io_stat(text.as_bytes())
        .map(|row| row.map(|row| (row.device.to_string(), row.written, row.discards)))
        .collect();
    let row = |device: &str, discards| Ok((device.to_owned(), Bytes(2), discards));
    let malformed = |line| Err(Malformed::Line { what: "io.stat", line });
    let cut = Err(Malformed::Cut { what: "io.stat", line: 7 });
    let expected =
        [row("8:0", Some(6)), row("8:16", Some(6)), malformed(4), row("8:48", None), malformed(6), cut];
    assert_eq!(rows, expected);
}

proptest! {
    #[test]
    fn no_path_makes_it_panic(path: Vec<u8>) {
        let _ = GroupPath::parse(&path);
    }

    #[test]
    fn a_unit_is_found_below_any_slices(slices in "(/[a-z]{1,5}\\.slice){0,4}", name in "[a-z@\\\\.-]{1,12}") {
        let path = format!("{slices}/{name}.service/inner");
        let unit = format!("{name}.service");
        prop_assert_eq!(GroupPath::parse(path.as_bytes()).unit, Some(unit.as_bytes()));
    }

    #[test]
    fn pods_come_back(bytes: [u8; 16], dashed: bool) {
        let pod = PodUid { id: crate::model::Id128::from_bytes(bytes), dashed };
        prop_assert_eq!(PodUid::parse(pod.to_string().as_bytes()), Some(pod));
        prop_assert_eq!(PodUid::parse(pod.to_string().replace('-', "_").as_bytes()), Some(pod));
    }
}
