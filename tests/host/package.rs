//! The packages on a host without a network: installed, and upgraded to a version that can't take over.

use std::path::Path;

use crate::harness::{Host, Suite, install_package, rpm};
use crate::lifecycle::{SETTLES, agent_pid, enabled, installed, newer_package, state, until_active};

/// Adds these trials; they need `PRUNELLA_DEB`, or `PRUNELLA_RPM`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("package::installs_offline", || {
        let host = Host::nspawn("package");
        install_package(&host);
        assert_eq!(host.ok("dpkg-query -W -f '${db:Status-Status}' prunella"), "installed");
    });
    suite.nspawn_with_package("package::unfit_version_leaves_the_agent", || unfit(&installed("unfit")));
    suite.nspawn_with_package("package::newer_ledger_is_refused_and_kept", || {
        newer_ledger(&installed("newer"));
    });
    suite.nspawn_with_package("package::documents_are_readable", || documents(&installed("documents")));
    suite.nspawn_with_rpm("package::rpm_through_its_life", || rpm_life(&rpm_installed("rpm")));
    suite.nspawn_with_rpm("package::rpm_unfit_version_leaves_the_agent", || {
        rpm_unfit(&rpm_installed("rpm-unfit"));
    });
    suite.nspawn_with_rpm("package::rpm_starts_nothing_in_a_chroot", || {
        rpm_chroot(&Host::nspawn("rpm-chroot"));
    });
}

/// Keys that no version knows: what an upgrade finds that has dropped one.
fn spoil_policy(host: &Host) {
    host.write("/etc/prunella/policy.d/spoilt.toml", "[histroy]\nmebibytes = 1\n");
}

/// Whether the agent that runs is the kept one, and has the policy that it came with.
fn is_kept(host: &Host) -> bool {
    let mounts = host.ok(&format!("cut -d' ' -f5 /proc/{}/mountinfo", agent_pid(host)));
    let kept = |path: &str| mounts.lines().any(|line| line == path);
    assert_eq!(kept("/usr/sbin/prunellad"), kept("/usr/lib/prunella/policy.d"), "{mounts}");
    kept("/usr/sbin/prunellad")
}

/// The agent that ran before goes on, under the same pid and after a crash, until the fault is mended.
fn stays(host: &Host, before: &str, said: &str) {
    assert!(said.contains("UNFIT") && said.contains("histroy"), "the fault is named: {said}");
    assert!(said.contains("the agent that runs goes on"), "{said}");
    assert_eq!((agent_pid(host).as_str(), state(host).as_str()), (before, "active"));
    host.ok(&format!("kill -KILL {before}"));
    // In this order: systemd may hear of the end between the two questions.
    host.wait_until("the kept agent to run", SETTLES, || {
        agent_pid(host) != before && state(host) == "active"
    });
    assert!(is_kept(host));
    host.ok("rm /etc/prunella/policy.d/spoilt.toml");
}

/// Nothing of the detour is left.
fn took_over(host: &Host) {
    until_active(host);
    assert!(!is_kept(host));
    host.ok("test ! -e /usr/lib/prunella/previous");
    host.ok("test ! -e /run/systemd/system/prunellad.service.d");
}

fn unfit(host: &Host) {
    newer_package(host);
    spoil_policy(host);
    let before = agent_pid(host);
    let upgrade = host.sh("dpkg -i /root/newer.deb 2>&1");
    assert_ne!(upgrade.code, 0, "an upgrade that did not happen is not called one: {upgrade}");
    stays(host, &before, &upgrade.stdout);
    host.ok("dpkg --configure prunella");
    took_over(host);
    // And the way back to the version before, from the same place.
    spoil_policy(host);
    let before = agent_pid(host);
    let downgrade = host.sh("dpkg -i /root/prunella.deb 2>&1");
    assert_ne!(downgrade.code, 0, "{downgrade}");
    stays(host, &before, &downgrade.stdout);
    host.ok("dpkg -i /root/newer.deb");
    took_over(host);
    // A fault that only shows in its sandbox: here one that the kept program does not have.
    host.ok("mkdir -p /run/systemd/system/prunellad.service.d");
    host.write(
        "/run/systemd/system/prunellad.service.d/spoilt.conf",
        "[Service]\nExecStartPre=/bin/grep -q ' /usr/sbin/prunellad ' /proc/self/mountinfo\n",
    );
    host.ok("systemctl daemon-reload");
    let before = agent_pid(host);
    let upgrade = host.sh("dpkg -i /root/prunella.deb 2>&1");
    assert_ne!(upgrade.code, 0, "{upgrade}");
    assert!(upgrade.stdout.contains("the agent did not start"), "{upgrade}");
    until_active(host);
    assert!(agent_pid(host) != before && is_kept(host));
    host.ok("rm /run/systemd/system/prunellad.service.d/spoilt.conf; systemctl daemon-reload");
    host.ok("dpkg --configure prunella");
    took_over(host);
}

