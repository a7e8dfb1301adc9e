//! Hosts to test on, and the trials that need them.
//!
//! [`Host`] is one throw-away host of either tier, driven by `scripts/nspawn` or `scripts/vm`, whose
//! verbs and exit codes are the same. [`Suite`] collects trials, and ignores those that this machine
//! cannot run.
#![expect(dead_code, reason = "a box of tools: not each of them is in use at all times")]

mod host;
mod suite;

#[expect(unused_imports, reason = "as above")]
pub(crate) use host::{Host, NspawnShape, Output, VmShape, install_package, wait_until};
pub(crate) use suite::{Suite, full_run};

use std::path::PathBuf;
use std::process::Command;

/// Which kind of host: a container that shares this machine's kernel, or a machine of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// systemd-nspawn: up in under a second; no controllers, clock, kernel log or power of its own.
    Nspawn,
    /// QEMU: everything, at a price.
    Vm,
}

impl Tier {
    /// The first part of the names of this tier's trials, and the name of its script.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tier::Nspawn => "nspawn",
            Tier::Vm => "vm",
        }
    }

    /// The path of the script that makes hosts of this tier.
    pub(crate) fn script(self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts").join(self.name())
    }

    /// Errors with the reason, for a human, why no host of this tier can be had. Cheap: it starts none.
    pub(crate) fn check(self) -> Result<(), String> {
        if self == Tier::Vm && std::env::var("PRUNELLA_VM_TESTS").is_ok_and(|v| v == "0") {
            return Err("PRUNELLA_VM_TESTS is 0".to_owned());
        }
        match Command::new(self.script()).arg("check").output() {
            Ok(out) if out.status.success() => Ok(()),
            Ok(out) => Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()),
            Err(error) => Err(format!("{}: {error}", self.script().display())),
        }
    }
}

/// The package under test: the file that `PRUNELLA_DEB` names, relative to the top of the tree.
///
/// Errors with the reason, for a human, if there is none.
pub(crate) fn package() -> Result<PathBuf, String> {
    named("PRUNELLA_DEB")
}

/// The same as an RPM package, `PRUNELLA_RPM`.
///
/// Errors with the reason, for a human, if there is none.
pub(crate) fn rpm() -> Result<PathBuf, String> {
    named("PRUNELLA_RPM")
}

fn named(variable: &str) -> Result<PathBuf, String> {
    let value = std::env::var_os(variable).filter(|v| !v.is_empty());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(value.ok_or(format!("{variable} is unset"))?);
    if path.is_file() { Ok(path) } else { Err(format!("{variable}: no file {}", path.display())) }
}
