//! The thread that walks the control groups, looks closely at those that draw attention, and is woken by the kernel when
//! one of a service is emptied, or loses a process for want of memory.
#![expect(
    clippy::disallowed_methods,
    reason = "the thread has nothing to wait for but the time of the next look"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, watch};

use crate::model::{BootTime, CgroupTree, Subject};
use crate::sense::cgroup::{GroupChange, GroupNews, Heard, Look, TreeReader, rest};

use super::clock;
use super::effects::Hands;

/// What the socket shows: the tree, or why there is none.
pub(super) type Board = Result<Arc<CgroupTree>, String>;

/// No more than one part in two thousand of a processor (0.05 %): the whole agent has 0.06 % on a host at rest.
const PARTS: u32 = 2000;
/// Between walks over all groups. A culprit is named after two of them at the latest.
const WALK_LEAST: Duration = Duration::from_secs(10);
/// A host of thousands of groups is walked this often all the same: what is older is of no use to anybody.
const WALK_MOST: Duration = Duration::from_secs(300);
/// Between close looks, while any group draws attention.
const LOOK_LEAST: Duration = Duration::from_secs(5);
const LOOK_MOST: Duration = Duration::from_secs(30);
/// Between two looks at what the kernel tells: the first is taken in at once, and a storm of them costs no more than one
/// part in a thousand of a processor.
const HEED_PARTS: u32 = 1000;
const HEED_LEAST: Duration = Duration::from_millis(250);
const HEED_MOST: Duration = Duration::from_secs(5);
/// News that wait for the loop. Those beyond are only on the board.
const NEWS_MAX: usize = 64;
/// A tree that can't be read is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Of one group it is told that it loses processes at most this often.
const KILLS_AGAIN: Duration = Duration::from_secs(10);
/// Groups of which this is remembered: as many as the kernel tells of by itself.
const KILLS_KEPT: usize = 512;

/// What is known before the first walk.
pub(super) fn not_yet() -> Board {
    Err("they were not looked at yet".into())
}

