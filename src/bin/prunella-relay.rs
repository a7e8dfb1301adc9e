//! `prunella-relay`, the way to the network: flags → [`prunella::relay::run`].

use std::process::ExitCode;

use clap::Parser;
use prunella::relay::{Options, run};

fn main() -> ExitCode {
    run(&Options::parse())
}
