//! The relay's flags. They stand alone: the program that prints the manual pages is built without the relay.

use std::path::PathBuf;

use clap::Parser;

/// Reports upward what the agent of this host does: ships its records, tells people, answers Prometheus.
#[derive(Clone, Debug, Parser)]
#[command(name = "prunella-relay", version, about, long_about = None, after_help = EXIT_CODES)]
pub struct Options {
    /// What to send where.
    #[arg(long, value_name = "FILE", default_value = "/etc/prunella/relay.toml")]
    pub config: PathBuf,
    /// Where the relay keeps how far it has come.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/prunella-relay")]
    pub state_dir: PathBuf,
    /// Only look whether the configuration can be used, and say so.
    #[arg(long)]
    pub check: bool,
    /// What is logged: error, warn, info, debug, or a filter such as `prunella::relay=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
}

const EXIT_CODES: &str =
    "Exit codes: 0 stopped on request, or the configuration is good; 1 could not start; 2 wrong flags.";
