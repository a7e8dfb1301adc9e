//! What the agent can do about a fault: a closed list. A remedy that is not here does not exist.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Holds, SubjectKind};

/// One kind of repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Ask the service to take in its configuration again; it keeps running.
    Reload,
    /// Start a unit that is down.
    Start,
    /// Forget the failure counters (`reset-failed`), then start.
    ResetAndStart,
    /// Stop and start.
    Restart,
    /// Restart what the unit requires and is down or unresponsive, then the unit.
    RestartWithDependencies,
    /// Stop it: a broken unit that harms others.
    Stop,
    /// Compress the older part of live logs into an archive beside each, and give its room back; nothing is lost.
    ArchiveLogs,
    /// Have the host's own logrotate rotate every log that it has rules for, now.
    RotateLogs,
    /// Have the journal begin new files, and throw away the oldest beyond a small size.
    VacuumJournal,
    /// Remove rotated logs from the folders that the policy names, the oldest first.
    PruneRotatedLogs,
    /// Remove core dumps from the folders that the policy names, the oldest first.
    PruneCoreDumps,
    /// Have the host's own rules for temporary files (tmpfiles.d) carried out now: what is too old by them goes.
    CleanTemporaryFiles,
    /// Have the package manager throw away the packages that it has fetched.
    CleanPackageCache,
    /// Have the container runtime throw away the images that no container uses.
    CleanContainerImages,
}

/// How much can go wrong when the diagnosis is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Harmless even when it was not needed.
    Low,
    /// Interrupts one subject.
    Medium,
    /// Interrupts more than the subject, or does not come back by itself. Needs an approval.
    High,
}

/// What undoes a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversal {
    /// Nothing to undo: the unit is as it was meant to be.
    NotNeeded,
    /// Start the unit again.
    Start,
    /// Nothing: what was removed is gone, and on record.
    Impossible,
}

impl Remedy {
    /// Every remedy, lightest first.
    pub const ALL: [Self; 14] = [
        Self::Reload,
        Self::Start,
        Self::ResetAndStart,
        Self::Restart,
        Self::RestartWithDependencies,
        Self::Stop,
        Self::ArchiveLogs,
        Self::RotateLogs,
        Self::VacuumJournal,
        Self::PruneRotatedLogs,
        Self::PruneCoreDumps,
        Self::CleanTemporaryFiles,
        Self::CleanPackageCache,
        Self::CleanContainerImages,
    ];

