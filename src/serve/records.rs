//! What the socket needs of the ledger.

use tokio::sync::watch;

use crate::model::{IncidentId, Record, Seq};

/// The ledger, to read. Calls may block; they are made off the loop's threads, few at a time.
pub trait RecordSource: Send + Sync {
    /// Records after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// One sentence, for people.
    fn after(&self, seq: Seq, limit: usize) -> Result<Vec<Record>, String>;

    /// The newest `limit` records that belong to the incident, oldest first.
    ///
    /// # Errors
    /// One sentence, for people.
    fn of_incident(&self, incident: IncidentId, limit: usize) -> Result<Vec<Record>, String>;

    /// The place of the newest record, as it moves; `Seq(0)` before the first.
    fn head(&self) -> watch::Receiver<Seq>;
}
