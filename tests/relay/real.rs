//! Receivers that nobody here wrote, and an agent that is no stand-in.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use prunella::ledger::{Place, Reader, RecordHash};
use prunella::model::{Seq, Severity};

use crate::process::{Program, free_port, relay, wait_for};
use crate::receiver::{Act, Arrived, Receiver, prove};
use crate::stand_in::{StandIn, escalated, opened, resolved};

/// Where a program is on the path.
fn found(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn rotel_program() -> Option<PathBuf> {
    std::env::var_os("PRUNELLA_ROTEL")
        .map(PathBuf::from)
        .filter(|path| path.is_file())
        .or_else(|| found("rotel-agent"))
}

pub(crate) fn no_rotel() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a real agent answers root, and this is another user".to_owned());
    }
    rotel_program()
        .is_none()
        .then(|| "there is no rotel-agent: pip install rotel, and name it by PRUNELLA_ROTEL".to_owned())
}

pub(crate) fn no_alertmanager() -> Option<String> {
    found("prometheus-alertmanager").is_none().then(|| "apt-get install prometheus-alertmanager".to_owned())
}

pub(crate) fn no_prometheus() -> Option<String> {
    let missing = found("prometheus").is_none() || found("promtool").is_none();
    missing.then(|| "apt-get install prometheus".to_owned()).or_else(no_alertmanager)
}

