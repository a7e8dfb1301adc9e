//! Tasks that bring the senses' news to the engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::Input;
use crate::manager::News;
use crate::model::{ProbeResult, Sample, UnitsUpdate};
use crate::sense::beat::Beat;
use crate::sense::filesystem::WriteGauge;
use crate::sense::host::HostReader;

use super::beats::BEAT;
use super::clock;
use super::effects::Hands;

/// Full reconciliation: a lost signal costs at most this long.
const RECONCILE_EVERY: Duration = Duration::from_secs(30);
/// A reconciliation that failed is tried again after this.
const RECONCILE_AGAIN: Duration = Duration::from_secs(3);
/// Follows the service manager for ever.
pub(super) async fn follow_manager(hands: Hands) {
    let mut beats = hands.beats().listen();
    let mut next = beats.after(Duration::ZERO);
    loop {
        let news = tokio::select! {
            news = hands.manager().news() => Some(news),
            () = beats.reach(next) => None,
        };
        match news {
            None | Some(News::ListAgain) => next = beats.after(reconcile(&hands).await),
            Some(News::Reloading(reloading)) => {
                hands.set_reloading(reloading);
                hands.look_at_host().await;
                if !reloading {
                    next = beats.after(reconcile(&hands).await);
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

/// Reads the host's numbers at each beat, for ever. What else is read at intervals hears the beats and goes along: the
/// agent is awake anyway.
pub(super) async fn read_host(hands: Hands, mut reader: HostReader) {
    let mut beat = match Beat::new(BEAT) {
        Ok(beat) => beat,
        Err(error) => return tracing::error!(%error, "there is no timer to read the host by"),
    };
    let mut beats = 1;
    let mut passed_over = 0;
    let mut gauge = WriteGauge::default();
    let mut before = clock::pass_time();
    loop {
        passed_over += 1;
        // An agent that takes too much reads the host less often; those who hear the beats have a pace of their own.
        let read = passed_over >= hands.pace().times();
        if read {
            passed_over = 0;
            let now = clock::pass_time();
            reader.pass(now);
            let second = reader.second();
            hands.set_written(gauge.take(&second, now.boot.saturating_sub(before.boot)));
            before = now;
            hands.history().host(clock::now(), &second);
        }
        if read && reader.is_due() {
            let mut sample = Sample::empty(clock::now());
            let (vitals, numbers) = reader.tell();
            hands.history().told(sample.at, &vitals, &numbers);
            sample.host = Some(vitals);
            sample.numbers = Some(Arc::new(numbers));
            hands.tell(Input::Sample(sample)).await;
        }
        hands.beats().give(beats);
        beats = match beat.next().await {
            Ok(beats) => beats,
            Err(error) => return tracing::error!(%error, "the timer that the host is read by is gone"),
        };
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
