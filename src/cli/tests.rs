//! Golden transcripts: the whole CLI against a real socket with fixed snapshots.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests plant the files that are read")]

use std::path::Path;

use super::*;
use crate::model::{Command as Told, PauseScope, RecordBody, Snapshot};
use crate::serve::HistorySource as _;
use crate::serve::testing::{
    FixedHistory, TestServer, bad_policy, busy_host, degraded, escalated, healthy, held, hidden_host, now,
    paused, record, repairing,
};

const PLAIN: Terminal = Terminal { colour: false, width: 80 };

const OFFLINE: Offline = Offline {
    check: |files| match files.iter().find(|path| path.ends_with("bad.toml")) {
        Some(_) => {
            Err("error: unknown field\n --> bad.toml:1:1\n  = help: did you mean used_percent?".into())
        }
        None => Ok(Checked { digest: "9f2c41d07ab3".into(), rules: files.len() }),
    },
    verify_ledger: |folder| {
        let sound = folder.ends_with("sound");
        let text = if sound { "3 records, proven" } else { "record 2 does not follow record 1" };
        Ok(Proof { sound, text: text.into(), json: json!({ "sound": sound }) })
    },
    history_list: |folder| match folder.ends_with("past") {
        true => FixedHistory.list().map_err(|error| NoPast::NoAnswer(format!("{error:?}"))),
        false => Err(NoPast::Missing(format!("there is no history at {}", folder.display()))),
    },
    history: |folder, ask| match folder.ends_with("past") {
        true => {
            let query = ask.resolve(now().wall).map_err(|error| NoPast::NoAnswer(error.to_string()))?;
            FixedHistory.series(&query).map_err(|error| NoPast::NoAnswer(format!("{error:?}")))
        }
        false if ask.field == "nonsense" => Err(NoPast::NoAnswer("there is no field nonsense".into())),
        false => Err(NoPast::Missing(format!("there is no history at {}", folder.display()))),
    },
    manual: || {
        let command = |name: &'static str| clap::Command::new(name).about("x");
        Manual { agent: command("prunellad"), relay: command("prunella-relay"), files: Vec::new() }
    },
};

struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

