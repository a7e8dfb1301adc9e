//! What an operator types and sees.
//!
//! [`run`] parses the command line, asks the agent over its socket, and writes pages for people or JSON for
//! programs. Everything shown was written by somebody: no control character of theirs reaches the terminal.
//! Must not touch: the host, other than to read what `doctor` and `check` are for.

mod args;
mod cgroups;
mod client;
mod doctor;
mod exit;
mod explain;
mod failure;
mod filesystems;
mod head;
mod history;
mod host;
mod listing;
mod manual;
mod offline;
mod page;
mod processes;
mod sentence;
mod status;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use serde_json::json;

use crate::model::{
    Absence, HistoryAsk, HistoryList, HistorySeries, HistoryStatus, Moment, MountPoint, ProcessSort, Reading,
    Seq, Subject, UnitName,
};
use crate::serve::{
    Cgroups, Done, Filesystems, HISTORY_SINCE, Host, IncidentDetail, Incidents, ProcessLook, Processes,
    RecordPage, Status, Units, history_path, limits,
};

use args::{Cli, Colour, Command, Topic};
use client::Client;
use doctor::{AgentSight, StallWatches};
use failure::Failure;

pub use doctor::{AgentSeen, Check, CheckState, Facts, assess};
pub use exit::Exit;
pub use head::{Head, parse_head};
pub use manual::{FilePage, Manual};
pub use offline::{Checked, NoPast, Offline, Proof};
pub use page::Terminal;

/// Between two pages of `top --watch`.
const WATCH_EVERY: Duration = Duration::from_secs(3);
/// To the first place, and the screen empty (ECMA-48: CUP, ED).
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// Columns where the terminal does not say.
const WIDTH_DEFAULT: usize = 80;

impl Terminal {
    /// What standard output is.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "NO_COLOR and COLUMNS are how terminals are told")]
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        let is_terminal = io::IsTerminal::is_terminal(&stdout);
        let no_colour = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|value| value == "dumb");
        let columns = std::env::var("COLUMNS").ok().and_then(|value| value.parse().ok());
        let size = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        let width = columns.or(size).filter(|width| *width > 0).unwrap_or(WIDTH_DEFAULT);
        Self { colour: is_terminal && !no_colour && !dumb, width }
    }
}

/// Runs one command line. Answers go to `out`, what went wrong to `err`.
pub fn run<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    terminal: Terminal,
    offline: Offline,
) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render();
            let wanted = error.exit_code() == 0;
            let _ = if wanted { write!(out, "{text}") } else { write!(err, "{text}") };
            return if wanted { Exit::Ok } else { Exit::Usage };
        }
    };
    let colour = match cli.global.color {
        Colour::Auto => terminal.colour,
        Colour::Always => true,
        Colour::Never => false,
    };
    let json = cli.global.json;
    let mut session = Session {
        client: Client::new(&cli.global.socket),
        json,
        terminal: Terminal { colour, ..terminal },
        offline,
        out,
    };
    let result = session.command(&cli.command, &cli.global.socket);
    match result.and_then(|exit| session.out.flush().map(|()| exit).map_err(Failure::from)) {
        Ok(exit) => exit,
        // The reader has seen enough: `prunella records | head`.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(failure) => {
            report(&failure, json, err);
            failure.exit()
        }
    }
}

fn report(failure: &Failure, json: bool, err: &mut dyn Write) {
    let hint = failure.hint();
    let _ = if json {
        let error = json!({ "code": failure.code(), "message": failure.to_string(), "hint": hint });
        writeln!(err, "{}", json!({ "error": error }))
    } else {
        let hint = hint.map(|hint| format!("  → {hint}\n")).unwrap_or_default();
        write!(err, "prunella: {failure}\n{hint}")
    };
}

struct Session<'a> {
    client: Client,
    json: bool,
    terminal: Terminal,
    offline: Offline,
    out: &'a mut dyn Write,
}

