//! The task that follows the kernel's log.

use std::path::Path;
use std::time::Duration;

use crate::engine::Input;
use crate::model::{KernelLogUpdate, Sample};
use crate::sense::kernel_log::KernelLog;

use super::clock;
use super::effects::Hands;

/// A log that can't be read is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Follows for ever.
pub(super) async fn follow_kernel_log(hands: Hands, path: &'static Path) {
    let (mut told, mut next) = (None, None);
    loop {
        let why = match KernelLog::open(path, next) {
            Ok(mut log) => {
                told = None;
                let why = follow(&hands, &mut log).await;
                next = log.next_sequence();
                why
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
async fn follow(hands: &Hands, log: &mut KernelLog) -> String {
    // It can be read: what was not told did not happen.
    tell(hands, KernelLogUpdate::Told { events: Vec::new(), lost: 0 }).await;
    loop {
        let update = log.read().await;
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