fn ran(socket: &Path, terminal: Terminal, args: &[&str]) -> Ran {
    let socket = socket.to_str().unwrap();
    let args = ["prunella", "--socket", socket].into_iter().chain(args.iter().copied());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(args, &mut out, &mut err, terminal, OFFLINE);
    Ran { exit, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// The transcript of several commands.
fn transcript(snapshot: Snapshot, commands: &[&[&str]]) -> String {
    let server = TestServer::start(snapshot);
    let mut text = String::new();
    for args in commands {
        let Ran { exit, out, err } = ran(&server.socket, PLAIN, args);
        let fits = |line: &str| line.starts_with('{') || line.chars().count() <= 80;
        assert!(out.lines().all(fits), "wider than the terminal:\n{out}");
        assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "an escape got through:\n{out}{err}");
        text.push_str(&format!("$ prunella {}\n{out}{err}[exit {}]\n\n", args.join(" "), exit.code()));
    }
    text.replace(server.socket.to_str().unwrap(), "SOCKET")
}

#[test]
fn a_healthy_host() {
    insta::assert_snapshot!(transcript(
        healthy(),
        &[
            &["status"],
            &["units"],
            &["incidents"],
            &["incidents", "--all"],
            &["explain", "inc-11"],
            &["explain", "nginx"]
        ]
    ));
}

#[test]
fn file_systems() {
    insta::assert_snapshot!(transcript(
        healthy(),
        &[&["filesystems"], &["explain", "/"], &["explain", "/srv"], &["explain", "/nowhere"]]
    ));
}

#[test]
fn processes() {
    insta::assert_snapshot!(transcript(
        healthy(),
        &[
            &["top"],
            &["top", "--sort", "io", "--limit", "2"],
            &["top", "--limit", "0"],
            &["process", "991"],
            &["process", "991", "--pss"],
            &["process", "7"]
        ]
    ));
}

#[test]
fn control_groups() {
    insta::assert_snapshot!(transcript(
        healthy(),
        &[
            &["cgroups"],
            &["cgtop", "--sort", "io", "--limit", "2"],
            &["cgroups", "--sort", "pressure", "--limit", "1"],
            &["cgroups", "--limit", "0"]
        ]
    ));
}

#[test]
fn the_host() {
    insta::assert_snapshot!(transcript(busy_host(), &[&["host"]]));
}

#[test]
fn a_host_that_hides_much() {
    insta::assert_snapshot!(transcript(hidden_host(), &[&["host"]]));
    insta::assert_snapshot!(transcript(healthy(), &[&["host"]]));
}

#[test]
fn the_past() {
    insta::assert_snapshot!(transcript(
        healthy(),
        &[
            &["history"],
            &["history", "cpu_percent"],
            &["history", "cpu_percent", "--since", "3m", "--until", "1m", "--json"],
            &["history", "cpu_percent", "--since", "5m", "--until", "1h"],
            &["history", "cpu_percent", "--since", "yesterday"],
            &["history", "disk_busy_percent"],
            &["history", "filesystem_used_percent@/with space"],
            &["history", "cpu_percent", "--since", "10d", "--step", "1s"],
            &["history", "--folder", "/mnt/past"],
            &["history", "--folder", "/mnt/future"],
            &["history", "cpu_percent", "--folder", "/mnt/past", "--since", "90m"],
        ]
    ));
}

#[test]
fn a_repair_under_way() {
    insta::assert_snapshot!(transcript(repairing(), &[&["status"], &["units"], &["explain", "api"]]));
}

#[test]
fn held_by_guards() {
    insta::assert_snapshot!(transcript(
        held(),
        &[
            &["status"],
            &["units"],
            &["incidents"],
            &["explain", "api"],
            &["explain", "db"],
            &["explain", "old"]
        ]
    ));
}

#[test]
fn given_up_on() {
    insta::assert_snapshot!(transcript(escalated(), &[&["status"], &["explain", "12"]]));
}

#[test]
fn paused_by_a_person() {
    insta::assert_snapshot!(transcript(paused(), &[&["status"], &["explain", "db"]]));
}

#[test]
fn an_agent_that_is_impaired() {
    insta::assert_snapshot!(transcript(degraded(), &[&["status"], &["units"], &["explain", "nginx"]]));
}

#[test]
fn a_policy_that_was_refused() {
    insta::assert_snapshot!(transcript(bad_policy(), &[&["status"], &["reload"], &["reload"]]));
}

#[test]
fn commands_and_refusals() {
    insta::assert_snapshot!(transcript(
        healthy(),
        &[
            &["pause", "--unit", "db", "--for", "2h", "--reason", "CHG-118"],
            &["pause", "--rule", "No Rule", "--for", "2h", "--reason", "x"],
            &["resume", "pause-3"],
            &["approve", "prop-9"],
            &["approve", "prop-8"],
            &["--json", "approve", "prop-8"],
            &["deny", "4", "--reason", "not now"],
            &["ack", "inc-11"],
            &["explain", "inc-99"],
            &["records"],
            &["records", "--after", "2", "--json"],
        ]
    ));
}

#[test]
fn what_is_typed_is_what_the_engine_hears() {
    let server = TestServer::start(healthy());
    let ran =
        ran(&server.socket, PLAIN, &["pause", "--rule", "unit-failed", "--for", "1h30m", "--reason", "a b"]);
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    let heard = server.commands.lock().unwrap().clone();
    let Told::Pause { scope: PauseScope::Rule(rule), length, reason } = &heard[0].1 else {
        panic!("{heard:?}")
    };
    assert_eq!((rule.as_str(), length.as_secs(), reason.as_str()), ("unit-failed", 5400, "a b"));
}

#[test]
fn json_is_the_agents_own_and_keeps_the_exit_code() {
    let server = TestServer::start(escalated());
    for args in [["--json", "status"], ["--json", "units"], ["--json", "incidents"], ["--json", "version"]] {
        let ran = ran(&server.socket, PLAIN, &args);
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap();
        assert_eq!(ran.exit, if args[1] == "status" { Exit::Attention } else { Exit::Ok });
    }
    let ran = ran(&server.socket, PLAIN, &["--json", "explain", "nginx"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["unit"], "nginx.service");
}

#[test]
fn following_shows_what_comes() {
    let server = TestServer::start(healthy());
    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = server.socket.to_str().unwrap().to_owned();
    let follower = std::thread::spawn(move || {
        let args = ["prunella", "--socket", &socket, "records", "--follow", "--after", "3"];
        run(args, &mut { writer }, &mut Vec::new(), PLAIN, OFFLINE)
    });
    server.records.push(record(4, RecordBody::AgentStopping { why: "asked".into() }));
    let mut line = String::new();
    let mut reader = io::BufReader::new(reader);
    io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert!(line.contains("agent stopping: asked"), "{line}");
    drop(reader);
    // The next record meets a closed pipe: the reader has seen enough.
    server.records.push(record(5, RecordBody::AgentStopping { why: "asked".into() }));
    assert_eq!(follower.join().unwrap(), Exit::Ok);
}

#[test]
fn an_agent_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, exit: Exit, part: &str| {
        let ran = ran(&folder.path().join(name), PLAIN, &["status"]);
        assert_eq!(ran.exit, exit);
        assert!(ran.err.contains(part) && ran.err.contains('→'), "{}", ran.err);
        assert!(ran.out.is_empty());
    };
    check("none", Exit::Unreachable, "is not running");
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("stale")).unwrap());
    check("stale", Exit::Unreachable, "Nobody answers");
    let ran = ran(&folder.path().join("none"), PLAIN, &["--json", "status"]);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["code"], "unreachable");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let server = TestServer::start(escalated());
    let colourful = Terminal { colour: true, ..PLAIN };
    assert!(ran(&server.socket, colourful, &["status"]).out.contains("\u{1b}["));
    assert!(!ran(&server.socket, colourful, &["--color", "never", "status"]).out.contains('\u{1b}'));
    assert!(ran(&server.socket, PLAIN, &["--color", "always", "status"]).out.contains("\u{1b}["));
}

