//! `prunellad`, the agent: flags → [`prunella::daemon::run`].

use std::process::ExitCode;

use clap::Parser;
use prunella::daemon::{Options, run};

fn main() -> ExitCode {
    run(&Options::parse())
}
