//! `prunella top` and `prunella process`.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::CellAlignment;

use crate::model::{Limit, ProcessCounts, ProcessLine, ProcessSort, ProcessView, Reading};
use crate::serve::{ProcessLook, Processes};

use super::listing::table;
use super::page::{Page, Terminal, Tone, lasting, safe};
use super::status::plural;

/// Digits of a container's or pod's id that tell it from others on a host, as other programs show them.
const ID_CHARS: usize = 12;

/// Names of users. Asked for here and not by the agent: a directory that hangs then hangs nobody else.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<u32, String>);

impl Users {
    fn name(&mut self, user: &Reading<u32>) -> String {
        let Reading::Value(uid) = *user else { return "?".into() };
        let look = || {
            let user = uzers::get_user_by_uid(uid);
            user.map_or_else(|| uid.to_string(), |user| safe(&user.name().to_string_lossy()))
        };
        self.0.entry(uid).or_insert_with(look).clone()
    }
}

/// Who takes most.
pub(super) fn top(processes: &Processes, users: &mut Users, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    let list = &processes.list;
    match &list.counts {
        Reading::Value(counts) => summary(counts, &mut page),
        // The sentence stands below.
        Reading::Failed(why) if list.incomplete.as_ref() == Some(why) => {}
        counts @ (Reading::Absent(_) | Reading::Failed(_)) => {
            let why = counts.why_not().unwrap_or_default();
            page.labelled(Tone::Bad, "IMPAIRED", &format!("the process table: {}", safe(&why)));
        }
    }
    if let Some(why) = &list.incomplete {
        page.labelled(Tone::Busy, "PARTIAL", &safe(why));
    }
    page.blank();
    let storage = list.sort == ProcessSort::Io;
    let fourth = if storage { ["READ/S", "WRITTEN/S"] } else { ["THR", "AGE"] };
    let header = ["PID", "USER", "S", "CPU %", "MEMORY", fourth[0], fourth[1], "WHERE", "NAME"];
    let mut table = table(&page, &header);
    for column in [0, 3, 4, 5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for view in &list.processes {
        let line = &view.line;
        let [fifth, sixth] = if storage {
            [&view.storage_read, &view.storage_written].map(|rate| shown(rate, ToString::to_string))
        } else {
            [line.threads.to_string(), lasting(line.age)]
        };
        table.add_row([
            line.pid.to_string(),
            users.name(&line.user),
            line.state.to_string(),
            shown(&view.cpu, |cpu| format!("{:.1}", cpu.0)),
            line.resident.to_string(),
            fifth,
            sixth,
            place(line),
            name(view),
        ]);
    }
    page.block(&table.to_string());
    page.blank();
    let unknown = |view: &ProcessView| view.storage_read.value().is_none();
    if storage && list.processes.iter().all(unknown) {
        page.line(
            Tone::Plain,
            "Storage is looked at from now on, while somebody asks: ask again in some seconds.",
        );
    }
    page.line(Tone::Faint, &footer(processes));
    page.finish()
}

fn summary(counts: &ProcessCounts, page: &mut Page) {
    let threads = plural(counts.threads, "thread");
    page.line(Tone::Strong, &format!("{} processes, {threads}", counts.processes));
    if let Reading::Value(parent) = &counts.zombie_parent {
        let whose =
            format!("{} of them children of {} (pid {})", parent.zombies, safe(&parent.name), parent.pid);
        page.labelled(Tone::Busy, "zombies", &format!("{} ended and not reaped, {whose}", counts.zombies));
    }
    if counts.blocked > 0 {
        let longest = lasting(counts.blocked_longest);
        let text = format!("{} in uninterruptible sleep, for up to {longest}", counts.blocked);
        page.labelled(Tone::Busy, "stuck", &text);
    }
}

fn footer(processes: &Processes) -> String {
    let list = &processes.list;
    let age = match list.at {
        Reading::Value(at) => format!("{} ago", lasting(processes.now.boot.since(at))),
        Reading::Absent(_) | Reading::Failed(_) => "not yet".into(),
    };
    let over = match list.interval {
        Reading::Value(over) => format!("rates over {}", lasting(over)),
        Reading::Absent(_) | Reading::Failed(_) => "no rates yet".into(),
    };
    format!("Read {age} by {}; {over}.", list.way.as_str())
}

fn shown<T>(reading: &Reading<T>, show: impl FnOnce(&T) -> String) -> String {
    match reading {
        Reading::Value(value) => show(value),
        Reading::Absent(_) => "-".into(),
        Reading::Failed(_) => "?".into(),
    }
}

/// Kernel threads in brackets, as ps(1) shows them; how long it is stuck.
fn name(view: &ProcessView) -> String {
    let name = safe(&view.line.name);
    let name = if view.line.kernel_thread { format!("[{name}]") } else { name };
    match view.blocked_for {
        Reading::Value(length) if length >= Duration::from_secs(1) => {
            format!("{name} (stuck for {})", lasting(length))
        }
        Reading::Value(_) | Reading::Absent(_) | Reading::Failed(_) => name,
    }
}

/// Unit, pod or container; the group where it is none of them.
fn place(line: &ProcessLine) -> String {
    if line.kernel_thread {
        return "-".into();
    }
    shown(&line.place, |place| {
        let short = |id: &str| safe(id).chars().take(ID_CHARS).collect::<String>();
        match (&place.unit, &place.pod, &place.container) {
            (_, Reading::Value(pod), _) => format!("pod {}", short(pod)),
            (_, _, Reading::Value(container)) => format!("container {}", short(container)),
            (Reading::Value(unit), _, _) => safe(unit),
            _ => safe(&place.cgroup),
        }
    })
}

/// One process.
pub(super) fn look(look: &ProcessLook, users: &mut Users, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    let (process, line) = (&look.process, &look.process.line);
    page.line(Tone::Strong, &format!("{} (pid {}, start {})", safe(&line.name), line.pid, line.start_ticks));
    let mut tell = |label: &str, text: &str| page.labelled(Tone::Faint, label, text);
    let kind = if line.kernel_thread { ", a thread of the kernel" } else { "" };
    let threads = plural(line.threads.into(), "thread");
    tell(
        "state",
        &format!("{}{kind}, {threads}, for {}, child of {}", line.state, lasting(line.age), line.parent),
    );
    let (user, effective) = (users.name(&line.user), users.name(&process.effective_user));
    tell("user", &if user == effective { user } else { format!("{user}, acts as {effective}") });
    tell(
        "runs",
        &told(&process.executable, |file| {
            let deleted = if file.deleted { " (deleted or replaced since)" } else { "" };
            format!("{}{deleted}", safe(&file.path))
        }),
    );
    tell("where", &told(&line.place, |_| place(line)));
    tell("group", &told(&line.place, |place| safe(&place.cgroup)));
    tell("cpu", &format!("{} in all", lasting(line.cpu_time)));
    let swap = told(&process.swap, ToString::to_string);
    tell("memory", &format!("{} resident, swap: {swap}", line.resident));
    if !matches!(process.proportional, Reading::Absent(_)) {
        tell("share", &told(&process.proportional, ToString::to_string));
    }
    let limit = told(&process.open_files_limit, |limit| match limit {
        Limit::At(most) => most.to_string(),
        Limit::Unlimited => "any number".into(),
    });
    tell("files", &format!("{} open, limit: {limit}", told(&process.open_files, ToString::to_string)));
    tell(
        "storage",
        &told(&process.storage, |storage| format!("{} read, {} written", storage.read, storage.written)),
    );
    tell("waits in", &told(&process.wait_channel, |name| safe(name)));
    page.finish()
}

/// The value, or why there is none.
fn told<T>(reading: &Reading<T>, show: impl FnOnce(&T) -> String) -> String {
    match reading {
        Reading::Value(value) => show(value),
        Reading::Absent(_) | Reading::Failed(_) => safe(&reading.why_not().unwrap_or_default()),
    }
}
