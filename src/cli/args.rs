//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::{
    ActionId, IncidentId, Moment, MountPoint, PauseId, ProcessSort, ProposalId, Seq, UnitKind, UnitName,
};
use crate::serve::limits::PROCESSES_DEFAULT;
use crate::serve::{parse_duration, parse_moment};

use super::exit;

/// Where the agent listens.
pub(super) const SOCKET: &str = "/run/prunella/prunella.sock";
/// Where the agent keeps its ledger and its history.
pub(super) const STATE: &str = "/var/lib/prunella";

/// Prunella repairs what it can prove is broken on this host, verifies the repair, and writes down why.
#[derive(Debug, Parser)]
#[command(name = "prunella", version, after_help = exit::HELP, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Global {
    /// The agent's socket
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    pub(super) socket: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// When to use colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    pub(super) color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    Auto,
    Always,
    Never,
}

/// What a list of processes is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// CPU time since the look before
    Cpu,
    /// Resident memory
    Memory,
    /// Read from and written to storage
    Io,
    /// The longest running
    Age,
}

impl From<Sort> for ProcessSort {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Cpu => Self::Cpu,
            Sort::Memory => Self::Memory,
            Sort::Io => Self::Io,
            Sort::Age => Self::Age,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Greed {
    Cpu,
    Memory,
    /// Bytes read and written
    Io,
    /// Time in which tasks waited
    Pressure,
}

impl Greed {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Pressure => "pressure",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What is wrong, what the agent does about it, and what it waits for
    Status,
    /// Units that are not at rest or are left alone, with the reason
    Units,
    /// File systems: how full, and whether they answer
    #[command(visible_alias = "df")]
    Filesystems,
    /// The host: load, memory, disks, network, limits, what it is made of
    Host,
    /// A number of the host over time, as bars and a table; without FIELD, what is kept
    History {
        /// cpu_percent, disk_busy_percent@vda, filesystem_used_percent@/srv …
        field: Option<String>,
        /// From when: so long ago (2h), or a time (2026-11-23T07:00:00Z)
        #[arg(long, value_name = "TIME", value_parser = parse_history_moment)]
        since: Option<Moment>,
        /// Until when; now when left out
        #[arg(long, value_name = "TIME", value_parser = parse_history_moment)]
        until: Option<Moment>,
        /// What comes within so much time is one point, with --json
        #[arg(long, value_name = "LENGTH", value_parser = parse_step)]
        step: Option<Duration>,
        /// Read the files of this state folder, without the agent; now is then their end
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Who takes most of the host
    Top {
        /// What comes first
        #[arg(long, value_enum, default_value_t = Sort::Cpu)]
        sort: Sort,
        /// How many
        #[arg(long, value_name = "N", default_value_t = PROCESSES_DEFAULT)]
        limit: usize,
        /// Go on, on a terminal, until interrupted
        #[arg(long, conflicts_with = "json")]
        watch: bool,
    },
    /// One process: what it runs, its files, what it waits for
    Process {
        #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
        pid: i32,
        /// Its share of memory, too; walks its whole memory map
        #[arg(long)]
        pss: bool,
    },
    /// Control groups, the greediest first: who makes the host slow
    #[command(visible_alias = "cgtop")]
    Cgroups {
        /// By what they are ordered
        #[arg(long, value_enum, default_value_t = Greed::Cpu)]
        sort: Greed,
        /// How many
        #[arg(long, value_name = "N", default_value = "20")]
        limit: u16,
    },
    /// Incidents that are open
    Incidents {
        /// Those that ended lately, too
        #[arg(long)]
        all: bool,
    },
    /// Why the agent acted, or which guard said no and until when
    Explain {
        /// An incident (inc-7), a unit (nginx, data.mount) or the mount point of a file system (/data)
        #[arg(value_name = "INCIDENT|UNIT|MOUNT POINT", value_parser = parse_topic)]
        topic: Topic,
    },
    /// Keep the agent, a rule or a unit from acting, for a time
    Pause(Pause),
    /// End a pause, or all of them
    Resume {
        #[arg(value_name = "PAUSE", value_parser = parse_pause)]
        pause: Option<PauseId>,
    },
    /// Let the agent do what it proposes
    Approve {
        #[arg(value_parser = parse_proposal)]
        proposal: ProposalId,
    },
    /// Let go of a unit that an action holds back
    Undo {
        #[arg(value_parser = parse_action)]
        action: ActionId,
    },
    /// Keep the agent from doing what it proposes
    Deny {
        #[arg(value_parser = parse_proposal)]
        proposal: ProposalId,
        /// Why; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take note of an escalation: it is not repeated
    Ack {
        #[arg(value_parser = parse_incident)]
        incident: IncidentId,
    },
    /// Have the agent read its policy files again
    Reload,
    /// Check policy files without the agent
    Check {
        /// Files, or folders of *.toml
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Prove that the ledger is whole
    VerifyLedger {
        #[arg(default_value = STATE, value_name = "DIR")]
        folder: PathBuf,
    },
    /// The records of the ledger, oldest first
    Records {
        /// Only those after this one
        #[arg(long, value_name = "N", default_value = "0", value_parser = parse_seq)]
        after: Seq,
        /// Go on with new ones as they come
        #[arg(long)]
        follow: bool,
    },
    /// What this host allows the agent to do, and what follows where it does not
    Doctor,
    /// The versions of this program and of the agent
    Version,
    /// A completion script for a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder; for whoever makes packages
    #[command(hide = true)]
    Manual {
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The date on the pages
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Pause {
    /// Only this rule
    #[arg(long, conflicts_with = "unit")]
    pub(super) rule: Option<String>,
    /// Only this unit
    #[arg(long, value_parser = parse_unit)]
    pub(super) unit: Option<UnitName>,
    /// How long: 90s, 15m, 2h, 1d; 30d at most
    #[arg(long = "for", value_name = "TIME", value_parser = parse_length)]
    pub(super) length: Length,
    /// Why; the next person on duty will read it
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// A length of time, kept as written.
#[derive(Clone, Debug)]
pub(super) struct Length(pub(super) String);

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Incident(IncidentId),
    Unit(UnitName),
    Filesystem(MountPoint),
}

fn parse_length(text: &str) -> Result<Length, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("a pause of no time does nothing".into()),
        Ok(_) => Ok(Length(text.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_history_moment(text: &str) -> Result<Moment, String> {
    parse_moment(text)
        .ok_or_else(|| "a time is so long ago, as in 2h, or as in 2026-11-23T07:00:00Z".to_owned())
}

fn parse_step(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn parse_topic(text: &str) -> Result<Topic, String> {
    if text.starts_with('/') {
        return MountPoint::from_bytes(text.as_bytes())
            .map(Topic::Filesystem)
            .map_err(|error| error.to_string());
    }
    match IncidentId::parse(text) {
        Some(id) => Ok(Topic::Incident(id)),
        None => parse_unit(text).map(Topic::Unit),
    }
}

/// `nginx` means `nginx.service`, as for systemctl(1).
fn parse_unit(text: &str) -> Result<UnitName, String> {
    UnitName::parse(text)
        .or_else(|error| UnitName::parse(format!("{text}.{}", UnitKind::Service.suffix())).map_err(|_| error))
        .map_err(|error| error.to_string())
}

fn parse_incident(text: &str) -> Result<IncidentId, String> {
    IncidentId::parse(text).ok_or_else(|| "an incident is inc-NUMBER: prunella incidents lists them".into())
}

fn parse_proposal(text: &str) -> Result<ProposalId, String> {
    ProposalId::parse(text).ok_or_else(|| "a proposal is prop-NUMBER: prunella status lists them".into())
}

fn parse_action(text: &str) -> Result<ActionId, String> {
    ActionId::parse(text)
        .ok_or_else(|| "an action is act-NUMBER: prunella status lists what can be undone".into())
}

fn parse_pause(text: &str) -> Result<PauseId, String> {
    PauseId::parse(text).ok_or_else(|| "a pause is pause-NUMBER: prunella status lists them".into())
}

fn parse_seq(text: &str) -> Result<Seq, String> {
    text.parse().map(Seq).map_err(|_| "the place of a record is a whole number".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn topics() {
        let unit = |name: &str| UnitName::parse(name).map(Topic::Unit).map_err(|error| error.to_string());
        assert_eq!(parse_topic("inc-7"), Ok(Topic::Incident(IncidentId(7))));
        assert_eq!(parse_topic("7"), Ok(Topic::Incident(IncidentId(7))));
        assert_eq!(parse_topic("nginx"), unit("nginx.service"));
        assert_eq!(parse_topic("data.mount"), unit("data.mount"));
        assert_eq!(parse_topic("my.app"), unit("my.app.service"));
        let data = MountPoint::from_bytes(b"/data").map(Topic::Filesystem).map_err(|error| error.to_string());
        assert_eq!(parse_topic("/data"), data);
        assert!(parse_topic("a b").is_err());
    }
}
