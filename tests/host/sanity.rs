//! The hosts themselves: if these fail, what the other trials say means nothing.

use std::time::Duration;

use crate::harness::{Host, Suite, VmShape};

/// Adds these trials for both tiers.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn("sanity::boots_to_running", || boots_to_running(&Host::nspawn("running")));
    suite.nspawn("sanity::killed_unit_is_failed", || killed_unit_is_failed(&Host::nspawn("killed")));
    suite.nspawn("sanity::disk_outlives_a_powercut", || disk_outlives_a_powercut(&Host::nspawn("power")));
    suite.vm("sanity::boots_to_running", || boots_to_running(&Host::vm("running", VmShape::default())));
    suite.vm("sanity::killed_unit_is_failed", || {
        killed_unit_is_failed(&Host::vm("killed", VmShape::default()));
    });
}

fn boots_to_running(host: &Host) {
    assert_eq!(host.ok("systemctl is-system-running"), "running");
    assert_eq!(host.ok("stat -fc %T /sys/fs/cgroup"), "cgroup2fs");
    host.ok("test -e /sys/fs/cgroup/init.scope/cgroup.freeze");
    host.ok("busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.DBus.Peer Ping");
}

fn killed_unit_is_failed(host: &Host) {
    host.write("/etc/systemd/system/victim.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n");
    host.ok("systemctl daemon-reload && systemctl start victim && systemctl is-active victim");
    host.ok("systemctl kill -s KILL victim");
    host.wait_until("victim.service to be failed", Duration::from_secs(30), || {
        host.sh("systemctl is-failed victim").stdout.trim() == "failed"
    });
    assert_eq!(host.ok("systemctl show -P Result victim"), "signal");
}

fn disk_outlives_a_powercut(host: &Host) {
    host.write("/var/lib/kept", "as it was");
    host.powercut();
    assert_eq!(host.sh("true").code, 255, "nothing runs on a host without power");
    host.boot_again();
    assert_eq!(host.ok("cat /var/lib/kept"), "as it was");
    assert_eq!(host.ok("systemctl is-system-running"), "running");
}