fn log_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// A command to the agent.
fn post(socket: &Path, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The records in what rotel prints of the logs that it takes.
fn printed(log: &str) -> Vec<Arrived> {
    let plain = log.split("LogRecord #").skip(1);
    let value = |part: &str, key: &str| {
        let line = part.lines().find_map(|line| line.trim().strip_prefix(key))?;
        let inner = line.strip_prefix("Str(").or_else(|| line.strip_prefix("Int("))?;
        Some(inner.strip_suffix(')')?.to_owned())
    };
    let arrived = |part: &str| {
        let attribute = |key: &str| value(part, &format!("-> {key}: "));
        let hash = |key: &str| RecordHash::parse(&attribute(key)?);
        Some(Arrived {
            uid: attribute("log.record.uid")?,
            chain: attribute("prunella.chain.id")?,
            place: Place {
                seq: Seq(attribute("prunella.record.seq")?.parse().ok()?),
                hash: hash("prunella.record.hash")?,
            },
            previous: hash("prunella.record.previous_hash")?,
            text: value(part, "Body: ")?,
        })
    };
    plain.filter_map(arrived).collect()
}

pub(crate) fn rotel() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (http, grpc) = (free_port(), free_port());
    let rotel = Program::start(
        Command::new(rotel_program().unwrap())
            .args(["start", "--exporter", "blackhole", "--debug-log", "metrics", "--debug-log", "logs"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]),
        &log_path(at, "rotel"),
    );
    let socket = at.join("run/prunella.sock");
    let _agent = Program::start(
        Command::new(env!("CARGO_BIN_EXE_prunellad"))
            .arg("--state-dir")
            .arg(at.join("state"))
            .arg("--runtime-dir")
            .arg(at.join("run"))
            .arg("--config")
            .arg(at.join("etc"))
            .args(["--manager", "direct"]),
        &log_path(at, "agent"),
    );
    wait_for("the agent's socket", || socket.exists().then_some(()));
    let text = format!(
        "[agent]\nsocket = {socket:?}\n[[otlp]]\nurl = \"http://127.0.0.1:{http}\"\n[prometheus]\nenabled = false\n[delivery]\nheartbeat = \"1s\"\nhost_metrics_every = \"1s\"\n"
    );
    let _relay = relay(at, &text);
    for n in 0..20 {
        let body = format!(r#"{{"scope": "agent", "for": "1h", "reason": "test {n}"}}"#);
        assert!(post(&socket, "/v1/pause", &body).contains("200 OK"));
        assert!(post(&socket, "/v1/resume", "").contains("200 OK"));
    }
    let extent = || Reader::open(&at.join("state")).unwrap().extent().unwrap();
    // Everything that there was by then; the agent goes on meanwhile.
    let wanted = extent().head.seq;
    assert!(wanted > Seq(40));
    wait_for("the agent has heard that all is shipped", || (extent().acknowledged >= wanted).then_some(()));
    let arrived = wait_for("rotel has printed all", || {
        let arrived = printed(&rotel.log());
        arrived.iter().any(|record| record.place.seq >= wanted).then_some(arrived)
    });
    let last = arrived.iter().map(|record| record.place).max_by_key(|place| place.seq).unwrap();
    prove(&arrived, extent().chain, last);
    for name in ["prunella.heartbeat", "system.cpu.load_average.1m", "system.filesystem.usage"] {
        wait_for(name, || rotel.log().contains(name).then_some(()));
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    // HTTP/1.0: the answer ends with the connection, and comes in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

fn start_alertmanager(folder: &Path) -> (Program, u16) {
    let port = free_port();
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
    let program = Program::start(
        Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address="),
        &log_path(folder, "alertmanager"),
    );
    wait_for("Alertmanager", || get(port, "/-/ready").filter(|answer| answer.contains("OK")));
    (program, port)
}

/// The labels of the alerts that Alertmanager shows as active.
fn active(port: u16) -> Option<Vec<serde_json::Value>> {
    let alerts: Vec<serde_json::Value> =
        serde_json::from_str(&get(port, "/api/v2/alerts?active=true")?).ok()?;
    Some(alerts.iter().map(|alert| alert["labels"].clone()).collect())
}

pub(crate) fn alertmanager() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(folder.path(), 31);
    stand_in.append([opened(1), escalated(1, Severity::Page), resolved(1)]);
    let (_alertmanager, port) = start_alertmanager(folder.path());
    let text = format!(
        "[agent]\nsocket = {:?}\n[prometheus]\nenabled = false\n[[route]]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\n",
        stand_in.socket
    );
    let mut first = relay(folder.path(), &text);
    stand_in.append([opened(2), escalated(2, Severity::Page), opened(3), escalated(3, Severity::Ticket)]);
    let shown = wait_for("both are shown", || active(port).filter(|alerts| alerts.len() == 2));
    let of = |incident: &str| shown.iter().find(|labels| labels["incident"] == incident).unwrap().clone();
    assert_eq!((&of("inc-2")["severity"], &of("inc-3")["severity"]), (&"page".into(), &"ticket".into()));
    assert_eq!(
        (&of("inc-2")["rule"], &of("inc-2")["subject"]),
        (&"unit-failed".into(), &"shop.service".into())
    );
    // The end comes while no relay runs; it is told by the next one.
    first.kill();
    stand_in.append([resolved(2)]);
    let _second = relay(folder.path(), &text);
    wait_for("the page has ended", || {
        let alerts = active(port)?;
        (alerts.len() == 1 && alerts[0]["incident"] == "inc-3").then_some(())
    });
}

pub(crate) fn prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus");
    let tested = Command::new("promtool")
        .current_dir(&rules)
        .args(["test", "rules", "prunella.rules.test.yml"])
        .output();
    let tested = tested.unwrap();
    assert!(
        tested.status.success(),
        "{}{}",
        String::from_utf8_lossy(&tested.stdout),
        String::from_utf8_lossy(&tested.stderr)
    );

    let mut stand_in = StandIn::start(at, 32);
    stand_in.fill(50);
    let receiver = Receiver::start(Act::Take);
    let (_alertmanager, alertmanager) = start_alertmanager(at);
    let (listen, web) = (free_port(), free_port());
    let text = format!(
        "[agent]\nsocket = {:?}\n[prometheus]\nlisten = \"127.0.0.1:{listen}\"\n[[otlp]]\nurl = \"{}\"\n",
        stand_in.socket,
        receiver.url()
    );
    let _relay = relay(at, &text);
    let page = wait_for("the relay's page", || get(listen, "/metrics"));
    assert!(page.contains("prunella_build_info{version=\"test\"} 1"), "the agent's page is behind it");
    let mut checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    checked
        .stdin
        .take()
        .unwrap()
        .write_all(page.split("prunella_build_info").next().unwrap().as_bytes())
        .unwrap();
    assert!(checked.wait().unwrap().success(), "promtool check metrics");

    let file = at.join("prometheus.yml");
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\nalerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['127.0.0.1:{alertmanager}'] }}] }}] }}\nscrape_configs: [{{ job_name: prunella, static_configs: [{{ targets: ['127.0.0.1:{listen}'] }}] }}]\n",
        rules.join("prunella.rules.yml").display()
    );
    std::fs::write(&file, config).unwrap();
    let _prometheus = Program::start(
        Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", at.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{web}")),
        &log_path(at, "prometheus"),
    );
    let query = "/api/v1/query?query=prunella_relay_records_shipped_total";
    wait_for("Prometheus has scraped", || get(web, query).filter(|answer| answer.contains("\"51\"")));
    wait_for("the watchdog", || {
        active(alertmanager)?.iter().any(|labels| labels["alertname"] == "PrunellaWatchdog").then_some(())
    });
    // A record that nobody takes: a gap at the receiver, and a rule that says so.
    receiver.act(Act::Not(52));
    stand_in.fill(3);
    wait_for("the rule has reached Alertmanager", || {
        let of = |labels: &serde_json::Value| labels["alertname"] == "PrunellaRecordsLost";
        active(alertmanager)?.iter().any(of).then_some(())
    });
}
