//! The package through its life: installed, upgraded, removed, purged; and the sandbox that its unit makes.

use std::time::Duration;

use crate::harness::{Host, Suite, install_package};

/// Long enough for a start or a restart of the agent on a host that is busy.
pub(crate) const SETTLES: Duration = Duration::from_secs(30);
/// The watchdog's own time, and a start.
const WATCHDOG: Duration = Duration::from_secs(90);

/// Adds these trials; they need `PRUNELLA_DEB`.
pub(crate) fn add(suite: &mut Suite) {
    suite.nspawn_with_package("package::runs_after_install", || runs_after_install(&installed("install")));
    suite.nspawn_with_package("package::upgrade_keeps_choices", || {
        upgrade_keeps_choices(&installed("upgrade"));
    });
    suite.nspawn_with_package("package::removal_keeps_purge_clears", || removal(&installed("removal")));
    suite.nspawn_with_package("package::starts_nothing_in_a_chroot", || chroot(&Host::nspawn("chroot")));
    suite.nspawn_with_package("package::comes_back_when_killed", || comes_back(&installed("killed")));
    suite.nspawn_with_package("package::watchdog_ends_a_hung_agent", || watchdog(&installed("hung")));
    suite.nspawn_with_package("package::sandbox_holds", || sandbox(&installed("sandbox")));
}

pub(crate) fn installed(label: &str) -> Host {
    let host = Host::nspawn(label);
    install_package(&host);
    until_active(&host);
    host
}

pub(crate) fn until_active(host: &Host) {
    host.wait_until("prunellad to be active", SETTLES, || state(host) == "active");
}

pub(crate) fn state(host: &Host) -> String {
    host.sh("systemctl is-active prunellad").stdout.trim().to_owned()
}

pub(crate) fn enabled(host: &Host) -> String {
    host.sh("systemctl is-enabled prunellad").stdout.trim().to_owned()
}

pub(crate) fn agent_pid(host: &Host) -> String {
    host.ok("systemctl show -P MainPID prunellad")
}

/// A package with the next version, of the same files.
pub(crate) fn newer_package(host: &Host) {
    host.ok(
        "dpkg-deb -R /root/prunella.deb /root/tree && sed -i 's/^Version: .*/&+1/' /root/tree/DEBIAN/control \
             && dpkg-deb -Zgzip -b /root/tree /root/newer.deb",
    );
}

fn runs_after_install(host: &Host) {
    assert_eq!(enabled(host), "enabled");
    assert_eq!(host.ok("stat -c '%a %U' /var/lib/prunella"), "750 root");
    assert_eq!(host.ok("stat -c '%a %U' /run/prunella"), "755 root");
    host.ok("getent group prunella && getent group prunella-admin");
    assert_eq!(host.ok("systemd-analyze verify prunellad.service 2>&1 | grep prunella || true"), "");
    assert_eq!(host.ok("dpkg --verify prunella"), "", "every file is as it was packed");
    host.ok("systemctl reload prunellad");
    assert_eq!(state(host), "active", "a reload changes nothing");
}

fn upgrade_keeps_choices(host: &Host) {
    newer_package(host);
    let before = agent_pid(host);
    host.ok("echo '# mine' >> /etc/prunella/prunella.toml");
    host.ok("dpkg -i /root/newer.deb");
    until_active(host);
    assert_ne!(agent_pid(host), before, "the new agent runs");
    assert_eq!(host.ok("tail -1 /etc/prunella/prunella.toml"), "# mine");

    host.ok("systemctl disable --now prunellad && dpkg -i /root/prunella.deb");
    assert_eq!((enabled(host).as_str(), state(host).as_str()), ("disabled", "inactive"));
    host.ok("systemctl mask prunellad && dpkg -i /root/newer.deb");
    assert_eq!((enabled(host).as_str(), state(host).as_str()), ("masked", "inactive"));
}

fn relay(host: &Host) -> String {
    host.sh("systemctl is-active prunella-relay").stdout.trim().to_owned()
}

/// It is off until it is configured, and then at work in its own sandbox: it reads the agent's socket.
fn relay_runs(host: &Host) {
    assert_eq!(relay(host), "inactive");
    assert_eq!(host.sh("systemctl is-enabled prunella-relay").stdout.trim(), "disabled");
    host.ok(
        "cp /usr/share/doc/prunella/examples/relay.toml /etc/prunella/relay.toml && prunella-relay --check",
    );
    host.ok("systemctl enable --now prunella-relay");
    let page = "exec 3<>/dev/tcp/127.0.0.1/9464; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    host.wait_until("it to read the agent's socket", SETTLES, || {
        host.exec(&["bash", "-c", page]).stdout.contains("prunella_agent_up 1")
    });
    assert_eq!(host.ok("ps -o user= -C prunella-relay"), "prunella-relay");
}

