//! Asks file systems for their room, each with a deadline.
//!
//! statvfs(2) on a dead server, a suspended device or a hung FUSE program blocks for good, and no signal ends it. So a
//! thread of its own asks, one file system after the other; when one does not answer in time, that thread is left
//! to it and another goes on with the rest. A file system that hangs is not asked again before the thread it holds
//! is free: one stuck thread each, and a bound for all together.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use crate::model::{Absence, BootTime, Bytes, Inodes, Reading, RoomAnswer, Usage};

/// A healthy local file system answers in microseconds, a busy server in milliseconds: after this it hangs.
pub const DEADLINE: Duration = Duration::from_secs(2);
/// How long the thread is left alone with its list before anybody waits for an answer.
const MOMENT: Duration = Duration::from_millis(5);
/// Threads that may hang at one time. Each costs a stack of which a few pages are in use.
pub const HANGING_MAX: usize = 32;
/// It calls the kernel and nothing else.
const STACK_BYTES: usize = 64 * 1024;

/// Which mount is asked: the kernel's number for it (`mountinfo`), unique while it is mounted.
pub type MountId = u64;

/// One file system to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub mount: MountId,
    /// Below the root that the asker was made with, without a leading slash; `.` for the root itself.
    pub path: PathBuf,
}

#[derive(Debug)]
struct Asking {
    answers: mpsc::UnboundedReceiver<(MountId, RoomAnswer)>,
    /// What is left of the list was given to another thread: this one ends when it is free.
    abandoned: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Hanging {
    since: BootTime,
    asking: Asking,
}

/// Asks one file system; blocks for as long as that likes.
type Ask = Arc<dyn Fn(&Question) -> RoomAnswer + Send + Sync>;

/// Asks, and knows which ones hang.
pub struct RoomAsker {
    ask: Ask,
    hanging: BTreeMap<MountId, Hanging>,
    deadline: Duration,
}

impl fmt::Debug for RoomAsker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomAsker").field("hanging", &self.hanging).finish_non_exhaustive()
    }
}

impl RoomAsker {
    /// Paths are looked up below `root`, a directory.
    #[must_use]
    pub fn new(root: OwnedFd) -> Self {
        Self::with(Arc::new(move |question| usage(&root, question)), DEADLINE)
    }

    fn with(ask: Ask, deadline: Duration) -> Self {
        Self { ask, hanging: BTreeMap::new(), deadline }
    }

    /// Asks each once; as many answers as questions, in their order. Takes at most [`DEADLINE`] for each that begins
    /// to hang.
    pub async fn ask(&mut self, questions: &[Question], now: BootTime) -> Vec<RoomAnswer> {
        self.reap();
        let mut answers = BTreeMap::new();
        loop {
            let open =
                |it: &&Question| !answers.contains_key(&it.mount) && !self.hanging.contains_key(&it.mount);
            let batch: Vec<Question> = questions.iter().filter(open).cloned().collect();
            if batch.is_empty() {
                break;
            }
            if self.hanging.len() >= HANGING_MAX {
                let why = format!("not asked: {HANGING_MAX} others do not answer");
                answers.extend(batch.into_iter().map(|it| (it.mount, RoomAnswer::Failed(why.clone()))));
                break;
            }
            let order: Vec<MountId> = batch.iter().map(|it| it.mount).collect();
            let mut asking = match start(Arc::clone(&self.ask), batch) {
                Ok(asking) => asking,
                Err(error) => {
                    let why = format!("no thread to ask with: {error}");
                    answers.extend(order.into_iter().map(|mount| (mount, RoomAnswer::Failed(why.clone()))));
                    break;
                }
            };
            // Those that are well have all answered by then: one wake-up for all answers instead of one for each.
            tokio::time::sleep(MOMENT).await;
            for mount in order {
                match tokio::time::timeout(self.deadline, asking.answers.recv()).await {
                    Ok(Some((answered, answer))) => {
                        answers.insert(answered, answer);
                    }
                    Ok(None) => {
                        answers.insert(mount, RoomAnswer::Failed("the thread that asked has ended".into()));
                        break;
                    }
                    Err(_too_late) => {
                        asking.abandoned.store(true, Ordering::Relaxed);
                        self.hanging.insert(mount, Hanging { since: now, asking });
                        break;
                    }
                }
            }
        }
        let answer = |it: &Question| match (answers.remove(&it.mount), self.hanging.get(&it.mount)) {
            (Some(answer), _) => answer,
            (None, Some(hanging)) => RoomAnswer::Hangs { since: hanging.since },
            (None, None) => RoomAnswer::Failed("it was not asked".into()),
        };
        questions.iter().map(answer).collect()
    }

