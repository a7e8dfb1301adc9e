//! What several sections have in common: patterns of units, unit names, commands, paths.

use std::path::PathBuf;

use crate::model::{Mode, Severity, UnitName, UnitPattern};
use crate::policy::diagnostic::{Place, Report};
use crate::policy::section::Section;

/// Most elements of one list: patterns, arguments, status codes.
pub(super) const LIST_MAX: usize = 200;

pub(super) const MODES: &[(&str, Mode)] =
    &[("observe", Mode::Observe), ("approve", Mode::Approve), ("auto", Mode::Auto)];

pub(super) const SEVERITIES: &[(&str, Severity)] = &[("ticket", Severity::Ticket), ("page", Severity::Page)];

/// The patterns of a list of units.
pub(super) fn patterns(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Vec<UnitPattern> {
    let texts = section.texts(report, key, "[\"nginx.service\"]").unwrap_or_default();
    check_length(report, section, key, texts.len());
    texts.into_iter().filter_map(|(text, place)| pattern(report, text, &place)).collect()
}

pub(super) fn check_length(report: &mut Report<'_>, section: &Section<'_>, key: &str, length: usize) {
    if length > LIST_MAX {
        let what = format!("`{key}` has {length} elements, at most {LIST_MAX} are taken");
        report.error(&section.place_of(key), what, "use patterns with * to say several in one");
    }
}

/// One pattern over unit names.
pub(super) fn pattern(report: &mut Report<'_>, text: &str, place: &Place) -> Option<UnitPattern> {
    let wild = |c: char| matches!(c, '*' | '?');
    if let Some(bad) =
        text.chars().find(|c| !(c.is_ascii_alphanumeric() || ":-_.\\@".contains(*c) || wild(*c)))
    {
        let help = match bad {
            '[' | ']' | '{' | '}' | '|' | '^' | '$' | '(' | ')' | '+' => {
                "patterns are not regular expressions: * stands for any text, ? for one letter"
            }
            '/' => "write the name of the unit, not the path of its file",
            ' ' | ',' => "write several patterns as several elements of the list",
            _ => "write a unit name as systemctl shows it; * stands for any text, ? for one letter",
        };
        report.error(place, format!("{bad:?} can't stand in a unit name or pattern"), help);
        return None;
    }
    // A name that no unit can have would protect or select nothing, unseen.
    let concrete = text.replace(wild, "x");
    let open_end = text.ends_with(wild);
    if !open_end && UnitName::parse(concrete).is_err() {
        let (what, help) = if text.is_empty() {
            ("an empty pattern fits nothing".to_owned(), "write \"*\" for all units".to_owned())
        } else {
            (
                format!("no unit is called \"{text}\""),
                format!("write \"{text}.service\", or another unit suffix"),
            )
        };
        report.error(place, what, help);
        return None;
    }
    Some(UnitPattern::new(text))
}

/// A unit's full name under a key.
pub(super) fn unit(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Option<UnitName> {
    let text = section.text(report, key)?;
    unit_name(report, text, &section.place_of(key))
}

pub(super) fn unit_name(report: &mut Report<'_>, text: &str, place: &Place) -> Option<UnitName> {
    UnitName::parse(text)
        .map_err(|error| {
            let help = if text.contains(['*', '?']) {
                "a pattern can't stand here: write one full name".to_owned()
            } else if !text.is_empty() && !text.contains('.') {
                format!("write \"{text}.service\"")
            } else {
                "write the name as systemctl shows it, as in \"nginx.service\"".to_owned()
            };
            report.error(place, error.to_string(), help);
        })
        .ok()
}

/// Unit names in a list.
pub(super) fn units(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Vec<UnitName> {
    let texts = section.texts(report, key, "[\"postgresql.service\"]").unwrap_or_default();
    check_length(report, section, key, texts.len());
    texts.into_iter().filter_map(|(text, place)| unit_name(report, text, &place)).collect()
}

/// A command: a list whose first element is an absolute path.
pub(super) fn command(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Option<Vec<String>> {
    let texts = section.texts(report, key, "[\"/usr/bin/program\", \"--option\"]")?;
    check_length(report, section, key, texts.len());
    let Some((program, place)) = texts.first() else {
        let help = "write it as in [\"/usr/bin/program\", \"--option\"]";
        report.error(&section.place_of(key), format!("`{key}` is an empty command"), help);
        return None;
    };
    if !program.starts_with('/') {
        let what = format!("the program of `{key}` is not an absolute path");
        let help = format!(
            "write the whole path, as in \"/usr/bin/{program}\": no PATH is searched and no shell is run"
        );
        report.error(place, what, help);
        return None;
    }
    if program.contains(' ') {
        let help = "write each word as an element of its own: no shell splits them";
        report.error(place, "the program's path contains a blank", help);
        return None;
    }
    if let Some((_, place)) = texts.iter().find(|(text, _)| text.contains('\0')) {
        report.error(place, "an argument can't contain a NUL byte", "leave it out");
        return None;
    }
    Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
}

/// An absolute path without `..`.
pub(super) fn path(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Option<PathBuf> {
    let text = section.text(report, key)?;
    let place = section.place_of(key);
    if !text.starts_with('/') || text.contains('\0') {
        report.error(&place, format!("`{key}` is not an absolute path"), "write the whole path, from / on");
        return None;
    }
    if text.split('/').any(|part| part == "..") {
        report.error(&place, format!("`{key}` goes up with .."), "write the path as it is");
        return None;
    }
    Some(PathBuf::from(text))
}
