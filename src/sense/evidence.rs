//! What is seen of a unit before the first action, bounded and fit for a terminal.

use std::path::Path;
use std::time::Duration;

use super::procfs::{CgroupMounts, PROCESSES_MAX, family_of, process_list};
use crate::manager::ServiceManager;
use crate::model::{
    Absence, EVIDENCE_LINE_BYTES_MAX, EVIDENCE_LINES_MAX, Evidence, LogPrivacy, Reading, UnitName, UnitStatus,
};

/// What stands for a secret.
const MASK: &str = "[masked]";

/// Words after which a value follows that nobody should read in an incident. Matched at the end of a name, in any
/// case: `DB_PASSWORD=`, `"api_key": `, `--token `.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "private_key",
    "private-key",
    "credential",
    "credentials",
    "authorization",
    "cookie",
];

/// Schemes of an `Authorization` header: the word after them is the secret.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "token", "negotiate"];

/// Takes evidence of a unit, `deadline` at the most: what is not there by then is `Failed`, the rest is kept.
pub async fn take(
    manager: &dyn ServiceManager,
    proc: &Path,
    unit: &UnitName,
    privacy: &LogPrivacy,
    deadline: Duration,
) -> Evidence {
    let late = || format!("not there within {deadline:?}");
    let look = async {
        let status = match tokio::time::timeout(deadline, manager.look(unit)).await {
            Ok(Ok(status)) => Reading::Value(status),
            Ok(Err(error)) => Reading::Failed(error.to_string()),
            Err(_) => Reading::Failed(late()),
        };
        let processes = processes_of(proc, &status);
        (status, processes)
    };
    let log = async {
        let names = match privacy {
            LogPrivacy::Masked(names) => names,
            LogPrivacy::Withheld => return Reading::Absent(Absence::Withheld),
        };
        match tokio::time::timeout(deadline, manager.last_lines(unit, EVIDENCE_LINES_MAX)).await {
            Ok(lines) => lines.map(|lines| clean(&lines, names, EVIDENCE_LINES_MAX)),
            Err(_) => Reading::Failed(late()),
        }
    };
    let ((unit, processes), log) = tokio::join!(look, log);
    let processes = processes.map(|lines| clean(&lines, &[], PROCESSES_MAX));
    let none = Reading::Absent(Absence::NotApplicable);
    let (space, disk) = (Reading::Absent(Absence::NotApplicable), Reading::Absent(Absence::NotApplicable));
    let culprits = Reading::Absent(Absence::NotApplicable);
    Evidence { unit, log, processes, storm: none, space, disk, culprits }
}

/// The processes of its control group, or, without one, its main process and the descendants.
#[must_use]
pub fn processes_of(proc: &Path, status: &Reading<UnitStatus>) -> Reading<Vec<String>> {
    let service = match status {
        Reading::Value(status) => status.service(),
        Reading::Absent(reason) => return Reading::Absent(reason.clone()),
        Reading::Failed(error) => return Reading::Failed(error.clone()),
    };
    let service = match service {
        Reading::Value(service) => service,
        Reading::Absent(reason) => return Reading::Absent(reason),
        Reading::Failed(error) => return Reading::Failed(error),
    };
    if let Reading::Value(group) = &service.control_group {
        return match CgroupMounts::find(proc).pids(group) {
            Ok(pids) => process_list(proc, &pids),
            Err(error) => Reading::Failed(format!("control group {group}: {error}")),
        };
    }
    match &service.main_pid {
        Reading::Value(pid) => process_list(proc, &family_of(proc, *pid)),
        Reading::Absent(_) => Reading::Absent(Absence::NotApplicable),
        Reading::Failed(error) => Reading::Failed(error.clone()),
    }
}

/// The last `most` lines, each masked, escaped and cut.
#[must_use]
pub fn clean(lines: &[String], names: &[String], most: usize) -> Vec<String> {
    let skip = lines.len().saturating_sub(most);
    lines.iter().skip(skip).map(|line| clean_with(line, names)).collect()
}

