//! Trials, and which of them this machine can run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use super::{Tier, package, rpm};

/// What a trial asks for besides a host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The package under test.
    Package,
    /// The RPM package under test.
    Rpm,
    /// Disks in files, in a container: this machine's kernel lends them.
    Loops,
    /// The time of a full run.
    Time,
}

impl Need {
    /// What the list of what is missing calls it.
    fn name(self) -> &'static str {
        match self {
            Need::Package => "package",
            Need::Rpm => "rpm",
            Need::Loops => "loop devices",
            Need::Time => "the long trials",
        }
    }

    /// Errors with the reason, for a human.
    fn check(self) -> Result<(), String> {
        match self {
            Need::Package => package().map(|_| ()),
            Need::Rpm => rpm().map(|_| ()),
            Need::Loops => loop_devices(),
            Need::Time => asked_for_in_full(),
        }
    }
}

/// The trials of this test binary. Owns the verdict on what each of them needs, asked for once.
pub(crate) struct Suite {
    args: Arguments,
    trials: Vec<Trial>,
    needs: BTreeMap<&'static str, Result<(), String>>,
}

impl Suite {
    /// An empty suite that obeys the command line (cargo's, or nextest's, which lists and runs by name).
    pub(crate) fn new() -> Suite {
        Suite { args: Arguments::from_args(), trials: Vec::new(), needs: BTreeMap::new() }
    }

    /// Adds a trial on a container.
    pub(crate) fn nspawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, &[], name, body);
    }

    /// Adds a trial on a container that installs the package.
    pub(crate) fn nspawn_with_package(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, &[Need::Package], name, body);
    }

    /// Adds a trial on a container that installs the RPM package.
    pub(crate) fn nspawn_with_rpm(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, &[Need::Rpm], name, body);
    }

    /// Adds a trial on a container that installs the package and mounts disks of its own.
    pub(crate) fn nspawn_with_disks(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, &[Need::Package, Need::Loops], name, body);
    }

    /// The same, which takes too long for every run: `PRUNELLA_FULL_TESTS=1` asks for it.
    pub(crate) fn nspawn_with_disks_in_full(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, &[Need::Package, Need::Loops, Need::Time], name, body);
    }

    /// Adds a trial on a VM.
    pub(crate) fn vm(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Vm, &[], name, body);
    }

    /// Adds a trial on a VM that installs the package: a few minutes where VMs are emulated.
    pub(crate) fn vm_with_package(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Vm, &[Need::Package], name, body);
    }

    /// The same, which takes too long for every run.
    pub(crate) fn vm_in_full(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Vm, &[Need::Package, Need::Time], name, body);
    }

    fn add(&mut self, tier: Tier, needs: &[Need], name: &str, body: impl FnOnce() + Send + 'static) {
        let name = format!("{}::{name}", tier.name());
        let mut lacking = self.need(tier.name(), || tier.check()).err();
        for need in needs {
            lacking = lacking.or_else(|| self.need(need.name(), || need.check()).err());
        }
        let asked = !needs.contains(&Need::Time) || full_run();
        let required = required(tier.name()) || needs.iter().any(|need| required(need.name()));
        let ignored = lacking.is_some() && !(required && asked);
        let runner = move || match lacking {
            Some(why) => Err(Failed::from(format!("cannot run here: {why}"))),
            None => {
                body();
                Ok(())
            }
        };
        self.trials.push(Trial::test(name, runner).with_ignored_flag(ignored));
    }

    fn need(&mut self, what: &'static str, check: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        self.needs.entry(what).or_insert_with(check).clone()
    }

    /// Says on stderr what is missing, then lists or runs the trials.
    pub(crate) fn run(mut self) -> ExitCode {
        let missing = self.missing();
        // nextest swallows what is said while it lists, and never starts an ignored trial: there a trial of its
        // own says it, whose output .config/nextest.toml has shown.
        if std::env::var_os("NEXTEST").is_some() {
            self.trials.push(Trial::test("report::what_is_missing", move || {
                eprint!("{missing}");
                Ok(())
            }));
        } else if !self.args.list {
            eprint!("{missing}");
        }
        libtest_mimic::run(&self.args, self.trials).exit_code()
    }

    fn missing(&self) -> String {
        let lacking = self.needs.iter().filter_map(|(what, verdict)| Some((what, verdict.as_ref().err()?)));
        lacking
            .map(|(what, why)| format!("host tests: WITHOUT {what}, its trials are ignored: {why}\n"))
            .collect()
    }
}

/// Whether the long trials are asked for, and the whole of those that otherwise do a part.
pub(crate) fn full_run() -> bool {
    std::env::var("PRUNELLA_FULL_TESTS").is_ok_and(|value| value == "1")
}

fn asked_for_in_full() -> Result<(), String> {
    let why = || "minutes each; PRUNELLA_FULL_TESTS=1 runs them".to_owned();
    full_run().then_some(()).ok_or_else(why)
}

/// A module that is not loaded yet is asked for once.
fn loop_devices() -> Result<(), String> {
    let there = || Path::new("/dev/loop-control").exists();
    if !there() {
        // Whether it is known, and says so, is of no account: the device is there afterwards, or it is not.
        Command::new("modprobe").args(["-q", "loop"]).status().ok();
    }
    there().then_some(()).ok_or_else(|| "this machine's kernel has no /dev/loop-control".to_owned())
}

/// Whether `PRUNELLA_REQUIRE_HOSTS`, a list such as `nspawn,vm,package`, names it: then it must be there.
fn required(what: &str) -> bool {
    std::env::var("PRUNELLA_REQUIRE_HOSTS").is_ok_and(|list| list.split(',').any(|item| item.trim() == what))
}
