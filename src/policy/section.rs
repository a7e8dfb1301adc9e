//! One table of a policy file, key by key, with the place of everything: typed reading with good errors.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{Place, Report};
use super::document::is_top_level;
use super::duration::parse_duration;
use super::suggest::{closest, either, instead};

/// A value with where it stands.
#[derive(Clone, Debug)]
pub(super) struct Item<'d> {
    pub(super) place: Place,
    pub(super) value: &'d DeValue<'d>,
}

/// A key of a section with its value.
#[derive(Clone, Debug)]
struct Key<'d> {
    place: Place,
    item: Item<'d>,
}

/// A table, or several that were merged key by key.
#[derive(Clone, Debug)]
pub(super) struct Section<'d> {
    /// As the header is written: `[limits]`, `[[rule]]`.
    pub(super) title: String,
    /// Its first header.
    pub(super) place: Place,
    keys: BTreeMap<&'d str, Key<'d>>,
}

impl<'d> Section<'d> {
    pub(super) fn new(title: impl Into<String>, place: Place) -> Self {
        Self { title: title.into(), place, keys: BTreeMap::new() }
    }

    pub(super) fn of_table(title: impl Into<String>, place: Place, table: &'d DeTable<'d>) -> Self {
        let mut section = Self::new(title, place);
        section.merge(table);
        section
    }

    /// Adds the keys of a table of the file of `self.place`.
    fn merge(&mut self, table: &'d DeTable<'d>) {
        let file = self.place.file;
        for (key, value) in table {
            let place = Place { file, range: key.span() };
            let item = Item { place: Place { file, range: value.span() }, value: value.get_ref() };
            self.keys.insert(key.get_ref().as_ref(), Key { place, item });
        }
    }

    /// Takes over the keys of a later section; its values win.
    pub(super) fn overlay(&mut self, later: Self) {
        self.keys.extend(later.keys);
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.keys.remove(key);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The place of a value, or of the section when the key is not given.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.keys.get(key).map_or_else(|| self.place.clone(), |key| key.item.place.clone())
    }

