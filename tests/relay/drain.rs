//! How fast a ledger that has waited goes out, and what it costs. By hand, with programs that were built for it:
//! `PRUNELLA_RELAY=target/release/prunella-relay PRUNELLA_AGENT=target/release/prunellad
//! cargo test --features relay --test relay -- --ignored drains --nocapture`

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use prunella::ledger::Reader;

use crate::process::{Program, relay, wait_for};
use crate::receiver::{Act, Receiver};
use crate::stand_in::StandIn;

/// Of a host in trouble, some 3.5 a second for a day.
const RECORDS: usize = 300_000;

/// CPU seconds and the highest resident size, MiB.
fn cost(program: &Program) -> (f64, u64) {
    let folder = PathBuf::from(format!("/proc/{}", program.pid()));
    let stat = std::fs::read_to_string(folder.join("stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = std::fs::read_to_string(folder.join("status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    (ticks / 100.0, kib / 1024)
}

pub(crate) fn drains() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut stand_in = StandIn::start(at, 41);
    stand_in.fill(RECORDS);
    drop(stand_in);
    let state = at.join("state-41");
    let socket = at.join("run/prunella.sock");
    let program = std::env::var_os("PRUNELLA_AGENT").map(PathBuf::from);
    let agent = Program::start(
        Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_prunellad").into()))
            .arg("--state-dir")
            .arg(&state)
            .arg("--runtime-dir")
            .arg(at.join("run"))
            .arg("--config")
            .arg(at.join("etc"))
            .args(["--manager", "direct"]),
        &at.join("agent.log"),
    );
    wait_for("the agent's socket", || socket.exists().then_some(()));
    let extent = || Reader::open(&state).unwrap().extent().unwrap();
    let head = extent().head.seq;
    let (agent_before, _) = cost(&agent);
    let receiver = Receiver::start(Act::Null);
    let config = |receiver: &Receiver| {
        format!(
            "[agent]\nsocket = {socket:?}\n[[otlp]]\nurl = \"{}\"\n[prometheus]\nenabled = false\n[delivery]\nrecords_per_second = 1000000\nheartbeat = \"30s\"\n",
            receiver.url()
        )
    };
    let began = Instant::now();
    let relay = relay(at, &config(&receiver));
    wait_for("all is shipped", || (extent().acknowledged >= head).then_some(()));
    let took = began.elapsed().as_secs_f64();
    let (cpu, peak) = cost(&relay);
    let (agent_cpu, agent_peak) = cost(&agent);
    let records = u32::try_from(head.0).unwrap();
    eprintln!(
        "drained {records} records in {took:.2} s, {:.0} a second; relay: {cpu:.2} s of CPU, {peak} MiB at most; agent: {:.2} s, {agent_peak} MiB",
        f64::from(records) / took,
        agent_cpu - agent_before
    );
    let (before, at_rest) = (cost(&relay).0, Duration::from_secs(60));
    std::thread::sleep(at_rest);
    let used = cost(&relay).0 - before;
    eprintln!("at rest: {:.3} % of one processor over {at_rest:?}", used / at_rest.as_secs_f64() * 100.0);
}
