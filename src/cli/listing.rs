//! `prunella units` and `prunella incidents`: tables that keep to the terminal's width. Without colour: the
//! table counts escapes as columns.

use comfy_table::{ContentArrangement, Table, presets};

use crate::model::{Reading, UnitStatus};
use crate::serve::{Incidents, Units};

use super::page::{Page, Terminal, Tone, ago, safe, subject};
use super::status::{severity, word};

pub(super) fn table(page: &Page, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(page.width()).unwrap_or(u16::MAX));
    table.set_header(header.iter().copied());
    table
}

/// The units that there is something to say of.
pub(super) fn units(units: &Units, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    if let Some(why) = &units.units_lost {
        page.labelled(Tone::Bad, "IMPAIRED", &format!("nothing is known of units: {}", safe(why)));
        page.blank();
    }
    if units.units.is_empty() {
        let text = match units.units_lost {
            None if units.units_seen == 1 => "The one unit there is is at rest.".to_owned(),
            None => format!("All {} units are at rest.", units.units_seen),
            Some(_) => "How they fare now is not known.".to_owned(),
        };
        page.line(Tone::Plain, &text);
        return page.finish();
    }
    let mut table = table(&page, &["UNIT", "STATE", "LEFT ALONE BECAUSE"]);
    for view in &units.units {
        let why = view.left_alone.as_deref().map(safe).unwrap_or_default();
        table.add_row([view.status.name.to_string(), state(&view.status), why]);
    }
    page.block(&table.to_string());
    page.blank();
    let rest = units.units_seen.saturating_sub(units.units.len());
    page.line(Tone::Faint, &format!("{rest} more at rest; looked {}.", ago(units.at, units.now)));
    page.finish()
}

/// `failed (failed), exit-code`
pub(super) fn state(status: &UnitStatus) -> String {
    let mut state = format!("{} ({})", status.active.as_str(), safe(&status.sub));
    if let Reading::Value(service) = status.service() {
        let result = service.result.as_str();
        if result != "success" {
            state.push_str(&format!(", {}", safe(result)));
        }
    }
    state
}

/// Incidents, open ones first.
pub(super) fn incidents(incidents: &Incidents, terminal: Terminal) -> String {
    let mut page = Page::new(terminal);
    if incidents.incidents.is_empty() {
        page.line(Tone::Good, "No incident is open.");
        page.line(Tone::Faint, "prunella incidents --all shows those that ended.");
        return page.finish();
    }
    let mut table = table(&page, &["ID", "STATE", "SUBJECT", "SEVERITY", "OPENED", "WHAT"]);
    for incident in &incidents.incidents {
        table.add_row([
            incident.id.to_string(),
            word(incident).1.to_lowercase(),
            subject(&incident.subject),
            severity(incident.severity).to_owned(),
            ago(incident.opened, incidents.now),
            safe(&incident.what),
        ]);
    }
    page.block(&table.to_string());
    page.finish()
}
