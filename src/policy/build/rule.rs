//! `[[rule]]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::{Mode, Remedy, RuleName, Severity, SubjectKind, UnitPattern};
use crate::policy::diagnostic::{Place, Report};
use crate::policy::document::Entry;
use crate::policy::predicate::{Predicate, Relation, relation};
use crate::policy::section::Section;
use crate::policy::suggest::{closest, listed};
use crate::policy::types::Rule;

use super::words::{MODES, SEVERITIES, patterns};

/// Most attempts in one incident: what five did not repair, a person must see.
const ATTEMPTS: RangeInclusive<u32> = 1..=20;
/// Attempts of a rule that does not say.
const ATTEMPTS_DEFAULT: u32 = 3;
const HOLD: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(7 * 24);
const WITHIN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const WITHIN_DEFAULT: Duration = Duration::from_secs(30);
const OWNER_BYTES_MAX: usize = 128;

const KEYS: &[&str] = &[
    "name", "override", "enabled", "subject", "units", "except", "when", "for", "clear", "ladder",
    "attempts", "verify", "severity", "mode", "owner",
];

const SUBJECTS: &[(&str, SubjectKind)] = &[
    ("unit", SubjectKind::Unit),
    ("filesystem", SubjectKind::Filesystem),
    ("host", SubjectKind::Host),
    ("agent", SubjectKind::Agent),
];

/// A rule; `None` when it is wrong (reported) or switched off.
pub(super) fn rule(report: &mut Report<'_>, entry: &Entry<'_>) -> Option<Rule> {
    let section = &entry.section;
    section.only(report, KEYS);
    let enabled = section.boolean(report, "enabled").unwrap_or(true);
    let subject = section
        .demand(report, "subject", "subject = \"unit\"")
        .then(|| section.word(report, "subject", SUBJECTS))
        .flatten();
    let units = patterns(report, section, "units");
    let except = patterns(report, section, "except");
    let has_when = section.demand(report, "when", "when = \"active_state == 'failed'\"");
    let conditions = subject.filter(|_| has_when).and_then(|subject| {
        check_selection(report, section, subject, &units, &except);
        conditions(report, section, subject)
    });
    let hold_for = section.duration(report, "for", &HOLD).unwrap_or(Duration::ZERO);
    let ladder = ladder(report, section, subject);
    let attempts = attempts(report, section, ladder.len());
    let verify_within = section
        .table(report, "verify", "{ within = \"60s\" }")
        .and_then(|verify| {
            verify.only(report, &["within"]);
            verify.duration(report, "within", &WITHIN)
        })
        .unwrap_or(WITHIN_DEFAULT);
    let severity = section.word(report, "severity", SEVERITIES).unwrap_or(Severity::Ticket);
    let mode = section.word(report, "mode", MODES).unwrap_or(Mode::Observe);
    let owner = owner(report, section);
    let (when, clear) = conditions?;
    enabled.then(|| Rule {
        name: RuleName::new(entry.name),
        subject: subject.unwrap_or(SubjectKind::Unit),
        units,
        except,
        when,
        hold_for,
        clear,
        ladder,
        attempts,
        verify_within,
        severity,
        mode,
        owner,
    })
}

/// A name of people, on one line.
pub(super) fn owner(report: &mut Report<'_>, section: &Section<'_>) -> Option<String> {
    let text = section.text(report, "owner")?;
    if text.trim().is_empty() || text.len() > OWNER_BYTES_MAX || text.chars().any(char::is_control) {
        let what = format!("`owner` is a name on one line, 1 to {OWNER_BYTES_MAX} bytes");
        report.error(&section.place_of("owner"), what, "write it as in \"team-payments\"");
        return None;
    }
    Some(text.to_owned())
}

fn check_selection(
    report: &mut Report<'_>,
    section: &Section<'_>,
    subject: SubjectKind,
    units: &[UnitPattern],
    except: &[UnitPattern],
) {
    match subject {
        SubjectKind::Unit => {}
        SubjectKind::Host | SubjectKind::Agent | SubjectKind::Filesystem => {
            for key in ["units", "except"].into_iter().filter(|key| section.has(key)) {
                let what = format!("`{key}` selects units, and this rule is not about units");
                report.error(&section.place_of(key), what, "leave it out, or write subject = \"unit\"");
            }
            return;
        }
    }
    if section.is_empty_list("units") {
        let help = "leave `units` out for all units, or enabled = false to switch the rule off";
        report.error(&section.place_of("units"), "an empty list of units: the rule has no effect", help);
    }
    let covered = |pattern: &UnitPattern| except.iter().any(|e| e.as_str() == "*" || e == pattern);
    if except.iter().any(|e| e.as_str() == "*") || (!units.is_empty() && units.iter().all(covered)) {
        let help = "take it out of `except`, or write enabled = false to switch the rule off";
        report.error(
            &section.place_of("except"),
            "`except` takes out every unit: the rule has no effect",
            help,
        );
    }
}

