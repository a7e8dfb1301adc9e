//! Reads the facts, below a root folder so that tests can plant their own. What asks the running kernel or
//! other programs is only done for the real root.

#![expect(clippy::disallowed_methods, reason = "reading the host is what doctor is for")]

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags};

use crate::cli::args::STATE;
use crate::cli::offline::Proof;
use crate::model::{Absence, Reading};

use super::{AgentSeen, AgentSight, CgroupLayout, Cgroups, Facts, StallWatches, StateFolder, Surroundings};

/// Files in /proc and /sys that are read here are a page or two.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// D-Bus and what starts by it answer in milliseconds.
const BUS_TIMEOUT: Duration = Duration::from_secs(3);
/// A ledger that takes longer to prove is left to `verify-ledger`.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest name from a file that is repeated, characters.
const NAME_CHARS_MAX: usize = 64;

const LOCKS: [&str; 6] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/pacman/db.lck",
    "/lib/apk/db/lock",
];

/// The facts of the host below `root`.
pub(in crate::cli) fn gather(
    root: &Path,
    socket: &Path,
    (agent, stall_watches): (AgentSeen, StallWatches),
    verify: fn(&Path) -> Result<Proof, String>,
) -> Facts {
    let host = Host { root, live: root == Path::new("/") };
    let (bus, synchronised) = host.bus();
    let pid = match &agent {
        AgentSeen::Answers(agent) => Some(agent.pid),
        AgentSeen::Silent(_) | AgentSeen::Declines(_) => None,
    };
    Facts {
        // Asked of the agent, by those who can.
        processes: Reading::Absent(Absence::NotObserved),
        socket: socket.to_owned(),
        systemd: host.exists("/run/systemd/system"),
        init: host.word("/proc/1/comm"),
        bus,
        cgroups: host.cgroups(),
        pressure: host.pressure(),
        stall_watches,
        // Asked of the agent, by those who can.
        sight: AgentSight::default(),
        history: Reading::Absent(Absence::NotObserved),
        kernel: host.kernel(),
        pidfd: host.pidfd(),
        openat2: host.openat2(),
        capabilities: host.capabilities(pid),
        journalctl: host.any(&["/usr/bin/journalctl", "/bin/journalctl"]).map(|found| found.is_some()),
        journal: host.journal(),
        groups: host.groups(),
        state: host.state(),
        ledger: host.ledger(verify),
        time_synchronised: synchronised,
        package_locks: LOCKS
            .iter()
            .filter(|lock| host.at(lock).exists())
            .map(|lock| (*lock).to_owned())
            .collect(),
        surroundings: host.surroundings(),
        agent,
    }
}

struct Host<'a> {
    root: &'a Path,
    live: bool,
}

fn failed<T>(path: &str, error: &io::Error) -> Reading<T> {
    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        Reading::Absent(Absence::Unsupported)
    } else {
        Reading::Failed(format!("{path}: {error}"))
    }
}

