//! The ledger as the socket reads it: connections of its own beside the writer's.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::ledger::Reader;
use crate::model::{IncidentId, Record, Seq};
use crate::serve::RecordSource;

/// Opens the file for each question: questions are few, and a file that was set aside is not read on.
#[derive(Debug)]
pub(super) struct LedgerRecords {
    state_dir: PathBuf,
    head: watch::Receiver<Seq>,
}

impl LedgerRecords {
    pub(super) const fn new(state_dir: PathBuf, head: watch::Receiver<Seq>) -> Self {
        Self { state_dir, head }
    }

    fn reader(&self) -> Result<Reader, String> {
        Reader::open(&self.state_dir).map_err(|error| error.to_string())
    }
}

impl RecordSource for LedgerRecords {
    fn after(&self, seq: Seq, limit: usize) -> Result<Vec<Record>, String> {
        self.reader()?.read_after(seq, limit).map_err(|error| error.to_string())
    }

    fn of_incident(&self, incident: IncidentId, limit: usize) -> Result<Vec<Record>, String> {
        self.reader()?.records_of(incident, limit).map_err(|error| error.to_string())
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }
}
