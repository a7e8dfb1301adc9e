//! What the socket needs of the process table.

use crate::model::{ProcessDetail, ProcessList};

use super::request::{ProcessQuery, ProcessesQuery};

/// Why nothing is told of one process, a sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProcess {
    Gone(String),
    Failed(String),
}

/// The process table. Calls may block; they are made off the loop's threads, few at a time.
pub trait ProcessSource: Send + Sync {
    /// The first processes in some order.
    fn list(&self, query: ProcessesQuery) -> ProcessList;

    /// One process.
    ///
    /// # Errors
    /// When it is not there, or can't be read.
    fn look(&self, query: ProcessQuery) -> Result<ProcessDetail, NoProcess>;
}
