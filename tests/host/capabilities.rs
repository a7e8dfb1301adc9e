//! Each capability of the unit is there for something: with all of them it can be done, without that one it can't.

use crate::harness::{Host, Suite, VmShape, install_package};
use crate::lifecycle::{SETTLES, in_sandbox_without, installed, until_active};

/// A capability, and what the agent does with it, as a command that a child of the agent would run. Only this capability
/// of the set lets it succeed. `/srv/theirs` belongs to another user; `/tmp` is the sandbox's own.
const NEEDS: [(&str, &str); 5] = [
    // Read logs, locks and pid files of services that run as other users.
    ("CAP_DAC_OVERRIDE", "cat /srv/theirs"),
    // Give an archive to whom the log belongs.
    ("CAP_CHOWN", "touch /tmp/x && chown nobody /tmp/x"),
    // Leave a file of others as it was found, or remove it where only owners may.
    ("CAP_FOWNER", "touch /tmp/x && chown nobody /tmp/x && chmod 600 /tmp/x"),
    // Make sure that nobody writes to a file of others: fcntl(F_SETLEASE, F_RDLCK).
    ("CAP_LEASE", "perl -e \"open(F, q(/srv/theirs)) or die; exit(fcntl(F, 1024, 0) ? 0 : 1)\""),
    // See the host as process 1 does.
    ("CAP_SYS_PTRACE", "ls /proc/1/root/etc"),
];
/// What a container can't be given, in a kernel that keeps its log to itself.
const NEEDS_A_KERNEL: [(&str, &str); 2] = [
    // Triggers of pressure: a kernel before 6.5 asks for the right to lift limits, one since then for short windows. It
    // takes the last byte for the end of the text, whatever it is.
    ("CAP_SYS_RESOURCE", "exec 3<>/proc/pressure/memory && echo some 150000 1000000 >&3"),
    ("CAP_SYSLOG", "dd if=/dev/kmsg of=/dev/null bs=8192 count=1 status=none"),
];

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("package::each_capability_is_needed", || {
        let host = installed("capabilities");
        all_needed(&host, &NEEDS);
    });
    suite.vm_with_package("package::each_capability_of_the_kernel_is_needed", || {
        let host = Host::vm("capabilities", VmShape::default());
        install_package(&host);
        until_active(&host);
        host.ok("sysctl -w kernel.dmesg_restrict=1");
        all_needed(&host, &NEEDS_A_KERNEL);
        for capability in ["CAP_BPF", "CAP_PERFMON"] {
            loads_no_bpf_without(&host, capability);
        }
    });
}

fn all_needed(host: &Host, needs: &[(&str, &str)]) {
    host.ok("echo secret > /srv/theirs && chown nobody /srv/theirs && chmod 600 /srv/theirs");
    for (capability, command) in needs {
        assert!(in_sandbox_without(host, "", command), "with all capabilities: {command}");
        assert!(!in_sandbox_without(host, capability, command), "without {capability}: {command}");
    }
}

/// The process table comes from BPF with the unit as it is, and from /proc without one of the two.
fn loads_no_bpf_without(host: &Host, capability: &str) {
    let way = |host: &Host| {
        host.ok("journalctl -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID prunellad) | grep 'are read'")
    };
    let drop_in = "/run/systemd/system/prunellad.service.d/without.conf";
    let restart = "systemctl daemon-reload && systemctl restart prunellad";
    host.wait_until("the way to be told", SETTLES, || host.sh("prunella top").code == 0);
    assert!(!way(host).contains("procfs"), "{}", way(host));
    host.write(drop_in, &format!("[Service]\nCapabilityBoundingSet=~{capability}\n"));
    host.ok(restart);
    until_active(host);
    host.wait_until("the way to be told", SETTLES, || host.sh("prunella top").code == 0);
    assert!(way(host).contains("procfs"), "without {capability}: {}", way(host));
    host.ok(&format!("rm {drop_in} && {restart}"));
    until_active(host);
}
