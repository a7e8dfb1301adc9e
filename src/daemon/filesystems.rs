//! The task that watches what is mounted, and how full it is.

use std::path::Path;
use std::time::Duration;

use crate::engine::Input;
use crate::model::{FilesystemsUpdate, Sample};
use crate::sense::filesystem::{FilesystemReader, MountsSeenFrom};

use super::clock;
use super::effects::Hands;

/// How often each is asked for its room; what is mounted is known at once.
const ROOM_EVERY: Duration = Duration::from_secs(10);

/// Watches for ever.
pub(super) async fn watch_filesystems(hands: Hands, proc: &'static Path) {
    let mut reader = match FilesystemReader::new(proc) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(%error, "what is mounted can't be found out");
            tell(&hands, FilesystemsUpdate::Failed { why: format!("the mount table: {error}") }).await;
            // Tried again by whoever keeps the senses at work.
            return;
        }
    };
    if let MountsSeenFrom::Agent { why } = reader.seen_from() {
        tracing::warn!(%why, "the mounts of PID 1 can't be read; the agent sees its own, and its sandbox hides some");
    }
    let mut beats = hands.beats().listen();
    loop {
        let update = reader.read(clock::now().boot).await;
        if let FilesystemsUpdate::Complete(all) = &update {
            hands.history().filesystems(clock::now(), all);
        }
        tell(&hands, update).await;
        let next = beats.after(hands.pace().slow(ROOM_EVERY));
        tokio::select! {
            () = beats.reach(next) => {}
            () = reader.changed() => {}
        }
    }
}

async fn tell(hands: &Hands, update: FilesystemsUpdate) {
    let mut sample = Sample::empty(clock::now());
    sample.filesystems = Some(update);
    hands.tell(Input::Sample(sample)).await;
}
