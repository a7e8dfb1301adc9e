//! `[[maintenance]]`.

use std::time::Duration;

use crate::policy::diagnostic::Report;
use crate::policy::document::Entry;
use crate::policy::schedule::{self, Schedule};
use crate::policy::suggest::closest;
use crate::policy::types::Maintenance;

use super::words::patterns;

const KEYS: &[&str] = &["name", "override", "units", "cron", "zone", "length"];

/// A window; `None` when it is wrong, which was reported.
pub(super) fn maintenance(report: &mut Report<'_>, entry: &Entry<'_>) -> Option<Maintenance> {
    let section = &entry.section;
    section.only(report, KEYS);
    let units = patterns(report, section, "units");
    if section.is_empty_list("units") {
        let help = "leave `units` out for all units";
        report.error(&section.place_of("units"), "an empty list of units: the window has no effect", help);
    }
    let cron = section
        .demand(report, "cron", "cron = \"0 3 * * SUN\"")
        .then(|| section.text(report, "cron"))
        .flatten()
        .and_then(|text| match schedule::parse_cron(text) {
            Ok(cron) => Some(cron),
            Err((what, help)) => {
                report.error(&section.place_of("cron"), what, help);
                None
            }
        });
    let zone = match section.text(report, "zone") {
        None => section.item("zone").is_none().then_some(jiff::tz::TimeZone::UTC),
        Some(name) => zone(name).or_else(|| {
            let (what, help) = zone_help(name);
            report.error(&section.place_of("zone"), what, help);
            None
        }),
    };
    let allowed = Duration::from_secs(60)..=schedule::WINDOW_MAX;
    let length = section
        .demand(report, "length", "length = \"2h\"")
        .then(|| section.duration(report, "length", &allowed))
        .flatten();
    Some(Maintenance {
        name: entry.name.to_owned(),
        units,
        schedule: Schedule { cron: cron?, zone: zone?, length: length? },
    })
}

/// From the bundled database alone: the same policy means the same on every host.
fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    let database = jiff::tz::TimeZoneDatabase::bundled();
    database.get(name).ok()
}

fn zone_help(name: &str) -> (String, String) {
    let database = jiff::tz::TimeZoneDatabase::bundled();
    let names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
    let city = |full: &str| full.rsplit('/').next().map(str::to_lowercase);
    let wanted = name.to_lowercase().replace(' ', "_");
    let by_city =
        names.iter().find(|full| city(full).as_deref() == Some(wanted.as_str())).map(String::as_str);
    let near = by_city.or_else(|| closest(name, names.iter().map(String::as_str)));
    let help = match near {
        Some(near) => format!("write \"{near}\""),
        None => "write a name of the IANA database, as in \"Europe/Berlin\", or \"UTC\"".to_owned(),
    };
    (format!("there is no time zone \"{name}\""), help)
}