    /// Those whose threads are free again are asked like all others. One that was unmounted meanwhile counts until
    /// its thread is free too.
    fn reap(&mut self) {
        self.hanging.retain(|_, hanging| {
            matches!(hanging.asking.answers.try_recv(), Err(mpsc::error::TryRecvError::Empty))
        });
    }
}

fn start(ask: Ask, batch: Vec<Question>) -> std::io::Result<Asking> {
    let (answer, answers) = mpsc::unbounded_channel();
    let abandoned = Arc::new(AtomicBool::new(false));
    let given_up = Arc::clone(&abandoned);
    let thread = std::thread::Builder::new().name("filesystems".into()).stack_size(STACK_BYTES);
    thread.spawn(move || {
        for question in batch {
            let told = answer.send((question.mount, ask(&question)));
            if told.is_err() || given_up.load(Ordering::Relaxed) {
                return;
            }
        }
    })?;
    Ok(Asking { answers, abandoned })
}

fn usage(root: &OwnedFd, question: &Question) -> RoomAnswer {
    let failed = |errno: Errno| RoomAnswer::Failed(trouble(errno));
    let place = match open_beneath(root, &question.path) {
        Ok(place) => place,
        Err(errno) => return failed(errno),
    };
    // What the kernel knows by itself, without asking a server. Before 5.8 it does not tell the number of the mount.
    let local = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match rustix::fs::statx(&place, "", local, StatxFlags::MNT_ID) {
        Ok(about)
            if about.stx_mask & StatxFlags::MNT_ID.bits() != 0 && about.stx_mnt_id != question.mount =>
        {
            return RoomAnswer::Failed("something else is mounted over it by now".into());
        }
        Ok(_) => {}
        Err(errno) => return failed(errno),
    }
    match rustix::fs::fstatvfs(&place) {
        Ok(room) => {
            let bytes = |blocks: u64| Bytes(blocks.saturating_mul(room.f_frsize));
            let inodes = if room.f_files == 0 {
                Reading::Absent(Absence::NotApplicable)
            } else {
                Reading::Value(Inodes { total: room.f_files, free: room.f_ffree })
            };
            RoomAnswer::Usage(Usage {
                total: bytes(room.f_blocks),
                free: bytes(room.f_bfree),
                available: bytes(room.f_bavail),
                inodes,
            })
        }
        Err(errno) => failed(errno),
    }
}

/// Two answers that the kernel gives for others say nothing to those who don't know how it asks them.
fn trouble(errno: Errno) -> String {
    match errno {
        Errno::NOTCONN => format!("the program that serves it has ended: {errno}"),
        Errno::STALE => format!("the server does not know it any more: {errno}"),
        _ => errno.to_string(),
    }
}

