//! Everything read in one pass. A pass may be partial: what it does not speak of is unchanged, not gone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    FilesystemStatus, HostActivity, HostNews, HostNumbers, HostVitals, JobEvent, KernelLogUpdate,
    ProbeResult, ProcessCounts, Reading, Timestamp, UnitName, UnitStatus,
};

/// News of the units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitsUpdate {
    /// Full reconciliation: what is not listed does not exist, or is at rest and unloaded.
    Complete(Vec<UnitStatus>),
    /// What changed since the last news. What was removed does not exist any more, or is at rest and unloaded.
    Changed { statuses: Vec<UnitStatus>, removed: Vec<UnitName> },
    /// A look at this unit found that there is none of this name.
    NoSuchUnit(UnitName),
    /// The service manager answered; nothing to tell. Keeps what is known fresh.
    Alive,
    /// The service manager can't be heard: everything known about units is growing old.
    Lost { why: String },
}

/// News of the file systems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilesystemsUpdate {
    /// Every one that is mounted: what is not listed is not mounted.
    Complete(Vec<FilesystemStatus>),
    /// Some of those that were listed were asked again, out of turn.
    Again(Vec<FilesystemStatus>),
    /// What is mounted could not be found out.
    Failed { why: String },
}

/// One pass of the senses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When the pass began: readings are at least as fresh as this.
    pub at: Timestamp,
    pub units: Option<UnitsUpdate>,
    pub host: Option<HostVitals>,
    pub host_news: Vec<HostNews>,
    /// Shared: they go from here into every picture of the engine, and may be long.
    pub numbers: Option<Arc<HostNumbers>>,
    pub filesystems: Option<FilesystemsUpdate>,
    pub kernel: Option<KernelLogUpdate>,
    /// Of all processes; failed when the table is not whole.
    pub processes: Option<Reading<ProcessCounts>>,
    pub activity: Option<HostActivity>,
    pub probes: Vec<ProbeResult>,
    /// Jobs that ended.
    pub jobs: Vec<JobEvent>,
}

impl Sample {
    /// A pass that has read nothing yet.
    #[must_use]
    pub const fn empty(at: Timestamp) -> Self {
        Self {
            at,
            units: None,
            host: None,
            host_news: Vec::new(),
            numbers: None,
            filesystems: None,
            kernel: None,
            processes: None,
            activity: None,
            probes: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Whether there is nothing in it but answers of probes.
    #[must_use]
    pub const fn has_probes_alone(&self) -> bool {
        let Self {
            at: _,
            units,
            host,
            host_news,
            numbers,
            filesystems,
            kernel,
            processes,
            activity,
            probes: _,
            jobs,
        } = self;
        units.is_none()
            && host.is_none()
            && host_news.is_empty()
            && numbers.is_none()
            && filesystems.is_none()
            && kernel.is_none()
            && processes.is_none()
            && activity.is_none()
            && jobs.is_empty()
    }
}