    /// Its name in policy, records and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Start => "start",
            Self::ResetAndStart => "reset-and-start",
            Self::Restart => "restart",
            Self::RestartWithDependencies => "restart-with-dependencies",
            Self::Stop => "stop",
            Self::ArchiveLogs => "archive-logs",
            Self::RotateLogs => "rotate-logs",
            Self::VacuumJournal => "vacuum-journal",
            Self::PruneRotatedLogs => "prune-rotated-logs",
            Self::PruneCoreDumps => "prune-core-dumps",
            Self::CleanTemporaryFiles => "clean-temporary-files",
            Self::CleanPackageCache => "clean-package-cache",
            Self::CleanContainerImages => "clean-container-images",
        }
    }

    /// By its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|remedy| remedy.name() == name)
    }

    /// What it works on.
    #[must_use]
    pub const fn works_on(self) -> SubjectKind {
        match self {
            Self::Reload
            | Self::Start
            | Self::ResetAndStart
            | Self::Restart
            | Self::RestartWithDependencies
            | Self::Stop => SubjectKind::Unit,
            Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => SubjectKind::Filesystem,
        }
    }

    /// Done by the agent's own hands, on a thread that may block; the others are asked of the service manager.
    #[must_use]
    pub const fn is_own_work(self) -> bool {
        match self {
            Self::ArchiveLogs | Self::PruneRotatedLogs | Self::PruneCoreDumps => true,
            Self::Reload
            | Self::Start
            | Self::ResetAndStart
            | Self::Restart
            | Self::RestartWithDependencies
            | Self::Stop
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => false,
        }
    }

    /// Removes files of its own choice, which do not come back: there is a bound for a day.
    #[must_use]
    pub const fn removes_files(self) -> bool {
        match self {
            Self::PruneRotatedLogs | Self::PruneCoreDumps => true,
            Self::ArchiveLogs
            | Self::Reload
            | Self::Start
            | Self::ResetAndStart
            | Self::Restart
            | Self::RestartWithDependencies
            | Self::Stop
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => false,
        }
    }

    /// What the folders of the policy hold that it works in; none for what does not go by them.
    #[must_use]
    pub const fn works_in(self) -> Option<Holds> {
        match self {
            Self::ArchiveLogs | Self::RotateLogs | Self::PruneRotatedLogs => Some(Holds::Logs),
            Self::PruneCoreDumps => Some(Holds::CoreDumps),
            Self::Reload
            | Self::Start
            | Self::ResetAndStart
            | Self::Restart
            | Self::RestartWithDependencies
            | Self::Stop
            | Self::VacuumJournal
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => None,
        }
    }

    /// How bad a wrong one is.
    #[must_use]
    pub const fn risk(self) -> Risk {
        match self {
            Self::Reload | Self::Start | Self::ResetAndStart => Risk::Low,
            Self::Restart
            | Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => Risk::Medium,
            Self::RestartWithDependencies | Self::Stop => Risk::High,
        }
    }

    /// Takes service away while it runs.
    #[must_use]
    pub const fn is_disruptive(self) -> bool {
        match self {
            Self::Reload
            | Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => false,
            Self::Start
            | Self::ResetAndStart
            | Self::Restart
            | Self::RestartWithDependencies
            | Self::Stop => true,
        }
    }

    /// Stops its targets, if only to start them again.
    #[must_use]
    pub const fn takes_down(self) -> bool {
        match self {
            Self::Restart | Self::RestartWithDependencies | Self::Stop => true,
            Self::Reload
            | Self::Start
            | Self::ResetAndStart
            | Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => false,
        }
    }

    /// Starts its targets, and with them what they pull in.
    #[must_use]
    pub const fn starts(self) -> bool {
        match self {
            Self::Start | Self::ResetAndStart | Self::Restart | Self::RestartWithDependencies => true,
            Self::Reload
            | Self::Stop
            | Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => false,
        }
    }

    /// Only puts a unit up that is down: allowed on protected subjects.
    #[must_use]
    pub const fn only_starts(self) -> bool {
        match self {
            Self::Start | Self::ResetAndStart => true,
            Self::Reload
            | Self::Restart
            | Self::RestartWithDependencies
            | Self::Stop
            | Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => false,
        }
    }

    /// Expected disruption when all goes well; a deadline, not a cost, comes from the policy.
    #[must_use]
    pub const fn expected_disruption(self) -> Duration {
        match self {
            Self::Reload
            | Self::ArchiveLogs
            | Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => Duration::ZERO,
            Self::Start | Self::ResetAndStart => Duration::from_secs(1),
            Self::Restart => Duration::from_secs(3),
            Self::RestartWithDependencies => Duration::from_secs(10),
            Self::Stop => Duration::MAX,
        }
    }

    /// What takes it back.
    #[must_use]
    pub const fn reversal(self) -> Reversal {
        match self {
            Self::Stop => Reversal::Start,
            Self::RotateLogs
            | Self::VacuumJournal
            | Self::PruneRotatedLogs
            | Self::PruneCoreDumps
            | Self::CleanTemporaryFiles
            | Self::CleanPackageCache
            | Self::CleanContainerImages => Reversal::Impossible,
            // Its archive holds what the log had.
            Self::ArchiveLogs
            | Self::Reload
            | Self::Start
            | Self::ResetAndStart
            | Self::Restart
            | Self::RestartWithDependencies => Reversal::NotNeeded,
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule may do on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Shadow: record what it would have done.
    Observe,
    /// Propose, and wait for a person.
    Approve,
    /// Repair.
    Auto,
}

/// How loud a used-up ladder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For the next working day.
    Ticket,
    /// Wakes somebody.
    Page,
}
