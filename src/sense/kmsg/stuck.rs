//! Tasks and processors that do not get on, and a kernel or a program that failed.

use super::meaning::Meaning;
use super::text::{after_any, leading, leading_u32};
use crate::sense::HexText;
use crate::sense::scan::{find, find_text, pid, rfind_text, split_text};

/// How the kernel failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KernelFault {
    /// A check failed, or a bad page or pointer was met.
    Bug,
    /// The task that met it was killed.
    Oops,
    /// The end of it.
    Panic,
    /// A check failed and all went on.
    Warning,
}

pub(super) fn meaning(text: &[u8]) -> Option<Meaning<'_>> {
    match text.first()? {
        b'I' => hung(text).or_else(|| rcu(text)).or_else(|| oops(text)),
        b'w' | b'N' => lockup(text),
        b'r' => rcu(text),
        b'B' => workqueue(text).or_else(|| bug(text)),
        b'K' => {
            text.starts_with(b"Kernel panic - not syncing: ").then_some(Meaning::Kernel(KernelFault::Panic))
        }
        b'O' | b'g' => oops(text),
        b'U' => bug(text),
        b'k' => {
            let place = text.strip_prefix(b"kernel BUG at ")?.strip_suffix(b"!")?;
            (find(place, b':').is_some() && find(place, b' ').is_none())
                .then_some(Meaning::Kernel(KernelFault::Bug))
        }
        b'W' => {
            // `WARNING: CPU: 0 PID: 12 at kernel/x.c:1 f+0x1/0x2`, since 6.18 `WARNING: kernel/x.c:1 at f+0x1/0x2,
            // CPU#0: sh/12`.
            let rest = text.strip_prefix(b"WARNING: ")?;
            let before = rest.starts_with(b"CPU: ") && find_text(rest, b" PID: ").is_some();
            let behind = split_text(rest, b", CPU#").and_then(|(_, rest)| leading(rest));
            let known = before || behind.is_some_and(|(_, rest)| rest.starts_with(b": "));
            known.then_some(Meaning::Kernel(KernelFault::Warning))
        }
        _ => None,
    }
}

/// `INFO: task COMM:PID blocked for more than 120 seconds.`, since 6.17 also `blocked in I/O wait for more than`.
fn hung(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = text.strip_prefix(b"INFO: task ")?;
    let (middle, end): (&[u8], &[u8]) = (b" for more than ", b" seconds.");
    let at = rfind_text(rest, middle)?;
    let (seconds, tail) = leading(&rest[at + middle.len()..])?;
    let who =
        rest[..at].strip_suffix(b" blocked").or_else(|| rest[..at].strip_suffix(b" blocked in I/O wait"))?;
    let colon = who.iter().rposition(|byte| *byte == b':')?;
    let (comm, number) = (HexText::new(&who[..colon]), pid(&who[colon + 1..])?);
    tail.starts_with(end).then_some(Meaning::HungTask { pid: number, comm, seconds })
}

/// `watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [COMM:PID]` and `watchdog: [CPU3: ]Watchdog detected hard
/// LOCKUP on cpu 3`; before 4.17 after `NMI watchdog: `.
fn lockup(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = after_any(text, &[b"watchdog: ", b"NMI watchdog: "])?;
    if let Some(rest) = rest.strip_prefix(b"BUG: soft lockup - CPU#") {
        let (cpu, rest) = leading_u32(rest)?;
        let (seconds, rest) = leading(rest.strip_prefix(b" stuck for ")?)?;
        let who = rest.strip_prefix(b"s! [")?.strip_suffix(b"]")?;
        let colon = who.iter().rposition(|byte| *byte == b':')?;
        let comm = HexText::new(&who[..colon]);
        return Some(Meaning::SoftLockup { cpu, seconds, pid: pid(&who[colon + 1..])?, comm });
    }
    let rest = match rest.strip_prefix(b"CPU") {
        Some(rest) => leading(rest)?.1.strip_prefix(b": ")?,
        None => rest,
    };
    let (cpu, _) = leading_u32(rest.strip_prefix(b"Watchdog detected hard LOCKUP on cpu ")?)?;
    Some(Meaning::HardLockup { cpu })
}

