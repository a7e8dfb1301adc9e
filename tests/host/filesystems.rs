//! File systems of the host, seen from inside the agent's sandbox.

use prunella::model::{MountPoint, RecordBody, Resolution, Subject};

use crate::agent::Agent;
use crate::harness::{Host, Suite};

/// Below /home, which the sandbox hides: what is seen there is seen with the host's eyes.
const POINT: &str = "/home/small";
const RULE: &str = r#"
[[rule]]
name     = "small-full"
subject  = "filesystem"
when     = "mount_point == '/home/small' && used_percent > 90.0"
clear    = "used_percent < 50.0"
severity = "ticket"
mode     = "auto"
"#;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("filesystems::full_is_told_and_over", || {
        full_is_told_and_over(&Agent::install(Host::nspawn("filesystems")));
    });
}

fn full_is_told_and_over(agent: &Agent) {
    agent.set_policy(RULE);
    agent.ok(&format!("mkdir -p {POINT} && mount -t tmpfs -o size=8m none {POINT}"));
    agent.until("the mount to be seen", || agent.ok("prunella filesystems").contains(POINT));
    agent.ok(&format!("head -c 8000000 /dev/zero > {POINT}/blob"));
    let told = |it: &RecordBody| matches!(it, RecordBody::Escalated { .. });
    let about = Subject::Filesystem(MountPoint::from_bytes(POINT.as_bytes()).expect("a mount point"));
    let opened =
        |it: &RecordBody| matches!(it, RecordBody::IncidentOpened { subject, .. } if *subject == about);
    agent.until_recorded("people to be told of it", |it| it.has(opened) && it.has(told));
    agent.until_explained(POINT, "used_percent");
    agent.ok(&format!("rm {POINT}/blob"));
    let ended = |it: &RecordBody, end: Resolution| matches!(it, RecordBody::IncidentResolved { how, .. } if *how == end);
    agent.until_recorded("its end", |it| it.has(|it| ended(it, Resolution::ClearedByItself)));

    agent.ok(&format!("head -c 8000000 /dev/zero > {POINT}/blob"));
    let again = |it: &RecordBody| matches!(it, RecordBody::IncidentReopened { finding, .. } if finding.subject == about);
    agent.until_recorded("its return", |it| it.has(again));
    agent.ok(&format!("umount {POINT}"));
    agent.until_recorded("its end with the mount", |it| it.has(|it| ended(it, Resolution::SubjectGone)));
    agent.check_ledger();
}
