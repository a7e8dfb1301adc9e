//! A look at who takes the host's memory, processors and tasks: two counts, a moment apart.

use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::model::{Absence, CULPRIT_LOOK_FOR, CulpritLook, Reading};
use crate::sense::cgroup::NoTree;
use crate::sense::culprit::Pass;

use super::clock;

/// Where systemd mounts the hierarchy.
const ROOT: &str = "/sys/fs/cgroup";

/// Looks; bounded by the number of units, and given up by whoever waits for it.
pub(super) async fn look() -> Reading<CulpritLook> {
    let pass = || spawn_blocking(|| (clock::now(), Pass::take(Path::new(ROOT))));
    let (from, before) = match pass().await {
        Ok((from, Ok(before))) => (from, before),
        Ok((_, Err(error))) => return none(&error),
        Err(error) => return Reading::Failed(error.to_string()),
    };
    tokio::time::sleep(CULPRIT_LOOK_FOR).await;
    match pass().await {
        Ok((to, Ok(after))) => {
            let over = to.boot.since(from.boot).max(Duration::from_millis(1));
            Reading::Value(before.until(&after, over, to.wall))
        }
        Ok((_, Err(error))) => none(&error),
        Err(error) => Reading::Failed(error.to_string()),
    }
}

fn none(error: &NoTree) -> Reading<CulpritLook> {
    if error.is_for_good() {
        Reading::Absent(Absence::Unsupported)
    } else {
        Reading::Failed(error.to_string())
    }
}
