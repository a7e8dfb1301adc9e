//! What the socket needs of the ledger.

use tokio::sync::watch;

use crate::ledger::{ChainId, Page};
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

    /// Records after `seq` with their proof: at most `limit`, and none more once their texts have `bytes`.
    ///
    /// # Errors
    /// One sentence, for people.
    fn page(&self, seq: Seq, limit: usize, bytes: usize) -> Result<Page, String>;

    /// Remembers that a relay has shipped everything up to `through`. Says up to where it is remembered: never less than
    /// before.
    ///
    /// # Errors
    /// Why not.
    fn shipped(&self, chain: ChainId, through: Seq) -> Result<Seq, NotShipped>;

    /// The place of the newest record, as it moves; `Seq(0)` before the first.
    fn head(&self) -> watch::Receiver<Seq>;
}

/// Why a word about shipped records is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotShipped {
    /// There is no such chain or record: one sentence.
    Refused(String),
    /// One sentence, for people.
    Failed(String),
}