fn conditions(
    report: &mut Report<'_>,
    section: &Section<'_>,
    subject: SubjectKind,
) -> Option<(Predicate, Predicate)> {
    let when = predicate(report, section, "when", subject);
    if !section.has("clear") {
        let when = when?;
        let clear = when.negated();
        return Some((when, clear));
    }
    let (when, clear) = (when, predicate(report, section, "clear", subject));
    let (when, clear) = (when?, clear?);
    match relation(&when, &clear) {
        Relation::Sound => {}
        Relation::NeverRaised => report.error(
            &section.place_of("when"),
            "this is never true: the rule has no effect",
            "check the values; write || where one of several is enough",
        ),
        Relation::NeverCleared => report.error(
            &section.place_of("clear"),
            "this is never true: an incident of this rule would have no end",
            "check the values, or leave `clear` out: then it is the opposite of `when`",
        ),
        Relation::Both(values) => report.error_with(
            &section.place_of("clear"),
            format!("`clear` and `when` are both true for {values}: the incident would open and close at once"),
            "let `clear` be true only where `when` is false, or leave it out: then it is the opposite of `when`",
            ("`when` is given", &section.place_of("when")),
        ),
    }
    Some((when, clear))
}

fn predicate(
    report: &mut Report<'_>,
    section: &Section<'_>,
    key: &str,
    subject: SubjectKind,
) -> Option<Predicate> {
    let source = section.text(report, key)?;
    match Predicate::compile(source, subject) {
        Ok(predicate) => Some(predicate),
        Err(error) => {
            let whole = section.place_of(key);
            // Where the text stands in the file as it is, the caret goes to the very word.
            let written = report.file(whole.file).text.get(whole.range.clone()).unwrap_or("");
            let place = match written.find(source) {
                Some(offset) if !source.is_empty() => {
                    let start = whole.range.start + offset;
                    Place { file: whole.file, range: start + error.range.start..start + error.range.end }
                }
                Some(_) | None => whole,
            };
            report.error(&place, error.what, error.help);
            None
        }
    }
}

fn ladder(report: &mut Report<'_>, section: &Section<'_>, subject: Option<SubjectKind>) -> Vec<Remedy> {
    let texts = section.texts(report, "ladder", "[\"restart\"]").unwrap_or_default();
    let mut names: Vec<&str> = subject.into_iter().flat_map(fitting).collect();
    if names.is_empty() {
        names = Remedy::ALL.into_iter().map(Remedy::name).collect();
    }
    let mut ladder: Vec<Remedy> = Vec::new();
    for (text, place) in texts {
        let Some(remedy) = Remedy::from_name(text) else {
            let help = match closest(text, names.iter().copied()) {
                Some(near) => format!("write \"{near}\""),
                None => format!("the remedies are {}", listed(names.iter().copied())),
            };
            report.error(&place, format!("there is no remedy \"{text}\""), help);
            continue;
        };
        match ladder.last() {
            Some(before) if ladder.contains(&remedy) => {
                let what = format!("\"{remedy}\" is on the ladder already, as is \"{before}\" before it");
                report.error(
                    &place,
                    what,
                    "leave it out: the last rung is repeated until the attempts are used up",
                );
            }
            Some(before) if *before > remedy => {
                let what = format!("\"{remedy}\" is lighter than \"{before}\" before it");
                report.error(
                    &place,
                    what,
                    format!("write the lightest first: {}", listed(names.iter().copied())),
                );
            }
            Some(_) | None => ladder.push(remedy),
        }
    }
    if let Some(subject) = subject
        && let Some(stranger) = ladder.iter().find(|remedy| remedy.works_on() != subject)
    {
        let works_on = stranger.works_on().as_str();
        let what = format!("\"{stranger}\" works on a {works_on}, and this rule is about another kind");
        let fitting: Vec<&str> = fitting(subject).collect();
        let help = if fitting.is_empty() {
            "leave `ladder` out: the rule then only tells people".to_owned()
        } else {
            format!("for this kind there is {}", listed(fitting))
        };
        report.error(&section.place_of("ladder"), what, help);
    }
    ladder
}

fn fitting(subject: SubjectKind) -> impl Iterator<Item = &'static str> {
    Remedy::ALL.into_iter().filter(move |remedy| remedy.works_on() == subject).map(Remedy::name)
}

fn attempts(report: &mut Report<'_>, section: &Section<'_>, rungs: usize) -> u32 {
    let rungs = u32::try_from(rungs).unwrap_or(u32::MAX);
    let Some(attempts) = section.count(report, "attempts", &ATTEMPTS) else {
        return ATTEMPTS_DEFAULT.max(rungs);
    };
    if attempts < rungs {
        report.error(
            &section.place_of("attempts"),
            format!("{attempts} attempts never reach the end of a ladder of {rungs}"),
            format!("write attempts = {rungs} or more, or shorten the ladder"),
        );
    }
    attempts
}
