//! Files → sections: TOML is parsed, what belongs together is merged, later files win over earlier ones.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Place, Report};
use super::section::{Item, Section, elements, kind_of};
use super::suggest::{closest, instead, listed};
use super::syntax::report_syntax;

/// Most entries of one kind (`[[rule]]`, `[[probe]]` …) over all files.
pub const ENTRIES_MAX: usize = 1000;
/// Longest name of a rule, probe or window, bytes: names are in every record and on every screen.
pub const NAME_BYTES_MAX: usize = 64;

const TABLES: &[&str] = &["limits", "escalation", "access", "history", "evidence"];
const NAMED: &[&str] = &["rule", "maintenance", "probe", "service", "logs"];
const LISTS: &[&str] = &["protected", "unprotect"];
const EVERYTHING: &[&str] = &[
    "rule",
    "probe",
    "maintenance",
    "service",
    "logs",
    "unit",
    "limits",
    "escalation",
    "access",
    "history",
    "evidence",
    "protected",
    "unprotect",
];

/// An entry of a list of tables with its name.
#[derive(Debug)]
pub(super) struct Entry<'d> {
    /// Empty when it had none, which was reported.
    pub(super) name: &'d str,
    pub(super) section: Section<'d>,
}

/// All files as one.
#[derive(Debug)]
pub(super) struct Document<'d> {
    tables: BTreeMap<&'static str, Section<'d>>,
    /// Tables within `[limits]`, each merged on its own.
    pub(super) nested_limits: BTreeMap<&'d str, Section<'d>>,
    named: BTreeMap<&'static str, Vec<Entry<'d>>>,
    pub(super) units: Vec<Section<'d>>,
    lists: BTreeMap<&'static str, Vec<Item<'d>>>,
    /// A file could not be parsed: what seems to be missing may be in there.
    incomplete: bool,
}

impl<'d> Document<'d> {
    /// `complete` says that every file could be read.
    pub(super) fn new(complete: bool) -> Self {
        Self {
            tables: BTreeMap::new(),
            nested_limits: BTreeMap::new(),
            named: BTreeMap::new(),
            units: Vec::new(),
            lists: BTreeMap::new(),
            incomplete: !complete,
        }
    }

    pub(super) fn table(&self, name: &str) -> Option<&Section<'d>> {
        self.tables.get(name)
    }

    pub(super) fn entries(&self, kind: &str) -> &[Entry<'d>] {
        self.named.get(kind).map_or(&[], Vec::as_slice)
    }

    pub(super) fn list(&self, name: &str) -> &[Item<'d>] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether every file could be parsed.
    pub(super) const fn is_complete(&self) -> bool {
        !self.incomplete
    }

    /// Adds a file that was parsed with these errors.
    pub(super) fn add(
        &mut self,
        report: &mut Report<'_>,
        file: usize,
        table: &'d DeTable<'d>,
        errors: &[toml::de::Error],
    ) {
        if !errors.is_empty() {
            report_syntax(report, file, errors);
            self.incomplete = true;
            return;
        }
        for (key, value) in table {
            let place = Place { file, range: key.span() };
            let item = Item { place: Place { file, range: value.span() }, value: value.get_ref() };
            let name = key.get_ref().as_ref();
            if let Some(name) = TABLES.iter().find(|known| **known == name) {
                self.add_table(report, name, place, &item);
            } else if let Some(name) = LISTS.iter().find(|known| **known == name) {
                self.add_list(report, name, &item);
            } else if let Some(kind) = NAMED.iter().find(|known| **known == name) {
                for (place, table) in tables_of(report, kind, &place, &item) {
                    self.add_entry(report, kind, place, table);
                }
            } else if name == "unit" {
                for (place, table) in tables_of(report, "unit", &place, &item) {
                    if self.units.len() >= ENTRIES_MAX {
                        let what = format!("there are more than {ENTRIES_MAX} of [[unit]]");
                        report.error(&place, what, "use patterns in `units` to say several in one");
                        break;
                    }
                    self.units.push(Section::of_table("[[unit]]", place, table));
                }
            } else {
                report.error(&place, format!("there is no `{name}` in a policy"), top_help(name));
            }
        }
    }

    fn add_table(&mut self, report: &mut Report<'_>, name: &'static str, place: Place, item: &Item<'d>) {
        let DeValue::Table(table) = item.value else {
            let help = format!("write the header as [{name}], with its keys below");
            report.error(&place, format!("`{name}` is one table, this is {}", kind_of(item.value)), help);
            return;
        };
        let title = format!("[{name}]");
        if name == "limits" {
            for (key, value) in table {
                if let DeValue::Table(inner) = value.get_ref() {
                    let key_name = key.get_ref().as_ref();
                    let place = Place { file: place.file, range: key.span() };
                    let section = Section::of_table(format!("[limits.{key_name}]"), place, inner);
                    match self.nested_limits.get_mut(key_name) {
                        Some(earlier) => earlier.overlay(section),
                        None => {
                            self.nested_limits.insert(key_name, section);
                        }
                    }
                }
            }
        }
        let section = Section::of_table(title, place, table);
        match self.tables.get_mut(name) {
            Some(earlier) => earlier.overlay(section),
            None => {
                self.tables.insert(name, section);
            }
        }
    }

    fn add_list(&mut self, report: &mut Report<'_>, name: &'static str, item: &Item<'d>) {
        match item.value {
            DeValue::Array(array) => {
                self.lists.entry(name).or_default().extend(elements(item.place.file, array));
            }
            DeValue::String(text) => {
                let help = format!("put brackets around it: [\"{text}\"]");
                report.error(&item.place, format!("`{name}` is a list, this is a text"), help);
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                let what = format!("`{name}` is a list, this is {}", kind_of(item.value));
                report.error(
                    &item.place,
                    what,
                    format!("write `{name} = [\"nginx.service\"]` above the first header"),
                );
            }
        }
    }

    fn add_entry(
        &mut self,
        report: &mut Report<'_>,
        kind: &'static str,
        place: Place,
        table: &'d DeTable<'d>,
    ) {
        let known = self.named.get(kind).map_or(0, Vec::len);
        if known >= ENTRIES_MAX {
            let what = format!("there are more than {ENTRIES_MAX} of [[{kind}]]");
            report.error(&place, what, "use patterns in `units` to say several in one");
            return;
        }
        let mut section = Section::of_table(format!("[[{kind}]]"), place, table);
        let example = if kind == "service" { "name = \"shop.service\"" } else { "name = \"shop\"" };
        let named = section.demand(report, "name", example);
        let name = if named { section.text(report, "name") } else { None };
        let overrides = section.boolean(report, "override").unwrap_or(false);
        section.remove("override");
        // Names of services are unit names, checked where they are built.
        let name = name
            .filter(|name| kind == "service" || check_name(report, kind, name, &section.place_of("name")));
        let entries = self.named.entry(kind).or_default();
        let Some(name) = name else {
            entries.push(Entry { name: "", section });
            return;
        };
        let place = section.place_of("name");
        match (entries.iter().position(|entry| entry.name == name), overrides) {
            (Some(earlier), true) => entries[earlier].section.overlay(section),
            (Some(earlier), false) => {
                let first = entries[earlier].section.place_of("name");
                let help = format!(
                    "give it another name, or add `override = true` to change single keys of the other {kind}"
                );
                report.error_with(
                    &place,
                    format!("there is a {kind} \"{name}\" already"),
                    help,
                    ("it is first given", &first),
                );
            }
            (None, true) if self.incomplete => {}
            (None, true) => {
                let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
                let help = match closest(name, names.iter().copied()) {
                    Some(near) => format!("write \"{near}\""),
                    None if names.is_empty() => "leave out `override`: no earlier file has any".to_owned(),
                    None => format!(
                        "leave out `override`, or name one of {}; files are read in the order of their names",
                        listed(names)
                    ),
                };
                report.error(&place, format!("there is no earlier {kind} \"{name}\" to override"), help);
            }
            (None, false) => entries.push(Entry { name, section }),
        }
    }
}

