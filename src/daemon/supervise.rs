//! Keeps the senses at work that the agent can be without for a while: one that breaks off is begun anew, a few times at
//! once and then now and then, and meanwhile what it told counts as failed.

use std::any::Any;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::engine::Input;
use crate::model::{BootTime, HostNews, Sample, Sense, SenseNews, SenseState};

use super::clock;
use super::effects::Hands;

/// So often in a row a sense is begun anew at once. What breaks it is then no accident: it is on this host, and is told.
const RESTARTS_MAX: u32 = 5;
/// It may pass all the same: a host that had no threads or files left has them again one day. So what stays off is tried
/// again after this …
const TRY_AGAIN: Duration = Duration::from_secs(1800);
/// … and counts as working when it has for so long.
const PROBATION: Duration = Duration::from_secs(60);
/// Before the first of these; twice as long before each next.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// One that worked for so long had an accident.
const STEADY: Duration = Duration::from_secs(600);

/// Begins anew what ends. Pure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Restarts(u32);

impl Restarts {
    /// How long to wait before it is begun anew; none when it stays off.
    fn after(&mut self, worked: Duration) -> Option<Duration> {
        if worked >= STEADY {
            self.0 = 0;
        }
        if self.0 >= RESTARTS_MAX {
            return None;
        }
        let pause = RESTART_AFTER * 2_u32.pow(self.0);
        self.0 += 1;
        Some(pause)
    }
}

/// Keeps a sense at work, and tells the engine when it is not.
pub(super) async fn supervise(
    hands: Hands,
    sense: Sense,
    begin: impl FnMut() -> BoxFuture<'static, ()> + Send + 'static,
) {
    let tell = move |state| {
        let hands = hands.clone();
        let mut sample = Sample::empty(clock::now());
        sample.host_news.push(HostNews::Sense(SenseNews { sense, state }));
        async move { hands.tell(Input::Sample(sample)).await }.boxed()
    };
    keep(sense, || clock::now().boot, tell, begin).await;
}

/// For ever.
async fn keep(
    sense: Sense,
    now: impl Fn() -> BootTime,
    tell: impl Fn(SenseState) -> BoxFuture<'static, ()>,
    mut begin: impl FnMut() -> BoxFuture<'static, ()>,
) {
    let mut restarts = Restarts::default();
    let mut off = false;
    loop {
        let begun = now();
        let mut run = tokio::spawn(begin());
        let ended = if off {
            match tokio::time::timeout(PROBATION, &mut run).await {
                Ok(ended) => ended,
                Err(_) => {
                    off = false;
                    tell(SenseState::Working).await;
                    run.await
                }
            }
        } else {
            run.await
        };
        let why = match ended {
            Ok(()) => "it ended by itself".to_owned(),
            Err(error) if error.is_panic() => words(&*error.into_panic()),
            // The runtime is ending.
            Err(_) => return,
        };
        let Some(pause) = restarts.after(now().since(begun)) else {
            if !off {
                tracing::error!(sense = sense.as_str(), %why, "a sense broke off time and again: it stays off");
                tell(SenseState::Off { why }).await;
            }
            off = true;
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        tracing::error!(sense = sense.as_str(), %why, ?pause, "a sense broke off: it is begun anew");
        tell(SenseState::Broken { why }).await;
        tokio::time::sleep(pause).await;
        tell(SenseState::Working).await;
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    const RUNS: u32 = 1 + RESTARTS_MAX;

    /// Runs a sense whose each run is this; returns what was told, and how often it was begun.
    async fn check(run: impl Fn(u32) + Send + Sync + 'static) -> (Vec<SenseState>, u32) {
        let (told, runs) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
        let run = Arc::new(run);
        let (heard, begun) = (Arc::clone(&told), Arc::clone(&runs));
        let tell = move |state| {
            heard.lock().unwrap().push(state);
            std::future::ready(()).boxed()
        };
        let begin = move || {
            let (run, begun) = (Arc::clone(&run), Arc::clone(&begun));
            async move {
                run(begun.fetch_add(1, Ordering::Relaxed) + 1);
                std::future::pending::<()>().await;
            }
            .boxed()
        };
        // By the clock that is paused: an hour passes when nothing is left to do.
        let kept = keep(Sense::Processes, || BootTime::ZERO, tell, begin);
        let _ = tokio::time::timeout(Duration::from_secs(3600), kept).await;
        let told = told.lock().unwrap().clone();
        (told, runs.load(Ordering::Relaxed))
    }

    fn broken(why: &str) -> SenseState {
        SenseState::Broken { why: why.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_accident_is_got_over() {
        let (told, runs) = check(|run| assert!(run > 1, "a bad day")).await;
        assert_eq!((told, runs), (vec![broken("a bad day"), SenseState::Working], 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_breaks_time_and_again_stays_off_and_is_told_once() {
        let (told, runs) = check(|run| panic!("the {run}th time")).await;
        // It was tried again, and nobody told.
        assert_eq!(runs, RUNS + 1);
        let off: Vec<_> = told.iter().filter(|it| matches!(it, SenseState::Off { .. })).collect();
        assert_eq!(off, [&SenseState::Off { why: format!("the {RUNS}th time") }]);
        assert!(matches!(told.last(), Some(SenseState::Off { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn what_stayed_off_works_again_one_day() {
        let (told, runs) = check(|run| assert!(run > RUNS, "no thread to be had")).await;
        assert_eq!(runs, RUNS + 1);
        let [.., off, last] = told.as_slice() else { panic!("{told:?}") };
        assert!(matches!((off, last), (SenseState::Off { .. }, SenseState::Working)), "{told:?}");
    }

    #[test]
    fn pauses_grow_and_steady_work_is_rewarded() {
        let mut restarts = Restarts::default();
        let mut check = |worked, seconds: Option<u64>| {
            assert_eq!(restarts.after(Duration::from_secs(worked)), seconds.map(Duration::from_secs));
        };
        [1, 2, 4, 8, 16].into_iter().for_each(|pause| check(5, Some(pause)));
        check(5, None);
        check(600, Some(1));
        check(599, Some(2));
    }
}
