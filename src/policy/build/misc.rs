//! `[[unit]]`, `protected`, `[escalation]`, `[access]`, `[history]`, `[evidence]`.

use crate::model::UnitPattern;
use crate::policy::diagnostic::Report;
use crate::policy::document::Document;
use crate::policy::section::{Item, Section};
use crate::policy::suggest::closest;
use crate::policy::types::{Access, EscalationHooks, EvidenceSettings, HistorySettings, UnitTuning};

use super::rule::owner;
use super::words::{MODES, check_length, command, path, pattern, patterns, units};

/// Protected whatever the files say: the host's first process and root mount, and the agent itself.
pub(in crate::policy) const ALWAYS_PROTECTED: &[&str] =
    &["init.scope", "-.slice", "-.mount", "system.slice", "prunella*"];

/// Longest name of a group (`LOGIN_NAME_MAX` of Linux).
const GROUP_BYTES_MAX: usize = 32;

/// The least history that is one: some hours. More than the most is for a database.
const HISTORY_MIB: std::ops::RangeInclusive<u32> = 4..=4096;

/// Names whose values are masked, bytes: shorter ones stand in every line, longer ones are none.
const MASK_NAME_BYTES: std::ops::RangeInclusive<usize> = 3..=64;

/// What is said of some units; `None` when it is wrong, which was reported.
pub(super) fn tuning(report: &mut Report<'_>, section: &Section<'_>) -> Option<UnitTuning> {
    section.only(report, &["units", "owner", "mode", "depends_on"]);
    if !section.demand(report, "units", "units = [\"shop-*.service\"]") {
        return None;
    }
    let units_named = patterns(report, section, "units");
    if section.is_empty_list("units") {
        let help = "name the units it is about, or \"*\" for all";
        report.error(&section.place_of("units"), "an empty list of units: this has no effect", help);
    }
    if !["owner", "mode", "depends_on"].iter().any(|key| section.has(key)) {
        let help = "add `owner`, `mode` or `depends_on`";
        report.error(&section.place, "this [[unit]] says nothing of its units", help);
    }
    let owner = owner(report, section);
    let mode = section.word(report, "mode", MODES);
    let depends_on = units(report, section, "depends_on");
    if let Some(own) = depends_on.iter().find(|name| units_named.iter().any(|p| p.as_str() == name.as_str()))
    {
        let what = format!("{own} depends on itself");
        report.error(&section.place_of("depends_on"), what, "name another unit, or leave it out");
    }
    Some(UnitTuning { units: units_named, owner, mode, depends_on })
}

/// What the files protect, without what they unprotect, and what is always protected.
pub(super) fn protected(report: &mut Report<'_>, document: &Document<'_>) -> Vec<UnitPattern> {
    let read = |report: &mut Report<'_>, item: &Item<'_>, name: &str| {
        let text = item.text(report, &format!("an element of `{name}`"))?;
        pattern(report, text, &item.place)
    };
    let mut protected: Vec<UnitPattern> = Vec::new();
    for item in document.list("protected") {
        if let Some(pattern) = read(report, item, "protected")
            && !protected.contains(&pattern)
        {
            protected.push(pattern);
        }
    }
    for item in document.list("unprotect") {
        let Some(pattern) = read(report, item, "unprotect") else { continue };
        if ALWAYS_PROTECTED.contains(&pattern.as_str()) {
            let what =
                format!("\"{}\" can't be unprotected: the host or the agent would go down", pattern.as_str());
            report.error(&item.place, what, "leave it out");
        } else if let Some(at) = protected.iter().position(|known| *known == pattern) {
            protected.remove(at);
        } else if document.is_complete() {
            let what = format!("no file protects \"{}\"", pattern.as_str());
            let help = match closest(pattern.as_str(), protected.iter().map(UnitPattern::as_str)) {
                Some(near) => format!("write it as it is protected: \"{near}\""),
                None => "write the pattern as it stands in `protected`, or leave it out".to_owned(),
            };
            report.error(&item.place, what, help);
        }
    }
    for always in ALWAYS_PROTECTED.iter().map(|text| UnitPattern::new(*text)) {
        if !protected.contains(&always) {
            protected.push(always);
        }
    }
    protected
}

/// Where escalations go.
pub(super) fn escalation(report: &mut Report<'_>, document: &Document<'_>) -> EscalationHooks {
    let Some(section) = document.table("escalation") else { return EscalationHooks::default() };
    section.only(report, &["exec", "file"]);
    EscalationHooks { exec: command(report, section, "exec"), file: path(report, section, "file") }
}

/// Who may use the socket.
pub(super) fn access(report: &mut Report<'_>, document: &Document<'_>) -> Access {
    let mut access = Access::default();
    let Some(section) = document.table("access") else { return access };
    section.only(report, &["readers", "admins", "relay"]);
    let targets =
        [("readers", &mut access.readers), ("admins", &mut access.admins), ("relay", &mut access.relay)];
    for (key, target) in targets {
        let Some(group) = section.text(report, key) else { continue };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if group.is_empty() || group.len() > GROUP_BYTES_MAX || !group.chars().all(good) {
            let what = format!("\"{group}\" is not the name of a group");
            report.error(&section.place_of(key), what, "write one name as `getent group` shows it");
        } else {
            group.clone_into(target);
        }
    }
    access
}

/// How much history is kept.
pub(super) fn history(report: &mut Report<'_>, document: &Document<'_>) -> HistorySettings {
    let mut history = HistorySettings::default();
    let Some(section) = document.table("history") else { return history };
    section.only(report, &["mebibytes"]);
    if let Some(mebibytes) = section.count(report, "mebibytes", &(0..=*HISTORY_MIB.end())) {
        if mebibytes > 0 && !HISTORY_MIB.contains(&mebibytes) {
            let what = format!("{mebibytes} MiB hold no history worth the name");
            let help = format!("write at least {}, or 0 for none", HISTORY_MIB.start());
            report.error(&section.place_of("mebibytes"), what, help);
        }
        history.bytes_max = u64::from(mebibytes) << 20;
    }
    history
}

/// What goes into an incident, and with it upward.
pub(super) fn evidence(report: &mut Report<'_>, document: &Document<'_>) -> EvidenceSettings {
    let Some(section) = document.table("evidence") else { return EvidenceSettings::default() };
    section.only(report, &["mask", "without_log"]);
    let names = section.texts(report, "mask", "[\"customer_id\"]").unwrap_or_default();
    check_length(report, section, "mask", names.len());
    let mut mask = Vec::with_capacity(names.len());
    for (name, place) in names {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !MASK_NAME_BYTES.contains(&name.len()) || !name.chars().all(good) {
            let what = format!("\"{name}\" is not a name whose value could be masked");
            let (least, most) = (MASK_NAME_BYTES.start(), MASK_NAME_BYTES.end());
            let help =
                format!("write what stands before `=` or `:`, {least} to {most} letters, digits, _ - or .");
            report.error(&place, what, help);
        }
        mask.push(name.to_ascii_lowercase());
    }
    EvidenceSettings { mask: mask.into(), without_log: patterns(report, section, "without_log") }
}
