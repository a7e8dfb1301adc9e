//! `prunellad`, the agent: flags → [`prunella::daemon::run`].

use std::process::ExitCode;

use clap::Parser;
use prunella::daemon::{Options, run, self_test};

fn main() -> ExitCode {
    let options = Options::parse();
    if options.self_test { self_test(&options) } else { run(&options) }
}
