//! The thread that reads the process table, and how the socket asks for it.
#![expect(clippy::disallowed_methods, reason = "passes are timed by the monotonic clock")]

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::engine::Input;
use crate::model::{ProcessCounts, ProcessDetail, ProcessList, ProcessSort, Reading, Sample};
use crate::sense::process::{Choice, LookError, ProcessWatch, Processes, bpf, choose, pace};
use crate::sense::storm::StormLooker;
use crate::serve::{NoProcess, ProcessQuery, ProcessSource, ProcessesQuery};

use super::clock;
use super::effects::Hands;
use super::own::Pace;

/// Who asks for the table waits so long for a new one, then gets the one there is.
const PATIENCE: Duration = Duration::from_secs(2);
/// Storage is looked at for so long after somebody asked for it.
const STORAGE_FOR: Duration = Duration::from_secs(600);
/// A thread that says nothing for so long hangs in the kernel: what it said before counts no more.
const SILENCE_MAX: Duration = Duration::from_secs(2 * pace::EVERY_MAX.as_secs());
/// Of the thread: the table is on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// Somebody wants a pass now.
#[derive(Clone, Copy, Debug)]
struct Ask {
    storage: bool,
}

/// The table as the socket asks for it.
#[derive(Debug)]
pub(super) struct ProcessBoard {
    processes: Arc<Processes>,
    storms: Arc<StormLooker>,
    ask: SyncSender<Ask>,
}

/// What the thread needs.
#[derive(Debug)]
pub(super) struct ProcessSense {
    watch: ProcessWatch,
    /// Until it was made.
    choice: Option<JoinHandle<Choice>>,
    asked: Receiver<Ask>,
}

/// How the table is read, once that is found out; and who looks for the makers of storms.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) table: JoinHandle<Choice>,
    pub(super) storms: Arc<StormLooker>,
}

/// Looks for the cheapest way to read the table, on a thread of its own. That thread alone keeps the capabilities that
/// it takes to load a BPF program, and only until it has: this one, and all that it makes from now on, has given them
/// up when this returns.
///
/// # Errors
/// When there is no thread to be had, or the kernel does not take the capabilities back.
pub(super) fn choose_way(proc: &Path) -> std::io::Result<Ways> {
    let proc = proc.to_owned();
    let storms = Arc::new(StormLooker::new(proc.clone()));
    let looker = Arc::clone(&storms);
    let chosen = std::thread::Builder::new().name("process-way".into()).spawn(move || {
        let hook = StormLooker::load_hook();
        let choice = choose(&proc);
        if let Err(error) = bpf::give_up_capabilities() {
            tracing::warn!(%error, "the thread that loaded BPF ends with its capabilities");
        }
        looker.take_hook(hook);
        choice
    })?;
    bpf::give_up_capabilities()?;
    Ok(Ways { table: chosen, storms })
}

/// The table of this `/proc`, from both sides.
pub(super) fn processes(proc: &Path, ways: Ways) -> (ProcessBoard, ProcessSense) {
    let Ways { table: choice, storms } = ways;
    let watch = ProcessWatch::new(proc);
    // One that waits stands for all.
    let (ask, asked) = sync_channel(1);
    (
        ProcessBoard { processes: watch.shared(), storms, ask },
        ProcessSense { watch, choice: Some(choice), asked },
    )
}

impl ProcessSource for ProcessBoard {
    fn list(&self, query: ProcessesQuery) -> ProcessList {
        let storage = query.sort == ProcessSort::Io;
        let due = self.processes.due(clock::moment());
        if storage || due.is_some() {
            let _ = self.ask.try_send(Ask { storage });
        }
        if let Some(passes) = due {
            self.processes.wait_for_more(passes, PATIENCE);
        }
        ProcessList { storms: self.storms.eye(), ..self.processes.list(query.sort, query.limit) }
    }

    fn look(&self, query: ProcessQuery) -> Result<ProcessDetail, NoProcess> {
        let looked = self.processes.look(query.pid, query.shares, clock::now().boot);
        looked.map_err(|error| match error {
            LookError::Gone(_) => NoProcess::Gone(sentence(&error)),
            LookError::Failed { .. } => NoProcess::Failed(sentence(&error)),
        })
    }
}

