//! What the agent can do about a fault: a closed list. A remedy that is not here does not exist.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Holds, Restraint, SubjectKind};

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
    /// Have services that hold deleted files open take in their configuration again: most open their logs anew then.
    ReloadHolders,
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
    /// Let the unit that fills it write only so fast, while room is made.
    SlowWriters,
    /// Restart the service that holds most of what is deleted and open.
    RestartHolders,
    /// Let the unit that takes the memory hold no more than it does.
    LimitMemory,
    /// Let the unit that makes processes have no more than it has.
    LimitTasks,
    /// Have the unit to blame stand still.
    Freeze,
    /// Restart the unit to blame.
    RestartCulprit,
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
    /// Let go of it: it ends by itself in any case.
    Release,
    /// Nothing: what was removed is gone, and on record.
    Impossible,
}

/// What is so of a remedy, for whoever asks.
#[derive(Clone, Copy)]
struct Traits {
    name: &'static str,
    works_on: SubjectKind,
    works_in: Option<Holds>,
    own_work: bool,
    removes_files: bool,
    risk: Risk,
    disruptive: bool,
    takes_down: bool,
    starts: bool,
    only_starts: bool,
    disruption: Duration,
    reversal: Reversal,
    restraint: Option<Restraint>,
}

/// A service takes note of something, and goes on.
const ON_A_UNIT: Traits = Traits {
    name: "",
    works_on: SubjectKind::Unit,
    works_in: None,
    own_work: false,
    removes_files: false,
    risk: Risk::Low,
    disruptive: false,
    takes_down: false,
    starts: false,
    only_starts: false,
    disruption: Duration::ZERO,
    reversal: Reversal::NotNeeded,
    restraint: None,
};

/// What is down is started.
const A_START: Traits = Traits {
    disruptive: true,
    starts: true,
    only_starts: true,
    disruption: Duration::from_secs(1),
    ..ON_A_UNIT
};

/// What runs is stopped, and started again.
const A_RESTART: Traits = Traits {
    risk: Risk::Medium,
    disruptive: true,
    takes_down: true,
    starts: true,
    disruption: Duration::from_secs(3),
    ..ON_A_UNIT
};

/// Somebody makes room whose business it is, and what goes does not come back.
const BY_OTHERS: Traits = Traits {
    works_on: SubjectKind::Filesystem,
    risk: Risk::Medium,
    reversal: Reversal::Impossible,
    ..ON_A_UNIT
};

/// Files of the agent's own choice are removed.
const A_REMOVAL: Traits = Traits { own_work: true, removes_files: true, ..BY_OTHERS };

/// Whoever harms the host is held back for a time.
const A_RESTRAINT: Traits = Traits {
    works_on: SubjectKind::Host,
    risk: Risk::Medium,
    disruptive: true,
    reversal: Reversal::Release,
    ..ON_A_UNIT
};

impl Remedy {
    /// Every remedy, lightest first.
    pub const ALL: [Self; 21] = [
        Self::Reload,
        Self::Start,
        Self::ResetAndStart,
        Self::Restart,
        Self::RestartWithDependencies,
        Self::Stop,
        Self::ArchiveLogs,
        Self::RotateLogs,
        Self::ReloadHolders,
        Self::VacuumJournal,
        Self::PruneRotatedLogs,
        Self::PruneCoreDumps,
        Self::CleanTemporaryFiles,
        Self::CleanPackageCache,
        Self::CleanContainerImages,
        Self::SlowWriters,
        Self::RestartHolders,
        Self::LimitMemory,
        Self::LimitTasks,
        Self::Freeze,
        Self::RestartCulprit,
    ];

