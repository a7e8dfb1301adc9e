//! Trials, and which of them this machine can run.

use std::collections::BTreeMap;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::{Tier, package};

/// The trials of this test binary. Owns the verdict on what each of them needs, asked for once.
pub struct Suite {
    args: Arguments,
    trials: Vec<Trial>,
    needs: BTreeMap<&'static str, Result<(), String>>,
}

impl Suite {
    /// An empty suite that obeys the command line (cargo's, or nextest's, which lists and runs by name).
    pub fn new() -> Suite {
        Suite { args: Arguments::from_args(), trials: Vec::new(), needs: BTreeMap::new() }
    }

    /// Adds a trial on a container.
    pub fn nspawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, false, name, body);
    }

    /// Adds a trial on a container that installs the package.
    pub fn nspawn_with_package(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Nspawn, true, name, body);
    }

    /// Adds a trial on a VM.
    pub fn vm(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Vm, false, name, body);
    }

    /// Adds a trial on a VM that installs the package.
    pub fn vm_with_package(&mut self, name: &str, body: impl FnOnce() + Send + 'static) {
        self.add(Tier::Vm, true, name, body);
    }

    fn add(&mut self, tier: Tier, package: bool, name: &str, body: impl FnOnce() + Send + 'static) {
        let name = format!("{}::{name}", tier.name());
        let lacking = self.need(tier.name(), || tier.check()).err().or_else(|| {
            let missing = || self::package().map(|_| ());
            if package { self.need("the package", missing).err() } else { None }
        });
        let required = std::env::var("PRUNELLA_REQUIRE_HOSTS").is_ok_and(|v| v != "0");
        let ignored = lacking.is_some() && !required;
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
    pub fn run(self) -> ExitCode {
        // nextest lists twice, the second time for the ignored ones; and runs each trial by its full name.
        if !(self.args.ignored || self.args.exact) {
            for (what, verdict) in &self.needs {
                if let Err(why) = verdict {
                    eprintln!("host tests: WITHOUT {what}, its trials are ignored: {why}");
                }
            }
        }
        libtest_mimic::run(&self.args, self.trials).exit_code()
    }
}
