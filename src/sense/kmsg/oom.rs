//! The out-of-memory killer (`mm/oom_kill.c`, `mm/memcontrol.c` of the kernel).

use super::meaning::Meaning;
use super::text::{after_any, leading};
use crate::model::Bytes;
use crate::sense::HexText;
use crate::sense::scan::{find_text, number, pid, rfind_text, split_text};

/// Whose memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OomScope {
    Host,
    /// A control group's limit.
    Group,
    /// The line does not say: 4.18 says it in the line before.
    Untold,
}

/// What held the allocation back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OomConstraint {
    None,
    Cpuset,
    MemoryPolicy,
    Group,
}

pub(super) fn meaning(text: &[u8]) -> Option<Meaning<'_>> {
    match text.first()? {
        b'O' => after_any(text, &[b"Out of memory: ", b"Out of memory (oom_kill_allocating_task): "])
            .and_then(|rest| kill(rest, OomScope::Host))
            .or_else(|| {
                (text == b"Out of memory and no killable processes...").then_some(Meaning::OomNobody)
            }),
        b'M' => kill(text.strip_prefix(b"Memory cgroup out of memory: ")?, OomScope::Group),
        b'K' => kill(text, OomScope::Untold),
        b'o' => context(text.strip_prefix(b"oom-kill:constraint=")?),
        b'T' => group(text),
        _ => None,
    }
}

/// `Killed process 4711 (java) total-vm:…kB, anon-rss:…kB, file-rss:…kB, shmem-rss:…kB[, UID:… pgtables:…kB
/// oom_score_adj:…]`. The name is any 15 bytes and may hold `)`; nothing behind it holds `) total-vm:`.
fn kill(text: &[u8], scope: OomScope) -> Option<Meaning<'_>> {
    let text = text.strip_prefix(b"Killed process ")?;
    let (digits, rest) = split_text(text, b" (")?;
    let end = rfind_text(rest, b") total-vm:")?;
    let (comm, numbers) = (&rest[..end], &rest[end + 1..]);
    let anonymous =
        split_text(numbers, b", anon-rss:").and_then(|(_, rest)| leading(rest)).and_then(|found| {
            let (kib, rest) = found;
            rest.starts_with(b"kB").then_some(Bytes(kib.checked_mul(1024)?))
        });
    let user = split_text(numbers, b", UID:").and_then(|(_, rest)| leading(rest));
    let user = user.and_then(|(user, _)| u32::try_from(user).ok());
    Some(Meaning::OomKill { pid: pid(digits)?, comm: HexText::new(comm), scope, anonymous, user })
}

/// `CONSTRAINT_MEMCG,nodemask=(null),cpuset=X,mems_allowed=0,oom_memcg=A,task_memcg=B,task=COMM,pid=N,uid=N`, or
/// `,global_oom,` for the group. Names are taken only where each key stands once; the numbers at the end are sure.
fn context(text: &[u8]) -> Option<Meaning<'_>> {
    let (constraint, rest) = split_text(text, b",nodemask=")?;
    let constraint = match constraint {
        b"CONSTRAINT_NONE" => OomConstraint::None,
        b"CONSTRAINT_CPUSET" => OomConstraint::Cpuset,
        b"CONSTRAINT_MEMORY_POLICY" => OomConstraint::MemoryPolicy,
        b"CONSTRAINT_MEMCG" => OomConstraint::Group,
        _ => return None,
    };
    let at = rfind_text(rest, b",uid=")?;
    let user = u32::try_from(number(&rest[at + 5..])?).ok()?;
    let rest = &rest[..at];
    let at = rfind_text(rest, b",pid=")?;
    let pid = pid(&rest[at + 5..])?;
    let rest = &rest[..at];
    let task = only(rest, b",task=");
    let group = only(rest, b",task_memcg=");
    let comm = task.map(|at| HexText::new(&rest[at + 6..]));
    let victim_group = match (group, task) {
        (Some(start), Some(end)) => rest.get(start + 12..end).map(HexText::new),
        (_, _) => None,
    };
    let limited = match (only(rest, b",oom_memcg="), group) {
        (Some(start), Some(end)) => rest.get(start + 11..end).map(HexText::new),
        (_, _) => None,
    };
    Some(Meaning::OomContext { constraint, limited, victim_group, pid, comm, user })
}

/// Where a text stands, if it stands in one place alone.
fn only(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = find_text(text, wanted)?;
    (rfind_text(text, wanted) == Some(first)).then_some(first)
}

/// `Tasks in PATH are going to be killed due to memory.oom.group set`, and before 5.0 `Task in PATH killed as a result
/// of limit of PATH`.
fn group(text: &[u8]) -> Option<Meaning<'_>> {
    if let Some(rest) = text.strip_prefix(b"Tasks in ") {
        let path = rest.strip_suffix(b" are going to be killed due to memory.oom.group set")?;
        return Some(Meaning::OomGroup { group: HexText::new(path) });
    }
    let rest = text.strip_prefix(b"Task in ")?;
    let between = b" killed as a result of limit of ";
    let at = only(rest, between)?;
    let (victim, limited) = (&rest[..at], &rest[at + between.len()..]);
    Some(Meaning::OomLimit { victim_group: HexText::new(victim), limited: HexText::new(limited) })
}
