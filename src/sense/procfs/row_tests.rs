//! The parsers of rows: variants by kernel, quirks, and what truncation does to them. Whole files of real kernels are
//! read in `tests/kernels`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::model::DeviceNumber;
use crate::model::{Bytes, Limit, Millis, Pages, Ticks};
use crate::sense::Malformed;

const fn line<T>(what: &'static str, line: u32) -> Result<T, Malformed> {
    Err(Malformed::Line { what, line })
}

const STAT: &str = "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 5 10 15 20 25 30 35 40 45 50\ncpu3 1 2 3 4 5 6 7\n\
    intr 16697514 0 0\nctxt 337\nbtime 1795379277\nprocesses 521\nprocs_running 8\nprocs_blocked 2\nsoftirq 9 1\n";

#[test]
fn processors() {
    let stat = HostStat::parse(STAT.as_bytes()).unwrap();
    assert_eq!((stat.total.user, stat.total.guest_nice), (Ticks(10), Some(Ticks(100))));
    assert_eq!((stat.context_switches, stat.forks, stat.running, stat.blocked), (337, 521, 8, 2));
    let rows: Vec<_> = cpus(STAT.as_bytes()).map(Result::unwrap).collect();
    assert_eq!((rows.len(), rows[1].cpu, rows[1].times.softirq), (2, 3, Ticks(7)));
    assert_eq!((rows[1].times.steal, rows[0].times.steal), (None, Some(Ticks(40))));
    // A row that is not understood loses no other.
    let broken = STAT.replace("cpu0 5 10", "cpu0 5 x");
    let rows: Vec<_> = cpus(broken.as_bytes()).map(|row| row.map(|row| row.cpu)).collect();
    assert_eq!(rows, [line("stat", 2), Ok(3)]);
    for (missing, field) in
        [("ctxt 337\n", "ctxt"), ("processes 521\n", "processes"), ("procs_blocked 2\n", "procs_blocked")]
    {
        let error = HostStat::parse(STAT.replace(missing, "").as_bytes());
        assert_eq!(error, Err(Malformed::Lacks { what: "stat", field }));
    }
    let cut = STAT.strip_suffix('\n').unwrap();
    assert_eq!(HostStat::parse(cut.as_bytes()), Err(Malformed::Cut { what: "stat", line: 10 }));
}

#[test]
fn disks_of_four_kernels() {
    let text = "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n94 0 dasda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n\
        259 0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n8 1 cciss!c0d0p1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20\n\
        8 2 sda2 1 2 3 4\n8 3 sda3 1 2 3 4 5 6 7 8 9 10 11 12\n8 4 sda4 1 2 3 4 5 6 7 8 9 10 1";
    let rows: Vec<_> = disks(text.as_bytes()).collect();
    let [sda, dasd, nvme, cciss] = [0, 1, 2, 3].map(|at: usize| rows[at].unwrap());
    assert_eq!((sda.reads.bytes, sda.writes.completed, sda.in_flight), (Bytes(1536), 5, 9));
    assert_eq!((sda.busy, sda.weighted, sda.discards, sda.flushes), (Millis(10), Millis(11), None, None));
    assert_eq!((dasd.device, dasd.name), (DeviceNumber { major: 94, minor: 0 }, b"dasda".as_slice()));
    assert_eq!((dasd.discards.unwrap().time, dasd.flushes), (Millis(15), None));
    assert_eq!((nvme.flushes.unwrap().completed, nvme.flushes.unwrap().time), (16, Millis(17)));
    assert_eq!((cciss.name, cciss.flushes), (b"cciss!c0d0p1".as_slice(), nvme.flushes));
    let cut = Err(Malformed::Cut { what: "diskstats", line: 7 });
    assert_eq!(rows[4..], [line("diskstats", 5), line("diskstats", 6), cut]);
}

#[test]
fn refaults_and_stalls_are_added_up() {
    let needed = "pgscan_kswapd 1\npgsteal_kswapd 2\npgfault 3\npgmajfault 4\noom_kill 5\n";
    let old = VmStat::parse(
        format!("{needed}workingset_refault 9\nallocstall_dma 1\nallocstall_normal 2\npgscan_direct 7\n")
            .as_bytes(),
    );
    let old = old.unwrap();
    assert_eq!(
        (old.refaults, old.allocation_stalls, old.scanned_directly),
        (Some(Pages(9)), Some(3), Some(Pages(7)))
    );
    assert_eq!((old.swapped_in, old.reclaimed_directly), (None, None));
    let new = format!(
        "{needed}workingset_refault_anon 1\nworkingset_refault_file 2\npgscan_direct 7\npgscan_khugepaged 1\n\
        pgscan_proactive 2\npgscan_direct_throttle 99\npgscan_anon 99\npswpin 6\n"
    );
    let new = VmStat::parse(new.as_bytes()).unwrap();
    assert_eq!(
        (new.refaults, new.scanned_directly, new.swapped_in),
        (Some(Pages(3)), Some(Pages(10)), Some(Pages(6)))
    );
}

