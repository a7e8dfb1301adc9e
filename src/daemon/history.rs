//! Brings what the senses read into the history: rows to memory at once, batches to the disk once a minute, on a thread
//! that may block. Nothing here holds the loop up, and nothing here can end it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::history::{Batch, HistoryError, NoHistory, Reader, Recorder, Store, StoreLimits};
use crate::ledger;
use crate::model::{
    BootId, FilesystemStatus, HistoryList, HistoryQuery, HistorySeries, HistoryStatus, HostNumbers,
    HostSecond, HostVitals, Timestamp,
};
use crate::serve::{HistorySource, NoAnswer};

use super::clock;

/// When less is free, the history writes nothing and is given up: with so much the ledger makes its reserve anew.
const ROOM_LEAST: u64 = 4 * ledger::RESERVE_BYTES;
/// The last batch is waited for so long when the agent ends.
const LAST_BATCH: Duration = Duration::from_secs(2);

/// The history in the making. Cheap to clone: every part is shared.
#[derive(Clone, Debug)]
pub(super) struct History(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state_dir: PathBuf,
    bytes_max: AtomicU64,
    memory: Mutex<Memory>,
    /// Held by threads that may block, and by nobody else. None before it could be opened.
    store: Mutex<Option<Store>>,
    status: watch::Sender<HistoryStatus>,
}

#[derive(Debug)]
struct Memory {
    recorder: Recorder,
    /// The buffers of the next batch; none while one is on its way to the disk.
    spare: Option<Batch>,
    /// Rows that reached the disk's thread, and not the disk.
    lost: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Looks at what is there, on a thread of its own. Must be called in a runtime.
    pub(super) fn start(state_dir: PathBuf, boot: BootId, bytes_max: u64) -> Self {
        let memory =
            Memory { recorder: Recorder::new(boot), spare: Some(Batch::empty(boot, clock::now())), lost: 0 };
        let this = Self(Arc::new(Shared {
            state_dir,
            bytes_max: AtomicU64::new(bytes_max),
            memory: Mutex::new(memory),
            store: Mutex::new(None),
            status: watch::Sender::new(HistoryStatus { bytes_max, ..HistoryStatus::default() }),
        }));
        this.work(|_| Ok(()));
        this
    }

    pub(super) fn status(&self) -> watch::Receiver<HistoryStatus> {
        self.0.status.subscribe()
    }

    /// A new policy. What is beyond its bound goes at once, or with the next batch where one is on its way.
    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        if self.0.bytes_max.swap(bytes_max, Ordering::Relaxed) != bytes_max {
            self.work(|_| Ok(()));
        }
    }

    /// The ledger has no room on its disk: the history is given up first, in full, and `everything` of it where the
    /// ledger can't even live on its reserve.
    pub(super) fn give_up(&self, everything: bool) {
        self.work(move |store| store.make_room(everything));
    }

    /// A pass of the host. The batch before it goes to the disk when it is due.
    pub(super) fn host(&self, at: Timestamp, second: &HostSecond) {
        self.with_recorder(|recorder| recorder.host(at, second), at);
    }

    /// What is told of the host at longer intervals.
    pub(super) fn told(&self, at: Timestamp, vitals: &HostVitals, numbers: &HostNumbers) {
        self.with_recorder(|recorder| recorder.told(at, vitals, numbers), at);
    }

    /// The room of the file systems.
    pub(super) fn filesystems(&self, at: Timestamp, all: &[FilesystemStatus]) {
        self.with_recorder(|recorder| recorder.filesystems(at, all), at);
    }

    fn with_recorder(&self, take: impl FnOnce(&mut Recorder), at: Timestamp) {
        if self.0.bytes_max.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut memory = lock(&self.0.memory);
        let due = memory.recorder.is_due(at);
        let batch = if due { memory.take_batch() } else { None };
        if due && batch.is_none() {
            // The disk has not taken the one before: memory is not for waiting in.
            memory.recorder.drop_batch();
        }
        take(&mut memory.recorder);
        let lost = memory.lost + memory.recorder.rows_lost();
        drop(memory);
        match batch {
            Some(batch) => {
                let shared = Arc::clone(&self.0);
                tokio::task::spawn_blocking(move || shared.write(batch));
            }
            None if due => self.0.status.send_modify(|status| {
                status.failing = Some("its disk has not answered for a minute".into());
                status.rows_lost = lost;
            }),
            None => {}
        }
    }

    /// Work for the store, unless it is busy: then the next batch brings the same about.
    fn work(&self, work: impl FnOnce(&mut Store) -> Result<(), HistoryError> + Send + 'static) {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let Ok(mut store) = shared.store.try_lock() else { return };
            let outcome = shared.opened(&mut store).and_then(work);
            shared.tell(&store, outcome, 0);
        });
    }

    /// Writes what there is: the agent ends.
    pub(super) async fn finish(self) {
        let batch = lock(&self.0.memory).take_batch();
        let Some(batch) = batch else { return };
        let last = tokio::task::spawn_blocking(move || self.0.write(batch));
        if tokio::time::timeout(LAST_BATCH, last).await.is_err() {
            tracing::warn!("the newest minute of the history is lost: its disk does not answer");
        }
    }
}

