//! Keeps how far shipping has come: on the disk first, then with the agent.
//!
//! Shipping waits for neither: a disk that is full or hangs must not stop what tells of it. What was shipped and is not
//! kept is shipped again by the next relay, and dropped by its id where it arrives; the agent keeps it until then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::agent::{Agent, AgentError};
use super::chance::{Backoff, Chance, Delays};
use super::clock::Clock;
use super::http::explain;
use super::numbers::Numbers;
use super::place::{Cursor, CursorText};
use super::state::{Position, StateFolder};
use crate::model::Seq;

/// The file of the position.
pub(super) const POSITION_FILE: &str = "position.json";
/// Between two tries of an agent that does not answer: it is on this host, and starts in seconds.
pub(super) const AGENT_DELAYS: Delays =
    Delays { first: Duration::from_millis(500), most: Duration::from_secs(10) };
/// The agent is told at most this often what has been shipped: each word is a small write for it.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(250);
/// A disk that takes nothing is tried again after this.
pub(super) const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How far shipping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) cursor: Cursor,
    /// The first record that must be read again to know which incident later ones belong to.
    pub(super) read_from: Seq,
}

/// Puts the newest on the disk, one at a time and each as soon as the one before is there, and hands it on to
/// [`acknowledge`], until nobody ships any more.
pub(super) async fn keep(
    folder: StateFolder,
    mut reached: watch::Receiver<Option<Reached>>,
    kept: watch::Sender<Option<Cursor>>,
    clock: Clock,
    numbers: Arc<Numbers>,
) {
    let mut fails = false;
    while reached.changed().await.is_ok() {
        let Some(Reached { cursor, read_from }) = *reached.borrow_and_update() else { continue };
        let position = Position { cursor: Some(CursorText::from(cursor)), read_from: Some(read_from) };
        let folder = folder.clone();
        let saved = tokio::task::spawn_blocking(move || folder.save(POSITION_FILE, &position)).await;
        let why = match saved {
            Ok(Ok(())) => {
                kept.send_replace(Some(cursor));
                if std::mem::take(&mut fails) {
                    tracing::info!("what was shipped is written down again");
                }
                continue;
            }
            Ok(Err(error)) => explain(&error),
            Err(error) => explain(&error),
        };
        numbers.state_failed.one();
        if !std::mem::replace(&mut fails, true) {
            tracing::error!("{why}; records are shipped all the same, and the agent keeps them meanwhile");
        }
        clock.sleep_until(clock.now() + SAVE_AGAIN_AFTER).await;
        reached.mark_changed();
    }
}

/// Tells the agent what is kept, whenever that has changed, until nobody keeps anything any more.
pub(super) async fn acknowledge(mut agent: Agent, mut kept: watch::Receiver<Option<Cursor>>, clock: Clock) {
    let mut backoff = Backoff::new(AGENT_DELAYS);
    // No jitter is needed towards one's own host.
    let mut chance = Chance::new(0);
    kept.mark_changed();
    while kept.changed().await.is_ok() {
        let cursor = *kept.borrow_and_update();
        let Some(cursor) = cursor else { continue };
        let body = serde_json::json!({ "chain": cursor.chain.to_string(), "through": cursor.place.seq });
        match agent.post("/v1/records/ack", body.to_string().into()).await {
            Ok(_) => {
                backoff.succeeded();
                clock.sleep_until(clock.now() + ACKNOWLEDGE_EVERY).await;
            }
            Err(error) => {
                tracing::warn!("{}; it is told again what is kept", explain(&error));
                backoff.failed(clock.now(), None, &mut chance);
                clock.sleep_until(backoff.until()).await;
                // A chain that is no more is refused for ever, and the next word is about another one.
                if !matches!(error, AgentError::Refused { status: 409, .. }) {
                    kept.mark_changed();
                }
            }
        }
    }
}
