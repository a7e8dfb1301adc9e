//! The validated policy: what the other rooms read. Nothing in here can be wrong any more.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    HISTORY_BYTES_DEFAULT, LogPrivacy, LogRoot, Mode, ProbeName, Remedy, RuleName, Severity, SubjectKind,
    UnitName, UnitPattern,
};

use super::Limits;
use super::predicate::Predicate;
use super::schedule::Schedule;

/// One rule: a fault and what is done about it.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: RuleName,
    pub subject: SubjectKind,
    /// For rules about units: which ones; empty means all.
    pub units: Vec<UnitPattern>,
    /// Units that the rule leaves to others.
    pub except: Vec<UnitPattern>,
    pub when: Predicate,
    /// How long it must be true.
    pub hold_for: Duration,
    /// True when the fault is over. Distinct from "not `when`": the gap between them is the hysteresis.
    pub clear: Predicate,
    /// Lightest first; the last rung is repeated until the attempts are used up. Empty: only escalate.
    pub ladder: Vec<Remedy>,
    /// Attempts in one incident before it is escalated.
    pub attempts: u32,
    /// By when a repair must show.
    pub verify_within: Duration,
    pub severity: Severity,
    pub mode: Mode,
    pub owner: Option<String>,
}

/// A time in which a set of units (all, when empty) is left alone.
#[derive(Clone, Debug)]
pub struct Maintenance {
    pub name: String,
    pub units: Vec<UnitPattern>,
    pub schedule: Schedule,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// GET over plain HTTP/1.1 on a loopback address. `host` is the Host header; `expect` holds every status that is
    /// healthy, and is never empty.
    Http { address: std::net::SocketAddr, host: String, path: String, expect: Vec<u16> },
    /// A TCP connection on a loopback address.
    Tcp { address: std::net::SocketAddr },
    /// A connection to a Unix stream socket.
    Unix { path: PathBuf },
    /// A command that exits with 0, run without a shell.
    Exec { argv: Vec<String> },
}

/// A health check of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub name: ProbeName,
    pub unit: UnitName,
    pub kind: ProbeKind,
    pub interval: Duration,
    /// One run is given up after this.
    pub timeout: Duration,
    /// Failures in a row that make the unit unresponsive: the default of `probe_failures` in rules.
    pub failures: u32,
    /// For so long after a start, failures say nothing, until the first healthy answer of that run.
    pub grace: Duration,
}

/// A service of the second manager: how it is started, stopped and known to be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDefinition {
    pub name: UnitName,
    pub start: Vec<String>,
    pub stop: Option<Vec<String>>,
    pub reload: Option<Vec<String>>,
    /// LSB: exits with 0 when it runs, 1 or 2 when it is dead, 3 when it was stopped.
    pub status: Option<Vec<String>>,
    pub pid_file: Option<PathBuf>,
    /// The start command stays in the foreground and is the service itself.
    pub foreground: bool,
    pub requires: Vec<UnitName>,
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
    /// Where its output goes; nowhere when not given.
    pub log_file: Option<PathBuf>,
}

/// What the operator says about some units beyond the rules.
#[derive(Clone, Debug)]
pub struct UnitTuning {
    pub units: Vec<UnitPattern>,
    pub owner: Option<String>,
    /// Never bolder than the rule's own mode.
    pub mode: Option<Mode>,
    /// Dependencies that the unit files do not tell of.
    pub depends_on: Vec<UnitName>,
}

/// How people are told of escalations and proposals besides the ledger; [`crate::model::Notice`] is what they get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EscalationHooks {
    /// A command that gets the notice as JSON on its standard input.
    pub exec: Option<Vec<String>>,
    /// A file that gets one JSON line a notice.
    pub file: Option<PathBuf>,
}

/// The names of the groups that may use the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// May read. Root and the admin group always may.
    pub readers: String,
    /// May command.
    pub admins: String,
    /// May read, and say which records have been shipped.
    pub relay: String,
}

impl Default for Access {
    fn default() -> Self {
        Self { readers: "prunella".into(), admins: "prunella-admin".into(), relay: "prunella-relay".into() }
    }
}

/// The history of the host's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// On the disk at the most; zero for none.
    pub bytes_max: u64,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { bytes_max: HISTORY_BYTES_DEFAULT }
    }
}

/// What goes into an incident, and with it upward.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvidenceSettings {
    /// Names whose values are masked besides those that always are, in small letters.
    pub mask: Arc<[String]>,
    /// Whose log stays where it is.
    pub without_log: Vec<UnitPattern>,
}

impl EvidenceSettings {
    /// What may be taken of the log of this unit.
    #[must_use]
    pub fn log_of(&self, unit: &UnitName) -> LogPrivacy {
        if self.without_log.iter().any(|pattern| pattern.matches(unit)) {
            LogPrivacy::Withheld
        } else {
            LogPrivacy::Masked(Arc::clone(&self.mask))
        }
    }
}

/// Everything the operator wants, in force as one.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Hash of the files it came from: tells two policies apart in records.
    pub digest: String,
    pub limits: Limits,
    /// In the order of their names.
    pub rules: Vec<Rule>,
    /// Units that are started when they are down, and never stopped, restarted or limited.
    pub protected: Vec<UnitPattern>,
    pub maintenance: Vec<Maintenance>,
    pub probes: Vec<Probe>,
    pub services: Vec<ServiceDefinition>,
    pub tuning: Vec<UnitTuning>,
    pub escalation: EscalationHooks,
    pub access: Access,
    pub history: HistorySettings,
    pub evidence: EvidenceSettings,
    /// Folders from which rotated logs or core dumps may be removed.
    pub logs: Vec<LogRoot>,
}

impl Policy {
    /// Whether the unit is one that must never be taken down.
    #[must_use]
    pub fn protects(&self, unit: &UnitName) -> bool {
        self.protected.iter().any(|pattern| pattern.matches(unit))
    }

    /// The tuning entries that speak of the unit, in file order.
    pub fn tuning_of<'a>(&'a self, unit: &'a UnitName) -> impl Iterator<Item = &'a UnitTuning> + 'a {
        self.tuning.iter().filter(move |entry| entry.units.iter().any(|pattern| pattern.matches(unit)))
    }

    /// The probe that watches the unit, if any.
    #[must_use]
    pub fn probe_of(&self, unit: &UnitName) -> Option<&Probe> {
        self.probes.iter().find(|probe| probe.unit == *unit)
    }
}