impl Host<'_> {
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn text(&self, path: &str) -> Reading<String> {
        let read = || -> io::Result<String> {
            let mut bytes = Vec::new();
            std::fs::File::open(self.at(path))?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().map_or_else(|error| failed(path, &error), Reading::Value)
    }

    /// The first line, trimmed.
    fn word(&self, path: &str) -> Reading<String> {
        self.text(path).map(|text| {
            crate::serve::printable(text.lines().next().unwrap_or_default().trim(), NAME_CHARS_MAX)
        })
    }

    fn exists(&self, path: &str) -> Reading<bool> {
        match std::fs::metadata(self.at(path)) {
            Ok(_) => Reading::Value(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reading::Value(false),
            Err(error) => failed(path, &error),
        }
    }

    /// The first of these that exists.
    fn any(&self, paths: &[&str]) -> Reading<Option<String>> {
        for path in paths {
            match self.exists(path) {
                Reading::Value(true) => return Reading::Value(Some((*path).to_owned())),
                Reading::Value(false) => {}
                Reading::Absent(reason) => return Reading::Absent(reason),
                Reading::Failed(error) => return Reading::Failed(error),
            }
        }
        Reading::Value(None)
    }

    /// systemd's version, and whether the time is synchronised.
    fn bus(&self) -> (Reading<String>, Reading<bool>) {
        if !self.live {
            return (Reading::Absent(Absence::NotObserved), Reading::Absent(Absence::NotObserved));
        }
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let why = format!("no runtime: {error}");
                return (Reading::Failed(why.clone()), Reading::Failed(why));
            }
        };
        runtime.block_on(async {
            let connection = match within(zbus::Connection::system()).await {
                Ok(connection) => connection,
                Err(why) => return (Reading::Failed(why), self.synchronised_by_file()),
            };
            let systemd = property::<String>(&connection, "systemd1", "systemd1.Manager", "Version").await;
            let time = property::<bool>(&connection, "timedate1", "timedate1", "NTPSynchronized").await;
            let version = systemd.map_or_else(Reading::Failed, |version| {
                Reading::Value(crate::serve::printable(&version, NAME_CHARS_MAX))
            });
            (version, time.map_or_else(|_| self.synchronised_by_file(), Reading::Value))
        })
    }

    fn synchronised_by_file(&self) -> Reading<bool> {
        match self.exists("/run/systemd/timesync/synchronized") {
            Reading::Value(true) => Reading::Value(true),
            Reading::Value(false) | Reading::Absent(_) | Reading::Failed(_) => {
                Reading::Absent(Absence::NotObserved)
            }
        }
    }

    fn cgroups(&self) -> Reading<Cgroups> {
        let legacy = |layout| Reading::Value(Cgroups { layout, controllers: Vec::new() });
        match self.text("/sys/fs/cgroup/cgroup.controllers") {
            Reading::Value(text) => {
                let controllers = text.split_whitespace().map(str::to_owned).collect();
                Reading::Value(Cgroups { layout: CgroupLayout::Unified, controllers })
            }
            Reading::Failed(error) => Reading::Failed(error),
            Reading::Absent(_) if self.at("/sys/fs/cgroup/unified/cgroup.controllers").exists() => {
                legacy(CgroupLayout::Hybrid)
            }
            Reading::Absent(_) if self.at("/sys/fs/cgroup/memory").exists() => legacy(CgroupLayout::Legacy),
            Reading::Absent(reason) => Reading::Absent(reason),
        }
    }

    fn pressure(&self) -> Reading<Vec<String>> {
        let mut found = Vec::new();
        for resource in ["cpu", "memory", "io"] {
            match self.text(&format!("/proc/pressure/{resource}")) {
                Reading::Value(_) => found.push(resource.to_owned()),
                Reading::Absent(_) => {}
                // With psi=0 the files are there and reading them fails.
                Reading::Failed(error) => return Reading::Failed(error),
            }
        }
        if found.is_empty() { Reading::Absent(Absence::Unsupported) } else { Reading::Value(found) }
    }

    fn kernel(&self) -> Reading<(u32, u32)> {
        match self.word("/proc/sys/kernel/osrelease") {
            Reading::Value(text) => parse_version(&text)
                .map_or_else(|| Reading::Failed(format!("{text} is no kernel version")), Reading::Value),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        }
    }

    fn pidfd(&self) -> Reading<bool> {
        if !self.live {
            return Reading::Absent(Absence::NotObserved);
        }
        let own = rustix::process::getpid();
        Reading::Value(rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).is_ok())
    }

    fn openat2(&self) -> Reading<bool> {
        if !self.live {
            return Reading::Absent(Absence::NotObserved);
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Reading::Value(rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).is_ok())
    }

    fn capabilities(&self, agent: Option<u32>) -> Reading<u64> {
        let Some(pid) = agent else { return Reading::Absent(Absence::NotObserved) };
        let path = format!("/proc/{pid}/status");
        match self.text(&path) {
            Reading::Value(text) => text
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))
                .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
                .map_or_else(|| Reading::Failed(format!("{path} has no CapEff")), Reading::Value),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        }
    }

    fn journal(&self) -> Reading<String> {
        match self.any(&["/var/log/journal", "/run/log/journal"]) {
            Reading::Value(Some(place)) => Reading::Value(place),
            Reading::Value(None) => Reading::Absent(Absence::Unsupported),
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        }
    }

    fn groups(&self) -> Reading<Vec<String>> {
        self.text("/etc/group").map(|text| {
            let names: Vec<_> = text.lines().filter_map(|line| line.split(':').next()).collect();
            let elsewhere = |name: &str| self.live && uzers::get_group_by_name(name).is_some();
            ["prunella", "prunella-admin"]
                .into_iter()
                .filter(|name| names.contains(name) || elsewhere(name))
                .map(str::to_owned)
                .collect()
        })
    }

    fn state(&self) -> Reading<StateFolder> {
        let path = self.at(STATE);
        if let Err(error) = std::fs::metadata(&path) {
            return failed(STATE, &error);
        }
        let filesystem = match rustix::fs::statfs(&path) {
            Ok(found) => filesystem_name(found.f_type),
            Err(error) => return Reading::Failed(format!("{STATE}: {error}")),
        };
        // Only root's right is like the agent's.
        let writable = if rustix::process::geteuid().is_root() {
            Reading::Value(rustix::fs::accessat(CWD, &path, Access::WRITE_OK, AtFlags::EACCESS).is_ok())
        } else {
            Reading::Absent(Absence::NotObserved)
        };
        Reading::Value(StateFolder { path: STATE.into(), filesystem, writable })
    }

    /// On a thread of its own: a ledger of months takes longer than an operator waits.
    fn ledger(&self, verify: fn(&Path) -> Result<Proof, String>) -> Reading<(bool, String)> {
        let path = self.at(STATE);
        match std::fs::read_dir(&path).map(Iterator::count) {
            Ok(0) => return Reading::Absent(Absence::NotApplicable),
            Ok(_) => {}
            Err(error) => return failed(STATE, &error),
        }
        let (tell, answer) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(move || {
            let _ = tell.send(verify(&path));
        });
        if let Err(error) = thread {
            return Reading::Failed(error.to_string());
        }
        match answer.recv_timeout(LEDGER_TIMEOUT) {
            Ok(Ok(proof)) => Reading::Value((proof.sound, proof.text)),
            Ok(Err(why)) => Reading::Failed(why),
            Err(_) => Reading::Failed(format!("not proven within {LEDGER_TIMEOUT:?}")),
        }
    }

    fn surroundings(&self) -> Reading<Surroundings> {
        for (path, name) in [("/run/.containerenv", "podman"), ("/.dockerenv", "docker")] {
            if self.at(path).exists() {
                return Reading::Value(Surroundings::Container(name.into()));
            }
        }
        // Written by systemd for everybody; /proc/1/environ is root's alone.
        if let Reading::Value(name) = self.word("/run/systemd/container") {
            return Reading::Value(Surroundings::Container(name));
        }
        if let Reading::Value(text) = self.text("/proc/1/environ")
            && let Some(name) = text.split('\0').find_map(|entry| entry.strip_prefix("container="))
        {
            return Reading::Value(Surroundings::Container(crate::serve::printable(name, NAME_CHARS_MAX)));
        }
        match self.text("/proc/cpuinfo") {
            Reading::Value(text) => {
                let mut flags = text.lines().filter(|line| line.starts_with("flags")).take(1);
                let guest = flags.any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
                let vendor = self.word("/sys/class/dmi/id/sys_vendor");
                let vendor = vendor.value().cloned().unwrap_or_else(|| "of unknown make".into());
                Reading::Value(if guest { Surroundings::Virtual(vendor) } else { Surroundings::BareMetal })
            }
            Reading::Absent(reason) => Reading::Absent(reason),
            Reading::Failed(error) => Reading::Failed(error),
        }
    }
}

