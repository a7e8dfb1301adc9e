//! One throw-away host.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Tier, package};

/// How often a condition is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(50);
/// How long a command on a host may take that was given no time of its own.
const EXEC_TIMEOUT: Duration = Duration::from_secs(120);

/// What a container gets beyond the usual. All empty: a loopback, 1 GiB and 2000 tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct NspawnShape {
    /// Extra ext4 file systems, `SIZE` (on /data, /data2, …) or `SIZE:MOUNT`.
    pub disks: Vec<String>,
    /// Whether it has an interface `host0`, whose cable [`Host::netcut`] pulls.
    pub cable: bool,
    /// Its bound on memory, such as `512M`.
    pub memory: Option<String>,
    /// Its bound on tasks.
    pub tasks: Option<u32>,
}

/// What a VM looks like. Each new mix of memory, CPUs, disks and kernel arguments costs a cold boot and a
/// snapshot once; keep them few.
#[derive(Clone, Debug)]
pub(crate) struct VmShape {
    /// Memory, such as `512M`.
    pub memory: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Extra ext4 disks, `SIZE` (on /data, /data2, …) or `SIZE:MOUNT`.
    pub disks: Vec<String>,
    /// Ports of this machine's loopback that the guest reaches at 10.0.2.100.
    pub host_ports: Vec<u16>,
    /// More kernel arguments.
    pub append: String,
    /// Boot for real: hosts resumed from a snapshot share their boot id.
    pub cold: bool,
    /// Start with this clock, such as `2031-01-01T00:00:00`; boots for real.
    pub clock: Option<String>,
}

impl Default for VmShape {
    fn default() -> VmShape {
        VmShape {
            memory: "512M".to_owned(),
            cpus: 1,
            disks: Vec::new(),
            host_ports: Vec::new(),
            append: String::new(),
            cold: false,
            clock: None,
        }
    }
}

/// What a command left: its exit code (124 timeout, 127 not found, 128 + N signal, 255 host gone) and output.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output; what is not UTF-8 is replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A running host. Owns it: dropped, the host and its disks are gone, unless `PRUNELLA_KEEP_HOSTS` is set.
///
/// Methods panic, with all that is known, when the host itself fails them; a command that fails on the
/// host is the caller's to judge.
pub(crate) struct Host {
    tier: Tier,
    name: String,
    keep: bool,
}

impl Host {
    /// A clean container, booted.
    pub(crate) fn nspawn(label: &str) -> Host {
        Host::nspawn_shaped(label, &NspawnShape::default())
    }

    /// A clean container, booted, with more than the usual.
    pub(crate) fn nspawn_shaped(label: &str, shape: &NspawnShape) -> Host {
        let mut flags = each("--disk", &shape.disks);
        flags.extend(shape.cable.then(|| "--veth".to_owned()));
        flags.extend(shape.memory.iter().map(|memory| format!("--mem={memory}")));
        flags.extend(shape.tasks.iter().map(|tasks| format!("--tasks={tasks}")));
        Host::up(Tier::Nspawn, label, &flags)
    }

    /// A clean VM, resumed from the snapshot of a booted one, or booted if the shape asks for it.
    #[expect(clippy::needless_pass_by_value, reason = "a shape is made for the one host")]
    pub(crate) fn vm(label: &str, shape: VmShape) -> Host {
        let mut flags = vec![format!("--mem={}", shape.memory), format!("--cpus={}", shape.cpus)];
        flags.push(format!("--append={}", shape.append));
        flags.extend(each("--disk", &shape.disks));
        flags.extend(each("--host", &shape.host_ports));
        flags.extend(shape.cold.then(|| "--cold".to_owned()));
        flags.extend(shape.clock.iter().map(|clock| format!("--rtc={clock}")));
        Host::up(Tier::Vm, label, &flags)
    }

    fn up(tier: Tier, label: &str, flags: &[String]) -> Host {
        let keep = std::env::var_os("PRUNELLA_KEEP_HOSTS").is_some();
        let host = Host { tier, name: unique(label), keep };
        let mut args: Vec<&str> = flags.iter().map(String::as_str).collect();
        // A host that nobody keeps is taken down by the next `up` if we die before we can do it.
        let owner = format!("--owner={}", std::process::id());
        if !keep {
            args.push(&owner);
        }
        host.must("up", &args);
        host
    }

    /// Its name, and its host name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Which kind it is.
    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    /// Runs a command on the host, as root, in /root, without input.
    pub(crate) fn exec(&self, argv: &[&str]) -> Output {
        self.exec_within(EXEC_TIMEOUT, argv)
    }

    /// Runs a command with a time limit of its own; past it, the command is killed and the code is 124.
    pub(crate) fn exec_within(&self, limit: Duration, argv: &[&str]) -> Output {
        let limit = format!("--timeout={}", limit.as_secs_f64());
        run(self.command("exec", &[&[limit.as_str(), "--"], argv].concat()), b"")
    }

    /// Runs a command with this for its standard input.
    pub(crate) fn exec_with_input(&self, argv: &[&str], input: &[u8]) -> Output {
        let limit = format!("--timeout={}", EXEC_TIMEOUT.as_secs());
        run(self.command("exec", &[&["-i", limit.as_str(), "--"], argv].concat()), input)
    }

