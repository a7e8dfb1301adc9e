//! A disk that the kernel lets nobody write to any more: people are told how it fares, and nothing is removed from it.

use prunella::model::{RecordBody, Subject};

use crate::agent::Agent;
use crate::disks;
use crate::harness::{Host, NspawnShape, Suite};

/// What a disk that is dying would have smartctl say.
const SMARTCTL: &str =
    "#!/bin/sh\necho \"SMART overall-health self-assessment test result: FAILED! for $5\"\nexit 8\n";
const POINT: &str = "/var/log/shop";

/// Adds this trial; it needs `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_disks("disks::how_one_fares_is_told_when_it_can_not_be_written_to", || {
        let shape = NspawnShape { memory: Some("2G".to_owned()), ..NspawnShape::default() };
        dying(&Agent::install(Host::nspawn_shaped("dying", &shape)));
    });
}

/// A container is shown a part of sysfs, without what file systems tell: here is the whole.
const SYSFS: &str = "mkdir /run/groups && mount --bind /sys/fs/cgroup /run/groups && mount -t sysfs sysfs /sys \
     && mount -o remount,rw /sys && mount --bind /run/groups /sys/fs/cgroup && systemctl restart prunellad";

fn dying(agent: &Agent) {
    agent.ok(SYSFS);
    agent.until_ready();
    agent.write("/usr/sbin/smartctl", SMARTCTL);
    agent.ok("chmod 755 /usr/sbin/smartctl; mkdir -p /var/log/shop");
    disks::prepare(agent, "1G");
    disks::make(agent, "dying", "ext4", 64, "", POINT);
    agent.ok(&format!("mount -o remount,errors=remount-ro {POINT}"));
    // Rotated logs on a disk that is full: it would be emptied, if it could be written to.
    agent.ok(&format!("for i in 1 2 3 4 5; do head -c 10M /dev/zero > {POINT}/app.log.$i; done; touch -d '9 days ago' {POINT}/*; sync"));
    let device = agent.ok(&format!("basename $(findmnt -no SOURCE {POINT})"));
    agent.ok(&format!("echo 1 > /sys/fs/ext4/{device}/trigger_fs_error"));
    let ledger = agent.until_recorded("people to be told", |it| {
        it.has(|body| matches!(body, RecordBody::Escalated { why, .. } if why.contains("forced_read_only")))
    });
    let told = ledger.records().find_map(|record| {
        if let RecordBody::EvidenceTaken { evidence, .. } = &record.entry.body {
            evidence.disk.value()
        } else {
            None
        }
    });
    let told = told.expect("how it fares was asked").join("\n");
    for said in [format!("{device}: errors found by ext4 1"), format!("FAILED! for /dev/{device}")] {
        assert!(told.contains(&said), "{said}: {told}");
    }
    agent.until_explained(POINT, "errors found by ext4");
    let touched = |body: &RecordBody| matches!(body, RecordBody::Intended(intent) if matches!(&intent.subject, Subject::Filesystem(at) if at.as_str() == POINT));
    assert!(!agent.ledger().has(touched), "damage is not mended by removing files");
    disks::discard(agent, "dying", POINT);
    agent.check_ledger();
}
