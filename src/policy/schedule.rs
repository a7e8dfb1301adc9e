//! Recurring windows of the calendar.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::model::WallTime;

/// Longest window. A week: what is longer is no maintenance, and belongs in a rule's `except`.
pub const WINDOW_MAX: Duration = Duration::from_hours(7 * 24);

/// A cron expression in a time zone, with the length of the window that it opens.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub cron: Cron,
    pub zone: jiff::tz::TimeZone,
    pub length: Duration,
}

impl Schedule {
    /// When it opened last: at a full minute, in every zone of today.
    ///
    /// A window lasts its length in elapsed time, whatever the wall clock does meanwhile. Where the clock skips
    /// the opening, it opens right after the gap; where the clock shows it twice, it opens once, at the first. One
    /// search back from `now`: `parse_cron` took only expressions that come round within a few years.
    pub(super) fn last_opening(&self, now: WallTime) -> Option<WallTime> {
        let stamp = jiff::Timestamp::from_millisecond(now.unix_millis()).ok()?;
        let opened = self.cron.find_previous_occurrence(&stamp.to_zoned(self.zone.clone()), true).ok()?;
        let opened = opened.timestamp();
        (opened <= stamp).then(|| WallTime::from_unix_millis(opened.as_millisecond()))
    }
}

/// Parses the five fields of cron (minute, hour, day, month, weekday) or a name such as `@daily`.
///
/// # Errors
/// What is wrong and what to write instead.
pub(super) fn parse_cron(text: &str) -> Result<Cron, (String, String)> {
    const FORM: &str =
        "write minute, hour, day, month and weekday: \"30 2 * * SUN\" is every Sunday at half past two";
    let fields: Vec<&str> = text.split_whitespace().collect();
    if !text.trim_start().starts_with('@') {
        if fields.len() != 5 {
            let what = format!("a cron expression has 5 fields, this one has {}", fields.len());
            let help = match fields.len() {
                6 => "leave out the seconds: \"30 2 * * SUN\" is every Sunday at half past two",
                _ => FORM,
            };
            return Err((what, help.into()));
        }
        // `*/90` is not every 90 minutes but every full hour: the step ends with the field.
        for (field, (name, size)) in
            fields.iter().zip([("minute", 60), ("hour", 24), ("day", 31), ("month", 12)])
        {
            let step = field.rsplit_once('/').and_then(|(_, step)| step.parse::<u32>().ok());
            if step.is_some_and(|step| step >= size) {
                return Err((
                    format!(
                        "`{field}`: the {name} goes only to {size}, so a step of that size comes round early"
                    ),
                    "list the times, as in \"0 1,13 * * *\"".into(),
                ));
            }
        }
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|error| {
        let said = error.to_string();
        (format!("\"{text}\" is not a cron expression: {}", said.trim_end_matches('.')), FORM.to_owned())
    })?;
    // 2000-01-01: any moment will do, what never comes in the years after it never comes.
    let start = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0);
    match cron.find_next_occurrence(&start, true) {
        Ok(next) if next.year() < 2000 + YEARS_MAX => Ok(cron),
        Ok(_) | Err(_) => Err((
            format!("\"{text}\" never comes: no such day is in the calendar"),
            "check the day and the month".to_owned(),
        )),
    }
}

