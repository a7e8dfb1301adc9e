//! Live logs: files that somebody writes lines to, by their names and by what is in them. Pure.

use crate::model::WallTime;

use super::names::{is_data, is_log, is_trail, rotated};

/// What the private name of an archive that is being made begins with; the number of its log follows.
const ARCHIVING: &[u8] = b".prunella-archiving-";
/// The longest name that file systems take, bytes (`NAME_MAX`).
const NAME_MAX: usize = 255;
const GZIP: &[u8] = b".gz";

/// By its name alone. Trails of who was there are not the agent's to take apart, nor are rotated logs.
pub(super) fn is_live(name: &[u8]) -> bool {
    !name.starts_with(b".") && is_log(name) && rotated(name).is_none() && !is_trail(name) && !is_data(name)
}

/// By its beginning and its end: lines, and no byte that text does not have. Databases call their journals logs as well.
pub(super) fn is_lines(beginning: &[u8], end: &[u8]) -> bool {
    let lines = |part: &[u8]| part.contains(&b'\n') && !part.contains(&0);
    lines(beginning) && lines(end)
}

/// The number in the private name of an archive that is being made.
pub(super) fn archiving(name: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(name.strip_prefix(ARCHIVING)?).ok()?.parse().ok()?;
    // One number, one name.
    (archiving_name(number) == name).then_some(number)
}

/// The private name of the archive of the log with this number.
pub(super) fn archiving_name(inode: u64) -> Vec<u8> {
    [ARCHIVING, inode.to_string().as_bytes()].concat()
}

/// `app.log-20261123-183000.gz`: a rotated log by its name, which no rule of logrotate's takes for one of its own. None
/// where that would be too long.
pub(super) fn archive_name(log: &[u8], at: WallTime) -> Option<Vec<u8>> {
    let text = at.to_string();
    let (date, time) = text.split_once('T')?;
    let digits = |part: &str, most| part.bytes().filter(u8::is_ascii_digit).take(most).collect::<Vec<u8>>();
    let name = [log, b"-", &digits(date, 8), b"-", &digits(time, 6), GZIP].concat();
    (name.len() <= NAME_MAX).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_logs_by_their_names() {
        let check = |name: &str, live: bool| assert_eq!(is_live(name.as_bytes()), live, "{name}");
        for name in ["app.log", "syslog", "messages", "access_log", "error-log", "catalina.out", "job.err"] {
            check(name, true);
        }
        for name in [
            "app.log.1",
            "app.log-20260102",
            "app.log.gz",
            "app-2026-01-02.log",
            "auth.log",
            "wtmp",
            "sudo.log",
        ] {
            check(name, false);
        }
        for name in ["data", "shop.db", ".hidden.log", "mysql-bin.000001", "app.log.bak", ""] {
            check(name, false);
        }
    }

    #[test]
    fn lines_by_what_is_in_it() {
        let check = |beginning: &str, end: &str, lines: bool| {
            assert_eq!(is_lines(beginning.as_bytes(), end.as_bytes()), lines, "{beginning:?} {end:?}");
        };
        check("a\nb", "c\nd", true);
        check("grüße\n", "ä\n", true);
        check("a\nb", "no line", false);
        check("no line", "a\n", false);
        check("a\n\0", "a\n", false);
        check("a\n", "\0a\n", false);
        check("", "", false);
    }

    #[test]
    fn its_archive_is_a_rotated_log() {
        let at = WallTime::from_unix_millis(1_795_458_600_250);
        let name = archive_name(b"app.log", at).expect("it is short");
        assert_eq!(String::from_utf8_lossy(&name), "app.log-20261123-183000.gz");
        assert_eq!(rotated(&name).map(|it| it.log), Some(b"app.log".to_vec()));
        assert!(!is_live(&name));
        assert_eq!(archive_name(&[b'a'; 240], at), None);
    }

    #[test]
    fn one_private_name_for_each_log() {
        let check =
            |name: &str, number: Option<u64>| assert_eq!(archiving(name.as_bytes()), number, "{name}");
        check(".prunella-archiving-812", Some(812));
        check(".prunella-archiving-0812", None);
        check(".prunella-archiving-+812", None);
        check(".prunella-archiving-", None);
        check("prunella-archiving-812", None);
    }
}
