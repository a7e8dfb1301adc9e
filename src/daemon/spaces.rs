//! A look at who fills a file system, on a thread of its own: it reads disks, which may be slow or hang.
#![expect(clippy::disallowed_methods, reason = "a thread of its own may rest")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::act::Holdings;
use crate::model::{
    BootTime, DeletedFiles, DeviceNumber, Evidence, MountPoint, Reading, RoomOrder, SPACE_LOOK_FOR, SpaceLook,
};
use crate::sense::space;

use super::clock;

/// A look ends by itself in [`SPACE_LOOK_FOR`], unless the disk hangs.
const PATIENCE: Duration = Duration::from_secs(6);
/// A look that is younger is told again: several rules speak of one disk, and one that comes and goes would have it
/// looked at without end.
const FRESH: Duration = Duration::from_secs(60);
/// Fifty levels of folders, each with little on the stack.
const STACK_BYTES: usize = 256 * 1024;

type Which = (MountPoint, DeviceNumber);

/// The look before.
#[derive(Debug)]
struct Last {
    which: Which,
    at: BootTime,
    look: SpaceLook,
}

/// Looks, one at a time: two would get in each other's way on the disk. One that hangs keeps its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces(Arc<Mutex<Option<Last>>>);

impl Spaces {
    pub(super) async fn evidence(&self, proc: &Path, point: MountPoint, device: DeviceNumber) -> Evidence {
        Evidence::of_filesystem(self.look(proc, (point, device)).await)
    }

    async fn look(&self, proc: &Path, which: Which) -> Reading<SpaceLook> {
        let Ok(last) = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).lock_owned()).await else {
            return Reading::Failed(format!("a look before has not ended within {PATIENCE:?}"));
        };
        if let Some(last) = last.as_ref()
            && last.which == which
            && clock::now().boot.since(last.at) < FRESH
        {
            return Reading::Value(last.look.clone());
        }
        let proc = proc.to_owned();
        on_a_thread(move || look(&proc, which, last)).await
    }
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
fn look(proc: &Path, which: Which, mut last: OwnedMutexGuard<Option<Last>>) -> Reading<SpaceLook> {
    space::give_way();
    let begun = clock::pass_time().boot;
    let since = || clock::pass_time().boot.saturating_sub(begun);
    let now = clock::now();
    let clock = space::Clock { since: &since, rest: &std::thread::sleep };
    match space::look(proc, (&which.0, which.1), now.wall, SPACE_LOOK_FOR, &clock) {
        Ok(look) => {
            *last = Some(Last { which, at: now.boot, look: look.clone() });
            Reading::Value(look)
        }
        Err(error) => Reading::Failed(format!("{}: {error}", which.0)),
    }
}