fn top_help(name: &str) -> String {
    match name {
        "include" | "import" => {
            "put the other file into /etc/prunella/policy.d: every file there is read".to_owned()
        }
        _ => match closest(name, EVERYTHING.iter().copied()) {
            Some(near) => format!("write {}", header_of(near)),
            None => instead(name, EVERYTHING, "a policy has", "`"),
        },
    }
}

fn header_of(name: &str) -> String {
    if TABLES.contains(&name) {
        format!("[{name}]")
    } else if LISTS.contains(&name) {
        format!("`{name} = […]`, above the first header")
    } else {
        format!("[[{name}]]")
    }
}

/// Whether a key belongs at the top of a file: people put it below a header by mistake.
pub(super) fn is_top_level(name: &str) -> bool {
    LISTS.contains(&name)
}

fn tables_of<'d>(
    report: &mut Report<'_>,
    kind: &str,
    key: &Place,
    item: &Item<'d>,
) -> Vec<(Place, &'d DeTable<'d>)> {
    let help = format!("write the header as [[{kind}]], with two brackets: there can be several");
    let mut wrong = |place: &Place, what: String| report.error(place, what, help.clone());
    if let DeValue::Table(_) = item.value {
        wrong(key, format!("[{kind}] is a single table, a policy has a list of them"));
        return Vec::new();
    }
    let DeValue::Array(array) = item.value else {
        wrong(key, format!("`{kind}` is a list of tables, this is {}", kind_of(item.value)));
        return Vec::new();
    };
    let mut tables = Vec::new();
    for item in elements(item.place.file, array) {
        if let DeValue::Table(table) = item.value {
            tables.push((item.place, table));
        } else {
            wrong(&item.place, format!("an element of `{kind}` is a table, this is {}", kind_of(item.value)));
        }
    }
    tables
}

fn check_name(report: &mut Report<'_>, kind: &str, name: &str, place: &Place) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let what = format!("the name of a {kind} has 1 to {NAME_BYTES_MAX} letters");
        report.error(place, what, "write a short name, as in \"shop-down\"");
        return false;
    }
    if name.chars().all(good) {
        return true;
    }
    let fixed: String = name
        .to_lowercase()
        .chars()
        .map(|c| if good(c) { c } else { '-' })
        .collect::<String>()
        .split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    let help = if fixed.is_empty() {
        "write it as in \"shop-down\"".to_owned()
    } else {
        format!("write \"{fixed}\"")
    };
    report.error(
        place,
        format!("the name of a {kind} is made of lower-case letters, digits and dashes"),
        help,
    );
    false
}