    const fn traits(self) -> Traits {
        match self {
            Self::Reload => Traits { name: "reload", ..ON_A_UNIT },
            Self::Start => Traits { name: "start", ..A_START },
            Self::ResetAndStart => Traits { name: "reset-and-start", ..A_START },
            Self::Restart => Traits { name: "restart", ..A_RESTART },
            Self::RestartWithDependencies => Traits {
                name: "restart-with-dependencies",
                risk: Risk::High,
                disruption: Duration::from_secs(10),
                ..A_RESTART
            },
            Self::Stop => Traits {
                name: "stop",
                risk: Risk::High,
                disruptive: true,
                takes_down: true,
                disruption: Duration::MAX,
                reversal: Reversal::Start,
                ..ON_A_UNIT
            },
            // Its archive holds what the log had.
            Self::ArchiveLogs => Traits {
                name: "archive-logs",
                works_in: Some(Holds::Logs),
                own_work: true,
                reversal: Reversal::NotNeeded,
                ..BY_OTHERS
            },
            Self::RotateLogs => Traits { name: "rotate-logs", works_in: Some(Holds::Logs), ..BY_OTHERS },
            Self::ReloadHolders => {
                Traits { name: "reload-holders", works_on: SubjectKind::Filesystem, ..ON_A_UNIT }
            }
            Self::VacuumJournal => Traits { name: "vacuum-journal", ..BY_OTHERS },
            Self::PruneRotatedLogs => {
                Traits { name: "prune-rotated-logs", works_in: Some(Holds::Logs), ..A_REMOVAL }
            }
            Self::PruneCoreDumps => {
                Traits { name: "prune-core-dumps", works_in: Some(Holds::CoreDumps), ..A_REMOVAL }
            }
            Self::CleanTemporaryFiles => Traits { name: "clean-temporary-files", ..BY_OTHERS },
            Self::CleanPackageCache => Traits { name: "clean-package-cache", ..BY_OTHERS },
            Self::CleanContainerImages => Traits { name: "clean-container-images", ..BY_OTHERS },
            Self::SlowWriters => Traits {
                name: "slow-writers",
                works_on: SubjectKind::Filesystem,
                restraint: Some(Restraint::Writing),
                ..A_RESTRAINT
            },
            // What it held was wanted by somebody, perhaps: a file without a name is also what a program keeps to itself.
            Self::RestartHolders => Traits {
                name: "restart-holders",
                works_on: SubjectKind::Filesystem,
                risk: Risk::High,
                ..A_RESTART
            },
            Self::LimitMemory => {
                Traits { name: "limit-memory", restraint: Some(Restraint::Memory), ..A_RESTRAINT }
            }
            Self::LimitTasks => {
                Traits { name: "limit-tasks", restraint: Some(Restraint::Tasks), ..A_RESTRAINT }
            }
            Self::Freeze => Traits { name: "freeze", restraint: Some(Restraint::Frozen), ..A_RESTRAINT },
            Self::RestartCulprit => {
                Traits { name: "restart-culprit", works_on: SubjectKind::Host, ..A_RESTART }
            }
        }
    }

    /// Its name in policy, records and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.traits().name
    }

    /// By its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|remedy| remedy.name() == name)
    }

    /// What it works on.
    #[must_use]
    pub const fn works_on(self) -> SubjectKind {
        self.traits().works_on
    }

    /// Done by the agent's own hands, on a thread that may block; the others are asked of the service manager.
    #[must_use]
    pub const fn is_own_work(self) -> bool {
        self.traits().own_work
    }

    /// Touches units because of what they do to a file system.
    #[must_use]
    pub const fn asks_users_of_a_disk(self) -> bool {
        self.asks_holders() || matches!(self, Self::SlowWriters)
    }

    /// Asks services to let go of deleted files that they hold open.
    #[must_use]
    pub const fn asks_holders(self) -> bool {
        matches!(self, Self::ReloadHolders | Self::RestartHolders)
    }

    /// Removes files of its own choice, which do not come back: there is a bound for a day.
    #[must_use]
    pub const fn removes_files(self) -> bool {
        self.traits().removes_files
    }

    /// What the folders of the policy hold that it works in; none for what does not go by them.
    #[must_use]
    pub const fn works_in(self) -> Option<Holds> {
        self.traits().works_in
    }

    /// How bad a wrong one is.
    #[must_use]
    pub const fn risk(self) -> Risk {
        self.traits().risk
    }

    /// Takes service away while it runs.
    #[must_use]
    pub const fn is_disruptive(self) -> bool {
        self.traits().disruptive
    }

    /// Stops its targets, if only to start them again.
    #[must_use]
    pub const fn takes_down(self) -> bool {
        self.traits().takes_down
    }

    /// Starts its targets, and with them what they pull in.
    #[must_use]
    pub const fn starts(self) -> bool {
        self.traits().starts
    }

    /// Only puts a unit up that is down: allowed on protected subjects.
    #[must_use]
    pub const fn only_starts(self) -> bool {
        self.traits().only_starts
    }

    /// Expected disruption when all goes well; a deadline, not a cost, comes from the policy.
    #[must_use]
    pub const fn expected_disruption(self) -> Duration {
        self.traits().disruption
    }

    /// How it holds a unit back for a time, where it does.
    #[must_use]
    pub const fn restraint(self) -> Option<Restraint> {
        self.traits().restraint
    }

    /// What takes it back.
    #[must_use]
    pub const fn reversal(self) -> Reversal {
        self.traits().reversal
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