fn removal(host: &Host) {
    host.ok("touch /var/lib/prunella/kept; echo '# mine' > /etc/prunella/policy.d/mine.toml");
    relay_runs(host);
    host.ok("dpkg -r prunella");
    assert_eq!((state(host).as_str(), relay(host).as_str()), ("inactive", "inactive"));
    host.ok("test -e /var/lib/prunella/kept && test -e /etc/prunella/prunella.toml");
    host.ok("dpkg -i /root/prunella.deb");
    until_active(host);
    assert_eq!(relay(host), "active", "who enabled it has it again");
    host.ok("dpkg -P prunella");
    host.ok("test ! -e /var/lib/prunella-relay && rm /etc/prunella/relay.toml");
    host.ok("test ! -e /var/lib/prunella && test ! -e /var/log/prunella && test ! -e /run/prunella");
    host.ok("test ! -e /etc/prunella/prunella.toml && test -e /etc/prunella/policy.d/mine.toml");
    assert_eq!(host.ok("find /etc/systemd /var/lib/systemd/deb-systemd-helper-* -name '*prunella*'"), "");
    assert_eq!(host.ok("systemctl --failed --no-legend"), "");
}

fn chroot(host: &Host) {
    install_package(host);
    host.ok("dpkg -P prunella && mkdir /mnt/image && mount --bind / /mnt/image && mount -t tmpfs none /mnt/image/run");
    host.ok("chroot /mnt/image dpkg -i /root/prunella.deb && systemctl daemon-reload");
    assert_eq!((enabled(host).as_str(), state(host).as_str()), ("enabled", "inactive"));
}

fn comes_back(host: &Host) {
    for _ in 0..3 {
        let before = agent_pid(host);
        host.ok(&format!("kill -KILL {before}"));
        host.wait_until("another agent to run", SETTLES, || {
            agent_pid(host) != before && state(host) == "active"
        });
    }
}

fn watchdog(host: &Host) {
    let before = agent_pid(host);
    host.ok(&format!("kill -STOP {before}"));
    host.wait_until("the watchdog to act", WATCHDOG, || agent_pid(host) != before && state(host) == "active");
    let log = host.ok("journalctl --no-pager -u prunellad");
    assert!(log.contains("Watchdog timeout"), "{log}");
}

/// Runs a command with the sandbox of the unit, as a child of the agent has it: exit code 0 or not.
fn in_sandbox(host: &Host, command: &str) -> bool {
    in_sandbox_without(host, "", command)
}

/// The same without a capability, where one is named.
pub(crate) fn in_sandbox_without(host: &Host, capability: &str, command: &str) -> bool {
    let script = format!(
        "mapfile -t set < <(grep -E '^(CapabilityBoundingSet|NoNewPrivileges|Protect|Private|DevicePolicy|ProcSubset\
         |Restrict[ANRS]|DeviceAllow|IPAddress|SystemCall|MemoryDeny|LockPersonality|Keyring|UMask|Delegate)' \
         /usr/lib/systemd/system/prunellad.service); options=(); for line in \"${{set[@]}}\"; do \
         options+=(-p \"${{line/{capability}/}}\"); done; \
         systemd-run --quiet --wait --pipe \"${{options[@]}}\" bash -c '{command}'"
    );
    host.exec(&["bash", "-c", &script]).code == 0
}

fn sandbox(host: &Host) {
    let pid = agent_pid(host);
    let mask = |pid: &str, set: &str| {
        let text = host.ok(&format!("awk '/^{set}/ {{print $2}}' /proc/{pid}/status"));
        u64::from_str_radix(&text, 16).expect("a set of capabilities")
    };
    // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_SYS_PTRACE, CAP_SYS_RESOURCE, CAP_LEASE, CAP_SYSLOG, and no other stays;
    // a container may not have all of them to give. CAP_PERFMON and CAP_BPF are for the start alone.
    let (stays, start) = (1 | 1 << 1 | 1 << 3 | 1 << 19 | 1 << 24 | 1 << 28 | 1 << 34, 1 << 38 | 1 << 39);
    let given = mask("1", "CapBnd");
    assert_eq!(mask(&pid, "CapEff"), stays & given);
    assert_eq!(mask(&pid, "CapBnd"), (stays | start) & given);
    let restart = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
                   org.freedesktop.systemd1.Manager RestartUnit ss systemd-journald.service replace";
    assert!(in_sandbox(host, restart), "units can be restarted: being root is enough");
    let group = "mkdir /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/child";
    for may in [
        "head -c1 /proc/1/stat",
        "test -r /var/lib/dpkg/lock",
        "journalctl -n1",
        "cat /proc/pressure/cpu",
        "head -c1 /proc/1/mountinfo",
        "ls /proc/1/root/etc",
        group,
    ] {
        assert!(in_sandbox(host, may), "the sandbox must allow: {may}");
    }
    host.ok("mkdir -p /home/someone && touch /home/someone/secret");
    for must_not in [
        "touch /etc/x",
        "touch /usr/lib/x",
        "cat /home/someone/secret",
        "echo 1 > /proc/sys/kernel/panic",
        "kill -0 $(systemctl show -P MainPID dbus)",
        "chown nobody /etc/hostname",
        "mount -t tmpfs none /mnt",
        "unshare --user true",
        "date -s @0",
        "head -c1 /dev/mem",
        "head -c1 /dev/vda",
        "test -c /dev/kmsg && echo forged > /dev/kmsg",
        // ptrace(PTRACE_ATTACH) of a process of its own.
        "sleep 9 & perl -e \"exit(syscall(101, 16, $!, 0, 0) != 0)\"",
    ] {
        assert!(!in_sandbox(host, must_not), "the sandbox must refuse: {must_not}");
    }
}
