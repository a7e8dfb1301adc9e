//! Flags of `prunellad`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Which service manager to speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ManagerChoice {
    /// systemd where it is PID 1 and its bus answers, else the commands of the policy.
    Auto,
    Systemd,
    /// The `[[service]]` sections of the policy: start and stop commands.
    Direct,
}

/// Node-level self-healing agent: senses, repairs, verifies and records, on this host.
#[derive(Clone, Debug, Parser)]
#[command(name = "prunellad", version, about, long_about = None, after_help = EXIT_CODES)]
pub struct Options {
    /// Where the ledger and the history are kept.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/prunella")]
    pub state_dir: PathBuf,
    /// Where the socket is made.
    #[arg(long, value_name = "DIR", default_value = "/run/prunella")]
    pub runtime_dir: PathBuf,
    /// The operator's configuration: prunella.toml and policy.d/.
    #[arg(long, value_name = "DIR", default_value = "/etc/prunella")]
    pub config: PathBuf,
    /// The shipped policy; the copy inside the program is used for what is missing there.
    #[arg(long, value_name = "DIR", default_value = "/usr/lib/prunella/policy.d")]
    pub shipped_policy: PathBuf,
    /// Which service manager to speak to.
    #[arg(long, value_enum, default_value = "auto")]
    pub manager: ManagerChoice,
    /// Address of the system bus, when it is not the usual one.
    #[arg(long, value_name = "ADDRESS")]
    pub bus: Option<String>,
    /// What is logged: error, warn, info, debug, or a filter such as `prunella::engine=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Check whether this program could take over on this host, change nothing, and end.
    #[arg(long)]
    pub self_test: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  stopped on request; --self-test: this program can take over
  1  could not start or had to give up; --self-test: the host gives it not what it needs
  2  wrong flags
  3  --self-test: this version can't use the policy
  4  --self-test: this version can't use the ledger, which it would refuse or set aside";
