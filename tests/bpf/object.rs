//! The object that is checked in is what its source compiles to.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

pub(crate) fn trial() -> Trial {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bpf-object");
    let done = Command::new(script).arg("--check").output();
    // 2: not the compiler that made the object. (No script: this program was carried to another machine.)
    let (ignored, verdict) = match done {
        Ok(done) if done.status.success() => (false, Ok(())),
        Ok(done) => {
            let told = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            (done.status.code() == Some(2), Err(told))
        }
        Err(error) => (true, Err(format!("scripts/bpf-object can't be run: {error}"))),
    };
    if let (true, Err(why)) = (ignored, &verdict) {
        eprintln!("bpf tests: SKIPPED object::is_what_its_source_compiles_to: {why}");
    }
    Trial::test("object::is_what_its_source_compiles_to", move || verdict.map_err(Failed::from))
        .with_ignored_flag(ignored)
}
