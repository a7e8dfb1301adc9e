//! `prunellad --self-test`: whether this program could take over on this host, found out without touching anything.
//!
//! For upgrades: the package asks the new program before it lets the old one go. Not for each start: an agent that
//! finds its policy broken or its ledger damaged starts all the same, with less, and tells people; it would be no help
//! if it stayed down instead.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use crate::ledger::{LedgerError, verify_report};
use crate::manager::{News, ServiceManager};
use crate::policy;
use crate::sense::host::{HostReader, Roots};

use super::Options;
use super::start::{sources, systemd_manager, wants_systemd};

/// The bus and systemd answer within milliseconds; an upgrade on a host that is in trouble waits so long and no longer.
const MANAGER_DEADLINE: Duration = Duration::from_secs(20);

/// Which part of the agent a check is about. The exit code is the number of the worst that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Host = 1,
    Policy = 3,
    Ledger = 4,
}

/// What was found, one sentence.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Fit(String),
    Unfit(String),
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    part: Part,
    found: Found,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Found::Fit(what) => write!(f, "fit    {what}"),
            Found::Unfit(why) => write!(f, "UNFIT  {why}"),
        }
    }
}

/// Prints a line for each check. 0 when this program can take over, else the number of the worst part.
#[must_use]
pub fn self_test(options: &Options) -> ExitCode {
    let checks: [fn(&Options) -> Line; 4] =
        [|_| host(), policy_files, service_manager, |options| ledger(&options.state_dir)];
    // Each is said when it is known: should the last take too long, the others are not lost.
    let lines = checks.map(|check| {
        let line = check(options);
        // Nobody reads: the exit code tells.
        let _ = writeln!(std::io::stdout(), "{line}");
        line
    });
    ExitCode::from(worst(&lines))
}

fn worst(lines: &[Line]) -> u8 {
    let unfit = lines.iter().filter(|line| matches!(line.found, Found::Unfit(_)));
    unfit.map(|line| line.part as u8).max().unwrap_or(0)
}

/// Every record is read and proven, by this version's own eyes: what it can't read it would set aside.
fn ledger(state: &Path) -> Line {
    let found = match verify_report(state) {
        Ok(report) if report.sound => {
            Found::Fit(format!("the ledger's {} records can be read and are proven", report.records))
        }
        Ok(report) => Found::Unfit(format!(
            "the ledger {} would be set aside: {}",
            report.file.display(),
            report.why.unwrap_or_else(|| "it can't be proven".to_owned())
        )),
        Err(LedgerError::Missing(path)) => {
            Found::Fit(format!("there is no ledger yet at {}", path.display()))
        }
        Err(error) => Found::Unfit(error.to_string()),
    };
    Line { part: Part::Ledger, found }
}

fn policy_files(options: &Options) -> Line {
    let found = match policy::load(&sources(options)) {
        Ok(policy) => {
            Found::Fit(format!("the policy has {} rules, digest {}", policy.rules.len(), policy.digest))
        }
        Err(errors) => {
            Found::Unfit(format!("version {} can't use the policy:\n{errors}", env!("CARGO_PKG_VERSION")))
        }
    };
    Line { part: Part::Policy, found }
}

fn host() -> Line {
    let found = match HostReader::new(&Roots::default()) {
        Ok(_) => Found::Fit("the kernel tells of this host in /proc".to_owned()),
        Err(error) => Found::Unfit(format!("/proc can't be read: {error}")),
    };
    Line { part: Part::Host, found }
}

fn service_manager(options: &Options) -> Line {
    let found = if wants_systemd(options) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(ask_systemd(options)),
            Err(error) => Found::Unfit(format!("there is no room for an event loop: {error}")),
        }
    } else {
        Found::Fit("without systemd: services are those of the policy".to_owned())
    };
    Line { part: Part::Host, found }
}

async fn ask_systemd(options: &Options) -> Found {
    let manager = systemd_manager(options);
    // The bus may be started anew in the same upgrade: it is waited for.
    let mut lost = None;
    let asked = async {
        loop {
            match manager.news().await {
                News::ListAgain => break,
                News::Lost(why) => lost = Some(why),
                News::Changed(_) | News::Removed(_) | News::JobEnded(_) | News::Reloading(_) => {}
            }
        }
        match manager.list(&[]).await {
            Ok(units) if units.is_empty() => Found::Unfit("systemd lists no units".to_owned()),
            Ok(units) => Found::Fit(format!("{} lists {} units", manager.name(), units.len())),
            Err(error) => Found::Unfit(error.to_string()),
        }
    };
    match timeout(MANAGER_DEADLINE, asked).await {
        Ok(found) => found,
        Err(_) => {
            let why = lost.map_or_else(String::new, |why| format!(": {why}"));
            Found::Unfit(format!("systemd did not answer within {MANAGER_DEADLINE:?}{why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::disallowed_methods, reason = "tests plant the files that are read")]
    use super::*;
    use clap::Parser as _;

    fn line(part: Part, fit: bool) -> Line {
        let found = if fit { Found::Fit(String::new()) } else { Found::Unfit(String::new()) };
        Line { part, found }
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        assert_eq!(worst(&[line(Part::Ledger, true), line(Part::Host, true)]), 0);
        assert_eq!(worst(&[line(Part::Ledger, true), line(Part::Host, false)]), 1);
        assert_eq!(
            worst(&[line(Part::Ledger, false), line(Part::Policy, false), line(Part::Host, false)]),
            4
        );
    }

    #[test]
    fn a_policy_of_another_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().to_str().unwrap();
        let options = Options::parse_from(["prunellad", "--config", config]);
        assert!(matches!(policy_files(&options).found, Found::Fit(_)));
        std::fs::write(folder.path().join("prunella.toml"), "[histroy]\nmebibytes = 1\n").unwrap();
        let Found::Unfit(why) = policy_files(&options).found else { panic!("taken") };
        assert!(why.contains("histroy") && why.contains("prunella.toml"), "{why}");
    }

    #[test]
    fn a_ledger_that_would_not_be_kept_is_unfit() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(ledger(folder.path()).found, Found::Fit(_)), "none is no fault");
        std::fs::write(folder.path().join("ledger.db"), "no database").unwrap();
        let Found::Unfit(why) = ledger(folder.path()).found else { panic!("taken") };
        assert!(why.contains("would be set aside"), "{why}");
        assert_eq!(
            std::fs::read(folder.path().join("ledger.db")).unwrap(),
            b"no database",
            "nothing is touched"
        );
    }
}
