//! What is told when the disk is slow, full or gone, or a defect shows: nothing ends but the history.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::model::{BootTime, Gap, Id128, WallTime};

fn at(second: i64) -> Timestamp {
    Timestamp::new(
        BootTime::from_millis(second * 1000),
        WallTime::from_unix_millis(1_790_000_000_000 + second * 1000),
    )
}

const NONE: Result<f64, Gap> = Err(Gap::Unsupported);
const SECOND: HostSecond = HostSecond {
    cpu: Ok(1.0),
    cpu_system: NONE,
    iowait: NONE,
    steal: NONE,
    forks: NONE,
    context_switches: NONE,
    running: NONE,
    blocked: NONE,
    memory_available: NONE,
    memory_total: NONE,
    memory_dirty: NONE,
    swap_free: NONE,
    pids: NONE,
    open_files: NONE,
    conntrack: NONE,
    received: NONE,
    sent: NONE,
    network_errors: NONE,
    network_drops: NONE,
    busiest_disk: NONE,
    disks_read: NONE,
    disks_written: NONE,
};

/// With its folder open, and nothing more to be told by its own thread.
fn start(dir: &tempfile::TempDir) -> History {
    let history = History::start(dir.path().to_owned(), BootId(Id128::from_bytes([1; 16])), 64 << 20);
    while history.0.somebody_waits.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    // That thread has the store until it has told.
    drop(lock(&history.0.store));
    history
}

fn values(dir: &tempfile::TempDir) -> u64 {
    let query = HistoryQuery {
        field: "cpu_percent".into(),
        from: at(0).wall,
        to: at(1000).wall,
        step: Duration::from_secs(1),
    };
    let series = Reader::new(dir.path()).series(&query).unwrap();
    series.runs.iter().flat_map(|run| &run.points).map(|point| point.values).sum()
}

/// Of each tier.
fn files(dir: &tempfile::TempDir) -> [usize; 2] {
    let list = Reader::new(dir.path()).list().unwrap();
    [list.extents[0].files, list.extents[1].files]
}

#[tokio::test]
async fn what_was_read_is_on_the_disk_when_the_agent_ends() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    let mut status = history.status();
    (0..30).for_each(|second| history.host(at(second), &SECOND));
    history.clone().finish().await;
    assert_eq!(values(&dir), 30);
    assert_eq!(HistoryFiles::new(dir.path()).list().unwrap().extents.len(), 2);
    // Switched off: what is there goes, and nothing comes.
    history.set_bytes_max(0);
    status.wait_for(|status| status.bytes_max == 0 && status.bytes == 0).await.unwrap();
    history.host(at(31), &SECOND);
    history.finish().await;
    assert_eq!(values(&dir), 0);
}

#[tokio::test]
async fn a_disk_that_does_not_answer_costs_no_memory_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    let mut status = history.status();
    let stuck = history.0.store.lock().unwrap();
    // The first batch waits for the disk, the next two have no place to wait in.
    (0..200).for_each(|second| history.host(at(second), &SECOND));
    assert_eq!(status.borrow().rows_lost, 120);
    assert!(status.borrow().failing.as_ref().unwrap().contains("not answered"));
    drop(stuck);
    // There are bytes when the first batch was written.
    status.wait_for(|status| status.failing.is_none() && status.bytes > 0).await.unwrap();
    history.finish().await;
    assert_eq!(values(&dir), 80);
}

#[tokio::test]
async fn what_the_ledger_needs_is_given_up_when_the_disk_answers_again() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    (0..30).for_each(|second| history.host(at(second), &SECOND));
    history.finish().await;
    let boot = BootId(Id128::from_bytes([2; 16]));
    let history = History::start_with(dir.path().to_owned(), boot, 64 << 20, u64::MAX);
    let mut status = history.status();
    // By itself it keeps the minutes.
    status.wait_for(|status| status.failing.is_some()).await.unwrap();
    assert_eq!(files(&dir), [0, 1]);
    let stuck = history.0.store.lock().unwrap();
    (0..10).for_each(|_| history.give_up(false));
    history.give_up(true);
    drop(stuck);
    status.wait_for(|status| status.bytes == 0).await.unwrap();
    assert_eq!(files(&dir), [0, 0]);
}

#[tokio::test]
async fn a_clock_that_is_set_while_a_batch_is_on_its_way_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    let status = history.status();
    let stuck = history.0.store.lock().unwrap();
    (0..=62).for_each(|second| history.host(at(second), &SECOND));
    let hour_later = WallTime::from_unix_millis(at(3600).wall.unix_millis());
    history.host(Timestamp { wall: hour_later, ..at(63) }, &SECOND);
    assert_eq!(status.borrow().rows_lost, 3);
    assert!(status.borrow().failing.as_ref().unwrap().contains("the clock was set"));
    drop(stuck);
    // The end waits for the batch on its way, and writes what came after.
    history.finish().await;
    assert_eq!(values(&dir), 60);
    assert_eq!(status.borrow().failing, None);
    assert_eq!(files(&dir), [2, 2]);
}

#[tokio::test]
async fn a_defect_ends_the_history_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    let mut status = history.status();
    (0..30).for_each(|second| history.host(at(second), &SECOND));
    history.with_recorder(|_| panic!("a defect, for the test"), at(30));
    assert_eq!(status.borrow().rows_lost, 30);
    history.host(at(31), &SECOND);
    // It stays told, whatever else is done.
    history.set_bytes_max(32 << 20);
    let told = status.wait_for(|status| status.bytes_max == 32 << 20).await.unwrap().clone();
    assert!(told.failing.unwrap().contains("a defect of prunella"));
    history.finish().await;
    assert_eq!(values(&dir), 0);
}

#[tokio::test]
async fn a_writer_that_breaks_off_gives_the_buffers_back_and_tells() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    let status = history.status();
    let shared = Arc::clone(&history.0);
    let broken = move || shared.with_store(&mut lock(&shared.store), 7, |_| panic!("a defect, for the test"));
    tokio::task::spawn_blocking(broken).await.unwrap();
    assert_eq!(status.borrow().rows_lost, 7);
    assert_eq!(status.borrow().failing.as_deref(), Some(WRITING_BROKE_OFF));
    (0..30).for_each(|second| history.host(at(second), &SECOND));
    history.finish().await;
    assert_eq!(values(&dir), 30);
}

#[tokio::test]
async fn what_can_not_be_written_is_told_and_lost() {
    let dir = tempfile::tempdir().unwrap();
    let history = start(&dir);
    let mut status = history.status();
    dir.close().unwrap();
    (0..=60).for_each(|second| history.host(at(second), &SECOND));
    let told = status.wait_for(|status| status.failing.is_some()).await.unwrap();
    assert_eq!(told.rows_lost, 60);
}
