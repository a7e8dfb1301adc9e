//! Acts that make room: each on a thread of its own, because disks may be slow or hang; and what they ask of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::act::{self, Consent};
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
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms {
    waiting: Arc<Mutex<BTreeMap<ActionId, oneshot::Sender<Answer>>>>,
    wanted: Arc<Mutex<BTreeSet<MountPoint>>>,
    wanting: Arc<Notify>,
}

impl Rooms {
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
    pub(super) async fn act(&self, permit: Permit, proc: PathBuf, inbox: mpsc::Sender<Event>) -> Applied {
        let asker = Asker { inbox, waiting: Arc::clone(&self.waiting), action: permit.action() };
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::Builder::new().name("room".into()).stack_size(STACK_BYTES);
        let begun = thread.spawn(move || {
            if permit.remedy() == Remedy::ArchiveLogs {
                space::step_back();
            }
            // Nobody listens any more when the agent ends.
            let _ = answer.send(act::make_room(&permit, &proc, &asker, &clock::now));
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