/// Watches for as long as anybody can ask, on a thread of its own: thousands of groups take longer than the loop may be
/// held up, and a host that has no threads left is no reason to end.
pub(super) async fn watch_cgroups(hands: Hands, board: Arc<watch::Sender<Board>>, root: &'static Path) {
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let thread = std::thread::Builder::new().name("cgroups".into());
    let (watched, takes) = (Arc::clone(&board), hands.clone());
    let thread = thread.spawn(move || {
        let _end = End(&watched);
        watch_for_ever(&takes, &watched, &tell, root);
    });
    let thread = match thread {
        Ok(thread) => thread,
        Err(error) => {
            tracing::warn!(%error, "control groups are not watched: there is no thread for it");
            board.send_modify(|it| *it = Err(format!("there was no thread to look at them: {error}")));
            // Tried again by whoever keeps the senses at work.
            return;
        }
    };
    let mut kills = Kills::default();
    while let Some(news) = news.recv().await {
        heed(&hands, &mut kills, news);
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
    // There are none, for good: nothing is left to do.
    std::future::pending::<()>().await;
}

/// What befell a group. The service manager learns of it too, and not always at once.
fn heed(hands: &Hands, kills: &mut Kills, news: GroupNews) {
    let GroupNews { path, unit, change } = news;
    match change {
        GroupChange::OomKilled(processes) => {
            let Some(processes) = kills.take(&path, processes, clock::now().boot) else { return };
            tracing::warn!(%path, processes, "processes of a control group were killed for want of memory");
            if let Some(unit) = unit {
                hands.look(Subject::Unit(unit));
            }
        }
        GroupChange::ForksRefused(forks) => {
            tracing::warn!(%path, forks, "forks were refused: a control group is at its limit of tasks");
        }
        GroupChange::Frozen(frozen) => tracing::info!(%path, frozen, "a control group was frozen or thawed"),
        GroupChange::Emptied => tracing::debug!(%path, "the last process of a control group has ended"),
    }
}

/// Kills as they were told, by group. A group at its limit may lose a process every moment: neither looks at its unit,
/// which run its probe, nor lines in the journal are to be as many.
#[derive(Debug, Default)]
struct Kills(BTreeMap<String, (BootTime, u64)>);

impl Kills {
    /// How many to tell of now, with those that were kept back since it was last told; none when it was just told.
    fn take(&mut self, path: &str, processes: u64, now: BootTime) -> Option<u64> {
        if let Some((told, kept_back)) = self.0.get_mut(path) {
            *kept_back = kept_back.saturating_add(processes);
            if now.since(*told) < KILLS_AGAIN {
                return None;
            }
            *told = now;
            return Some(std::mem::take(kept_back));
        }
        if self.0.len() >= KILLS_KEPT {
            self.0.retain(|_, (told, _)| now.since(*told) < KILLS_AGAIN);
        }
        if self.0.len() < KILLS_KEPT {
            self.0.insert(path.to_owned(), (now, 0));
        }
        Some(processes)
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

fn watch_for_ever(hands: &Hands, board: &watch::Sender<Board>, tell: &mpsc::Sender<GroupNews>, root: &Path) {
    while !board.is_closed() && !tell.is_closed() {
        let why = match TreeReader::open(root) {
            Ok(reader) => follow(hands, board, tell, reader),
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

/// What a pass is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// All groups.
    Walk,
    /// Those that draw attention.
    Look,
    /// Those of which the kernel tells.
    Heed,
}

/// Until it breaks off; returns why.
fn follow(
    hands: &Hands,
    board: &watch::Sender<Board>,
    tell: &mpsc::Sender<GroupNews>,
    mut reader: TreeReader,
) -> String {
    // The second walk follows soon: only then are there rates.
    let mut walk_in = LOOK_LEAST;
    let mut walk_at = clock::now().boot;
    let (mut look_at, mut deaf_until, mut walked) = (walk_at, walk_at, walk_at);
    while !board.is_closed() && !tell.is_closed() {
        let (begin, now) = (processor_time(), clock::now());
        let look = Look { at: now, time: clock::pass_time() };
        let attended = reader.attended();
        let pass = if walk_at <= now.boot {
            Pass::Walk
        } else if look_at <= now.boot {
            Pass::Look
        } else {
            Pass::Heed
        };
        let seen = match pass {
            Pass::Heed => reader.heed(),
            Pass::Look => Heard::Groups(reader.attend(look)),
            Pass::Walk => match reader.walk(look) {
                Ok(()) => Heard::Groups(reader.attend(look)),
                Err(errno) => return format!("the control groups can't be listed: {errno}"),
            },
        };
        if pass == Pass::Walk {
            hands.take_unit_groups(reader.unit_groups());
        }
        for news in reader.take_news() {
            // With a full queue the news are many, and whoever asks sees them on the board.
            let _ = tell.try_send(news);
        }
        let tree = Arc::new(reader.tree());
        board.send_modify(|it| *it = Ok(tree));
        let took = processor_time().saturating_sub(begin);
        match (pass, seen) {
            // Soon, and no sooner in a storm that never ends.
            (_, Heard::Lost) => {
                walk_at = walk_at.min(now.boot.max(walked + LOOK_LEAST));
                deaf_until = now.boot + rest(took, HEED_PARTS, HEED_LEAST, HEED_MOST);
            }
            (Pass::Heed, Heard::Groups(_)) => {
                deaf_until = now.boot + rest(took, HEED_PARTS, HEED_LEAST, HEED_MOST);
                if reader.attended() > attended {
                    look_at = look_at.min(now.boot + LOOK_LEAST);
                }
            }
            (Pass::Walk | Pass::Look, Heard::Groups(attended)) => {
                if pass == Pass::Walk {
                    walked = now.boot;
                    walk_at = now.boot + walk_in;
                    walk_in = hands.pace().slow(rest(took, PARTS, WALK_LEAST, WALK_MOST)).min(WALK_MOST);
                }
                look_at = match attended {
                    0 => walk_at,
                    _ => now.boot + hands.pace().slow(rest(took, PARTS, LOOK_LEAST, LOOK_MOST)),
                };
            }
        }
        pause(board, &reader, walk_at.min(look_at), deaf_until);
    }
    "the agent is ending".into()
}

/// Until there is something to do.
fn pause(board: &watch::Sender<Board>, reader: &TreeReader, until: BootTime, deaf_until: BootTime) {
    let deaf = clock::now().boot.until(deaf_until.min(until));
    if !deaf.is_zero() {
        std::thread::sleep(deaf);
    }
    while !board.is_closed() {
        let left = clock::now().boot.until(until);
        // A millisecond is the clock's step, and waiting for less would be spinning.
        if left.is_zero() || reader.wait(left + Duration::from_millis(1)) {
            return;
        }
    }
}

/// What this thread has used. Time in which others ran is none of it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_kills_is_told_now_and_then_and_none_is_lost() {
        let mut kills = Kills::default();
        let mut take = |path: &str, processes, second: i64| {
            kills.take(path, processes, BootTime::from_millis(second * 1000))
        };
        assert_eq!(take("/a", 1, 100), Some(1));
        assert_eq!(take("/b", 2, 100), Some(2), "another one's");
        assert_eq!((take("/a", 3, 101), take("/a", 4, 109)), (None, None));
        assert_eq!(take("/a", 5, 110), Some(12));
        assert_eq!(take("/a", 6, 111), None);
        for group in 0..2 * KILLS_KEPT {
            assert_eq!(take(&format!("/many/{group}"), 1, 130), Some(1));
        }
        assert!(kills.0.len() <= KILLS_KEPT);
    }
}
