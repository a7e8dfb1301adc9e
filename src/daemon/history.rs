//! Brings what the senses read into the history: rows to memory at once, batches to the disk once a minute, on a thread
//! that may block. Nothing here holds the loop up, and nothing here can end it.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::history::{Batch, Due, HistoryError, NoHistory, Reader, Recorder, Store, StoreLimits};
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
/// It is off from then on: what broke off once does so again.
const TAKING_BROKE_OFF: &str =
    "taking numbers in broke off, a defect of prunella: it is off until the agent starts anew";
const WRITING_BROKE_OFF: &str = "writing broke off, a defect of prunella";

/// The history in the making. Cheap to clone: every part is shared.
#[derive(Clone, Debug)]
pub(super) struct History(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state_dir: PathBuf,
    bytes_max: AtomicU64,
    room_least: u64,
    /// All of it is to be given up until there is room; whoever has the store next does that.
    everything: AtomicBool,
    /// A thread waits for the store, to heed what is asked for.
    somebody_waits: AtomicBool,
    memory: Mutex<Memory>,
    /// Held by threads that may block, and by nobody else. None before it could be opened.
    store: Mutex<Option<Store>>,
    status: watch::Sender<HistoryStatus>,
}

#[derive(Debug)]
struct Memory {
    boot: BootId,
    recorder: Recorder,
    /// A defect ended it: nothing is taken in any more.
    broken: bool,
    /// The buffers of the next batch; none while one is on its way to the disk.
    spare: Option<Batch>,
    /// The writing of the newest batch.
    on_its_way: Option<JoinHandle<()>>,
    /// Rows that reached the disk's thread, and not the disk.
    lost: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Looks at what is there, on a thread of its own. Must be called in a runtime.
    pub(super) fn start(state_dir: PathBuf, boot: BootId, bytes_max: u64) -> Self {
        Self::start_with(state_dir, boot, bytes_max, ROOM_LEAST)
    }

    fn start_with(state_dir: PathBuf, boot: BootId, bytes_max: u64, room_least: u64) -> Self {
        let memory = Memory {
            boot,
            recorder: Recorder::new(boot),
            broken: false,
            spare: Some(Batch::empty(boot, clock::now())),
            on_its_way: None,
            lost: 0,
        };
        let this = Self(Arc::new(Shared {
            state_dir,
            bytes_max: AtomicU64::new(bytes_max),
            room_least,
            everything: AtomicBool::new(false),
            somebody_waits: AtomicBool::new(false),
            memory: Mutex::new(memory),
            store: Mutex::new(None),
            status: watch::Sender::new(HistoryStatus { bytes_max, ..HistoryStatus::default() }),
        }));
        this.heed();
        this
    }

    pub(super) fn status(&self) -> watch::Receiver<HistoryStatus> {
        self.0.status.subscribe()
    }

    /// A new policy. What is beyond its bound goes at once, or when the batch that is on its way is written.
    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        if self.0.bytes_max.swap(bytes_max, Ordering::Relaxed) != bytes_max {
            self.heed();
        }
    }

    /// The ledger has no room on its disk: the history is given up first, in full, and `everything` of it where the
    /// ledger can't even live on its reserve.
    pub(super) fn give_up(&self, everything: bool) {
        if everything {
            self.0.everything.store(true, Ordering::Release);
        }
        self.heed();
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
        if memory.broken {
            return;
        }
        // Who calls reads the host, without which the agent is none: no defect in here may end that.
        let taken = panic::catch_unwind(AssertUnwindSafe(|| memory.take_in(at, take)));
        let why = match taken {
            Ok(Taken::Kept) => return,
            Ok(Taken::Due(batch)) => {
                let shared = Arc::clone(&self.0);
                memory.on_its_way = Some(tokio::task::spawn_blocking(move || shared.write(batch)));
                return;
            }
            Ok(Taken::Dropped(why)) => why,
            Err(_) => {
                tracing::error!("taking numbers into the history broke off: a defect of prunella");
                memory.break_off();
                TAKING_BROKE_OFF
            }
        };
        let lost = memory.rows_lost();
        drop(memory);
        self.0.status.send_modify(|status| {
            status.failing = Some(why.into());
            status.rows_lost = lost;
        });
    }

    /// Brings about what is asked for, on a thread that waits for the store. Who waits already does it for all.
    fn heed(&self) {
        if self.0.somebody_waits.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let mut store = lock(&shared.store);
            // From here on, what is asked for may come too late for this one.
            shared.somebody_waits.swap(false, Ordering::AcqRel);
            shared.with_store(&mut store, 0, |_| Ok(()));
        });
    }

    /// Writes what there is: the agent ends.
    pub(super) async fn finish(self) {
        let last = async {
            let on_its_way = lock(&self.0.memory).on_its_way.take();
            if let Some(batch) = on_its_way {
                // It gives the buffers back. That it broke off was told.
                let _ = batch.await;
            }
            let Some(batch) = lock(&self.0.memory).take_batch() else { return };
            let shared = Arc::clone(&self.0);
            let _ = tokio::task::spawn_blocking(move || shared.write(batch)).await;
        };
        if tokio::time::timeout(LAST_BATCH, last).await.is_err() {
            tracing::warn!("the newest minutes of the history are lost: its disk does not answer");
        }
    }
}