#[test]
fn interfaces_and_their_heading() {
    let text = "Inter-|   Receive   |  Transmit\n face |bytes    packets errs |bytes    packets\n\
        eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  veth1|: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n   lo: 1 2 3\n: 1\n";
    let rows: Vec<_> = interfaces(text.as_bytes()).collect();
    let eth0 = rows[0].unwrap();
    assert_eq!(
        (eth0.name, eth0.received.bytes, eth0.received.overruns, eth0.framing),
        (b"eth0".as_slice(), Bytes(1), 5, 6)
    );
    assert_eq!((eth0.sent.bytes, eth0.sent.dropped, eth0.collisions, eth0.carrier), (Bytes(9), 12, 14, 15));
    assert_eq!(rows[1].unwrap().name, b"veth1|");
    assert_eq!(rows[2..], [line("net/dev", 5), line("net/dev", 6)]);
}

#[test]
fn tcp_by_the_names_of_its_columns() {
    let names = "Tcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts New\n";
    let text = format!("Ip: Forwarding\nIp: 2\n{names}Tcp: 1 -1 2 3 4 5 6 7 8 9 10 11 12\nUdp: x\n");
    let tcp = TcpCounters::parse(text.as_bytes()).unwrap();
    assert_eq!((tcp.active_opens, tcp.established, tcp.retransmitted, tcp.resets_sent), (2, 6, 9, 11));
    let short = format!("{names}Tcp: 1 -1 2\n");
    assert_eq!(TcpCounters::parse(short.as_bytes()), line("net/snmp", 2));
    assert_eq!(
        TcpCounters::parse(b"Ip: x\nIp: 1\n"),
        Err(Malformed::Lacks { what: "net/snmp", field: "Tcp" })
    );
}

#[test]
fn sockets_of_both_families() {
    let text = "sockets: used 20\nTCP: inuse 1 orphan 2 tw 3 alloc 4 mem 252\nUDP: inuse 5 mem 6\nUDPLITE: inuse 0\n";
    let sockets = Sockets::parse(text.as_bytes()).unwrap();
    assert_eq!(
        (sockets.used, sockets.tcp_orphans, sockets.tcp_memory, sockets.udp_in_use),
        (20, 2, Pages(252), 5)
    );
    assert_eq!(Sockets::parse(text.replace("tw 3 ", "").as_bytes()), line("net/sockstat", 2));
    assert_eq!(
        Sockets6::parse(b"TCP6: inuse 7\nUDP6: inuse 8\n"),
        Ok(Sockets6 { tcp_in_use: 7, udp_in_use: 8 })
    );
    assert!(Sockets6::parse(b"TCP6: inuse 7\nUDP6: inuse 8").is_err());
}