impl Session<'_> {
    fn command(&mut self, command: &Command, socket: &Path) -> Result<Exit, Failure> {
        match command {
            Command::Status => self.status(),
            Command::Units => {
                let body = self.client.get("/v1/units")?;
                let units: Units = self.client.understand(&body)?;
                self.answer(&body, &listing::units(&units, self.terminal))
            }
            Command::Filesystems => {
                let body = self.client.get("/v1/filesystems")?;
                let filesystems: Filesystems = self.client.understand(&body)?;
                self.answer(&body, &filesystems::page(&filesystems, self.terminal))
            }
            Command::Host => {
                let body = self.client.get("/v1/host")?;
                let host: Host = self.client.understand(&body)?;
                self.answer(&body, &host::page(&host, self.terminal))
            }
            Command::History { field, since, until, step, folder } => {
                let ask = field.as_ref().map(|field| HistoryAsk {
                    field: field.clone(),
                    from: since.unwrap_or(Moment::Ago(HISTORY_SINCE)),
                    to: *until,
                    step: *step,
                });
                self.history(ask, folder.as_deref())
            }
            Command::Top { sort, limit, watch: false } => self.top((*sort).into(), *limit),
            Command::Top { sort, limit, watch: true } => self.watch_top((*sort).into(), *limit),
            Command::Process { pid, pss } => {
                let body = self.client.get(&format!("/v1/processes/{pid}?pss={pss}"))?;
                let look: ProcessLook = self.client.understand(&body)?;
                self.answer(&body, &processes::look(&look, &mut processes::Users::default(), self.terminal))
            }
            Command::Cgroups { sort, limit } => {
                let body = self.client.get(&format!("/v1/cgroups?sort={}&limit={limit}", sort.as_str()))?;
                let cgroups: Cgroups = self.client.understand(&body)?;
                self.answer(&body, &cgroups::page(&cgroups, self.terminal))
            }
            Command::Incidents { all } => {
                let state = if *all { "all" } else { "open" };
                let body = self.client.get(&format!("/v1/incidents?state={state}"))?;
                let incidents: Incidents = self.client.understand(&body)?;
                self.answer(&body, &listing::incidents(&incidents, self.terminal))
            }
            Command::Explain { topic: Topic::Incident(id) } => self.explain_incident(&id.to_string()),
            Command::Explain { topic: Topic::Unit(unit) } => self.explain_unit(unit),
            Command::Explain { topic: Topic::Filesystem(point) } => self.explain_filesystem(point),
            Command::Pause(pause) => {
                let scope = match (&pause.rule, &pause.unit) {
                    (Some(rule), _) => json!({ "rule": rule }),
                    (None, Some(unit)) => json!({ "unit": unit }),
                    (None, None) => json!("agent"),
                };
                self.tell(
                    "/v1/pause",
                    &json!({ "scope": scope, "for": pause.length.0, "reason": pause.reason }),
                )
            }
            Command::Resume { pause } => {
                self.tell("/v1/resume", &pause.map_or_else(|| json!({}), |pause| json!({ "pause": pause })))
            }
            Command::Approve { proposal } => {
                self.tell(&format!("/v1/proposals/{proposal}/approve"), &json!({}))
            }
            Command::Deny { proposal, reason } => {
                self.tell(&format!("/v1/proposals/{proposal}/deny"), &json!({ "reason": reason }))
            }
            Command::Undo { action } => self.tell(&format!("/v1/actions/{action}/undo"), &json!({})),
            Command::Ack { incident } => self.tell(&format!("/v1/incidents/{incident}/ack"), &json!({})),
            Command::Reload => self.tell("/v1/reload", &json!({})),
            Command::Check { paths } => self.check(paths),
            Command::VerifyLedger { folder } => self.verify_ledger(folder),
            Command::Records { after, follow } => self.records(*after, *follow),
            Command::Doctor => self.doctor(socket),
            Command::Version => self.version(),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut Cli::command(), "prunella", &mut script);
                self.out.write_all(&script)?;
                Ok(Exit::Ok)
            }
            Command::Manual { folder, date } => {
                let pages = manual::pages((self.offline.manual)(), date)?;
                offline::write_pages(folder, &pages)?;
                Ok(Exit::Ok)
            }
        }
    }

    /// The agent's JSON as it came, or the page.
    fn answer(&mut self, body: &[u8], page: &str) -> Result<Exit, Failure> {
        if self.json {
            self.out.write_all(body)?;
            self.out.write_all(b"\n")?;
        } else {
            self.out.write_all(page.as_bytes())?;
        }
        Ok(Exit::Ok)
    }

    fn status(&mut self) -> Result<Exit, Failure> {
        let body = self.client.get("/v1/status")?;
        let status: Status = self.client.understand(&body)?;
        self.answer(&body, &status::render(&status, self.terminal))?;
        Ok(status::verdict(&status))
    }

    /// From the agent; from the files where a folder is named, or where there is no agent.
    fn history(&mut self, ask: Option<HistoryAsk>, folder: Option<&Path>) -> Result<Exit, Failure> {
        let Some(folder) = folder else {
            let path = ask.as_ref().map_or_else(|| "/v1/history".to_owned(), history_path);
            return match self.client.get(&path) {
                Ok(body) if ask.is_none() => {
                    let list: HistoryList = self.client.understand(&body)?;
                    self.answer(&body, &history::list(&list, None, self.terminal))
                }
                Ok(body) => {
                    let series: HistorySeries = self.client.understand(&body)?;
                    self.answer(&body, &history::series(&series, None, self.terminal))
                }
                Err(no_agent @ (Failure::NoSocket(_) | Failure::NobodyListens(_))) => {
                    match self.history_of(ask, Path::new(args::STATE))? {
                        Ok(exit) => Ok(exit),
                        // Where there are no files either, that there is no agent is the news.
                        Err(NoPast::Missing(_)) => Err(no_agent),
                        Err(why @ NoPast::NoAnswer(_)) => Err(why.into()),
                    }
                }
                Err(failure) => Err(failure),
            };
        };
        self.history_of(ask, folder)?.map_err(Failure::from)
    }

    fn history_of(
        &mut self,
        ask: Option<HistoryAsk>,
        folder: &Path,
    ) -> Result<Result<Exit, NoPast>, Failure> {
        let from = folder.display().to_string();
        let told = match ask {
            None => (self.offline.history_list)(folder)
                .map(|list| (json!(list), history::list(&list, Some(&from), self.terminal))),
            Some(ask) => (self.offline.history)(folder, ask)
                .map(|series| (json!(series), history::series(&series, Some(&from), self.terminal))),
        };
        match told {
            Ok((json, page)) => self.answer(json.to_string().as_bytes(), &page).map(Ok),
            Err(why) => Ok(Err(why)),
        }
    }

    fn top(&mut self, sort: ProcessSort, limit: usize) -> Result<Exit, Failure> {
        let body = self.client.get(&format!("/v1/processes?sort={}&limit={limit}", sort.as_str()))?;
        let found: Processes = self.client.understand(&body)?;
        self.answer(&body, &processes::top(&found, &mut processes::Users::default(), self.terminal))
    }

    /// One page over the other, until a signal ends it.
    #[expect(clippy::disallowed_methods, reason = "a person watches; nothing else waits for this program")]
    fn watch_top(&mut self, sort: ProcessSort, limit: usize) -> Result<Exit, Failure> {
        if !io::IsTerminal::is_terminal(&io::stdout()) {
            return Err(Failure::Usage("--watch is for a terminal; without it, one list is printed.".into()));
        }
        loop {
            self.out.write_all(CLEAR)?;
            self.top(sort, limit)?;
            self.out.flush()?;
            std::thread::sleep(WATCH_EVERY);
        }
    }

    fn explain_incident(&mut self, id: &str) -> Result<Exit, Failure> {
        let body = self.client.get(&format!("/v1/incidents/{id}"))?;
        let detail: IncidentDetail = self.client.understand(&body)?;
        self.answer(&body, &explain::incident(&detail, self.terminal))
    }

    fn explain_unit(&mut self, unit: &UnitName) -> Result<Exit, Failure> {
        let body = self.client.get("/v1/incidents?state=all")?;
        let incidents: Incidents = self.client.understand(&body)?;
        if let Some(incident) = explain::pick(&Subject::Unit(unit.clone()), &incidents.incidents) {
            let id = incident.id.to_string();
            return self.explain_incident(&id);
        }
        let units: Units = self.client.understand(&self.client.get("/v1/units")?)?;
        let status: Status = self.client.understand(&self.client.get("/v1/status")?)?;
        let view = units.units.iter().find(|view| view.status.name == *unit);
        let why = explain::why_alone(unit, &units, &status);
        let body = json!({ "unit": unit, "incident": null, "view": view, "left_alone": why }).to_string();
        self.answer(body.as_bytes(), &explain::unit(unit, &units, &status, self.terminal))
    }

    fn explain_filesystem(&mut self, point: &MountPoint) -> Result<Exit, Failure> {
        let body = self.client.get("/v1/incidents?state=all")?;
        let incidents: Incidents = self.client.understand(&body)?;
        if let Some(incident) = explain::pick(&Subject::Filesystem(point.clone()), &incidents.incidents) {
            let id = incident.id.to_string();
            return self.explain_incident(&id);
        }
        let body = self.client.get("/v1/filesystems")?;
        let filesystems: Filesystems = self.client.understand(&body)?;
        let status = filesystems.filesystems.iter().find(|it| it.status.mount_point == *point);
        let json = json!({ "filesystem": point, "incident": null, "status": status }).to_string();
        self.answer(json.as_bytes(), &filesystems::explain(point, &filesystems, self.terminal))
    }

    /// A command to the agent.
    fn tell(&mut self, path: &str, body: &serde_json::Value) -> Result<Exit, Failure> {
        let body = self.client.post(path, body)?;
        let done: Done = self.client.understand(&body)?;
        self.answer(&body, &format!("{}\n", page::safe(&done.done)))
    }

    fn check(&mut self, paths: &[PathBuf]) -> Result<Exit, Failure> {
        let files = offline::expand(paths)?;
        let checked = (self.offline.check)(&files).map_err(Failure::InvalidPolicy)?;
        let body =
            json!({ "valid": true, "files": files.len(), "digest": checked.digest, "rules": checked.rules });
        let count = |n: usize, what| status::plural(u64::try_from(n).unwrap_or(u64::MAX), what);
        let (count, rules) = (count(files.len(), "file"), count(checked.rules, "rule"));
        let page =
            format!("Valid: {count}, {rules} in force with them, digest {}.\n", page::safe(&checked.digest));
        self.answer(body.to_string().as_bytes(), &page)
    }

    fn verify_ledger(&mut self, folder: &Path) -> Result<Exit, Failure> {
        let proof = (self.offline.verify_ledger)(folder).map_err(Failure::Ledger)?;
        let page: Vec<_> = proof.text.lines().map(page::safe).collect();
        self.answer(proof.json.to_string().as_bytes(), &format!("{}\n", page.join("\n")))?;
        Ok(if proof.sound { Exit::Ok } else { Exit::LedgerBroken })
    }

    /// Page after page until one is empty, or for ever. JSON: one record a line.
    fn records(&mut self, after: Seq, follow: bool) -> Result<Exit, Failure> {
        let mut next = after;
        loop {
            let path = format!("/v1/records?after={next}&limit={}", limits::PAGE_RECORDS_MAX);
            let mut page: RecordPage = self.client.understand(&self.client.get(&path)?)?;
            if page.records.is_empty() {
                if !follow {
                    return Ok(Exit::Ok);
                }
                self.out.flush()?;
                let path = format!("{path}&wait={}", limits::WAIT_MAX.as_secs());
                page = self.client.understand(&self.client.poll(&path)?)?;
            }
            self.print_records(&page)?;
            next = page.next;
        }
    }

    fn print_records(&mut self, page: &RecordPage) -> Result<(), Failure> {
        for record in &page.records {
            if self.json {
                serde_json::to_writer(&mut *self.out, record).map_err(io::Error::from)?;
                self.out.write_all(b"\n")?;
            } else {
                let at = record.entry.at.wall.to_string();
                let at = at.split('.').next().unwrap_or(&at).replace('T', " ");
                let text = sentence::sentence(&record.entry.body);
                writeln!(self.out, "{:>7}  {at}Z  {text}", record.seq.0)?;
            }
        }
        Ok(())
    }

    fn doctor(&mut self, socket: &Path) -> Result<Exit, Failure> {
        let (agent, watches, sight, history) = self.agent();
        let facts = doctor::gather(Path::new("/"), socket, (agent, watches), self.offline.verify_ledger);
        let facts = Facts { processes: self.processes_seen(), sight, history, ..facts };
        let checks = assess(&facts);
        let body = json!({ "checks": checks }).to_string();
        self.answer(body.as_bytes(), &doctor::render(&checks, self.terminal))?;
        let missing = checks.iter().any(|check| check.state == CheckState::Missing);
        Ok(if missing { Exit::Attention } else { Exit::Ok })
    }

    /// The agent's own word on itself, or why there is none; what it watches for stalls; how its history fares.
    fn agent(&self) -> (AgentSeen, StallWatches, AgentSight, Reading<HistoryStatus>) {
        let ask = || self.client.understand::<Status>(&self.client.get("/v1/status")?);
        let seen = match ask() {
            Ok(status) => {
                let sight = AgentSight { units: status.unit_stall_watches, broken: status.senses_broken };
                let history = Reading::Value(status.history);
                return (AgentSeen::Answers(status.agent), status.stall_watches, sight, history);
            }
            Err(failure) if failure.exit() == Exit::Unreachable => AgentSeen::Silent(failure.to_string()),
            Err(failure) => AgentSeen::Declines(failure.to_string()),
        };
        (seen, StallWatches::new(), AgentSight::default(), Reading::Absent(Absence::NotObserved))
    }

    /// How the agent reads processes, or why that is not known.
    fn processes_seen(&self) -> Reading<Processes> {
        let ask = || self.client.understand::<Processes>(&self.client.get("/v1/processes?limit=1")?);
        ask().map_or_else(|failure| Reading::Failed(failure.to_string()), Reading::Value)
    }

    fn version(&mut self) -> Result<Exit, Failure> {
        let own = env!("CARGO_PKG_VERSION");
        let (version, agent) = match self.agent().0 {
            AgentSeen::Answers(agent) => {
                let text = format!("{} (pid {})", page::safe(&agent.version), agent.pid);
                (Some(agent.version), text)
            }
            AgentSeen::Silent(why) | AgentSeen::Declines(why) => {
                (None, format!("not known: {}", page::safe(&why)))
            }
        };
        let body = json!({ "prunella": own, "agent": version }).to_string();
        self.answer(body.as_bytes(), &format!("prunella  {own}\nagent     {agent}\n"))
    }
}
