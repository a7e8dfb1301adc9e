//! What else is thrown away on a disk that is nearly full: old core dumps by the agent, temporary files by the host's own
//! rules, and images by the container runtime where a rule of the operator's asks for it.

use prunella::model::{Applied, RecordBody, Remedy, Resolution, Verification};

use crate::agent::{Agent, Ledger, figure};
use crate::harness::{Host, Suite};

const DUMPS: &str = "/var/lib/systemd/coredump";
const BOOT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const MIB: u32 = 4;

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("dumps::old_dumps_go_and_nothing_else", || {
        old_dumps_go(&Agent::install(Host::nspawn("dumps")));
    });
    suite.nspawn_with_package("dumps::temporary_files_go_by_the_rules_of_the_host", || {
        temporary_files_go(&Agent::install(Host::nspawn("dumpstmp")));
    });
    suite.nspawn_with_package("dumps::images_go_by_the_command_of_their_runtime", || {
        images_go(&Agent::install(Host::nspawn("dumpsimages")));
    });
}

/// Disks in memory, where a container can't have others: the shipped rules speak of real ones.
fn rule(point: &str, remedy: Remedy) -> String {
    format!(
        "[[rule]]\nname = \"memory-full\"\nsubject = \"filesystem\"\nmode = \"auto\"\nladder = [\"{remedy}\"]\n\
         when = \"mount_point == '{point}' && used_percent > 70.0\"\nclear = \"used_percent < 42.0\"\n"
    )
}

fn dump(program: &str, pid: u32) -> String {
    format!("core.{program}.{BOOT}.{pid}.1767358455000000.zst")
}

/// A file of so many days.
fn put(agent: &Agent, path: &str, mib: u32, days: u32) {
    agent.ok(&format!("head -c {mib}M /dev/zero > {path} && touch -d '{days} days ago' {path}"));
}

fn is_there(agent: &Agent, path: &str) -> bool {
    agent.sh(&format!("test -e {path} || test -L {path}")).code == 0
}

fn on_record(ledger: &Ledger) -> Vec<String> {
    let removals = ledger.records().filter_map(|record| {
        if let RecordBody::Removing { removals, .. } = &record.entry.body { Some(removals) } else { None }
    });
    removals.flatten().map(|it| it.path.to_string()).collect()
}

fn is_over(ledger: &Ledger) -> bool {
    ledger.has(|body| matches!(body, RecordBody::IncidentResolved { how: Resolution::Repaired, .. }))
}

/// What verification said of the one act, and how long it took.
fn verdict(ledger: &Ledger, remedy: Remedy) -> String {
    let mut began = None;
    for record in ledger.records() {
        let (body, at) = (&record.entry.body, record.entry.at.boot);
        if let RecordBody::Intended(intent) = body {
            assert_eq!((intent.remedy, began), (remedy, None), "one act of this kind");
            began = Some(at);
        } else if let RecordBody::Verified { verification: Verification::Confirmed { why }, .. } = body {
            let took = at.since(began.expect("it was intended"));
            return format!("{why}, after {took:?}");
        }
    }
    panic!("{remedy} was not confirmed")
}

