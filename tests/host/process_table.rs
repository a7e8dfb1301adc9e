//! The process table by BPF on a second kernel: the comparison of `tests/bpf`, carried into a VM.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Host, Suite, VmShape, full_run};

/// Ten passes, each with a whole reading of `/proc` before and after it; in a full run some thousand more.
const TIME: Duration = Duration::from_secs(300);

/// Adds this trial.
pub(crate) fn add(suite: &mut Suite) {
    suite.vm("process_table::bpf_agrees_with_procfs", || {
        agrees_with_procfs(&Host::vm("process-table", VmShape::default()));
    });
}

/// This kernel (6.1) has the way of lines. That of the table needs 6.7.
fn agrees_with_procfs(host: &Host) {
    host.put(&comparison(), "/root/bpf");
    let which = if full_run() { "lines::" } else { "lines::agrees_with_procfs" };
    let script = format!("PRUNELLA_REQUIRE_BPF=lines ./bpf {which}");
    let said = host.exec_within(TIME, &["sh", "-c", &script]);
    assert!(said.code == 0 && said.stdout.contains(" passed; 0 failed; 0 ignored"), "{said}");
    assert!(!said.stdout.contains("running 0 tests"), "{said}");
}

/// The program of `tests/bpf`, built as this one was.
fn comparison() -> PathBuf {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["test", "--locked", "--test", "bpf", "--no-run", "--message-format=json"]);
    let done = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo can be run");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8_lossy(&done.stdout);
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = messages.filter(|it| it["target"]["name"] == "bpf");
    let program = built.find_map(|it| it["executable"].as_str().map(PathBuf::from));
    program.expect("cargo names what it has built")
}
