//! Tasks that bring the senses' news to the engine.
#![expect(clippy::disallowed_methods, reason = "intervals of polling are kept by the monotonic clock")]

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::engine::Input;
use crate::manager::News;
use crate::model::{ProbeResult, Sample, UnitsUpdate};
use crate::sense::host::HostReader;

use super::clock;
use super::effects::Hands;

/// Full reconciliation: a lost signal costs at most this long.
const RECONCILE_EVERY: Duration = Duration::from_secs(30);
/// A reconciliation that failed is tried again after this.
const RECONCILE_AGAIN: Duration = Duration::from_secs(3);
/// Numbers of the host; nothing is decided faster than this from them yet.
const HOST_EVERY: Duration = Duration::from_secs(10);

/// Follows the service manager for ever.
pub(super) async fn follow_manager(hands: Hands) {
    let mut next = Instant::now();
    loop {
        let news = tokio::select! {
            news = hands.manager().news() => Some(news),
            () = tokio::time::sleep_until(next) => None,
        };
        match news {
            None | Some(News::ListAgain) => next = Instant::now() + reconcile(&hands).await,
            Some(News::Reloading(reloading)) => {
                hands.set_reloading(reloading);
                hands.look_at_host().await;
                if !reloading {
                    next = Instant::now() + reconcile(&hands).await;
                }
            }
            Some(News::Changed(statuses)) => {
                tell(&hands, UnitsUpdate::Changed { statuses, removed: Vec::new() }).await;
            }
            Some(News::Removed(removed)) => {
                tell(&hands, UnitsUpdate::Changed { statuses: Vec::new(), removed }).await;
            }
            Some(News::Lost(why)) => {
                tracing::warn!(%why, "the service manager can't be heard");
                tell(&hands, UnitsUpdate::Lost { why }).await;
            }
            Some(News::JobEnded(job)) => {
                let mut sample = Sample::empty(clock::now());
                sample.jobs.push(job);
                hands.tell(Input::Sample(sample)).await;
            }
        }
    }
}

async fn tell(hands: &Hands, update: UnitsUpdate) {
    let mut sample = Sample::empty(clock::now());
    sample.units = Some(update);
    hands.tell(Input::Sample(sample)).await;
}

/// Reads everything once; returns when to do so again.
async fn reconcile(hands: &Hands) -> Duration {
    let mut sample = Sample::empty(clock::now());
    let (update, again) = match hands.manager().list(&hands.attention()).await {
        Ok(statuses) => (UnitsUpdate::Complete(statuses), RECONCILE_EVERY),
        Err(error) => (UnitsUpdate::Lost { why: error.to_string() }, RECONCILE_AGAIN),
    };
    sample.units = Some(update);
    hands.tell(Input::Sample(sample)).await;
    again
}

/// Reads the host's numbers at an interval, for ever.
pub(super) async fn read_host(hands: Hands, mut reader: HostReader) {
    let mut tick = tokio::time::interval(HOST_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let mut sample = Sample::empty(clock::now());
        sample.host = Some(reader.read());
        hands.tell(Input::Sample(sample)).await;
    }
}

/// Passes on what the probes find.
pub(super) async fn follow_probes(hands: Hands, mut results: mpsc::Receiver<ProbeResult>) {
    while let Some(result) = results.recv().await {
        let mut sample = Sample::empty(clock::now());
        sample.probes.push(result);
        hands.tell(Input::Sample(sample)).await;
    }
}
