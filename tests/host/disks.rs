//! Disks of a container: file systems of each kind, in files in memory.
//!
//! In memory, for what is written to them is to take nobody else's time: a file on this machine's disk would share a
//! journal with the ledger, and each record would wait for what the writer of the trial has written.

use crate::agent::Agent;
use crate::harness::Output;

/// Where the files are.
const FOLDER: &str = "/run/disks";
/// Minors of the loop device that the container gets a name for. The kernel hands them out to all of the machine.
const DEVICES: u32 = 64;

/// Makes room for disks. Their size is the bound of what they may take together, with which the memory of the host is
/// to be bounded as well.
pub(crate) fn prepare(agent: &Agent, size: &str) {
    agent.ok(&format!(
        "mkdir {FOLDER} && mount -t tmpfs -o size={size} none {FOLDER} && mknod /dev/loop-control c 10 237 && \
         for it in $(seq 0 {DEVICES}); do mknod /dev/loop$it b 7 $it; done"
    ));
}

/// Why there can be no such file system here.
pub(crate) fn lacking(agent: &Agent, kind: &str) -> Option<String> {
    let said = |out: Output| (out.code != 0).then(|| out.stderr.trim().replace('\n', " "));
    said(agent.sh(&format!(
        "grep -qw {kind} /proc/filesystems || {{ echo the kernel has no {kind} >&2; exit 1; }}"
    )))
    .or_else(|| match kind {
        "tmpfs" => None,
        _ => said(agent.sh(&format!("command -v mkfs.{kind} || {{ echo no mkfs.{kind} >&2; exit 1; }}"))),
    })
}

/// Makes one of so many MiB, with what `mkfs` is told besides, and mounts it there.
pub(crate) fn make(agent: &Agent, name: &str, kind: &str, mib: u32, options: &str, point: &str) {
    let file = format!("{FOLDER}/{name}");
    agent.ok(&format!("truncate -s {mib}M {file} && mkfs.{kind} -q {options} {file}"));
    mount(agent, name, point);
}

/// Mounts it there; the folder is made.
pub(crate) fn mount(agent: &Agent, name: &str, point: &str) {
    agent.ok(&format!("mkdir -p {point} && mount -o loop {FOLDER}/{name} {point}"));
}

/// Unmounts it. An act or a look that is under way has it open, and is gone through with.
pub(crate) fn unmount(agent: &Agent, point: &str) {
    agent.until("the disk to be left alone", || agent.sh(&format!("umount {point}")).code == 0);
}

/// Unmounts it, and throws it away.
pub(crate) fn discard(agent: &Agent, name: &str, point: &str) {
    unmount(agent, point);
    agent.ok(&format!("rm -f {FOLDER}/{name}"));
}
