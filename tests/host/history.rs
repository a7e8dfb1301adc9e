//! The past of the host's numbers: kept under the agent's sandbox, and read with the agent and without it.

use prunella::model::{HistoryList, HistorySeries};

use crate::agent::Agent;
use crate::harness::{Host, Suite};

const FILES: &str = "/var/lib/prunella/history";

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("history::outlives_the_agent", || {
        outlives_the_agent(&Agent::install(Host::nspawn("history")));
    });
}

fn points(agent: &Agent, field: &str) -> usize {
    let series: HistorySeries =
        serde_json::from_str(&agent.ok(&format!("prunella --json history {field}"))).expect("a series");
    series.runs.iter().map(|run| run.points.len()).sum()
}

fn outlives_the_agent(agent: &Agent) {
    // The batch in memory goes to the disk when the agent ends, and is read without it.
    agent.ok("systemctl stop prunellad");
    assert!(points(agent, "cpu_percent") > 0);
    assert!(agent.ok("prunella history cpu_percent").contains("without the agent"));
    assert_eq!(agent.ok(&format!("stat -c '%a %U' {FILES}")), "750 root");
    assert_eq!(agent.ok(&format!("stat -c '%a' {FILES}/*")), "640\n640");

    // A kill in the middle takes nothing of what was there, and the agent goes on behind it.
    agent.ok("systemctl start prunellad");
    agent.until_ready();
    agent.ok("systemctl kill -s KILL prunellad && systemctl restart prunellad");
    agent.until_ready();
    agent.until("the past to be told by the agent", || points(agent, "cpu_percent") > 0);
    assert!(!agent.ok("prunella history cpu_percent").contains("without the agent"));
    let list: HistoryList = serde_json::from_str(&agent.ok("prunella --json history")).expect("a list");
    assert_eq!((list.unreadable, list.extents.len()), (0, 2));
    assert!(agent.sh("prunella doctor").stdout.contains("history"));

    // Switched off, it leaves nothing behind.
    agent.set_policy("[history]\nmebibytes = 0\n");
    agent.until("the files to go", || agent.sh(&format!("ls {FILES}")).stdout.trim().is_empty());
    assert!(agent.sh("prunella doctor").stdout.contains("switched off"));
    agent.check_ledger();
}
