//! Old records go when nothing rests on them any more.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::ledger::{LedgerError, Reader};
use crate::model::{Seq, WallTime};

use super::core::Event;

/// How often it is looked whether there is anything to drop.
pub(super) const EVERY: Duration = Duration::from_secs(3600);
/// Records are found by the wall clock, which may have been set: so much more is kept.
const MARGIN: Duration = Duration::from_secs(24 * 3600);

/// Finds the first record that is still needed, and brings its place back to the loop.
pub(super) fn find(state_dir: PathBuf, needed_since: WallTime, inbox: mpsc::Sender<Event>) {
    tokio::spawn(async move {
        let search = tokio::task::spawn_blocking(move || {
            let millis = i64::try_from(MARGIN.as_millis()).unwrap_or(i64::MAX);
            first_after(&state_dir, WallTime::from_unix_millis(needed_since.unix_millis() - millis))
        });
        match search.await {
            Ok(Ok(keep_from)) => {
                // The loop has ended: nothing is dropped.
                let _ = inbox.send(Event::Prune { keep_from }).await;
            }
            Ok(Err(error)) => tracing::warn!(%error, "what can be dropped from the ledger can't be told"),
            Err(error) => tracing::warn!(%error, "the search for old records broke off"),
        }
    });
}

/// The first record at or after a moment, by halving: records are in the order of time but for steps of the clock.
fn first_after(state_dir: &Path, moment: WallTime) -> Result<Seq, LedgerError> {
    let reader = Reader::open(state_dir)?;
    let extent = reader.extent()?;
    let (mut low, mut high) = (extent.anchor.seq.0, extent.head.seq.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = reader.read_after(Seq(middle), 1)?;
        match found.first() {
            Some(record) if record.entry.at.wall < moment => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(Seq(low + 1))
}
