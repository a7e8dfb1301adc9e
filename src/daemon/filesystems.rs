//! The task that watches what is mounted, and how full it is.

use std::path::Path;

use crate::engine::Input;
use crate::model::{FilesystemsUpdate, Sample, Timestamp};
use crate::sense::filesystem::{FilesystemReader, LOOK_LATEST, Moment, MountsSeenFrom, RoomPace};

use super::beats::{BEAT, Beats};
use super::clock;
use super::effects::Hands;

/// Watches for ever. All are asked at intervals; what is mounted is known at once; one that fills fast is asked more
/// often.
pub(super) async fn watch_filesystems(hands: Hands, proc: &'static Path) {
    let mut reader = match FilesystemReader::new(proc) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(%error, "what is mounted can't be found out");
            tell(
                &hands,
                clock::now(),
                FilesystemsUpdate::Failed { why: format!("the mount table: {error}") },
            )
            .await;
            // Tried again by whoever keeps the senses at work.
            return;
        }
    };
    if let MountsSeenFrom::Agent { why } = reader.seen_from() {
        tracing::warn!(%why, "the mounts of PID 1 can't be read; the agent sees its own, and its sandbox hides some");
    }
    let mut beats = hands.beats().listen();
    let mut pace = RoomPace::default();
    loop {
        let (begun, now) = (clock::now(), moment(&hands));
        let update = reader.read(now.at).await;
        if let FilesystemsUpdate::Complete(all) = &update {
            pace.take_all(all, now);
            hands.history().filesystems(clock::now(), all);
        }
        tell(&hands, begun, update).await;
        let next = beats.after(hands.pace().slow(LOOK_LATEST));
        watch_closely(&hands, &mut reader, &mut pace, &mut beats, next).await;
    }
}

/// Until all are to be asked, or something was mounted.
async fn watch_closely(
    hands: &Hands,
    reader: &mut FilesystemReader,
    pace: &mut RoomPace,
    beats: &mut Beats,
    until: u64,
) {
    while !beats.has_come(until) {
        tokio::select! {
            () = beats.pause(hands.pace().slow(pace.next()).min(BEAT)) => {}
            () = reader.changed() => return,
            () = hands.rooms().wanted() => {}
        }
        if reader.must_list() {
            // A wait that was given up above had heard of a change.
            return;
        }
        let (begun, now) = (clock::now(), moment(hands));
        let mut due = pace.due(now);
        due.extend(hands.rooms().take_wanted());
        due.sort();
        due.dedup();
        if !due.is_empty() {
            let again = reader.read_again(&due, now.at).await;
            if let FilesystemsUpdate::Again(some) = &again {
                pace.take_some(some, now);
            }
            tell(hands, begun, again).await;
        }
    }
}

fn moment(hands: &Hands) -> Moment {
    Moment { at: clock::now().boot, written: hands.written() }
}

/// `at` is when they began to be asked: what was measured then says nothing of what was done since.
async fn tell(hands: &Hands, at: Timestamp, update: FilesystemsUpdate) {
    let mut sample = Sample::empty(at);
    sample.filesystems = Some(update);
    hands.tell(Input::Sample(sample)).await;
}
