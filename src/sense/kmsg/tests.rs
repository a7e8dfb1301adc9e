#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::model::Micros;
use crate::sense::Malformed;

/// The messages known here, as kernels and drivers write them, and what each means.
const KNOWN: &str = include_str!("known.txt");
/// Messages that look like them and are none.
const UNKNOWN: &str = include_str!("unknown.txt");

/// What a message of the kernel's means.
fn meaning(text: &str) -> Option<String> {
    let record = format!("3,1,2,-;{text}\n");
    Meaning::of(&Record::parse(record.as_bytes()).unwrap()).map(|meaning| format!("{meaning:?}"))
}

fn messages(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

#[test]
fn known_messages() {
    let told: Vec<_> = messages(KNOWN)
        .map(|line| {
            format!("{line}\n    {}", meaning(line).unwrap_or_else(|| panic!("not understood: {line}")))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn messages_that_only_look_like_them() {
    for line in messages(UNKNOWN) {
        assert_eq!(meaning(line), None, "{line}");
    }
}

#[test]
fn a_record_and_what_the_driver_core_adds() {
    let bytes =
        b"4,731,9876543,-,caller=T1;ata1: hard resetting link\n SUBSYSTEM=scsi\n DEVICE=+scsi:0:0:0:0\n";
    let record = Record::parse(bytes).unwrap();
    assert_eq!((record.facility, record.level, record.sequence), (0, Level::Warning, 731));
    assert_eq!((record.at, record.fragment), (Micros(9_876_543), false));
    assert!(record.text.is(b"ata1: hard resetting link"));
    assert!(record.detail("DEVICE").is_some_and(|device| device.is(b"+scsi:0:0:0:0")));
    assert_eq!(record.detail("SUBSYS"), None);
    let escaped = Record::parse(b"6,1,2,-;a\\x0ab\\x5c\n").unwrap();
    assert!(escaped.text.is(b"a\nb\\"));
    for bad in [
        "",
        "\n",
        "6,1,2,-;x",
        "6,1,2;x\n",
        "x,1,2,-;x\n",
        "6,1,-;x\n",
        "6,1,2,-;x\nKEY=value\n",
        "6,1,2,-;x\n K=v",
    ] {
        assert!(Record::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(
        Record::parse(b"6,1,2,-;x\ny\n"),
        Err(Malformed::Line { what: "a record of the kernel's log", line: 2 })
    );
}

#[test]
fn programs_do_not_speak_for_the_kernel() {
    for line in messages(KNOWN) {
        // Facilities 1 (what the kernel makes of 0), 3 (daemon) and 16 (local0); and a piece of a line.
        for prefix in ["11,1,2,-", "27,1,2,-", "131,1,2,-", "3,1,2,c"] {
            let record = format!("{prefix};{line}\n");
            assert_eq!(Meaning::of(&Record::parse(record.as_bytes()).unwrap()), None, "{record}");
        }
    }
}

/// Every message's beginning as the name of a process that crashes, or runs out of memory.
#[test]
fn the_name_of_a_process_is_not_a_message() {
    let comms: Vec<&str> = messages(KNOWN)
        .map(|line| line.get(..15).unwrap_or(line))
        .chain(["Oops: 0 [#1] S", "a b c: Link up "])
        .collect();
    for comm in comms.iter().flat_map(|comm| (0..=comm.len()).filter_map(|end| comm.get(..end))) {
        let crash = format!(
            "{comm}[4711]: segfault at 0 ip 00007f sp 00007f error 4 in x[5+1] likely on CPU 0 (core 0)"
        );
        let told = meaning(&crash).unwrap_or_default();
        assert!(told.starts_with("Segfault { pid: 4711,"), "{crash}: {told}");
        for other in [
            " invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
            ": page allocation failure: order:0",
        ] {
            assert_eq!(meaning(&format!("{comm}{other}")), None, "{comm}{other}");
        }
    }
}

/// A process can't hide its own end by its name.
#[test]
fn any_name_is_taken_whole() {
    for comm in [
        "java",
        "",
        ") total-vm:1kB",
        "a) b (c",
        "x\\x0a3,1,2,-",
        "]: segfault at ",
        " invoked oom-kil",
        ",pid=1,uid=0",
        ",task=a,pid=1",
    ] {
        let shown = |text: &str| text.replace('\\', "\\\\");
        let kill = format!(
            "Out of memory: Killed process 42 ({comm}) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB"
        );
        let told = meaning(&kill).unwrap();
        assert!(told.starts_with(&format!("OomKill {{ pid: 42, comm: \"{}\",", shown(comm))), "{told}");
        let hung = meaning(&format!("INFO: task {comm}:42 blocked for more than 120 seconds.")).unwrap();
        assert_eq!(hung, format!("HungTask {{ pid: 42, comm: \"{}\", seconds: 120 }}", shown(comm)));
        let soft =
            meaning(&format!("watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [{comm}:42]")).unwrap();
        assert!(soft.contains("pid: 42"), "{soft}");
        let context = meaning(&format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task={comm},pid=42,uid=7"
        ));
        let context = context.unwrap();
        assert!(context.contains("pid: 42,") && context.contains("user: 7"), "{context}");
    }
}

#[test]
fn a_group_that_is_named_like_a_field_is_not_believed() {
    let line = |cpuset: &str, limited: &str, victim: &str, comm: &str| {
        let text = format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={cpuset},mems_allowed=0,oom_memcg={limited},task_memcg={victim},task={comm},pid=42,uid=7"
        );
        meaning(&text).unwrap()
    };
    assert!(line("/", "/a", "/a/b", "x").contains("limited: Some(\"/a\"), victim_group: Some(\"/a/b\")"));
    let lied = line("/", "/a", "/a,task=b", "x");
    assert!(lied.contains("victim_group: None, pid: 42, comm: None, user: 7"), "{lied}");
    let lied = line("x,oom_memcg=/z", "/a", "/a/b", "x");
    assert!(lied.contains("limited: None, victim_group: Some(\"/a/b\")"), "{lied}");
    let lied = line("/", "/a", "/a/b,task_memcg=/c", "x");
    assert!(lied.contains("limited: None, victim_group: None"), "{lied}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        if let Ok(record) = Record::parse(&bytes) {
            let _ = Meaning::of(&record);
        }
    }

    #[test]
    fn nor_do_messages_that_are_cut_or_changed(which: prop::sample::Index, cut: prop::sample::Index, byte in 32_u8..127) {
        let lines: Vec<&str> = messages(KNOWN).collect();
        let line = lines[which.index(lines.len())];
        let at = cut.index(line.len());
        if line.is_char_boundary(at) {
            let _ = meaning(&line[..at]);
            let mut changed = line.as_bytes().to_vec();
            changed[at] = byte;
            let _ = meaning(&String::from_utf8_lossy(&changed));
        }
    }

    #[test]
    fn records_come_back(priority in 0..2048_u64, sequence: u64, at: u64, text in "[ -:<-~]{0,40}") {
        let written = format!("{priority},{sequence},{at},-;{text}\n");
        let record = Record::parse(written.as_bytes()).unwrap();
        prop_assert_eq!((record.facility, record.sequence, record.at), (priority >> 3, sequence, Micros(at)));
        prop_assert_eq!(record.text.written(), text.as_bytes());
        for end in 0..written.len() {
            prop_assert!(Record::parse(&written.as_bytes()[..end]).is_err());
        }
    }
}
