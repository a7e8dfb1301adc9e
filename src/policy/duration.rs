//! Durations as people write them: `90s`, `5m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Longest duration that a policy may name. Longer ones are a slip with the unit.
pub const DURATION_MAX: Duration = Duration::from_hours(366 * 24);

const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses numbers with units, largest unit first, each once; blanks between them are passed over.
///
/// # Errors
/// What is wrong and what to write instead.
pub(super) fn parse_duration(text: &str) -> Result<Duration, (String, String)> {
    const FORM: &str =
        "write a number and a unit (d, h, m, s, ms), as in \"90s\", \"5m\", \"1h30m\" or \"250ms\"";
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(("a duration can't be empty".into(), FORM.into()));
    }
    let mut millis: u64 = 0;
    let mut smaller_than = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        if digits == 0 {
            return Err((format!("`{text}` is not a duration"), FORM.into()));
        }
        let after = after.trim_start();
        if let Some(fraction) = after.strip_prefix('.') {
            let help = match (number, fraction.trim_start_matches(|c: char| c.is_ascii_digit())) {
                ("0", _) => "write it in a smaller unit, as in \"500ms\"".to_owned(),
                (_, "h") => "write it in two units, as in \"1h30m\"".to_owned(),
                _ => "write whole numbers, as in \"1m30s\" or \"1500ms\"".to_owned(),
            };
            return Err((format!("`{text}`: a duration has no fractions"), help));
        }
        let letters = after.chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum();
        let (unit, after) = after.split_at(letters);
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(bad_unit(text, number, unit));
        };
        if *factor >= smaller_than {
            return Err((format!("`{text}`: the units are not in order, or one comes twice"), FORM.into()));
        }
        smaller_than = *factor;
        let amount = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
        let Some(sum) = amount.and_then(|amount| millis.checked_add(amount)) else {
            return Err(too_long(text));
        };
        millis = sum;
        rest = after.trim_start();
    }
    let duration = Duration::from_millis(millis);
    if duration > DURATION_MAX { Err(too_long(text)) } else { Ok(duration) }
}

/// As [`parse_duration`] would read it, in hours and less: what a condition can hold.
pub(super) fn written(time: Duration) -> String {
    let mut rest = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, millis) in UNITS.iter().filter(|(unit, _)| *unit != "d") {
        let amount = rest / millis;
        rest %= millis;
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn too_long(text: &str) -> (String, String) {
    (format!("`{text}` is longer than a year"), "check the unit: d, h, m (minutes), s, ms".into())
}

fn bad_unit(text: &str, number: &str, unit: &str) -> (String, String) {
    let meant = match unit.to_ascii_lowercase().as_str() {
        "" => {
            return (
                format!("`{text}` has no unit"),
                format!("write \"{number}s\" for seconds, \"{number}m\" for minutes"),
            );
        }
        "sec" | "secs" | "second" | "seconds" | "s" => Some("s"),
        "min" | "mins" | "minute" | "minutes" | "m" => Some("m"),
        "hr" | "hrs" | "hour" | "hours" | "h" => Some("h"),
        "day" | "days" | "d" => Some("d"),
        "msec" | "millis" | "millisecond" | "milliseconds" | "ms" => Some("ms"),
        _ => None,
    };
    let help = match (meant, number.parse::<u64>()) {
        (Some(meant), _) => format!("write \"{number}{meant}\""),
        (None, Ok(weeks)) if matches!(unit, "w" | "week" | "weeks") => {
            format!("write \"{}d\"", weeks.saturating_mul(7))
        }
        (None, _) => "the units are d, h, m (minutes), s and ms".to_owned(),
    };
    (format!("`{unit}` is not a unit of time"), help)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_written() {
        let check = |text: &str, millis: u64| {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        };
        check("0s", 0);
        check("250ms", 250);
        check("90s", 90_000);
        check("5m", 300_000);
        check("1h30m", 5_400_000);
        check(" 1h 30m ", 5_400_000);
        check("2d", 172_800_000);
        check("366d", 31_622_400_000);
    }

    #[test]
    fn slips_are_told_with_what_to_write() {
        let check = |text: &str, help: &str| {
            let (_, told) = parse_duration(text).unwrap_err();
            assert!(told.contains(help), "{text}: {told}");
        };
        check("10", "\"10s\"");
        check("5 minutes", "\"5m\"");
        check("5min", "\"5m\"");
        check("5M", "\"5m\"");
        check("0.5s", "\"500ms\"");
        check("1.5h", "\"1h30m\"");
        check("30m1h", "a number and a unit");
        check("soon", "a number and a unit");
        check("-5s", "a number and a unit");
        check("", "a number and a unit");
        check("1w", "\"7d\"");
        check("5µs", "the units are");
        check("400d", "check the unit");
        check("99999999999999999999s", "check the unit");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0..31_622_400_000_u64) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&written(time)).unwrap(), time);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!(duration <= DURATION_MAX);
            }
        }
    }
}
