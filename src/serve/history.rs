//! What the socket needs of the history, and how it is asked for. The question's form is pure.

use std::time::Duration;

use crate::model::{HistoryAsk, HistoryList, HistoryQuery, HistorySeries, Moment, WallTime};

use super::duration::parse_duration;

/// Why nothing is told of the past, a sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    NotFound(String),
    BadQuestion(String),
    Failed(String),
}

/// The history, to read. Calls may block; they are made off the loop's threads, few at a time.
pub trait HistorySource: Send + Sync {
    /// What there is.
    ///
    /// # Errors
    /// When it can't be read.
    fn list(&self) -> Result<HistoryList, NoAnswer>;

    /// One field over a time.
    ///
    /// # Errors
    /// When there is no such field, or it can't be read.
    fn series(&self, query: &HistoryQuery) -> Result<HistorySeries, NoAnswer>;
}

/// A moment as people write it: so long ago (`2h`), a time of RFC 3339 (`2026-11-23T07:00:00Z`), or seconds since 1970.
#[must_use]
pub fn parse_moment(text: &str) -> Option<Moment> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let millis = text.parse::<i64>().ok()?.checked_mul(1000)?;
        return Some(Moment::At(WallTime::from_unix_millis(millis)));
    }
    if let Ok(length) = parse_duration(text) {
        return Some(Moment::Ago(length));
    }
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Some(Moment::At(WallTime::from_unix_millis(stamp.as_millisecond())))
}

/// When nobody says from when: long enough to see what led to now.
pub const HISTORY_SINCE: Duration = Duration::from_secs(3600);

/// The path that asks for it.
#[must_use]
pub fn history_path(ask: &HistoryAsk) -> String {
    let mut path = format!("/v1/history?field={}&from={}", percent_encode(&ask.field), moment(ask.from));
    if let Some(to) = ask.to {
        path.push_str(&format!("&to={}", moment(to)));
    }
    if let Some(step) = ask.step {
        path.push_str(&format!("&step={}s", step.as_secs()));
    }
    path
}

fn moment(moment: Moment) -> String {
    match moment {
        Moment::Ago(length) => format!("{}s", length.as_secs()),
        Moment::At(at) => at.to_string(),
    }
}

/// Everything but what never needs it (RFC 3986, unreserved) as `%XX`; names of mount points hold any character.
fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// And back; nothing when it is no text.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        // `+1` is a number for Rust, and none here.
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        out.push(u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?);
        rest = tail;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments() {
        let check = |text: &str, expected: Option<Moment>| assert_eq!(parse_moment(text), expected, "{text}");
        let at = |millis| Some(Moment::At(WallTime::from_unix_millis(millis)));
        check("2h", Some(Moment::Ago(Duration::from_secs(7200))));
        check("1790000000", at(1_790_000_000_000));
        check("2026-09-21T14:13:20Z", at(1_790_000_000_000));
        check("2026-09-21T14:13:20.5+02:00", at(1_789_992_800_500));
        for bad in ["", "yesterday", "-1", "99999999999999999999", "2026-09-21", "2h ago"] {
            check(bad, None);
        }
    }

    proptest! {
        #[test]
        fn every_name_survives_the_way(text in "\\PC{0,30}") {
            let encoded = percent_encode(&text);
            prop_assert!(encoded.is_ascii() && !encoded.contains(['&', '=', '+', '#', ' ', '?']));
            prop_assert_eq!(percent_decode(&encoded), Some(text));
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in "[%0-9a-fA-F+ ]{0,12}") {
            let _ = percent_decode(&text);
        }
    }
}
