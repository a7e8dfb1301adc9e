//! The thread that walks the control groups, and looks closely at those that draw attention.
#![expect(
    clippy::disallowed_methods,
    reason = "the thread has nothing to wait for but the time of the next look"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::model::CgroupTree;
use crate::sense::cgroup::{TreeReader, rest};

use super::clock;

/// What the socket shows: the tree, or why there is none.
type Board = Result<Arc<CgroupTree>, String>;

/// No more than one part in two thousand of a processor (0.05 %): the whole agent has 0.06 % on a host at rest.
const PARTS: u32 = 2000;
/// Between walks over all groups. A culprit is named after two of them at the latest.
const WALK_LEAST: Duration = Duration::from_secs(10);
/// A host of thousands of groups is walked this often all the same: what is older is of no use to anybody.
const WALK_MOST: Duration = Duration::from_secs(300);
/// Between close looks, while any group draws attention.
const LOOK_LEAST: Duration = Duration::from_secs(5);
const LOOK_MOST: Duration = Duration::from_secs(30);
/// A tree that can't be read is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What is known before the first walk.
pub(super) fn not_yet() -> Board {
    Err("they were not looked at yet".into())
}

/// Watches for as long as anybody can ask, on a thread of its own: thousands of groups take longer than the loop may be
/// held up, and a host that has no threads left is no reason to end.
pub(super) fn watch_cgroups(board: watch::Sender<Board>, root: &'static Path) {
    let told = board.clone();
    let thread = std::thread::Builder::new().name("cgroups".into());
    let started = thread.spawn(move || {
        let _end = End(&board);
        watch_for_ever(&board, root);
    });
    if let Err(error) = started {
        tracing::warn!(%error, "control groups are not watched: there is no thread for it");
        told.send_modify(|it| *it = Err(format!("there was no thread to look at them: {error}")));
    }
}

/// What was seen is not shown as if it were still so.
struct End<'a>(&'a watch::Sender<Board>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|it| {
            if it.is_ok() {
                *it = Err("nobody looks at them any more".into());
            }
        });
    }
}

fn watch_for_ever(board: &watch::Sender<Board>, root: &Path) {
    while !board.is_closed() {
        let why = match TreeReader::open(root) {
            Ok(reader) => follow(board, reader),
            Err(error) => {
                tracing::info!("control groups are not watched: {error}");
                board.send_modify(|it| *it = Err(error.to_string()));
                if error.is_for_good() {
                    return;
                }
                error.to_string()
            }
        };
        board.send_modify(|it| *it = Err(why));
        std::thread::sleep(TRY_AGAIN);
    }
}

/// Until it breaks off; returns why.
fn follow(board: &watch::Sender<Board>, mut reader: TreeReader) -> String {
    // The second walk follows soon: only then are there rates.
    let mut walk_in = LOOK_LEAST;
    let mut until_walk = Duration::ZERO;
    while !board.is_closed() {
        let walk = until_walk.is_zero();
        let pass = match pass(&mut reader, walk) {
            Ok(pass) => pass,
            Err(why) => return why,
        };
        board.send_modify(|it| *it = Ok(pass.tree));
        if walk {
            until_walk = walk_in;
            walk_in = rest(pass.took, PARTS, WALK_LEAST, WALK_MOST);
        }
        let pause = match pass.attended {
            0 => until_walk,
            _ => rest(pass.took, PARTS, LOOK_LEAST, LOOK_MOST).min(until_walk),
        };
        std::thread::sleep(pause);
        until_walk = until_walk.saturating_sub(pause);
    }
    "the agent is ending".into()
}

/// What came of one pass.
struct Pass {
    tree: Arc<CgroupTree>,
    attended: usize,
    /// Of processor time.
    took: Duration,
}

fn pass(reader: &mut TreeReader, walk: bool) -> Result<Pass, String> {
    let begin = processor_time();
    let now = clock::now();
    if walk {
        reader.walk(now).map_err(|errno| format!("the control groups can't be listed: {errno}"))?;
    }
    let attended = reader.attend(now);
    let tree = Arc::new(reader.tree());
    Ok(Pass { tree, attended, took: processor_time().saturating_sub(begin) })
}

/// What this thread has used. Time in which others ran is none of it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}