impl Memory {
    fn take_batch(&mut self) -> Option<Batch> {
        let spare = self.spare.take()?;
        self.recorder.take(spare)
    }
}

impl Shared {
    /// The store with the limits in force.
    fn opened<'a>(&self, store: &'a mut Option<Store>) -> Result<&'a mut Store, HistoryError> {
        let limits = StoreLimits { bytes: self.bytes_max.load(Ordering::Relaxed), room_least: ROOM_LEAST };
        match store {
            Some(store) => store.set_limits(limits)?,
            None => *store = Some(Store::open(&self.state_dir, limits)?),
        }
        Ok(store.as_mut().expect("it was open, or has just been opened"))
    }

    /// Blocks on the disk.
    fn write(&self, batch: Batch) {
        let mut store = lock(&self.store);
        let outcome = self.opened(&mut store).and_then(|store| store.write(&batch));
        // Other limits may have come meanwhile, and nobody else could heed them.
        let outcome = outcome.and_then(|()| self.opened(&mut store).map(|_| ()));
        let lost = if outcome.is_err() { batch.rows() } else { 0 };
        lock(&self.memory).spare = Some(batch);
        self.tell(&store, outcome, lost);
    }

    fn tell(&self, store: &Option<Store>, outcome: Result<(), HistoryError>, lost: u64) {
        let mut memory = lock(&self.memory);
        memory.lost += lost;
        let status = HistoryStatus {
            bytes_max: self.bytes_max.load(Ordering::Relaxed),
            bytes: store.as_ref().map_or(0, Store::bytes),
            failing: outcome.err().map(|error| error.to_string()),
            rows_lost: memory.lost + memory.recorder.rows_lost(),
            left_out: memory.recorder.left_out(),
        };
        drop(memory);
        let before = self.status.send_replace(status.clone());
        match (before.failing, status.failing) {
            (None, Some(why)) => tracing::warn!(%why, "the history is not kept at present"),
            (Some(_), None) => tracing::info!(rows_lost = status.rows_lost, "the history is kept again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

/// The history as the socket reads it: beside the writer, by its files alone.
#[derive(Debug)]
pub(super) struct HistoryFiles(Reader);

impl HistoryFiles {
    pub(super) fn new(state_dir: &std::path::Path) -> Self {
        Self(Reader::new(state_dir))
    }
}

impl HistorySource for HistoryFiles {
    fn list(&self) -> Result<HistoryList, NoAnswer> {
        self.0.list().map_err(|error| no_answer(&error))
    }

    fn series(&self, query: &HistoryQuery) -> Result<HistorySeries, NoAnswer> {
        self.0.series(query).map_err(|error| no_answer(&error))
    }
}

fn no_answer(error: &NoHistory) -> NoAnswer {
    let why = error.to_string();
    match error {
        NoHistory::NoField(_) | NoHistory::Missing(_) => NoAnswer::NotFound(why),
        NoHistory::NoSubject(_) | NoHistory::OfTheHost(_) => NoAnswer::BadQuestion(why),
        NoHistory::Newer { .. } | NoHistory::File { .. } => NoAnswer::Failed(why),
    }
}

#[cfg(test)]
mod tests {
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

    /// With its folder open, whether its own thread was there first or not.
    fn start(dir: &tempfile::TempDir) -> History {
        let history = History::start(dir.path().to_owned(), BootId(Id128::from_bytes([1; 16])), 64 << 20);
        history.0.opened(&mut lock(&history.0.store)).unwrap();
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
        status.wait_for(|status| status.bytes_max == 0).await.unwrap();
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
    async fn what_can_not_be_written_is_told_and_lost() {
        let dir = tempfile::tempdir().unwrap();
        let history = start(&dir);
        let mut status = history.status();
        dir.close().unwrap();
        (0..=60).for_each(|second| history.host(at(second), &SECOND));
        let told = status.wait_for(|status| status.failing.is_some()).await.unwrap();
        assert_eq!(told.rows_lost, 60);
    }
}