async fn within<T>(call: impl Future<Output = zbus::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(BUS_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(crate::serve::printable(&error.to_string(), 200)),
        Err(_) => Err(format!("no answer within {BUS_TIMEOUT:?}")),
    }
}

/// A property of one of systemd's services; their paths and interfaces follow their names.
async fn property<T>(bus: &zbus::Connection, service: &str, interface: &str, name: &str) -> Result<T, String>
where
    T: serde::de::DeserializeOwned + zbus::Type,
{
    let (service, path, interface) = (
        format!("org.freedesktop.{service}"),
        format!("/org/freedesktop/{service}"),
        format!("org.freedesktop.{interface}"),
    );
    within(async {
        let proxy = zbus::Proxy::new(bus, service, path, interface).await?;
        proxy.get_property::<T>(name).await
    })
    .await
}

/// `6.1.0-18-amd64` → 6, 1.
pub(super) fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Names for the magic numbers of statfs(2).
fn filesystem_name(magic: rustix::fs::FsWord) -> String {
    const NAMES: [(rustix::fs::FsWord, &str); 14] = [
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0x2fc1_2fc1, "zfs"),
        (0xf2f5_2010, "f2fs"),
        (0xca45_1a4e, "bcachefs"),
        (0x0102_1994, "tmpfs"),
        (0x8584_58f6, "ramfs"),
        (0x794c_7630, "overlayfs"),
        (0x6969, "nfs"),
        (0xff53_4d42, "cifs"),
        (0xfe53_4d42, "cifs"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "fuse"),
    ];
    let name = NAMES.iter().find(|(known, _)| *known == magic).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("a file system of type {magic:#x}"))
}
