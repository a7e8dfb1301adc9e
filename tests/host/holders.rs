//! Deleted files that somebody has open: who can be told to let go is told, and a person is asked about who can't.
//!
//! In a VM: below a host with control groups of version 1 a container's processes are of no unit that could be told.

use prunella::model::{ProposalId, RecordBody, Remedy, Subject, Verification};

use crate::agent::{Agent, Ledger};
use crate::harness::{Host, Suite, VmShape};

/// The shipped rule, which would wait a minute.
const RULE: &str = r#"
[[rule]]
name     = "filesystem-nearly-full"
override = true
for      = "2s"
"#;
/// Writes to a log and keeps it open; with a second word it opens it anew when it is told to.
const HOLDER: &str = r#"
import os, signal, sys
path = sys.argv[1]
log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
def anew(*_):
    global log
    os.close(log)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
signal.signal(signal.SIGHUP, anew)
for _ in range(30):
    os.write(log, b"x" * (1 << 20))
os.unlink(path)
while True:
    signal.pause()
"#;
const DISK: &str = "64M";

/// Adds this trial; it needs `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm_with_package("holders::let_go_when_told_and_are_restarted_when_agreed", || {
        let shape = VmShape { disks: vec![DISK.to_owned()], ..VmShape::default() };
        holders(&Agent::install_with(Host::vm("holders", shape), RULE));
    });
}

fn service(name: &str, reload: &str) -> String {
    format!("[Service]\nType=exec\nExecStart=/usr/bin/python3 /usr/lib/holder.py /data/{name}.log\n{reload}")
}

/// What came of the last act by this remedy, and whom it was about.
fn verified(ledger: &Ledger, remedy: Remedy) -> Option<(Vec<String>, Verification)> {
    let intent = ledger.records().filter_map(|record| {
        if let RecordBody::Intended(intent) = &record.entry.body { Some(intent) } else { None }
    });
    let intent = intent.filter(|intent| intent.remedy == remedy).last()?;
    assert!(matches!(intent.subject, Subject::Filesystem(_)), "{intent:?}");
    let verdict = ledger.records().find_map(|record| {
        if let RecordBody::Verified { action, verification, .. } = &record.entry.body
            && *action == intent.action
        {
            Some(verification.clone())
        } else {
            None
        }
    })?;
    Some((intent.targets.iter().map(ToString::to_string).collect(), verdict))
}

fn proposed(ledger: &Ledger) -> Option<(ProposalId, Vec<String>)> {
    ledger.records().find_map(|record| {
        if let RecordBody::Proposed(proposal) = &record.entry.body
            && proposal.remedy == Remedy::RestartHolders
        {
            Some((proposal.id, proposal.targets.iter().map(ToString::to_string).collect()))
        } else {
            None
        }
    })
}

/// Until so much is in use that the rule speaks of it.
fn fill(agent: &Agent) {
    agent.ok("sync; room=$(df --output=avail -k /data | tail -1); head -c $((room - 1024))K /dev/zero > /data/shop.db; sync");
}

fn holders(agent: &Agent) {
    agent.write("/usr/lib/holder.py", HOLDER);
    let (told, deaf) = (service("told", "ExecReload=/bin/kill -HUP $MAINPID\n"), service("deaf", ""));
    agent.services(&[("told", &told), ("deaf", &deaf)]);
    let start = |name: &str| {
        agent.ok(&format!("systemctl start {name}"));
        agent.until("the file to be deleted", || {
            agent.sh(&format!("ls -l /proc/$(systemctl show -P MainPID {name})/fd | grep -q deleted")).code
                == 0
        });
        let pid = agent.ok(&format!("systemctl show -P MainPID {name}"));
        fill(agent);
        pid
    };

    let pid = start("told");
    let ledger = agent.until_recorded("room to be made", |it| verified(it, Remedy::ReloadHolders).is_some());
    let (whom, verdict) = verified(&ledger, Remedy::ReloadHolders).expect("it was just there");
    assert_eq!(whom, ["told.service"]);
    assert!(matches!(verdict, Verification::Confirmed { .. }), "{verdict:?}");
    assert_eq!(agent.ok("systemctl show -P MainPID told"), pid, "it was told, and not restarted");

    agent.ok("systemctl stop told; rm -f /data/*.log /data/shop.db");
    let pid = start("deaf");
    let ledger = agent.until_recorded("a person to be asked", |it| proposed(it).is_some());
    let (proposal, whom) = proposed(&ledger).expect("it was just there");
    assert_eq!(whom, ["deaf.service"]);
    assert_eq!(agent.ok("systemctl show -P MainPID deaf"), pid, "nobody has agreed yet");
    agent.ok(&format!("prunella approve {proposal}"));
    let ledger = agent.until_recorded("the restart", |it| verified(it, Remedy::RestartHolders).is_some());
    let (whom, verdict) = verified(&ledger, Remedy::RestartHolders).expect("it was just there");
    assert_eq!(whom, ["deaf.service"]);
    // It fills the disk with a file of its own again; what was held is free all the same.
    assert_ne!(agent.ok("systemctl show -P MainPID deaf"), pid, "{verdict:?}");
    assert_eq!(agent.state("deaf"), "active");
    agent.check_ledger();
}