#[test]
fn single_numbers_and_pairs() {
    assert_eq!(single(b"4194304\n"), Ok(4_194_304));
    for bad in ["", "\n", "41", "1\n2\n", "-1\n", "max\n"] {
        assert!(single(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(FileHandles::parse(b"750\t0\t9223372036854775807\n").unwrap().most, i64::MAX.cast_unsigned());
    let tasks = TaskCounts::parse(b"3.20 2.14 1.91 7/121 5838\n").unwrap();
    assert_eq!((tasks.runnable, tasks.total, tasks.last_pid), (7, 121, 5838));
}

#[test]
fn mounts_with_escapes_options_and_empty_sources() {
    let text = "158 22 0:33 / /mnt/a\\040b rw,relatime shared:62 - tmpfs  rw,size=1024k\n\
        165 22 254:0 /usr /mnt/bind ro,relatime shared:1 master:2 - ext4 /dev/vda rw,errors=remount-ro\n\
        22 1 254:0 / / rw,relatime - ext4 /dev/vda ro\n9 1 8:1 / /e rw - ext4 /dev/sda1 rw,emergency_ro\n\
        23 1 0:40 / /net rw - fuse.sshfs a:/ rw\n24 1 0:41 / /x rw shared:1 - \n25 1 0:4 net:[4026531840] /run/n rw - nsfs nsfs rw\n\
        26 1 0:x / /y rw - ext4 a rw\n27 1 0:1 / y rw - ext4 a rw\n";
    let rows: Vec<_> = mounts(text.as_bytes()).collect();
    let at = |at: usize| rows[at].unwrap();
    assert!(at(0).point.is(b"/mnt/a b") && at(0).source.written().is_empty());
    assert_eq!((at(0).kind(), at(0).super_options), (FilesystemKind::Memory, b"rw,size=1024k".as_slice()));
    assert!(at(1).is_read_only_mount() && !at(1).is_read_only_filesystem() && !at(1).is_whole());
    assert!(!at(2).is_read_only_mount() && at(2).is_read_only_filesystem() && at(2).is_whole());
    assert_eq!(at(1).device, at(2).device);
    assert!(at(3).is_read_only_filesystem() && at(3).gave_up());
    assert!(at(4).kind() == FilesystemKind::Fuse);
    assert_eq!(rows[5], line("mountinfo", 6));
    assert_eq!(at(6).kind(), FilesystemKind::Virtual);
    assert_eq!(rows[7..], [line("mountinfo", 8), line("mountinfo", 9)]);
}

#[test]
fn kinds_of_filesystems() {
    use FilesystemKind::{Fuse, Layered, Memory, Network, Real, Unknown, Virtual};
    let kinds = [
        ("ext4", Real),
        ("xfs", Real),
        ("zfs", Real),
        ("tmpfs", Memory),
        ("overlay", Layered),
        ("nfs4", Network),
        ("cifs", Network),
        ("fuse", Fuse),
        ("fuse.glusterfs", Fuse),
        ("fuseblk", Fuse),
        ("virtiofs", Fuse),
        ("proc", Virtual),
        ("autofs", Virtual),
        ("fusectl", Virtual),
        ("", Unknown),
        ("newfs", Unknown),
    ];
    for (name, kind) in kinds {
        assert_eq!(FilesystemKind::of(name.as_bytes()), kind, "{name}");
    }
    assert!(!Layered.can_fill() && Memory.can_fill());
}

#[test]
fn swap_areas() {
    let text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swap\\040file   file\t16380\t12\t5\n/dev/dm-1  partition\t8\t0\t-2\n/x file 1\n";
    let rows: Vec<_> = swaps(text.as_bytes()).collect();
    assert!(rows[0].unwrap().path.is(b"/swap file"));
    assert_eq!((rows[0].unwrap().used, rows[1].unwrap().priority), (Bytes(12 * 1024), -2));
    assert_eq!(rows[2..], [line("swaps", 4)]);
}

#[test]
fn memberships_of_v1_v2_and_hybrid_hosts() {
    let hybrid = "9:name=systemd:/system.slice/a:b.service\n5:cpu,cpuacct:/x\n4:memory:/y\n8:pids:/\n0::/system.slice/a:b.service\n";
    let found = Memberships::parse(hybrid.as_bytes()).unwrap();
    assert_eq!(found.unit_path(), Some(b"/system.slice/a:b.service".as_slice()));
    assert_eq!((found.cpu.unwrap().path, found.memory.unwrap().path), (b"/x".as_slice(), b"/y".as_slice()));
    let gone = Memberships::parse(b"0::/system.slice/x.service (deleted)\n").unwrap();
    assert!(gone.unified.unwrap().deleted && gone.unit_path() == Some(b"/system.slice/x.service"));
    for bad in ["0::x\n", "0:\n", "x::/\n", "0::/a"] {
        assert!(Memberships::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn small_files_of_a_process() {
    let pages = MemoryPages::parse(b"732 463 435 6 0 89 0\n").unwrap();
    assert_eq!((pages.resident, pages.shared, pages.data), (Pages(463), Pages(435), Pages(89)));
    assert_eq!(Schedule::parse(b"0 58918 1\n").unwrap().slices, 1);
    let text = "Limit  Soft Limit  Hard Limit  Units\nMax processes             96365                unlimited            processes \n\
        Max open files            1024                 524288               files     \nMax nice priority         0   0\n";
    let limits = ProcessLimits::parse(text.as_bytes()).unwrap();
    assert_eq!((limits.open_files.soft, limits.open_files.hard), (Limit::At(1024), Limit::At(524_288)));
    assert_eq!(limits.processes.hard, Limit::Unlimited);
    let rollup = b"5652f0f92000-7fff2a32d000 ---p 00000000 00:00 0    [rollup]\nRss:      1768 kB\nPss:       112 kB\n";
    assert_eq!(MemoryRollup::parse(rollup).unwrap().proportional, Bytes(112 * 1024));
    assert!(MemoryRollup::parse(&rollup[..rollup.len() - 1]).is_err());
    assert_eq!(wait_channel(b"hrtimer_nanosleep"), Some(b"hrtimer_nanosleep".as_slice()));
    assert_eq!((wait_channel(b"0"), wait_channel(b""), wait_channel(b"a b")), (None, None, None));
    let deleted = Executable::parse(b"/usr/bin/x (deleted)").unwrap();
    assert!(deleted.deleted && deleted.path == b"/usr/bin/x");
    assert!(!Executable::parse(b"/usr/bin/x").unwrap().deleted && Executable::parse(b"").is_none());
}

#[test]
fn a_status_of_a_program_and_of_a_kernel_thread() {
    let text = "Name:\ta\\nb\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t1\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";
    let memory = "VmSize:\t    3060 kB\nVmRSS:\t    1768 kB\nRssAnon:\t     112 kB\nVmSwap:\t       4 kB\n";
    let rest = "NSpid:\t7\t3\t1\nThreads:\t2\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004001\n";
    let program = format!("{text}{memory}{rest}");
    let status = StatusRow::parse(program.as_bytes()).unwrap();
    assert_eq!(
        (status.name, status.state, status.user.effective),
        (b"a\\nb".as_slice(), ProcessState::Sleeping, 2)
    );
    assert_eq!((status.resident, status.swap), (Some(Bytes(1768 * 1024)), Some(Bytes(4096))));
    assert_eq!((status.inner_pid, status.threads), (Some(1), 2));
    assert!(
        status.catches(1)
            && status.catches(15)
            && !status.catches(2)
            && !status.catches(0)
            && !status.catches(99)
    );
    let thread = format!("{text}{rest}");
    assert_eq!(StatusRow::parse(thread.as_bytes()).unwrap().resident, None);
    let lacks = Malformed::Lacks { what: "the process's status", field: "SigCgt" };
    assert_eq!(StatusRow::parse(thread.replace("SigCgt", "X").as_bytes()), Err(lacks));
    assert_eq!(
        StatusRow::parse(program.replace("1768 kB", "1768 MB").as_bytes()),
        line("the process's status", 10)
    );
}

#[test]
fn fields_at_the_end_of_a_process() {
    let head = "4711 (x) S 1 4711 4700 0 -1 4194560 1 2 3 4 100 20 3 1 20 -5 7 0 987654 12345678 250";
    let old = format!("{head}\n");
    let row = StatRow::parse(old.as_bytes()).unwrap();
    assert_eq!((row.group, row.session, row.nice, row.processor), (4711, 4700, -5, None));
    let middle = "1 2 3 4 5 6 7 8 9 10 11 12 17 3 0 0 12 0 0";
    let new = format!("{head} 18446744073709551615 {middle}\n");
    let row = StatRow::parse(new.as_bytes()).unwrap();
    assert_eq!((row.processor, row.block_delay, row.resident), (Some(3), Some(Ticks(12)), Pages(250)));
    assert!(StatRow::parse(new.replace("17 3 0 0 12", "17 x 0 0 12").as_bytes()).is_err());
}

/// What a parser made of the whole, and of its beginning: fewer rows or an error, never another number.
fn rows_of(bytes: &[u8], parser: usize) -> Vec<String> {
    fn told<T: std::fmt::Debug>(rows: impl Iterator<Item = Result<T, Malformed>>) -> Vec<String> {
        rows.filter_map(Result::ok).map(|row| format!("{row:?}")).collect()
    }
    fn one<T: std::fmt::Debug>(value: Result<T, Malformed>) -> Vec<String> {
        value.ok().map(|value| format!("{value:?}")).into_iter().collect()
    }
    match parser {
        0 => told(disks(bytes)),
        1 => told(interfaces(bytes)),
        2 => told(mounts(bytes)),
        3 => told(swaps(bytes)),
        4 => told(cpus(bytes)),
        5 => told(memberships(bytes)),
        6 => one(single(bytes)),
        7 => one(FileHandles::parse(bytes)),
        8 => one(StatRow::parse(bytes)),
        9 => one(MemoryPages::parse(bytes)),
        10 => one(Schedule::parse(bytes)),
        11 => one(TaskCounts::parse(bytes)),
        _ => one(TcpCounters::parse(bytes)),
    }
}

const SAMPLES: [&str; 13] = [
    "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
    "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 1612\n",
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,x\n23 1 0:33 / /a\\040b rw a:1 - tmpfs  rw\n",
    "Filename\t\n/a file\t16380\t12\t55\n/b partition 1 2 -22\n",
    "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu12 1 2 3 4 5 6 7 8 9 1234\n",
    "9:name=systemd:/a\n0::/system.slice/x.service (deleted)\n",
    "4194304\n",
    "750\t0\t2466170\n",
    "47 (a) b) S 1 4711 4711 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 7 0 987654 12345678 2501\n",
    "732 463 435 6 0 89 0\n",
    "10 58918 123\n",
    "3.20 2.14 1.91 7/121 5838\n",
    "Tcp: ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts\nTcp: 2 3 4 5 6 7 8 9 10 11\n",
];

#[test]
fn a_file_that_was_cut_never_shows_another_number() {
    for (parser, sample) in SAMPLES.iter().enumerate() {
        let whole = rows_of(sample.as_bytes(), parser);
        assert!(!whole.is_empty(), "{sample}");
        for end in 0..sample.len() {
            let part = rows_of(&sample.as_bytes()[..end], parser);
            assert!(
                part.len() < whole.len() || sample.as_bytes()[end - 1] == b'\n',
                "{parser} {end}: {part:?}"
            );
            assert_eq!(part, whole[..part.len()], "{parser}: {end} of {sample}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes: Vec<u8>) {
        for parser in 0..SAMPLES.len() {
            rows_of(&bytes, parser);
        }
    }

    #[test]
    fn nor_do_samples_with_a_byte_changed(parser in 0..13_usize, at: prop::sample::Index, byte: u8) {
        let mut bytes = SAMPLES[parser].as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        rows_of(&bytes, parser);
    }

    #[test]
    fn disks_come_back(numbers: [u32; 17], fields in prop::sample::select(vec![11_usize, 15, 17])) {
        let text: Vec<String> = numbers[..fields].iter().map(u32::to_string).collect();
        let text = format!("{} {} sd!a {}\n", numbers[0], numbers[1], text.join(" "));
        let row = disks(text.as_bytes()).next().unwrap().unwrap();
        prop_assert_eq!(row.device, DeviceNumber { major: numbers[0], minor: numbers[1] });
        prop_assert_eq!(row.reads.completed, u64::from(numbers[0]));
        prop_assert_eq!(row.writes.bytes, Bytes(u64::from(numbers[6]) * 512));
        prop_assert_eq!(row.weighted, Millis(u64::from(numbers[10])));
        prop_assert_eq!(row.discards.map(|row| row.time), (fields >= 15).then_some(Millis(u64::from(numbers[14]))));
        prop_assert_eq!(row.flushes.map(|row| row.time), (fields == 17).then_some(Millis(u64::from(numbers[16]))));
    }

    #[test]
    fn mount_points_come_back(name in prop::collection::vec(1_u8..=255, 1..20)) {
        let escaped: String = name
            .iter()
            .map(|byte| match byte {
                b' ' | b'\t' | b'\n' | b'\\' | b'#' | 128.. => format!("\\{byte:03o}"),
                plain => char::from(*plain).to_string(),
            })
            .collect();
        let text = format!("1 2 3:4 / /{escaped} rw - ext4 x rw\n");
        let row = mounts(text.as_bytes()).next().unwrap().unwrap();
        prop_assert!(row.point.is(&[b"/", name.as_slice()].concat()));
    }

    #[test]
    fn any_name_of_a_process_comes_back(comm in prop::collection::vec(any::<u8>(), 0..16)) {
        let mut bytes = b"47 (".to_vec();
        bytes.extend(&comm);
        bytes.extend(b") D 1 4711 4711 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 7 0 987654 12345678 2501\n");
        let row = StatRow::parse(&bytes).unwrap();
        prop_assert_eq!((row.pid, row.comm, row.state), (47, comm.as_slice(), ProcessState::DiskSleep));
        prop_assert_eq!((row.start, row.resident), (Ticks(987_654), Pages(2501)));
    }
}
