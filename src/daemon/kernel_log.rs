//! The task that follows the kernel's log.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::Input;
use crate::model::{KernelLogUpdate, Sample};
use crate::sense::kernel_log::KernelLog;

use super::clock;
use super::effects::Hands;

/// A log that can't be read is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// The message that is read next, kept for whoever reads after this: none is to count twice.
pub(super) type Next = Arc<Mutex<Option<u64>>>;

/// Follows for ever.
pub(super) async fn follow_kernel_log(hands: Hands, path: &'static Path, next: Next) {
    let mut told = None;
    loop {
        let from = *next.lock().unwrap_or_else(PoisonError::into_inner);
        let why = match KernelLog::open(path, from) {
            Ok(mut log) => {
                told = None;
                follow(&hands, &mut log, &next).await
            }
            Err(error) => error.to_string(),
        };
        // In a container it stays so for good: once is enough to say.
        if told.as_ref() != Some(&why) {
            tracing::warn!(path = %path.display(), %why, "the kernel's log can't be read: its troubles stay unseen");
            tell(&hands, KernelLogUpdate::Unreadable { why: why.clone() }).await;
            told = Some(why);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Until it breaks off; returns why.
async fn follow(hands: &Hands, log: &mut KernelLog, next: &Next) -> String {
    // It can be read: what was not told did not happen.
    tell(hands, KernelLogUpdate::Told { events: Vec::new(), lost: 0 }).await;
    loop {
        let update = log.read().await;
        *next.lock().unwrap_or_else(PoisonError::into_inner) = log.next_sequence();
        match update {
            KernelLogUpdate::Unreadable { why } => return why,
            KernelLogUpdate::Told { lost, .. } => {
                if lost > 0 {
                    tracing::warn!(lost, "messages of the kernel were lost before they could be read");
                }
                tell(hands, update).await;
            }
        }
    }
}

async fn tell(hands: &Hands, update: KernelLogUpdate) {
    let mut sample = Sample::empty(clock::now());
    sample.kernel = Some(update);
    hands.tell(Input::Sample(sample)).await;
}