/// What does not come within these many years never does, but for 29 February over a century without one.
const YEARS_MAX: i16 = 9;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    impl Schedule {
        /// Until when the window that holds `now` is open, if one does.
        fn open_until(&self, now: WallTime) -> Option<WallTime> {
            let until = self.last_opening(now)? + self.length;
            (until > now).then_some(until)
        }
    }

    fn schedule(cron: &str, zone: &str, length: Duration) -> Schedule {
        Schedule { cron: parse_cron(cron).unwrap(), zone: jiff::tz::TimeZone::get(zone).unwrap(), length }
    }

    fn at(text: &str) -> WallTime {
        WallTime::from_unix_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_window_is_open_from_its_time_for_its_length() {
        let nightly = schedule("0 3 * * *", "UTC", Duration::from_hours(2));
        let check = |now: &str, until: Option<&str>| {
            assert_eq!(nightly.open_until(at(now)), until.map(at), "{now}");
        };
        check("2026-11-22T02:59:59.999Z", None);
        check("2026-11-22T03:00:00Z", Some("2026-11-22T05:00:00Z"));
        check("2026-11-22T03:00:00.001Z", Some("2026-11-22T05:00:00Z"));
        check("2026-11-22T04:59:59.999Z", Some("2026-11-22T05:00:00Z"));
        check("2026-11-22T05:00:00Z", None);
    }

    #[test]
    fn a_window_is_that_of_its_zone_in_summer_and_winter() {
        let check = |cron: &str, now: &str, until: Option<&str>| {
            let berlin = schedule(cron, "Europe/Berlin", Duration::from_hours(1));
            assert_eq!(berlin.open_until(at(now)), until.map(at), "{cron} at {now}");
        };
        check("0 3 * * *", "2026-01-10T02:30:00Z", Some("2026-01-10T03:00:00Z"));
        check("0 3 * * *", "2026-07-10T01:30:00Z", Some("2026-07-10T02:00:00Z"));
        // 29 March 2026: 02:00 to 03:00 does not exist; the window opens at 03:00 CEST, which is 01:00 UTC.
        check("30 2 * * *", "2026-03-29T00:59:59Z", None);
        check("30 2 * * *", "2026-03-29T01:15:00Z", Some("2026-03-29T02:00:00Z"));
        // 25 October 2026: 02:30 comes twice, at 00:30 and 01:30 UTC; the window is that of the first.
        check("30 2 * * *", "2026-10-25T00:45:00Z", Some("2026-10-25T01:30:00Z"));
        check("30 2 * * *", "2026-10-25T01:45:00Z", None);
    }

    #[test]
    fn slips_are_told() {
        let check = |text: &str, what: &str| {
            let (told, _) = parse_cron(text).unwrap_err();
            assert!(told.contains(what), "{text}: {told}");
        };
        check("0 3 * *", "has 4");
        check("0 0 3 * * *", "has 6");
        check("0 25 * * *", "not a cron expression");
        check("*/90 * * * *", "goes only to 60");
        check("0 0 31 2 *", "never comes");
        check("every day at 3", "has 4");
        assert!(parse_cron("0 0 29 2 *").is_ok());
        assert!(parse_cron("@daily").is_ok());
    }

    proptest! {
        /// A window that is open stays open until its end, and is that of an opening within its length.
        #[test]
        fn an_open_window_is_consistent(
            minute in 0_u32..60, hour in 0_u32..24, day in prop::option::of(0_u32..7),
            length in 1_u64..48 * 60, now in 1_700_000_000_i64..1_900_000_000,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            let weekday = day.map_or("*".to_owned(), |day| day.to_string());
            let length = Duration::from_secs(length * 60);
            let schedule = schedule(&format!("{minute} {hour} * * {weekday}"), zone, length);
            let now = WallTime::from_unix_millis(now * 1000);
            let minute = WallTime::from_unix_millis(now.unix_millis().div_euclid(60_000) * 60_000);
            prop_assert_eq!(schedule.last_opening(now), schedule.last_opening(minute), "at full minutes alone");
            if let Some(until) = schedule.open_until(now) {
                prop_assert!(until > now);
                prop_assert!(until.since(now) <= length);
                let opened = WallTime::from_unix_millis(until.unix_millis() - i64::try_from(length.as_millis()).unwrap());
                prop_assert!(schedule.open_until(opened) >= Some(until), "open at its opening");
                let last = WallTime::from_unix_millis(until.unix_millis() - 1);
                prop_assert!(schedule.open_until(last) >= Some(until), "open to its end");
            }
        }

        /// Every day has its nightly window, on days of 23, 24 and 25 hours, once and for its whole length.
        #[test]
        fn every_day_has_one_window(
            hour in 0_u32..24, half in any::<bool>(), day in 0_i32..3000,
            zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Africa/Casablanca"]),
        ) {
            let minute = if half { 30 } else { 0 };
            let schedule = schedule(&format!("{minute} {hour} * * *"), zone, Duration::from_mins(60));
            let date = jiff::civil::date(2024, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
            let start = date.to_zoned(schedule.zone.clone()).unwrap().timestamp().as_second();
            let end = date.tomorrow().unwrap().to_zoned(schedule.zone.clone()).unwrap().timestamp().as_second();
            let mut openings = std::collections::BTreeSet::new();
            // Steps of a minute see every opening; one that began yesterday is not of this day.
            for second in (start..end).step_by(60) {
                if let Some(until) = schedule.open_until(WallTime::from_unix_millis(second * 1000)) {
                    let opened = until.unix_millis() / 1000 - 3600;
                    if opened >= start {
                        openings.insert(opened);
                    }
                }
            }
            prop_assert_eq!(openings.len(), 1, "{} in {}: {:?}", date, zone, openings);
        }
    }
}