/// Masks secrets, makes control characters visible and cuts at [`EVIDENCE_LINE_BYTES_MAX`].
#[must_use]
pub fn clean_line(line: &str) -> String {
    clean_with(line, &[])
}

fn clean_with(line: &str, names: &[String]) -> String {
    // Masking looks at no more than could be kept, so that a huge line costs nothing; a secret that begins
    // inside is masked to its end or cut off.
    let bounded = cut(line, EVIDENCE_LINE_BYTES_MAX);
    let mut clean = escape(&mask_secrets(bounded, names));
    let kept = cut(&clean, EVIDENCE_LINE_BYTES_MAX).len();
    clean.truncate(kept);
    clean
}

/// At a character, at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// No line of a log may move the cursor, change colours, reorder text or end its line. A tab stays.
#[must_use]
pub fn escape(text: &str) -> String {
    let paints = |c: char| {
        (c.is_control() && c != '\t')
            // Marks that reorder or hide text (Unicode TR9), and line separators.
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if paints(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Replaces what follows `password=`, `token:`, `Authorization: Bearer`, `--secret ` and the like, and the
/// password in `scheme://user:password@host`, by `[masked]`. A value ends at a blank, a quote, a comma, `;` or `&`;
/// in quotes at the closing quote. So are the values of `names`, in small letters. It is a courtesy to people who log secrets, not a promise.
#[must_use]
pub fn mask_secrets(line: &str, names: &[String]) -> String {
    let lower = line.to_ascii_lowercase();
    let mut masked = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        if let Some(range) = secret_at(&lower, at, names) {
            masked.push_str(&line[at..range.start]);
            masked.push_str(MASK);
            at = range.end;
        } else {
            let next = line[at..].chars().next().map_or(1, char::len_utf8);
            masked.push_str(&line[at..at + next]);
            at += next;
        }
    }
    masked
}

/// The secret value that the name or URL starting at `at` announces.
fn secret_at(lower: &str, at: usize, names: &[String]) -> Option<std::ops::Range<usize>> {
    let text = &lower[at..];
    if let Some(rest) = text.strip_prefix("://") {
        let authority = &rest[..rest.find(['/', ' ', '"', '\'']).unwrap_or(rest.len())];
        let user_info = &authority[..authority.rfind('@')?];
        let colon = user_info.find(':')?;
        let start = at + 3;
        return (colon + 1 < user_info.len()).then(|| start + colon + 1..start + user_info.len());
    }
    let known = SECRET_NAMES.iter().copied().chain(names.iter().map(String::as_str));
    let name = known.filter(|name| text.starts_with(name)).max_by_key(|name| name.len())?;
    let word = lower[..at].rfind([' ', '\t']).map_or(0, |blank| blank + 1);
    let flag = lower[word..].starts_with("--");
    let mut rest = text[name.len()..].trim_start_matches(['"', '\'']);
    let blanks = rest.len() - rest.trim_start_matches(' ').len();
    rest = rest.trim_start_matches(' ');
    if let Some(value) = rest.strip_prefix(['=', ':']) {
        rest = value.trim_start_matches(' ');
    } else if !(flag && blanks > 0) {
        return None;
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        rest = &rest[1..];
        let end = rest.find(quote).unwrap_or(rest.len());
        return (end > 0).then(|| lower.len() - rest.len()..lower.len() - rest.len() + end);
    }
    let word = |text: &str| text.find([' ', '\t', '"', '\'', ',', ';', '&']).unwrap_or(text.len());
    if name == "cookie" {
        // All of its pairs.
        return (!rest.is_empty()).then(|| lower.len() - rest.len()..lower.len());
    }
    if SCHEMES.contains(&&rest[..word(rest)]) {
        rest = rest[word(rest)..].trim_start_matches(' ');
    }
    let end = word(rest);
    (end > 0).then(|| lower.len() - rest.len()..lower.len() - rest.len() + end)
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
