//! Names of units and jobs as D-Bus object paths, and back.
//!
//! systemd escapes what an object path can't hold as `_` and two hexadecimal digits, the first character also when it
//! is a digit (`bus_label_escape` in its sources; shown by `systemd.unit(5)` only in passing).

use crate::model::UnitName;

const UNITS: &str = "/org/freedesktop/systemd1/unit/";
const JOBS: &str = "/org/freedesktop/systemd1/job/";

/// The object path of a unit. It need not be loaded: systemd loads it when the path is asked.
pub(super) fn of_unit(unit: &UnitName) -> String {
    let mut path = String::from(UNITS);
    for (index, byte) in unit.as_str().bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// The unit that an object path stands for; `None` for other objects and for names that are not ours to know.
pub(super) fn to_unit(path: &str) -> Option<UnitName> {
    let label = path.strip_prefix(UNITS)?;
    let mut name = String::with_capacity(label.len());
    let mut bytes = label.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'_' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            name.push(char::from(u8::try_from(high * 16 + low).ok()?));
        } else {
            name.push(char::from(byte));
        }
    }
    UnitName::parse(name).ok()
}

/// The object path of a job.
pub(super) fn of_job(id: u32) -> String {
    format!("{JOBS}{id}")
}

/// The number of the job that an object path stands for.
pub(super) fn to_job(path: &str) -> Option<u32> {
    path.strip_prefix(JOBS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, path: &str) {
        let unit = UnitName::parse(name).unwrap();
        assert_eq!(of_unit(&unit), path);
        assert_eq!(to_unit(path), Some(unit));
    }

    #[test]
    fn names_are_escaped_as_systemd_does() {
        check("web.service", "/org/freedesktop/systemd1/unit/web_2eservice");
        check("9p_x@a-b.service", "/org/freedesktop/systemd1/unit/_39p_5fx_40a_2db_2eservice");
        check(
            r"dev-disk-by\x2dlabel.swap",
            r"/org/freedesktop/systemd1/unit/dev_2ddisk_2dby_5cx2dlabel_2eswap",
        );
    }

    #[test]
    fn other_paths_are_no_units() {
        for path in
            ["/", "", "/org/freedesktop/systemd1", "/org/freedesktop/systemd1/unit/a_2", "/x/web_2eservice"]
        {
            assert_eq!(to_unit(path), None, "{path}");
        }
        assert_eq!(to_unit("/org/freedesktop/systemd1/unit/web_2enonsense"), None);
    }

    #[test]
    fn jobs_have_numbers() {
        assert_eq!(to_job(&of_job(177)), Some(177));
        assert_eq!(to_job("/"), None);
        assert_eq!(to_job("/org/freedesktop/systemd1/job/x"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(stem in "[A-Za-z0-9:_.@\\\\-]{1,60}") {
            let unit = UnitName::parse(format!("{stem}.service")).unwrap();
            prop_assert_eq!(to_unit(&of_unit(&unit)), Some(unit));
        }

        #[test]
        fn no_path_is_too_odd(label in ".{0,40}") {
            let _ = to_unit(&format!("{UNITS}{label}"));
        }
    }
}
