//! `prunella`: the operator's side. Flags, the rooms that need no agent, and the exit code.

use std::io::{BufWriter, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;
use prunella::cli::{Checked, FilePage, Manual, NoPast, Offline, Proof, Terminal, run};
use prunella::daemon;
use prunella::history::{NoHistory, Reader};
use prunella::ledger;
use prunella::model::{HistoryAsk, HistoryList, HistorySeries, WallTime};
use prunella::policy::{self, Sources};
use prunella::relay_options;

fn main() -> ExitCode {
    let terminal = Terminal::of_stdout();
    let offline = Offline { check, verify_ledger, history_list, history, manual };
    let mut out = BufWriter::new(stdout().lock());
    let exit = run(std::env::args_os(), &mut out, &mut stderr().lock(), terminal, offline);
    ExitCode::from(exit.code())
}

/// As if the files lay in the operator's folder already, over what is installed on this host.
fn check(files: &[PathBuf]) -> Result<Checked, String> {
    let policy = policy::load_with(&Sources::default(), files).map_err(|errors| errors.to_string())?;
    Ok(Checked { digest: policy.digest, rules: policy.rules.len() })
}

fn verify_ledger(path: &Path) -> Result<Proof, String> {
    let report = ledger::verify_report(path).map_err(|error| error.to_string())?;
    let json = serde_json::to_value(&report).map_err(|error| error.to_string())?;
    Ok(Proof { sound: report.sound, text: report.to_string(), json })
}

fn history_list(folder: &Path) -> Result<HistoryList, NoPast> {
    Reader::new(folder).list().map_err(|error| no_past(&error))
}

fn no_past(error: &NoHistory) -> NoPast {
    let why = error.to_string();
    match error {
        NoHistory::Missing(_) => NoPast::Missing(why),
        NoHistory::NoField(_)
        | NoHistory::NoSubject(_)
        | NoHistory::OfTheHost(_)
        | NoHistory::Newer { .. }
        | NoHistory::File { .. } => NoPast::NoAnswer(why),
    }
}

fn history(folder: &Path, ask: HistoryAsk) -> Result<HistorySeries, NoPast> {
    let reader = Reader::new(folder);
    let newest = reader.newest().map_err(|error| no_past(&error))?;
    let empty = || NoPast::NoAnswer(format!("the history in {} is empty", folder.display()));
    let newest = newest.ok_or_else(empty)?;
    // The newest row is in it.
    let end = WallTime::from_unix_millis(newest.unix_millis() + 1);
    let query = ask.resolve(end).map_err(|error| NoPast::NoAnswer(error.to_string()))?;
    reader.series(&query).map_err(|error| no_past(&error))
}

fn manual() -> Manual {
    let policy = FilePage { name: "prunella.toml", body: policy::manual() };
    let (agent, relay) = (daemon::Options::command(), relay_options::Options::command());
    Manual { agent, relay, files: vec![policy] }
}
