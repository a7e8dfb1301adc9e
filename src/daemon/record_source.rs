//! The ledger as the socket reads it: connections of its own beside the writer's.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::ledger::{Acknowledger, ChainId, Page, Reader, Writer};
use crate::model::{IncidentId, Record, Seq};
use crate::serve::{NotShipped, RecordSource};

/// Opens the file for each question: questions are few, and a file that was set aside is not read on.
#[derive(Debug)]
pub(super) struct LedgerRecords {
    state_dir: PathBuf,
    head: watch::Receiver<Seq>,
    acknowledger: Acknowledger,
}

impl LedgerRecords {
    pub(super) fn new(state_dir: PathBuf, writer: &Writer) -> Self {
        Self { state_dir, head: writer.head(), acknowledger: writer.acknowledger() }
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

    fn page(&self, seq: Seq, limit: usize, bytes: usize) -> Result<Page, String> {
        self.reader()?.page_after(seq, limit, bytes).map_err(|error| error.to_string())
    }

    fn shipped(&self, chain: ChainId, through: Seq) -> Result<Seq, NotShipped> {
        let extent = self.reader().and_then(|reader| reader.extent().map_err(|error| error.to_string()));
        let extent = extent.map_err(NotShipped::Failed)?;
        if extent.chain != chain {
            return Err(NotShipped::Refused(format!("The ledger is the chain {}, no other.", extent.chain)));
        }
        if through > extent.head.seq {
            let newest = extent.head.seq;
            return Err(NotShipped::Refused(format!(
                "There is no record {through}; the newest is {newest}."
            )));
        }
        if through > extent.acknowledged {
            let told = self.acknowledger.acknowledge(chain, through);
            told.map_err(|error| NotShipped::Failed(error.to_string()))?;
        }
        Ok(extent.acknowledged.max(through))
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.clone()
    }
}