/// Opens a place below a folder, part by part, and follows no link: users own folders above mount points. openat2(2)
/// would do it in one call; kernels before 5.6 do not have it, and systemd takes it away with `RestrictSUIDSGID=`.
pub(in crate::sense) fn open_beneath(root: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut place = rustix::fs::openat(root, ".", folder, Mode::empty())?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        };
        // A file can be mounted over, too, as the last of them.
        let flags = if parts.peek().is_some() { folder } else { folder - OFlags::DIRECTORY };
        place = rustix::fs::openat(&place, name, flags, Mode::empty())?;
    }
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
    if kind == FileType::Symlink { Err(Errno::LOOP) } else { Ok(place) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// File systems of which some hang until they are let go.
    #[derive(Default)]
    struct Fakes {
        hanging: Mutex<Vec<MountId>>,
        change: Condvar,
        asked: Mutex<Vec<MountId>>,
    }

    impl Fakes {
        fn asker(self: &Arc<Self>) -> RoomAsker {
            let fakes = Arc::clone(self);
            let ask = move |question: &Question| {
                fakes.asked.lock().expect("no panic").push(question.mount);
                let hanging = fakes.hanging.lock().expect("no panic");
                drop(fakes.change.wait_while(hanging, |hanging| hanging.contains(&question.mount)));
                RoomAnswer::Failed(format!("answer of {}", question.mount))
            };
            RoomAsker::with(Arc::new(ask), Duration::from_millis(30))
        }

        fn hang(&self, mounts: impl IntoIterator<Item = MountId>) {
            *self.hanging.lock().expect("no panic") = mounts.into_iter().collect();
            self.change.notify_all();
        }

        fn times_asked(&self, mount: MountId) -> usize {
            self.asked.lock().expect("no panic").iter().filter(|asked| **asked == mount).count()
        }
    }

    fn questions(mounts: impl IntoIterator<Item = MountId>) -> Vec<Question> {
        mounts.into_iter().map(|mount| Question { mount, path: PathBuf::from(".") }).collect()
    }

    fn answered(mount: MountId) -> RoomAnswer {
        RoomAnswer::Failed(format!("answer of {mount}"))
    }

    const NOW: BootTime = BootTime::from_millis(5000);
    const LATER: BootTime = BootTime::from_millis(9000);

    #[tokio::test]
    async fn one_that_hangs_delays_nobody_for_long_and_is_asked_once() {
        let fakes = Arc::new(Fakes::default());
        let mut asker = fakes.asker();
        fakes.hang([2]);
        let all = questions([1, 2, 3]);
        let hangs = RoomAnswer::Hangs { since: NOW };
        assert_eq!(asker.ask(&all, NOW).await, [answered(1), hangs.clone(), answered(3)]);
        assert_eq!(asker.ask(&all, LATER).await, [answered(1), hangs, answered(3)]);
        assert_eq!(fakes.times_asked(2), 1);
        fakes.hang([]);
        // Its thread is free in a moment; from then on it is asked like all others.
        while asker.ask(&all, LATER).await[1] != answered(2) {}
        assert_eq!(fakes.times_asked(2), 2);
    }

    #[tokio::test]
    async fn threads_that_hang_are_bounded() {
        let fakes = Arc::new(Fakes::default());
        let mut asker = fakes.asker();
        let many = HANGING_MAX as u64 + 5;
        fakes.hang(0..many);
        let answers = asker.ask(&questions(0..many), NOW).await;
        let hang = answers.iter().filter(|it| matches!(it, RoomAnswer::Hangs { .. })).count();
        assert_eq!(hang, HANGING_MAX);
        assert!(
            answers[HANGING_MAX..]
                .iter()
                .all(|it| matches!(it, RoomAnswer::Failed(why) if why.contains("not asked")))
        );
        assert_eq!(fakes.asked.lock().expect("no panic").len(), HANGING_MAX);
        fakes.hang([]);
    }

    #[test]
    fn answers_for_others_are_put_into_words() {
        assert!(trouble(Errno::NOTCONN).starts_with("the program that serves it has ended: "));
        assert!(trouble(Errno::STALE).starts_with("the server does not know it any more: "));
        assert_eq!(trouble(Errno::IO), Errno::IO.to_string());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "makes a tree with links")]
    fn no_link_leads_out() {
        let tree = tempfile::tempdir().expect("a folder");
        let path = |name: &str| tree.path().join(name);
        std::fs::create_dir_all(path("a/b")).expect("folders");
        std::fs::write(path("a/file"), "").expect("a file");
        std::os::unix::fs::symlink("/", path("a/out")).expect("a link");
        let open = |folder: &Path| {
            rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("it is there")
        };
        let root = open(tree.path());
        let check = |name: &str, expected: Result<(), Errno>| {
            assert_eq!(open_beneath(&root, Path::new(name)).map(drop), expected, "{name}");
        };
        check(".", Ok(()));
        check("a/b", Ok(()));
        check("a/file", Ok(()));
        check("a/out", Err(Errno::LOOP));
        check("a/out/etc", Err(Errno::NOTDIR));
        check("a/../a", Err(Errno::XDEV));
        check("a/none", Err(Errno::NOENT));
    }
}