/// As a downgrade finds it: made by a version of later.
fn newer_ledger(host: &Host) {
    host.ok("systemctl stop prunellad");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("ledger.db");
    host.get("/var/lib/prunella/ledger.db", &copy);
    let ledger = rusqlite::Connection::open(&copy).expect("a copy of the ledger");
    ledger
        .execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA user_version = 99;
             UPDATE meta SET value = x'00000063' WHERE key = 'format';",
        )
        .expect("a later format");
    drop(ledger);
    host.ok("rm /var/lib/prunella/ledger.db*");
    host.put(Path::new(&copy), "/var/lib/prunella/ledger.db");
    let sum = host.ok("sha256sum /var/lib/prunella/ledger.db");

    let test = host.sh("prunellad --self-test");
    assert_eq!(test.code, 4, "{test}");
    assert!(test.stdout.contains("was made by a newer version of prunella (format 99"), "{test}");
    host.sh("systemctl start prunellad");
    let log = host.ok("journalctl --no-pager -u prunellad");
    assert!(log.contains("was made by a newer version of prunella"), "{log}");
    host.ok("systemctl stop prunellad");
    assert_eq!(host.ok("sha256sum /var/lib/prunella/ledger.db"), sum, "it is kept as it is");
    host.ok("test -z \"$(find /var/lib/prunella -name '*set-aside*')\"");
}

fn documents(host: &Host) {
    for page in ["man1/prunella.1", "man1/prunella-explain.1", "man5/prunella.toml.5", "man8/prunellad.8"] {
        host.ok(&format!("zcat /usr/share/man/{page}.gz | grep -q '^.SH'"));
    }
    host.ok("zcat /usr/share/doc/prunella/third-party-licences.txt.gz | grep -q '^tokio .*MIT'");
    host.ok("grep -q '\"CycloneDX\"' /usr/share/doc/prunella/prunella.cdx.json");
    host.ok("systemctl is-active prunellad && prunellad --self-test");
    // What the journal says of a fault, it explains.
    host.write("/etc/systemd/system/victim.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n");
    host.ok("systemctl daemon-reload && systemctl start victim && systemctl kill -s KILL victim");
    host.wait_until("the fault to be explained", SETTLES, || {
        let said = host.ok("journalctl --no-pager -x -u prunellad");
        said.contains("An incident was opened") && said.contains("A repair begins")
    });
}

fn rpm_installed(label: &str) -> Host {
    let host = Host::nspawn(label);
    host.put(&rpm().expect("the suite ignores trials without their package"), "/root/prunella.rpm");
    // Debian's own packages are not in the database of rpm.
    host.ok("rpm -i --nodeps /root/prunella.rpm");
    until_active(&host);
    host
}

fn rpm_life(host: &Host) {
    assert_eq!(enabled(host), "enabled");
    host.ok("getent group prunella && getent group prunella-admin");
    assert_eq!(host.ok("rpm -V --nodeps prunella"), "", "every file is as it was packed");
    let before = agent_pid(host);
    host.ok("echo '# mine' >> /etc/prunella/prunella.toml");
    host.ok("rpm -U --nodeps --replacepkgs /root/prunella.rpm");
    until_active(host);
    assert_ne!(agent_pid(host), before, "the new agent runs");
    assert_eq!(host.ok("tail -1 /etc/prunella/prunella.toml"), "# mine");
    took_over(host);

    host.ok("systemctl disable --now prunellad && rpm -U --nodeps --replacepkgs /root/prunella.rpm");
    assert_eq!((enabled(host).as_str(), state(host).as_str()), ("disabled", "inactive"));
    host.ok("systemctl enable --now prunellad; echo '# mine' > /etc/prunella/policy.d/mine.toml");
    host.ok("rpm -e --nodeps prunella");
    assert_eq!(state(host), "inactive");
    host.ok("test -e /var/lib/prunella/ledger.db && test -e /etc/prunella/policy.d/mine.toml");
    host.ok("test ! -e /usr/sbin/prunellad && test ! -e /usr/lib/prunella && test ! -e /run/prunella");
    host.ok("test -e /etc/prunella/prunella.toml.rpmsave");
    assert_eq!(host.ok("find /etc/systemd/system -name '*prunella*'"), "");
    assert_eq!(host.ok("systemctl --failed --no-legend"), "");
}

fn rpm_unfit(host: &Host) {
    spoil_policy(host);
    let before = agent_pid(host);
    let upgrade = host.sh("rpm -U --nodeps --replacepkgs /root/prunella.rpm 2>&1");
    stays(host, &before, &upgrade.stdout);
    host.ok("rpm -U --nodeps --replacepkgs /root/prunella.rpm");
    took_over(host);
}

fn rpm_chroot(host: &Host) {
    host.put(&rpm().expect("the suite ignores trials without their package"), "/root/prunella.rpm");
    host.ok("mkdir /mnt/image && mount --bind / /mnt/image && mount -t tmpfs none /mnt/image/run");
    host.ok("rpm --root /mnt/image -i --nodeps /mnt/image/root/prunella.rpm && systemctl daemon-reload");
    assert_eq!((enabled(host).as_str(), state(host).as_str()), ("enabled", "inactive"));
}
