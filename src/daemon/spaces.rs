//! A look at who fills a file system, on a thread of its own: it reads disks, which may be slow or hang.
#![expect(clippy::disallowed_methods, reason = "a thread of its own may rest")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::act::Holdings;
use crate::model::{
    BootTime, DeletedFiles, DeviceNumber, Evidence, IncidentId, MountPoint, Reading, RoomOrder,
    SPACE_LOOK_FOR, SpaceLook,
};
use crate::sense::space::{self, Begun};

use super::clock;

/// A look ends by itself in [`SPACE_LOOK_FOR`], unless the disk hangs.
const PATIENCE: Duration = Duration::from_secs(6);
/// A look that is younger is told again: several rules speak of one disk, and one that comes and goes would have it
/// looked at without end.
const FRESH: Duration = Duration::from_secs(60);
/// File systems of which a look may wait to go on.
const LEFT_MAX: usize = 16;
/// Between the parts of one look: of three seconds each, half of it spent resting, a thirtieth of one processor.
const PART_GAP: Duration = Duration::from_secs(45);
/// Thirty million files, or two and a half hours.
const PARTS_MAX: usize = 200;
/// Fifty levels of folders, each with little on the stack.
const STACK_BYTES: usize = 256 * 1024;

pub(super) type Which = (MountPoint, DeviceNumber);

/// A look that was told.
#[derive(Debug)]
struct Last {
    which: Which,
    at: BootTime,
    look: SpaceLook,
}

/// What is known from before.
#[derive(Debug, Default)]
struct Known {
    last: Option<Last>,
    /// Looks that have not come to their end, to go on with; [`LEFT_MAX`] of them.
    left: BTreeMap<Which, Begun>,
}

/// Looks, one at a time: two would get in each other's way on the disk. One that hangs keeps its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces {
    known: Arc<Mutex<Known>>,
    /// Who waits for the whole of a look that was told in part.
    waiting: Arc<StdMutex<BTreeMap<Which, Vec<IncidentId>>>>,
}

impl Spaces {
    /// What there is to tell within a few seconds: of a look that begins now, or a moment ago where that will do.
    pub(super) async fn evidence(&self, proc: &Path, which: Which, anew: bool) -> Evidence {
        let fresh = if anew { Duration::ZERO } else { FRESH };
        Evidence::of_filesystem(self.look(proc, which, fresh, From::Beginning).await)
    }

    /// Goes on with a look that was told in part, a part at a time, until it is whole; then the incidents that are to know,
    /// all of those that wait for it by then. Who comes second waits with the first.
    pub(super) async fn whole(
        &self,
        proc: &Path,
        which: Which,
        incident: IncidentId,
    ) -> Option<(SpaceLook, Vec<IncidentId>)> {
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let all = waiting.entry(which.clone()).or_default();
            let is_first = all.is_empty();
            if !all.contains(&incident) {
                all.push(incident);
            }
            if !is_first {
                return None;
            }
        }
        let mut whole = None;
        for _ in 0..PARTS_MAX {
            tokio::time::sleep(PART_GAP).await;
            if !self.known.lock().await.left.contains_key(&which) {
                break;
            }
            match self.look(proc, which.clone(), Duration::ZERO, From::WhereItWasLeft).await {
                Reading::Value(look) => whole = Some(look),
                // It is unmounted, or does not answer.
                Reading::Absent(_) | Reading::Failed(_) => break,
            }
        }
        let waited = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&which);
        Some((whole?, waited.unwrap_or_default()))
    }

    async fn look(&self, proc: &Path, which: Which, fresh: Duration, from: From) -> Reading<SpaceLook> {
        let Ok(known) = tokio::time::timeout(PATIENCE, Arc::clone(&self.known).lock_owned()).await else {
            return Reading::Failed(format!("a look before has not ended within {PATIENCE:?}"));
        };
        if let Some(last) = known.last.as_ref()
            && last.which == which
            && clock::now().boot.since(last.at) < fresh
        {
            return Reading::Value(last.look.clone());
        }
        let proc = proc.to_owned();
        on_a_thread(move || look(&proc, which, from, known)).await
    }
}

/// Where a look begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Beginning,
    /// What is known of it is told as well.
    WhereItWasLeft,
}

/// Who holds deleted files open, for an act: not from memory.
#[derive(Debug)]
pub(super) struct HeldFiles(pub(super) PathBuf);

impl Holdings for HeldFiles {
    fn deleted_after<'a>(
        &'a self,
        pause: Duration,
        order: &'a RoomOrder,
    ) -> BoxFuture<'a, Reading<DeletedFiles>> {
        let proc = self.0.clone();
        let which = (order.point.clone(), order.device);
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            on_a_thread(move || deleted(&proc, &which)).await
        })
    }
}

fn deleted(proc: &Path, which: &Which) -> Reading<DeletedFiles> {
    space::step_back();
    let begun = clock::pass_time().boot;
    let since = || clock::pass_time().boot.saturating_sub(begun);
    let clock = space::Clock { since: &since, rest: &std::thread::sleep };
    let found = space::deleted_on(proc, (&which.0, which.1), SPACE_LOOK_FOR, &clock);
    found.unwrap_or_else(|error| Reading::Failed(format!("{}: {error}", which.0)))
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Reading<T> + Send + 'static) -> Reading<T> {
    let (answer, answered) = oneshot::channel();
    let thread = std::thread::Builder::new().name("space".into()).stack_size(STACK_BYTES);
    let begun = thread.spawn(move || {
        // Nobody waits any more where it took too long.
        let _ = answer.send(work());
    });
    if let Err(error) = begun {
        return Reading::Failed(format!("no thread to look with: {error}"));
    }
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => Reading::Failed("the look broke off".into()),
        Err(_) => Reading::Failed(format!("the disk did not answer within {PATIENCE:?}")),
    }
}

/// The thread's part; others may look when it is done.
fn look(proc: &Path, which: Which, from: From, mut known: OwnedMutexGuard<Known>) -> Reading<SpaceLook> {
    let begun = clock::pass_time().boot;
    let since = || clock::pass_time().boot.saturating_sub(begun);
    let now = clock::now();
    let clock = space::Clock { since: &since, rest: &std::thread::sleep };
    let before = known.left.remove(&which).filter(|_| from == From::WhereItWasLeft);
    match space::look(proc, (&which.0, which.1), now.wall, SPACE_LOOK_FOR, &clock, before) {
        Ok((look, left)) => {
            if let Some(left) = left.filter(|_| known.left.len() < LEFT_MAX) {
                known.left.insert(which.clone(), left);
            }
            known.last = Some(Last { which, at: now.boot, look: look.clone() });
            Reading::Value(look)
        }
        Err(error) => Reading::Failed(format!("{}: {error}", which.0)),
    }
}
