//! Acts that make room: each on a thread of its own, because disks may be slow or hang; and what they ask of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::act::{self, Consent, Premises};
use crate::engine::Input;
use crate::guard::Permit;
use crate::model::{ActionId, Applied, MountPoint, Remedy, Removal, Usage};
use crate::sense::space;

use super::clock;
use super::core::Event;

/// Folders and files are held by descriptors, and little else is on the stack.
const STACK_BYTES: usize = 512 * 1024;

type Answer = Result<(), String>;

/// What the acts wait for, and which file systems are wanted to be looked at out of turn.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    /// Where procfs is mounted.
    proc: PathBuf,
    /// Where archives are begun for which there is no room beside their logs.
    away: PathBuf,
    waiting: Arc<Mutex<BTreeMap<ActionId, oneshot::Sender<Answer>>>>,
    wanted: Arc<Mutex<BTreeSet<MountPoint>>>,
    wanting: Arc<Notify>,
    work: Arc<Work>,
}

/// Whether an act is or was at work: what it takes is not the price of looking.
#[derive(Debug, Default)]
struct Work {
    now: AtomicU32,
    lately: AtomicBool,
}

impl Work {
    fn begin(self: &Arc<Self>) -> AtWork {
        self.now.fetch_add(1, Ordering::Relaxed);
        self.lately.store(true, Ordering::Relaxed);
        AtWork(Arc::clone(self))
    }
}

/// Until it is dropped.
struct AtWork(Arc<Work>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Rooms {
    pub(super) fn new(proc: PathBuf, away: PathBuf) -> Self {
        Self {
            proc,
            away,
            waiting: Arc::default(),
            wanted: Arc::default(),
            wanting: Arc::default(),
            work: Arc::default(),
        }
    }

    /// Before a disk is full.
    pub(super) fn keep_reserve(&self) {
        if let Err(error) = act::keep_reserve(&self.away) {
            let away = self.away.display();
            tracing::warn!("no room is held in reserve for archives in {away}: {error}");
        }
    }

    /// The engine answers an act.
    pub(super) fn go_on(&self, action: ActionId, answer: Answer) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&action);
        if let Some(waiting) = waiting {
            // The act may have broken off.
            let _ = waiting.send(answer);
        }
    }

    /// A decision waits for how much room there is.
    pub(super) fn want(&self, point: MountPoint) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(point);
        self.wanting.notify_one();
    }

    /// Whether an act was at work since this was asked before.
    pub(super) fn take_worked(&self) -> bool {
        let now = self.work.now.load(Ordering::Relaxed) > 0;
        self.work.lately.swap(now, Ordering::Relaxed) || now
    }

    /// Until one is wanted.
    pub(super) async fn wanted(&self) {
        self.wanting.notified().await;
    }

    /// Those that are wanted, in their order; none of them any more after this.
    pub(super) fn take_wanted(&self) -> Vec<MountPoint> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *wanted).into_iter().collect()
    }

    /// Carries out the permit.
    pub(super) async fn act(&self, permit: Permit, inbox: mpsc::Sender<Event>) -> Applied {
        let asker = Asker { inbox, waiting: Arc::clone(&self.waiting), action: permit.action() };
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::Builder::new().name("room".into()).stack_size(STACK_BYTES);
        let at_work = self.work.begin();
        let (proc, away) = (self.proc.clone(), self.away.clone());
        let begun = thread.spawn(move || {
            let _at_work = at_work;
            if permit.remedy() == Remedy::ArchiveLogs {
                space::step_back();
            }
            // Nobody listens any more when the agent ends.
            let premises = Premises { proc: &proc, away: &away };
            let _ = answer.send(act::make_room(&permit, premises, &asker, &clock::now));
        });
        match begun {
            Ok(_) => answered
                .await
                .unwrap_or_else(|_| Applied::Unknown { why: "the thread that removes broke off".into() }),
            Err(error) => Applied::Failed { why: format!("no thread to work on: {error}") },
        }
    }
}

/// Asks for one act.
struct Asker {
    inbox: mpsc::Sender<Event>,
    waiting: Arc<Mutex<BTreeMap<ActionId, oneshot::Sender<Answer>>>>,
    action: ActionId,
}

impl Consent for Asker {
    fn may_remove(&self, usage: Usage, removals: Vec<Removal>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let action = self.action;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(action, answer);
        let input = Input::Removing { action, usage, removals };
        let ended = || "the agent is ending".to_owned();
        self.inbox.blocking_send(Event::Input(Box::new(input))).map_err(|_| ended())?;
        answered.blocking_recv().unwrap_or_else(|_| Err(ended()))
    }
}