/// `rcu: INFO: rcu_sched self-detected stall on CPU`, `… detected stalls on CPUs/tasks:`, `… detected expedited
/// stalls on CPUs/tasks: {`; before 4.19 without `rcu: `.
fn rcu(text: &[u8]) -> Option<Meaning<'_>> {
    const ENDS: [&[u8]; 3] = [
        b" self-detected stall on CPU",
        b" detected stalls on CPUs/tasks:",
        b" detected expedited stalls on CPUs",
    ];
    let rest = text.strip_prefix(b"rcu: ").unwrap_or(text).strip_prefix(b"INFO: rcu_")?;
    let flavour = rest.iter().position(|byte| *byte == b' ')?;
    after_any(&rest[flavour..], &ENDS).map(|_| Meaning::RcuStall)
}

/// `BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!`.
fn workqueue(text: &[u8]) -> Option<Meaning<'_>> {
    let rest = text.strip_prefix(b"BUG: workqueue lockup - pool")?;
    let seconds =
        split_text(rest, b" stuck for ").and_then(|(_, rest)| leading(rest)).map(|(seconds, _)| seconds);
    Some(Meaning::WorkqueueLockup { seconds })
}

/// Complaints that name what they met.
fn bug(text: &[u8]) -> Option<Meaning<'_>> {
    const STARTS: [&[u8]; 7] = [
        b"BUG: kernel NULL pointer dereference, ",
        b"BUG: unable to handle ",
        b"BUG: Bad page state in process ",
        b"BUG: Bad rss-counter state ",
        b"BUG: scheduling while atomic: ",
        b"BUG: non-zero pgtables_bytes on freeing mm: ",
        // arm64 and s390x.
        b"Unable to handle kernel ",
    ];
    after_any(text, &STARTS).map(|_| Meaning::Kernel(KernelFault::Bug))
}

/// `Oops: 0002 [#1] SMP PTI`, `Oops: general protection fault, …: 0000 [#1] PREEMPT SMP`, arm64's `Internal error:
/// Oops: 96000004 [#1] SMP`, s390x's `Oops: 0004 ilc:2 [#1] SMP`. Behind the count stand words alone.
fn oops(text: &[u8]) -> Option<Meaning<'_>> {
    after_any(text, &[b"Oops: ", b"Internal error: ", b"general protection fault"])?;
    let (_, rest) = split_text(text, b" [#")?;
    let words = leading(rest)?.1.strip_prefix(b"]")?;
    let plain = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'_' | b'(' | b')');
    words.iter().all(plain).then_some(Meaning::Kernel(KernelFault::Oops))
}

/// Longest name of a process.
const COMM_MAX: usize = 15;

/// The kernel's lines that begin with a process's name, and what it puts behind it (`comm[pid]…` or `comm…`). A
/// name can look like the beginning of any other line.
const BEHIND_PID: [&[u8]; 4] = [b"]: segfault at ", b"]: unhandled ", b"]: bad frame in ", b"] vsyscall "];
const BEHIND_NAME: [&[u8]; 4] = [
    b" invoked oom-killer: ",
    b": page allocation ",
    b": potentially unexpected fatal signal ",
    b": vmalloc ",
];

/// Whether the beginning of the line is the name of a process, and not the kernel's own words.
pub(super) fn begins_with_process(text: &[u8]) -> bool {
    let is_comm = |comm: &[u8]| HexText::new(comm).bytes().count() <= COMM_MAX;
    let at = |mark: &[u8]| find_text(text, mark).map(|at| &text[..at]);
    BEHIND_PID
        .iter()
        .filter_map(|mark| at(mark))
        .any(|front| named_pid(front).is_some_and(|(comm, _)| is_comm(comm)))
        || BEHIND_NAME.iter().filter_map(|mark| at(mark)).any(is_comm)
}

/// `COMM[PID`.
fn named_pid(front: &[u8]) -> Option<(&[u8], i32)> {
    let open = front.iter().rposition(|byte| *byte == b'[')?;
    Some((&front[..open], pid(&front[open + 1..])?))
}

/// `COMM[PID]: segfault at …`, `traps: COMM[PID] general protection fault ip:…`, `traps: COMM[PID] trap invalid
/// opcode ip:…`. The first place that fits is the kernel's: a name is too short to hold such a text with a pid.
pub(super) fn of_process(text: &[u8]) -> Option<Meaning<'_>> {
    let trap = text.strip_prefix(b"traps: ").and_then(|rest| {
        let end = find_text(rest, b"] general protection").or_else(|| find_text(rest, b"] trap "))?;
        Some(&rest[..end])
    });
    let front = trap.or_else(|| Some(&text[..find_text(text, b"]: segfault at ")?]))?;
    let (comm, pid) = named_pid(front)?;
    let comm = HexText::new(comm);
    (comm.bytes().count() <= COMM_MAX).then_some(Meaning::Segfault { pid, comm })
}