/// What became of a row.
enum Taken {
    Kept,
    /// The batch before it is to be written.
    Due(Batch),
    /// The batch before it is lost, for this reason.
    Dropped(&'static str),
}

impl Memory {
    fn take_batch(&mut self) -> Option<Batch> {
        if !self.recorder.has_rows() {
            return None;
        }
        self.recorder.take(self.spare.take()?)
    }

    fn take_in(&mut self, at: Timestamp, take: impl FnOnce(&mut Recorder)) -> Taken {
        let taken = match self.recorder.due(at) {
            None => Taken::Kept,
            Some(due) => match (self.take_batch(), due) {
                (Some(batch), _) => Taken::Due(batch),
                // The disk has not taken the one before: memory is not for waiting in.
                (None, Due::Old) => self.dropped("its disk has not answered for a minute"),
                (None, Due::ClockSet) => {
                    self.dropped("a batch was still being written when the clock was set")
                }
                (None, Due::Long) => Taken::Kept,
            },
        };
        take(&mut self.recorder);
        taken
    }

    fn dropped(&mut self, why: &'static str) -> Taken {
        self.recorder.drop_batch();
        Taken::Dropped(why)
    }

    fn rows_lost(&self) -> u64 {
        self.lost + self.recorder.rows_lost()
    }

    /// What is in the recorder can't be relied on any more.
    fn break_off(&mut self) {
        self.broken = true;
        self.lost = self.rows_lost() + self.recorder.rows();
        self.recorder = Recorder::new(self.boot);
    }
}

impl Shared {
    /// The store, heeding what is asked for: the limits in force, and what is to be given up.
    fn heeded<'a>(&self, store: &'a mut Option<Store>) -> Result<&'a mut Store, HistoryError> {
        let limits =
            StoreLimits { bytes: self.bytes_max.load(Ordering::Relaxed), room_least: self.room_least };
        match store {
            Some(store) => store.set_limits(limits)?,
            None => *store = Some(Store::open(&self.state_dir, limits)?),
        }
        let store = store.as_mut().expect("it was open, or has just been opened");
        if limits.bytes > 0 {
            let everything = self.everything.swap(false, Ordering::AcqRel);
            let room = store.make_room(everything);
            if everything && room.is_err() {
                // Until there is room.
                self.everything.store(true, Ordering::Release);
            }
            room?;
        }
        Ok(store)
    }

    /// Blocks on the disk.
    fn write(&self, batch: Batch) {
        let mut store = lock(&self.store);
        self.with_store(&mut store, batch.rows(), |store| store.write(&batch));
        lock(&self.memory).spare = Some(batch);
    }

    /// Does this with the store, and tells what came of it: whether rows are lost. That it broke off is told, too.
    fn with_store(
        &self,
        store: &mut Option<Store>,
        rows: u64,
        work: impl FnOnce(&mut Store) -> Result<(), HistoryError>,
    ) {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            self.heeded(store).and_then(work).map_err(|error| error.to_string())
        }));
        let outcome = outcome.unwrap_or_else(|_| {
            tracing::error!("writing the history broke off: a defect of prunella");
            // What it holds can't be relied on: the next one looks at the folder anew.
            *store = None;
            Err(WRITING_BROKE_OFF.into())
        });
        let lost = if outcome.is_err() { rows } else { 0 };
        self.tell(store.as_ref(), outcome, lost);
    }

    fn tell(&self, store: Option<&Store>, outcome: Result<(), String>, lost: u64) {
        let mut memory = lock(&self.memory);
        memory.lost += lost;
        let failing = if memory.broken { Some(TAKING_BROKE_OFF.into()) } else { outcome.err() };
        let status = HistoryStatus {
            bytes_max: self.bytes_max.load(Ordering::Relaxed),
            bytes: store.map_or(0, Store::bytes),
            failing,
            rows_lost: memory.rows_lost(),
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
mod tests;
