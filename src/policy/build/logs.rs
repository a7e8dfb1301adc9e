//! `[[logs]]`: folders from which rotated logs or core dumps may be removed.

use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::model::{Holds, LogRoot};
use crate::policy::diagnostic::Report;
use crate::policy::document::Entry;
use crate::policy::section::Section;

use super::words::path;

const KEYS: &[&str] = &["name", "override", "enabled", "folder", "except", "holds", "keep", "keep_for"];
const HOLDS: &[(&str, Holds)] = &[("logs", Holds::Logs), ("core-dumps", Holds::CoreDumps)];
/// At least the newest: the last hours before a fault are in it.
const KEEP: RangeInclusive<u32> = 1..=1000;
const KEEP_DEFAULT: u32 = 2;
const KEEP_FOR: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(365 * 24);
const KEEP_FOR_DEFAULT: Duration = Duration::from_hours(1);
/// Where the system itself lives: a folder of logs is neither one of them nor above one.
const SYSTEM: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var/cache",
    "/var/lib",
    "/var/mail",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];
/// Nothing below these is a log, whatever it is called.
const NEVER_BELOW: &[&str] =
    &["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys"];

/// A folder of logs or core dumps; `None` when it is wrong (reported) or switched off.
pub(super) fn logs(report: &mut Report<'_>, entry: &Entry<'_>) -> Option<LogRoot> {
    let section = &entry.section;
    section.only(report, KEYS);
    let enabled = section.boolean(report, "enabled").unwrap_or(true);
    let holds = section.word(report, "holds", HOLDS).unwrap_or_default();
    let folder = section
        .demand(report, "folder", "folder = \"/var/log/shop\"")
        .then(|| path(report, section, "folder"))
        .flatten()
        .map(|folder| folder.components().collect::<PathBuf>())
        .filter(|folder| holds_them_alone(report, section, folder, holds));
    let except = except(report, section, folder.as_deref());
    let keep = section.count(report, "keep", &KEEP).unwrap_or(KEEP_DEFAULT);
    let keep_for = section.duration(report, "keep_for", &KEEP_FOR).unwrap_or(KEEP_FOR_DEFAULT);
    let folder = folder?;
    enabled.then(|| LogRoot { name: entry.name.to_owned(), folder, except, holds, keep, keep_for })
}

fn holds_them_alone(report: &mut Report<'_>, section: &Section<'_>, folder: &Path, holds: Holds) -> bool {
    let (what, example) = match holds {
        Holds::Logs => ("logs", "/var/log/shop"),
        Holds::CoreDumps => ("core dumps", "/var/lib/systemd/coredump"),
    };
    let above = SYSTEM.iter().find(|system| Path::new(system).starts_with(folder));
    let within = NEVER_BELOW.iter().find(|system| folder.starts_with(system));
    let Some(system) = above.or(within) else { return true };
    report.error(
        &section.place_of("folder"),
        format!("{} is no folder of {what} alone: {system} is not to be touched", folder.display()),
        format!("name the folder of the {what} themselves, as \"{example}\""),
    );
    false
}

fn except(report: &mut Report<'_>, section: &Section<'_>, folder: Option<&Path>) -> Vec<PathBuf> {
    let texts = section.texts(report, "except", "[\"/var/log/shop/audit\"]").unwrap_or_default();
    let mut except = Vec::new();
    for (text, place) in texts {
        let path = Path::new(text);
        let within = folder.is_none_or(|folder| path.starts_with(folder) && path != folder);
        let goes_up = path.components().any(|part| part == Component::ParentDir);
        if within && path.is_absolute() && !goes_up && !text.contains('\0') {
            except.push(path.components().collect());
        } else {
            let what = format!("\"{text}\" is no folder within the one that it is an exception of");
            report.error(&place, what, "write its whole path, without ..");
        }
    }
    except
}