    /// Runs a shell script on the host.
    pub(crate) fn sh(&self, script: &str) -> Output {
        self.exec(&["sh", "-c", script])
    }

    /// Runs a shell script that must succeed, each command of it, and returns its output without the last
    /// line's end.
    pub(crate) fn ok(&self, script: &str) -> String {
        let out = self.exec(&["sh", "-ec", script]);
        assert!(out.code == 0, "on {}: {script}\n{out}", self.name);
        out.stdout.trim_end_matches('\n').to_owned()
    }

    /// Copies a file of this machine to the host, with its mode; whole or not at all.
    pub(crate) fn put(&self, local: &Path, remote: &str) {
        self.must("put", &[&local.to_string_lossy(), remote]);
    }

    /// Copies a file of the host to this machine.
    pub(crate) fn get(&self, remote: &str, local: &Path) {
        self.must("get", &[remote, &local.to_string_lossy()]);
    }

    /// Makes a file on the host, and the directories that lead to it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let script = r#"mkdir -p "$(dirname "$1")" && cat >"$1""#;
        let out = self.exec_with_input(&["sh", "-c", script, "write", path], text.as_bytes());
        assert!(out.code == 0, "on {}: cannot write {path}\n{out}", self.name);
    }

    /// Ends everything at once, leaving the disks as they are. On a VM the page cache is lost, as by a power
    /// cut; a container shares this machine's, which stays.
    pub(crate) fn powercut(&self) {
        let verb = match self.tier {
            Tier::Nspawn => "kill9",
            Tier::Vm => "powercut",
        };
        self.must(verb, &[]);
    }

    /// Runs a command on a VM, and cuts its power this long after the command's first output.
    pub(crate) fn powercut_after(&self, delay: Duration, argv: &[&str]) {
        assert_eq!(self.tier, Tier::Vm, "only a VM has power of its own");
        let after = format!("--after={}", delay.as_secs_f64());
        self.must("powercut", &[&[after.as_str(), "--"], argv].concat());
    }

    /// Boots on the disks of the last run, and waits until it is up.
    pub(crate) fn boot_again(&self) {
        self.must("up", &["--keep"]);
    }

    /// Reboots in good order and waits. A container asked to reboot from inside only goes down: then it is
    /// [`Host::boot_again`] that starts it.
    pub(crate) fn reboot(&self) {
        self.must("reboot", &[]);
    }

    /// Pulls the network cable (of a container: if its shape has one).
    pub(crate) fn netcut(&self) {
        self.must("netcut", &[]);
    }

    /// Plugs the network cable in.
    pub(crate) fn netrestore(&self) {
        self.must("netrestore", &[]);
    }

    /// Polls until it is so. Panics past the deadline, with what was waited for and the host's journal.
    pub(crate) fn wait_until(&self, what: &str, deadline: Duration, is_so: impl FnMut() -> bool) {
        wait_until(&format!("{what} on {}", self.name), deadline, is_so);
    }

    /// How a human gets in and, after that, rid of it.
    fn how_to_enter(&self) -> String {
        let (script, name) = (self.tier.script(), &self.name);
        let script = script.display();
        format!("kept: {script} exec {name} -- COMMAND; when done: {script} down {name} --fast")
    }

    fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.tier.script());
        command.arg(verb).arg(&self.name).args(args);
        command
    }

    fn must(&self, verb: &str, args: &[&str]) {
        let out = run(self.command(verb, args), b"");
        assert!(out.code == 0, "{} {verb} {} {}\n{out}", self.tier.name(), self.name, args.join(" "));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let script = "systemctl --failed --no-legend; journalctl -b --no-pager -n 60";
            let seen = self.exec_within(Duration::from_secs(20), &["sh", "-c", script]);
            eprintln!("--- {} when its trial failed: {seen}", self.name);
        }
        if self.keep {
            eprintln!("{}", self.how_to_enter());
        } else {
            let out = run(self.command("down", &["--fast"]), b"");
            if out.code != 0 {
                eprintln!("{} was not taken down: {out}", self.name);
            }
        }
    }
}

/// Polls until it is so. Panics past the deadline, with what was waited for.
pub(crate) fn wait_until(what: &str, deadline: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        std::thread::sleep(POLL);
    }
}

/// Installs the package under test with apt, without a network. For trials added as needing the package.
pub(crate) fn install_package(host: &Host) {
    let local = package().expect("the suite ignores trials without their package");
    host.put(&local, "/root/prunella.deb");
    host.ok("apt-get install -qy --no-install-recommends ./prunella.deb");
}

/// Names differ between hosts of one process and between processes, and are valid host names of at most
/// 31 characters.
fn unique(label: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let clean = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let label: String = label.chars().take(15).map(clean).collect();
    format!("t-{label}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn each<T: fmt::Display>(flag: &str, values: &[T]) -> Vec<String> {
    values.iter().map(|value| format!("{flag}={value}")).collect()
}

/// Runs one of the scripts. They bound their own waits, and leave nothing that holds our pipes open.
fn run(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let done = std::thread::scope(|scope| {
        // Beside the reading, or both sides could wait for each other; a command need not read its input.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output()
    });
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: done.status.code().unwrap_or(255),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}
