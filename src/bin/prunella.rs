//! `prunella`: the operator's side. Everything is in the library.

use std::io::{BufWriter, stderr, stdout};
use std::process::ExitCode;

use prunella::cli::{Terminal, offline, run};

fn main() -> ExitCode {
    let terminal = Terminal::of_stdout();
    let exit = run(
        std::env::args_os(),
        &mut BufWriter::new(stdout().lock()),
        &mut stderr().lock(),
        terminal,
        offline(),
    );
    ExitCode::from(exit.code())
}
