#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::model::Ticks;
use crate::sense::procfs::ProcessState;

/// Gives these, one after the other.
#[derive(Debug)]
struct Scripted(Vec<Reading<Coverage>>);

impl Way for Scripted {
    fn kind(&self) -> ProcessWay {
        ProcessWay::BpfIterator
    }

    fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Reading<Coverage> {
        rows.clear();
        rows.push(ProcessRow {
            pid: 1,
            start: Ticks(2),
            parent: 0,
            state: ProcessState::Sleeping,
            kernel_thread: false,
            threads: 1,
            cpu: Duration::ZERO,
            resident: crate::model::Pages(3),
            minor_faults: 0,
            major_faults: 0,
            extra: None,
            comm: *b"init\0\0\0\0\0\0\0\0\0\0\0\0",
        });
        self.0.remove(0)
    }
}

fn at(seconds: u64) -> Moment {
    let awake = Duration::from_secs(seconds);
    Moment { boot: BootTime::ZERO + awake, awake }
}

#[test]
fn what_is_not_whole_is_shown_and_not_counted() {
    let script = vec![
        Reading::Value(Coverage::Complete),
        Reading::Value(Coverage::Hidden),
        Reading::Failed("broken".into()),
        Reading::Absent(Absence::Unsupported),
    ];
    let none = tempfile::tempdir().unwrap();
    let mut watch = ProcessWatch::with(none.path(), Box::new(Scripted(script)));
    let shared = watch.shared();
    let before = shared.list(ProcessSort::Cpu, 9);
    assert_eq!((before.at, before.processes.len()), (Reading::Absent(Absence::TooEarly), 0));
    assert_eq!(shared.due(at(5)), Some(0));
    let mut check = |seconds: u64, counted: bool, incomplete: bool, shown_at: u64| {
        let (counts, _) = watch.pass(at(seconds), true);
        assert_eq!(counts.value().is_some(), counted, "{counts:?}");
        let list = shared.list(ProcessSort::Memory, 9);
        assert_eq!(list.counts, counts);
        assert_eq!(list.incomplete.is_some(), incomplete);
        assert_eq!(list.at, Reading::Value(at(shown_at).boot));
        assert_eq!((list.way, list.processes.len()), (ProcessWay::BpfIterator, 1));
        assert_eq!(list.processes[0].line.name, "init");
        // The folder is not there, and so nobody knows whose it is.
        assert_eq!(list.processes[0].line.user, Reading::Absent(Absence::NotObserved));
    };
    check(10, true, false, 10);
    check(20, false, true, 20);
    check(30, false, true, 20);
    check(40, false, true, 20);
    assert_eq!(shared.due(at(40)), None, "it was tried just now");
    assert_eq!(shared.due(at(60)), Some(4));
}

#[test]
fn what_may_only_be_hidden_is_not_said_to_be_gone() {
    let script = vec![Reading::Value(Coverage::Complete), Reading::Value(Coverage::Hidden)];
    let none = tempfile::tempdir().unwrap();
    let mut watch = ProcessWatch::with(none.path(), Box::new(Scripted(script)));
    let shared = watch.shared();
    watch.pass(at(10), false);
    assert_eq!(shared.look(7, false, at(10).boot), Err(LookError::Gone(7)));
    watch.pass(at(20), false);
    let why = Coverage::Hidden.to_string();
    assert_eq!(shared.look(7, false, at(20).boot), Err(LookError::Failed { pid: 7, why }));
}

#[test]
fn this_host_with_its_storage() {
    let proc = Path::new("/proc");
    let mut watch = ProcessWatch::new(proc);
    let shared = watch.shared();
    watch.pass(at(10), true);
    // Each is looked at twice, a slice at a time.
    let slices = shared.state().table.len() / EXTRA_SLICE + 1;
    for pass in 2..2 * slices as u64 + 3 {
        watch.pass(at(10 * pass), true);
    }
    shared.wait_for_more(1, Duration::MAX);
    let list = shared.list(ProcessSort::Io, 3);
    assert_eq!((list.way, list.processes.len()), (ProcessWay::Procfs, 3));
    assert_eq!(list.interval, Reading::Value(Duration::from_secs(10)));
    let first = &list.processes[0];
    assert!(first.storage_read.value().is_some() && first.cpu.value().is_some(), "{first:?}");
    assert!(first.line.user.value().is_some(), "{first:?}");
    let own = rustix::process::getpid().as_raw_nonzero().get();
    assert_eq!(shared.look(own, false, at(20).boot).unwrap().line.pid, own);
}