fn sentence(error: &LookError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// Watches for ever. Listing `/proc` takes its time on a large host, and a pass may hang: it has a thread of its own.
/// One that broke off has left what it needs to the next.
pub(super) async fn watch_processes(hands: Hands, sense: Arc<Mutex<ProcessSense>>) {
    let (tell, mut told) = mpsc::channel(1);
    let thread = match begin(sense, hands.pace().clone(), tell) {
        Ok(thread) => thread,
        Err(error) => {
            tracing::error!(%error, "the thread that reads processes could not be started");
            return;
        }
    };
    let mut lacking = None;
    loop {
        let counts = match tokio::time::timeout(SILENCE_MAX, told.recv()).await {
            Ok(Some(counts)) => counts,
            Ok(None) => {
                if let Err(panic) = thread.join() {
                    std::panic::resume_unwind(panic);
                }
                return;
            }
            Err(_) => Reading::Failed(format!("a look at /proc has not ended for {SILENCE_MAX:?}")),
        };
        let why = Reading::why_not(&counts);
        if why != lacking
            && let Some(why) = &why
        {
            tracing::warn!(%why, "the process table is not whole: rules about processes say nothing");
        }
        lacking = why;
        let mut sample = Sample::empty(clock::now());
        sample.processes = Some(counts);
        hands.tell(Input::Sample(sample)).await;
    }
}

fn begin(
    sense: Arc<Mutex<ProcessSense>>,
    own: Pace,
    tell: mpsc::Sender<Reading<ProcessCounts>>,
) -> std::io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("processes".into()).stack_size(STACK_BYTES);
    thread.spawn(move || {
        let mut sense = sense.lock().unwrap_or_else(|broken| {
            let mut sense = broken.into_inner();
            // It broke off in the middle of something.
            sense.watch.begin_anew();
            sense
        });
        let watch = sense.watch.shared();
        let _end = End(&watch);
        read(&mut sense, &own, &tell);
    })
}

/// What was seen is not shown as if it were still so.
struct End<'a>(&'a Processes);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.fail("nobody looks at them any more");
    }
}

/// Pass after pass, at the pace that their cost allows, or when somebody asks. Ends when nobody listens any more.
fn read(sense: &mut ProcessSense, own: &Pace, tell: &mpsc::Sender<Reading<ProcessCounts>>) {
    let ProcessSense { watch, choice, asked } = sense;
    match choice.take().map(JoinHandle::join) {
        None => {}
        Some(Ok(choice)) => {
            for refused in &choice.refused {
                tracing::info!(
                    way = refused.way.as_str(),
                    why = refused.why,
                    "a cheaper way to read processes is closed"
                );
            }
            tracing::info!(way = choice.way.kind().as_str(), "processes are read");
            watch.take_way(choice);
        }
        Some(Err(_)) => {
            tracing::error!("looking for a way to read processes broke off: they are read by procfs");
        }
    }
    let mut storage_until = None;
    loop {
        let begun = Instant::now();
        let storage = storage_until.is_some_and(|until| begun < until);
        let (counts, cost) = watch.pass(clock::moment(), storage);
        if tell.blocking_send(counts).is_err() {
            return;
        }
        let next = begun + pace::until_next(cost, own.times());
        loop {
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Ask { storage }) => {
                    if storage {
                        storage_until = Some(Instant::now() + STORAGE_FOR);
                    }
                    // A pass may have ended since it was asked for.
                    if watch.shared().due(clock::moment()).is_some() {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sense::process::{Coverage, ProcessRow, Way};

    /// Breaks off in its first pass.
    #[derive(Debug)]
    struct Breaks(u32);

    impl Way for Breaks {
        fn read(&mut self, rows: &mut Vec<ProcessRow>) -> Reading<Coverage> {
            self.0 += 1;
            assert!(self.0 > 1, "a bad pass");
            rows.clear();
            Reading::Value(Coverage::Complete)
        }

        fn kind(&self) -> crate::model::ProcessWay {
            crate::model::ProcessWay::Procfs
        }

        fn gives_extra(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_pass_that_breaks_off_ends_its_thread_and_the_next_goes_on_with_the_same_way() {
        let watch = ProcessWatch::with(Path::new("/proc"), Box::new(Breaks(0)));
        let shown = watch.shared();
        let (_ask, asked) = sync_channel(1);
        let sense = Arc::new(Mutex::new(ProcessSense { watch, choice: None, asked }));
        let run = || {
            let (tell, told) = mpsc::channel(1);
            (begin(Arc::clone(&sense), Pace::new(), tell), told)
        };
        let (thread, mut told) = run();
        assert_eq!(told.recv().await, None);
        assert!(thread.is_ok_and(|thread| thread.join().is_err()), "the panic is the thread's");
        let counts = || shown.list(ProcessSort::Cpu, 1).counts;
        assert!(matches!(counts(), Reading::Failed(_)), "what was seen is not shown any more");
        let (thread, mut told) = run();
        assert!(matches!(told.recv().await, Some(Reading::Value(_))));
        assert!(matches!(counts(), Reading::Value(_)));
        // It ends when nobody listens, which it sees with the next pass: that is not waited for.
        drop((thread, told));
    }
}
