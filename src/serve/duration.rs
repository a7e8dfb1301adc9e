//! Lengths of time as people write them on a command line: `90s`, `15m`, `1h30m`, `2d`.

use std::time::Duration;

use thiserror::Error;

/// Why a text is not a length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a length of time is numbers with units, like 90s, 15m, 1h30m or 2d")]
pub struct NotADuration;

/// Whole numbers with `d`, `h`, `m`, `s`, largest first, each at most once.
///
/// # Errors
/// For anything else, and for what does not fit 64 bits of seconds.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let mut units = [('d', 86_400_u64), ('h', 3600), ('m', 60), ('s', 1)].into_iter();
    let mut rest = text;
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(NotADuration);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next().ok_or(NotADuration)?;
        let (_, seconds) = units.find(|(name, _)| *name == unit).ok_or(NotADuration)?;
        let number: u64 = number.parse().map_err(|_| NotADuration)?;
        total = number.checked_mul(seconds).and_then(|part| total.checked_add(part)).ok_or(NotADuration)?;
        rest = &tail[unit.len_utf8()..];
    }
    Ok(Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(parse_duration(text).ok(), seconds.map(Duration::from_secs), "{text:?}");
    }

    #[test]
    fn forms() {
        check("90s", Some(90));
        check("2h", Some(7200));
        check("1h30m", Some(5400));
        check("1d2h3m4s", Some(93_784));
        for bad in ["", "2", "h", "2x", "-2h", "2h2h", "30m1h", "1.5h", "2 h", "99999999999999999999s", "2µ"]
        {
            check(bad, None);
        }
        check("18446744073709551615d", None);
        check("1500ms", None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