fn old_dumps_go(agent: &Agent) {
    agent.ok(&format!("mkdir -p {DUMPS} && mount -t tmpfs -o size=64m,mode=755 none {DUMPS}"));
    for pid in 1..=8 {
        put(agent, &format!("{DUMPS}/{}", dump("shop.1000", pid)), MIB, pid + 1);
    }
    for pid in 21..=22 {
        put(agent, &format!("{DUMPS}/{}", dump("till.33", pid)), MIB, pid);
    }
    let others =
        ["core.812", "core.813", "app.log.1", "app.log.2", "notes", &format!("{}.bak", dump("shop.1000", 9))];
    for name in others {
        put(agent, &format!("{DUMPS}/{name}"), 1, 90);
    }
    agent.ok(&format!("ln -s /etc/passwd {DUMPS}/{}", dump("shop.1000", 99)));
    let passwd = agent.ok("sha256sum /etc/passwd");
    // What was touched in the last minute may still be being written.
    agent.wait_until("the dumps to be old enough", std::time::Duration::from_secs(120), || {
        agent.ok(&format!("find {DUMPS} -newerct '61 seconds ago' | head -1")).is_empty()
    });
    let shipped = "[[logs]]\nname = \"core-dumps\"\noverride = true\nkeep_for = \"1m\"\n";
    agent.set_policy(&format!("{shipped}\n{}", rule(DUMPS, Remedy::PruneCoreDumps)));
    let ledger = agent.until_recorded("room to be made", is_over);

    let path = |program, pid| format!("{DUMPS}/{}", dump(program, pid));
    let oldest_first: Vec<String> = (4..=8).rev().map(|pid| path("shop.1000", pid)).collect();
    assert_eq!(on_record(&ledger), oldest_first, "each on record, and no other");
    for gone in &oldest_first {
        assert!(!is_there(agent, gone), "{gone} is there");
    }
    let newest = (1..=3).map(|pid| path("shop.1000", pid));
    let few = (21..=22).map(|pid| path("till.33", pid));
    let link = [path("shop.1000", 99)];
    for kept in newest.chain(few).chain(link).chain(others.map(|name| format!("{DUMPS}/{name}"))) {
        assert!(is_there(agent, &kept), "{kept} is gone");
    }
    assert_eq!(agent.ok("sha256sum /etc/passwd"), passwd);
    assert!(ledger.has(|body| {
        matches!(body, RecordBody::Applied { applied: Applied::Removed { files: 5, .. }, .. })
    }));
    agent.until_explained(DUMPS, "prune-core-dumps");
    figure(agent, "ten dumps of two programs", &verdict(&ledger, Remedy::PruneCoreDumps));
    agent.check_ledger();
}

fn temporary_files_go(agent: &Agent) {
    let point = "/var/tmp";
    // By the time at which they were written to last: the others can't be set back.
    agent.write("/etc/tmpfiles.d/trial.conf", &format!("d {point}/trial 0755 root root m:1d\n"));
    agent.ok(&format!("mount -t tmpfs -o size=32m,mode=1777 none {point} && mkdir {point}/trial"));
    put(agent, &format!("{point}/trial/old"), 24, 9);
    put(agent, &format!("{point}/trial/young"), 1, 0);
    put(agent, &format!("{point}/beside"), 1, 9);
    agent.set_policy(&rule(point, Remedy::CleanTemporaryFiles));
    let ledger = agent.until_recorded("room to be made", is_over);
    assert!(!is_there(agent, &format!("{point}/trial/old")), "too old by the rule");
    assert!(is_there(agent, &format!("{point}/trial/young")), "not yet too old");
    assert!(is_there(agent, &format!("{point}/beside")), "no rule speaks of it");
    assert_eq!(on_record(&ledger), [""; 0], "the agent itself removed nothing");
    assert_eq!(agent.ok("systemctl show -P Result prunella-clean-temporary-files.service"), "success");
    figure(agent, "temporary files", &verdict(&ledger, Remedy::CleanTemporaryFiles));
    agent.check_ledger();
}

fn images_go(agent: &Agent) {
    let point = "/var/lib/containerd";
    agent.ok(&format!("mkdir -p {point} && mount -t tmpfs -o size=32m none {point}"));
    put(agent, &format!("{point}/image"), 24, 9);
    // Without a runtime it does nothing, and that is no fault.
    agent.ok("systemctl start prunella-clean-container-images.service");
    assert_eq!(agent.ok("systemctl show -P ConditionResult prunella-clean-container-images.service"), "no");
    // It stands for the runtime's own command: there is no runtime in here.
    let script = format!("#!/bin/sh\necho \"$@\" > /run/asked\nrm {point}/image\n");
    agent.write("/usr/bin/crictl", &script);
    agent.ok("chmod +x /usr/bin/crictl");
    agent.set_policy(&rule(point, Remedy::CleanContainerImages));
    let ledger = agent.until_recorded("room to be made", is_over);
    assert_eq!(agent.ok("cat /run/asked"), "--timeout=60s rmi --prune");
    verdict(&ledger, Remedy::CleanContainerImages);
    agent.check_ledger();

    // As the unit says that it is changed.
    agent.write("/usr/bin/docker", &script);
    agent.write(
        "/etc/systemd/system/prunella-clean-container-images.service.d/50-docker.conf",
        "[Unit]\nConditionPathExists=\n[Service]\nExecStart=\nExecStart=/usr/bin/docker image prune --all --force\n",
    );
    agent.ok("chmod +x /usr/bin/docker && rm /usr/bin/crictl && systemctl daemon-reload");
    put(agent, &format!("{point}/image"), 1, 9);
    agent.ok("systemctl start prunella-clean-container-images.service");
    assert_eq!(agent.ok("cat /run/asked"), "image prune --all --force");
}