    pub(super) fn item(&self, key: &str) -> Option<&Item<'d>> {
        self.keys.get(key).map(|key| &key.item)
    }

    /// Reports every key that is not one of `known`.
    pub(super) fn only(&self, report: &mut Report<'_>, known: &[&str]) {
        for (name, key) in &self.keys {
            if !known.contains(name) {
                let help = if is_top_level(name) {
                    format!("move `{name}` up, above the first header of the file")
                } else {
                    instead(name, known, "it can have", "`")
                };
                report.error(&key.place, format!("{} has no key `{name}`", self.title), help);
            }
        }
    }

    /// Reports a key that must be there.
    pub(super) fn demand(&self, report: &mut Report<'_>, key: &str, example: &str) -> bool {
        if !self.has(key) {
            report.error(
                &self.place,
                format!("this {} has no `{key}`", self.title),
                format!("add `{example}`"),
            );
        }
        self.has(key)
    }

    fn read<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        get: impl FnOnce(&mut Report<'_>, &Item<'d>) -> Option<T>,
    ) -> Option<T> {
        get(report, self.item(key)?)
    }

    pub(super) fn text(&self, report: &mut Report<'_>, key: &str) -> Option<&'d str> {
        self.read(report, key, |report, item| item.text(report, &format!("`{key}`")))
    }

    pub(super) fn boolean(&self, report: &mut Report<'_>, key: &str) -> Option<bool> {
        self.read(report, key, |report, item| {
            if let DeValue::Boolean(truth) = item.value {
                return Some(*truth);
            }
            let help = match item.value.as_str() {
                Some(word @ ("true" | "false")) => format!("write {word} without quotes"),
                Some(_) | None => "write true or false".to_owned(),
            };
            item.mismatch(report, &format!("`{key}`"), "true or false", &help)
        })
    }

    pub(super) fn duration(
        &self,
        report: &mut Report<'_>,
        key: &str,
        allowed: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.read(report, key, |report, item| item.duration(report, &format!("`{key}`"), allowed))
    }

    pub(super) fn count(
        &self,
        report: &mut Report<'_>,
        key: &str,
        allowed: &RangeInclusive<u32>,
    ) -> Option<u32> {
        self.read(report, key, |report, item| item.count(report, &format!("`{key}`"), allowed))
    }

    pub(super) fn number(
        &self,
        report: &mut Report<'_>,
        key: &str,
        allowed: &RangeInclusive<f64>,
        example: &str,
    ) -> Option<f64> {
        self.read(report, key, |report, item| {
            let number = if let DeValue::Integer(digits) = item.value {
                let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
                number.and_then(|number| i32::try_from(number).ok()).map(f64::from)
            } else if let DeValue::Float(digits) = item.value {
                digits.as_str().replace('_', "").parse().ok()
            } else {
                let help = match item.value.as_str() {
                    Some(text) if text.parse::<f64>().is_ok() => format!("write {text} without quotes"),
                    Some(_) | None => format!("write {example}"),
                };
                return item.mismatch(report, &format!("`{key}`"), "a number", &help);
            };
            let fits = number.filter(|number| allowed.contains(number));
            if fits.is_none() {
                let what = format!("`{key}` is a number from {} to {}", allowed.start(), allowed.end());
                report.error(&item.place, what, format!("write {example}"));
            }
            fits
        })
    }

    /// One of a closed list of words.
    pub(super) fn word<T: Copy>(&self, report: &mut Report<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(report, key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let help = match closest(text, names.iter().copied()) {
                Some(near) => format!("write \"{near}\"; it can be {}", either(names)),
                None => format!("it can be {}", either(names)),
            };
            report.error(&self.place_of(key), format!("`{key}` can't be \"{text}\""), help);
        }
        found
    }

    /// The elements of a list.
    pub(super) fn list(&self, report: &mut Report<'_>, key: &str, example: &str) -> Option<Vec<Item<'d>>> {
        self.read(report, key, |report, item| {
            if let DeValue::Array(array) = item.value {
                return Some(elements(item.place.file, array));
            }
            let help = match item.value.as_str() {
                Some(_) if example.starts_with("[\"/") => {
                    format!("write it as words in brackets, as in {example}")
                }
                Some(text) if example.starts_with("[\"") => format!("put brackets around it: [\"{text}\"]"),
                Some(_) | None => format!("write a list, as in {example}"),
            };
            item.mismatch(report, &format!("`{key}`"), "a list", &help)
        })
    }

    /// Whether a list is given and holds nothing: wrong elements are another mistake.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let item = self.item(key);
        matches!(item, Some(Item { value: DeValue::Array(array), .. }) if array.is_empty())
    }

    /// The texts of a list with their places; a wrong element is reported and left out.
    pub(super) fn texts(
        &self,
        report: &mut Report<'_>,
        key: &str,
        example: &str,
    ) -> Option<Vec<(&'d str, Place)>> {
        let items = self.list(report, key, example)?;
        let text = |item: Item<'d>| Some((item.text(report, &format!("an element of `{key}`"))?, item.place));
        Some(items.into_iter().filter_map(text).collect())
    }

    /// A table under a key.
    pub(super) fn table(&self, report: &mut Report<'_>, key: &str, example: &str) -> Option<Section<'d>> {
        self.read(report, key, |report, item| {
            if let DeValue::Table(table) = item.value {
                return Some(Section::of_table(format!("`{key}`"), item.place.clone(), table));
            }
            item.mismatch(report, &format!("`{key}`"), "a table", &format!("write `{key} = {example}`"))
        })
    }
}

pub(super) fn elements<'d>(file: usize, array: &'d DeArray<'d>) -> Vec<Item<'d>> {
    let item = |value: &'d Spanned<DeValue<'d>>| Item {
        place: Place { file, range: value.span() },
        value: value.get_ref(),
    };
    array.iter().map(item).collect()
}

impl<'d> Item<'d> {
    fn mismatch<T>(&self, report: &mut Report<'_>, name: &str, wanted: &str, help: &str) -> Option<T> {
        let found = kind_of(self.value);
        report.error(&self.place, format!("{name} is {wanted}, this is {found}"), help);
        None
    }

    pub(super) fn text(&self, report: &mut Report<'_>, name: &str) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let written = &report.file(self.place.file).text[self.place.range.clone()];
                self.mismatch(report, name, "a text", &format!("put quotes around it: \"{written}\""))
            }
            DeValue::Array(array) if array.len() == 1 => {
                self.mismatch(report, name, "a text", "write it without the brackets")
            }
            DeValue::Array(_) | DeValue::Table(_) => {
                self.mismatch(report, name, "a text", "write one text in quotes")
            }
        }
    }

    pub(super) fn duration(
        &self,
        report: &mut Report<'_>,
        name: &str,
        allowed: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let text = match self.value {
            DeValue::String(text) => text,
            DeValue::Integer(digits) => {
                let help = format!("write \"{digits}s\" for seconds, \"{digits}m\" for minutes");
                return self.mismatch(report, name, "a duration with its unit", &help);
            }
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                return self.mismatch(
                    report,
                    name,
                    "a duration with its unit",
                    "write it as in \"90s\" or \"5m\"",
                );
            }
        };
        match parse_duration(text) {
            Ok(duration) if allowed.contains(&duration) => Some(duration),
            Ok(_) => {
                let (least, most) = (short(*allowed.start()), short(*allowed.end()));
                let what = format!("{name} can't be \"{text}\": it is from {least} to {most}");
                report.error(&self.place, what, format!("write \"{least}\" or longer, up to \"{most}\""));
                None
            }
            Err((what, help)) => {
                report.error(&self.place, what, help);
                None
            }
        }
    }

    pub(super) fn count(
        &self,
        report: &mut Report<'_>,
        name: &str,
        allowed: &RangeInclusive<u32>,
    ) -> Option<u32> {
        let number = match self.value {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            DeValue::String(text) if text.parse::<i64>().is_ok() => {
                let help = format!("write {text} without quotes");
                return self.mismatch(report, name, "a whole number", &help);
            }
            DeValue::Float(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                let help = format!("write a number from {} to {}", allowed.start(), allowed.end());
                return self.mismatch(report, name, "a whole number", &help);
            }
        };
        let fits = number.and_then(|number| u32::try_from(number).ok()).filter(|n| allowed.contains(n));
        if fits.is_none() {
            let what = format!("{name} is a number from {} to {}", allowed.start(), allowed.end());
            report.error(
                &self.place,
                what,
                format!("write at least {}, at most {}", allowed.start(), allowed.end()),
            );
        }
        fits
    }
}

/// A duration in the form that policies take.
fn short(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= factor && millis.is_multiple_of(factor) {
            return format!("{}{unit}", millis / factor);
        }
    }
    if millis == 0 { "0s".into() } else { format!("{millis}ms") }
}

pub(super) const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
