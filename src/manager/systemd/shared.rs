//! What the tasks of this room share: one lock, held for a few microseconds at a time and never across an await.

#![expect(clippy::disallowed_methods, reason = "reads are spaced on the monotonic clock")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::dirty::Dirty;
use super::link::Link;
use super::queue::Queue;
use super::tracker::Tracker;
use crate::manager::News;
use crate::model::JobResult;

/// Everything under the lock.
#[derive(Default)]
pub(super) struct State {
    /// The connection, while systemd can be heard over it.
    pub(super) link: Option<Arc<Link>>,
    /// Why there is none.
    pub(super) why_not: String,
    /// `Version` of the manager, empty until it was asked for the first time.
    pub(super) version: String,
    /// The unique name of systemd on the bus: what comes from any other is not believed.
    pub(super) owner: Option<String>,
    /// The bus itself told of a change of owner on this connection: that is newer than the answer to a question.
    pub(super) owner_told: bool,
    pub(super) reloading: bool,
    /// [`News::Lost`] was said and nothing found since.
    lost_told: bool,
    pub(super) tracker: Tracker,
    pub(super) dirty: Dirty,
    /// Jobs whose kind is to be asked.
    pub(super) asks: VecDeque<u32>,
    pub(super) queue: Queue,
    /// Who waits for the end of which job.
    pub(super) waiting: BTreeMap<u32, oneshot::Sender<JobResult>>,
}

/// See the module.
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something to read or ask.
    pub(super) work: Notify,
    /// There are news.
    pub(super) heard: Notify,
    /// systemd came to or left the bus.
    pub(super) owner_changed: Notify,
    begun: Instant,
}

impl Shared {
    pub(super) fn new() -> Self {
        let state = State { why_not: "not connected yet".to_owned(), ..State::default() };
        Self {
            state: Mutex::new(state),
            work: Notify::new(),
            heard: Notify::new(),
            owner_changed: Notify::new(),
            begun: Instant::now(),
        }
    }

    /// The lock. A panic elsewhere leaves every part of the state valid by itself, so it goes on.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For [`Dirty`]: the time since this was made.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// systemd is heard from here on.
    pub(super) fn found(&self, link: &Arc<Link>) {
        let mut state = self.state();
        state.link = Some(Arc::clone(link));
        state.lost_told = false;
        state.queue.other(News::ListAgain);
        drop(state);
        self.heard.notify_one();
    }

    /// systemd can't be heard over the link, which stays open: nothing is missed. Said once.
    pub(super) fn silent(&self, why: &str) {
        let mut state = self.state();
        state.link = None;
        why.clone_into(&mut state.why_not);
        if !std::mem::replace(&mut state.lost_told, true) {
            state.queue.other(News::Lost(why.to_owned()));
        }
        drop(state);
        self.heard.notify_one();
    }

    /// systemd can't be heard, and what it says until it is found again is missed. Said once.
    pub(super) fn lost(&self, why: &str) {
        self.state().forget(why);
        self.silent(why);
    }

    /// A new connection begins.
    pub(super) fn connected(&self) {
        let mut state = self.state();
        state.owner = None;
        state.owner_told = false;
    }
}

impl State {
    /// Signals are missed from here on: what they told is no longer known, and the ends of jobs won't be heard.
    pub(super) fn forget(&mut self, why: &str) {
        self.link = None;
        why.clone_into(&mut self.why_not);
        self.waiting.clear();
        self.tracker.gap();
        self.dirty.forget();
        self.asks.clear();
        if std::mem::take(&mut self.reloading) {
            self.queue.other(News::Reloading(false));
        }
    }
}
