//! A look at who fills a file system, on a thread of its own: it reads disks, which may be slow or hang.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

use crate::model::{Evidence, MountPoint, Reading, SPACE_LOOK_FOR, SpaceLook};
use crate::sense::space;

use super::clock;

/// A look ends by itself in [`SPACE_LOOK_FOR`], unless the disk hangs.
const PATIENCE: Duration = Duration::from_secs(6);
/// Fifty levels of folders, each with little on the stack.
const STACK_BYTES: usize = 256 * 1024;

/// Looks, one at a time: two would get in each other's way on the disk. One that hangs keeps its place.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces(Arc<Mutex<()>>);

impl Spaces {
    pub(super) async fn evidence(&self, proc: &Path, point: MountPoint) -> Evidence {
        Evidence::of_filesystem(self.look(proc, point).await)
    }

    async fn look(&self, proc: &Path, point: MountPoint) -> Reading<SpaceLook> {
        let Ok(turn) = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).lock_owned()).await else {
            return Reading::Failed(format!("a look before has not ended within {PATIENCE:?}"));
        };
        let proc = proc.to_owned();
        let (answer, answered) = oneshot::channel();
        let thread = std::thread::Builder::new().name("space".into()).stack_size(STACK_BYTES);
        let begun = thread.spawn(move || {
            space::give_way();
            let begun = clock::pass_time().boot;
            let since = || clock::pass_time().boot.saturating_sub(begun);
            let told = match space::look(&proc, &point, clock::now().wall, SPACE_LOOK_FOR, &since) {
                Ok(look) => Reading::Value(look),
                Err(errno) => Reading::Failed(format!("{point}: {errno}")),
            };
            // Nobody waits any more where it took too long.
            let _ = answer.send(told);
            drop(turn);
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
}