#[test]
fn every_view_fits_a_narrow_terminal() {
    let server = TestServer::start(held());
    for args in [["status", "--color=never"], ["explain", "api"], ["explain", "db"]] {
        let ran = ran(&server.socket, Terminal { colour: false, width: 60 }, &args);
        let wide: Vec<_> = ran.out.lines().filter(|l| l.chars().count() > 60 && !l.contains('→')).collect();
        assert!(wide.is_empty(), "{wide:?}");
    }
}

#[test]
fn offline_commands_need_no_agent() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("none");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("good.toml"), "x").unwrap();
    let good = ran(&nobody, PLAIN, &["check", &path("good.toml")]);
    assert_eq!(
        (good.exit, good.out.as_str()),
        (Exit::Ok, "Valid: 1 file, 1 rule in force with them, digest 9f2c41d07ab3.\n")
    );
    std::fs::write(path("bad.toml"), "when = \"used_percnt > 90\"").unwrap();
    let bad = ran(&nobody, PLAIN, &["check", folder.path().to_str().unwrap()]);
    assert_eq!(bad.exit, Exit::InvalidPolicy);
    assert!(bad.err.contains("bad.toml:1:1"), "{}", bad.err);
    assert_eq!(ran(&nobody, PLAIN, &["check", &path("no.toml")]).exit, Exit::Local);
    assert_eq!(ran(&nobody, PLAIN, &["verify-ledger", "/x/sound"]).exit, Exit::Ok);
    assert_eq!(ran(&nobody, PLAIN, &["verify-ledger", "/x/torn"]).exit, Exit::LedgerBroken);
    // Without an agent and without files, that there is no agent is the news; else what the files say.
    assert_eq!(ran(&nobody, PLAIN, &["history"]).exit, Exit::Unreachable);
    assert_eq!(ran(&nobody, PLAIN, &["history", "cpu_percent"]).exit, Exit::Unreachable);
    let mistyped = ran(&nobody, PLAIN, &["history", "nonsense"]);
    assert_eq!(mistyped.exit, Exit::Local);
    assert!(mistyped.err.contains("there is no field nonsense"), "{}", mistyped.err);
    let bash = ran(&nobody, PLAIN, &["completions", "bash"]);
    assert!(bash.exit == Exit::Ok && bash.out.contains("_prunella"));
    assert_eq!(ran(&nobody, PLAIN, &["version"]).exit, Exit::Ok);
    assert_eq!(ran(&nobody, PLAIN, &["explode"]).exit, Exit::Usage);
    let doctor = ran(&nobody, PLAIN, &["doctor", "--json"]);
    let checks: serde_json::Value = serde_json::from_str(&doctor.out).unwrap();
    assert!(checks["checks"].as_array().unwrap().len() > 10);
}

#[test]
fn the_help() {
    let nobody = Path::new("/none");
    insta::assert_snapshot!(ran(nobody, PLAIN, &["--help"]).out);
}
