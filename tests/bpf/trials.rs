//! What each way must show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prunella::sense::process::ProcessRow;
use prunella::sense::process::bpf::{BpfTable, BpfWay, Refusal, give_up_capabilities};

use crate::ROOM;
use crate::children::{Kind, Played};
use crate::compare::compare;
use crate::procfs;

/// Passes that are compared: what changes at the wrong moment is another each time.
const PASSES: usize = 10;
/// For how long children are reaped under the reader. Before the object looked for it, some were counted twice in this.
const REAPING: Duration = Duration::from_secs(20);

fn load(way: BpfWay) -> BpfTable {
    BpfTable::load(way, ROOM).expect("it was loaded a moment ago")
}

fn find(rows: &[ProcessRow], pid: i32) -> ProcessRow {
    *rows.iter().find(|row| row.pid == pid).expect("the child is in the table")
}

pub(crate) fn agrees_with_procfs(way: BpfWay) {
    let kinds = [Kind::Threads, Kind::Headless, Kind::Writer, Kind::Zombie, Kind::Stopped];
    let children: Vec<(Kind, Played)> = kinds.into_iter().map(|kind| (kind, Played::start(kind))).collect();
    let (mut table, mut rows) = (load(way), Vec::new());
    for _ in 0..PASSES {
        let before = procfs::read();
        let told = table.read(&mut rows).expect("a pass");
        let after = procfs::read();
        assert_eq!(told.processes, told.told, "the table is cut");
        let compared = compare(&before, &rows, &after).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(compared > children.len(), "only {compared} processes were compared");
    }
    let of = |kind| find(&rows, children.iter().find(|(it, _)| *it == kind).expect("it is played").1.pid());
    let (threads, headless, writer) = (of(Kind::Threads), of(Kind::Headless), of(Kind::Writer));
    assert_eq!((threads.threads, threads.state.letter()), (6, 'S'));
    // Its main thread has done next to nothing.
    assert!(threads.cpu > Duration::from_millis(1), "{threads:?}");
    assert_eq!((headless.state.letter(), headless.threads), ('Z', 2));
    assert!(headless.cpu > Duration::from_millis(1), "{headless:?}");
    assert_eq!(of(Kind::Zombie).state.letter(), 'Z');
    assert_eq!(of(Kind::Stopped).state.letter(), 'T');
    assert!(writer.extra.is_some(), "{writer:?}");
}

/// A thread that ends while its process is summed up must be neither missed nor counted twice: both would look like a
/// burst of work in the pass after.
pub(crate) fn ended_threads_count_once(way: BpfWay) {
    let churn = [Played::start(Kind::Churn), Played::start(Kind::Churn)];
    let (mut table, mut rows) = (load(way), Vec::new());
    let (begin, mut last, mut mended) = (Instant::now(), BTreeMap::new(), 0);
    let mut first = BTreeMap::new();
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    for _ in 0..2_000 {
        mended += table.read(&mut rows).expect("a pass").mended;
        for child in &churn {
            let cpu = find(&rows, child.pid()).cpu;
            first.entry(child.pid()).or_insert(cpu);
            // Where it was mended it is what stat says, cut to ticks.
            let earlier = last.insert(child.pid(), cpu).unwrap_or(cpu);
            assert!(cpu + Duration::from_millis(20) >= earlier, "{cpu:?} after {earlier:?}");
        }
    }
    let most = begin.elapsed() * u32::try_from(processors).expect("few") + Duration::from_millis(20);
    for (pid, cpu) in last {
        let worked = cpu - first[&pid];
        assert!(worked <= most, "{worked:?} of CPU time in {most:?}");
    }
    eprintln!("{way}: {mended} of {} were read from stat, for their threads ended meanwhile", 2 * 2_000);
}

/// A process that is reaped while it is summed up has its times in two places for a moment: counted twice, it would look
/// like a burst of work.
pub(crate) fn what_is_reaped_counts_once(way: BpfWay) {
    let reaper = Played::start(Kind::Reaper);
    let (mut table, mut rows) = (load(way), Vec::new());
    let mut ended = BTreeMap::new();
    let (begin, mut wrong) = (Instant::now(), Vec::new());
    while begin.elapsed() < REAPING {
        table.read(&mut rows).expect("a pass");
        let children = rows.iter().filter(|row| row.parent == reaper.pid());
        for row in children.filter(|row| matches!(row.state.letter(), 'Z' | 'X')) {
            // Times may still grow a little, for a zombie is on its last way when it first shows. Faults do not.
            let (faults, cpu) = *ended.entry((row.pid, row.start)).or_insert((row.minor_faults, row.cpu));
            if row.minor_faults != faults || row.cpu < cpu {
                wrong.push(format!("{row:?} after {faults} faults and {cpu:?}"));
            }
        }
    }
    eprintln!("{way}: {} processes were reaped", ended.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) fn needs_no_capability_to_read(way: BpfWay) {
    // Capabilities are a thread's own.
    let read = std::thread::spawn(move || {
        let (mut table, mut rows) = (load(way), Vec::new());
        give_up_capabilities().expect("capabilities can always be given up");
        // CAP_SYS_ADMIN would stand in for them.
        let mut sets = rustix::thread::capabilities(None).expect("they can be read");
        sets.effective.remove(rustix::thread::CapabilitySet::SYS_ADMIN);
        rustix::thread::set_capabilities(None, sets).expect("they can be given up");
        let told = table.read(&mut rows);
        (told.map(|told| told.told), BpfTable::load(way, ROOM).err())
    });
    let (told, refusal) = read.join().expect("it ends");
    assert!(told.as_ref().is_ok_and(|told| *told > 1), "{told:?}");
    assert!(matches!(refusal, Some(Refusal::Capability)), "{refusal:?}");
}

pub(crate) fn a_table_without_room_says_so(way: BpfWay) {
    let mut rows = Vec::new();
    let mut table = BpfTable::load(way, 1).expect("it loads");
    let told = table.read(&mut rows).expect("a pass");
    assert_eq!((told.told, rows.len()), (1, 1), "{told:?}");
    assert!(told.processes > 1, "{told:?}");
}
