//! Names of rotated logs: a closed list of the shapes that the usual rotators make. Pure.
//!
//! Knows nothing of files. What is not one of these shapes is none, and what might be data is none either: a file that
//! stays costs room, and one that is removed by mistake is lost.

/// The longest mark, with its separator: `-2026-01-02_13-14-15.100`.
const MARK_MAX: usize = 24;
/// What a private name begins with; the number of the file follows.
pub(super) const ASIDE: &[u8] = b".prunella-removing-";
const COMPRESSED: [&[u8]; 5] = [b".gz", b".xz", b".zst", b".bz2", b".lz4"];
/// A log's name ends so. A date may stand before it as well: `app-2026-01-02.log`.
const LOG_SUFFIXES: [&[u8]; 3] = [b".log", b".err", b".out"];
/// `log` as a word of its own, at the end.
const LOG_WORDS: [&[u8]; 2] = [b"_log", b"-log"];
/// Logs that are called so on the usual systems.
const LOG_NAMES: [&[u8]; 25] = [
    b"accesslog",
    b"auth",
    b"boot",
    b"btmp",
    b"cron",
    b"cronlog",
    b"daemon",
    b"debug",
    b"dmesg",
    b"errorlog",
    b"faillog",
    b"kern",
    b"lastlog",
    b"localmessages",
    b"maillog",
    b"messages",
    b"secure",
    b"slowlog",
    b"spooler",
    b"sulog",
    b"syslog",
    b"tallylog",
    b"warn",
    b"wtmp",
    b"xferlog",
];
/// What bears such a name is data, whatever stands beside it.
const DATA_SUFFIXES: [&[u8]; 44] = [
    b".7z",
    b".aof",
    b".bak",
    b".bin",
    b".bz2",
    b".cfg",
    b".cnf",
    b".conf",
    b".core",
    b".crt",
    b".dat",
    b".db",
    b".db3",
    b".dump",
    b".frm",
    b".gz",
    b".ibd",
    b".img",
    b".iso",
    b".journal",
    b".key",
    b".ldb",
    b".lz4",
    b".mdb",
    b".myd",
    b".myi",
    b".pem",
    b".qcow2",
    b".raw",
    b".rdb",
    b".so",
    b".sql",
    b".sqlite",
    b".sqlite3",
    b".sst",
    b".tar",
    b".tgz",
    b".vdi",
    b".vhd",
    b".vmdk",
    b".wal",
    b".xz",
    b".zip",
    b".zst",
];
/// Memory of programs that crashed: `core.812` is no rotated `core`.
const DATA_NAMES: [&[u8]; 1] = [b"core"];

/// Trails of who was there, by the names that distributions give them.
const TRAILS: [&[u8]; 7] = [b"auth", b"authpriv", b"audit", b"btmp", b"wtmp", b"secure", b"sudo"];

/// What a name tells of a rotated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotated {
    /// The name of the log that it was rotated from; never empty.
    pub(super) log: Vec<u8>,
    /// That name is a log's. Else it is one only where a file of that name stands beside it.
    pub(super) certain: bool,
}

/// The log that a file of this name was rotated from.
pub(super) fn rotated(name: &[u8]) -> Option<Rotated> {
    let log = unmarked(name)?;
    // A second mark below the first: a version number, or what nobody rotates like that.
    let usable = !is_trail(&log)
        && !log.is_empty()
        && !log.starts_with(b".")
        && unmarked(&log).is_none()
        && !is_data(&log);
    usable.then(|| Rotated { certain: is_log(&log), log })
}

/// The number in the name under which a file is put aside before it is removed.
pub(super) fn aside(name: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(ASIDE)?;
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    // One number, one name.
    (aside_name(number) == name).then_some(number)
}

/// The name under which the file of this number is put aside.
pub(super) fn aside_name(inode: u64) -> Vec<u8> {
    [ASIDE, inode.to_string().as_bytes()].concat()
}

/// Without compression and one mark of a rotation, if there is one.
fn unmarked(name: &[u8]) -> Option<Vec<u8>> {
    if name.starts_with(b".") {
        return None;
    }
    let plain = COMPRESSED.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name);
    if let Some(log) = before_mark(plain, is_mark) {
        return Some(log.to_vec());
    }
    LOG_SUFFIXES.iter().find_map(|suffix| {
        let log = before_mark(plain.strip_suffix(*suffix)?, is_dated_mark)?;
        Some([log, *suffix].concat())
    })
}

/// What stands before the longest mark at the end.
fn before_mark(name: &[u8], accept: fn(&[u8]) -> bool) -> Option<&[u8]> {
    let first = name.len().saturating_sub(MARK_MAX).max(1);
    (first..name.len())
        .filter_map(|at| name.split_at_checked(at))
        .find(|(_, mark)| accept(mark))
        .map(|(log, _)| log)
}

/// At the end of a name.
fn is_mark(mark: &[u8]) -> bool {
    mark == b".old" || mark.strip_prefix(b".").is_some_and(is_count) || is_dated_mark(mark)
}

/// At the end, or before `.log`.
fn is_dated_mark(mark: &[u8]) -> bool {
    match mark.split_first() {
        Some((b'.' | b'-', date)) => is_compact(date) || is_dashed(date),
        _ => false,
    }
}

/// 0 to 999, and not 000: sequences of binary logs and of archives have more digits, or begin with zeros.
fn is_count(text: &[u8]) -> bool {
    (1..=3).contains(&text.len())
        && text.iter().all(u8::is_ascii_digit)
        && (text.len() == 1 || !text.starts_with(b"0"))
}

/// `20260102`, `2026010213`, `20260102-131415`, `20260102-1767358455`
fn is_compact(text: &[u8]) -> bool {
    let Some(rest) = date(text, b"") else { return false };
    match rest.split_first() {
        None => true,
        Some((b'-', rest)) => matches!(clock(rest), Some([])) || matches!(number(rest, 10), Some((_, []))),
        Some(_) => matches!(number(rest, 2), Some((0..24, []))),
    }
}

/// `2026-01-02`, then the time in any length, then a count, or neither.
fn is_dashed(text: &[u8]) -> bool {
    let counted = |rest: &[u8]| match rest.split_first() {
        None => true,
        Some((b'.' | b'-', count)) => is_count(count),
        Some(_) => false,
    };
    date(text, b"-").is_some_and(|rest| counted(rest) || time(rest).is_some_and(counted))
}

/// What follows a date that is possible.
fn date<'a>(text: &'a [u8], between: &[u8]) -> Option<&'a [u8]> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix(between)?, 2)?;
    let (day, rest) = number(rest.strip_prefix(between)?, 2)?;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 29,
        _ => return None,
    };
    ((1990..2100).contains(&year) && (1..=days).contains(&day)).then_some(rest)
}

/// What follows `_13`, `_13-14`, `_13-14-15` or `_131415`, or the same with a `-` before.
fn time(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"_").or_else(|| text.strip_prefix(b"-"))?;
    if let Some(rest) = clock(text) {
        return Some(rest);
    }
    let (hour, mut rest) = number(text, 2)?;
    for _ in 0..2 {
        match rest.strip_prefix(b"-").and_then(|text| number(text, 2)) {
            Some((0..=60, behind)) => rest = behind,
            _ => break,
        }
    }
    (hour < 24).then_some(rest)
}

/// What follows `131415`.
fn clock(text: &[u8]) -> Option<&[u8]> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = number(rest, 2)?;
    (hour < 24 && minute < 60 && second <= 60).then_some(rest)
}

/// A number of so many digits, and what follows.
fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let value = digits.iter().try_fold(0, |value: u64, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    })?;
    Some((value, rest))
}

pub(super) fn is_log(name: &[u8]) -> bool {
    let ends = |suffixes: &[&[u8]]| suffixes.iter().any(|suffix| name.ends_with(suffix));
    ends(&LOG_SUFFIXES) || ends(&LOG_WORDS) || LOG_NAMES.contains(&name)
}

pub(super) fn is_data(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    DATA_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) || DATA_NAMES.contains(&&name[..])
}

/// Who logged in, and what was done as whom: not the agent's to throw away.
pub(super) fn is_trail(log: &[u8]) -> bool {
    let log = log.to_ascii_lowercase();
    TRAILS.iter().any(|trail| {
        log.strip_prefix(*trail).is_some_and(|rest| matches!(rest, b"" | b".log" | b"_log" | b"-log"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: Option<(&str, bool)>) {
        for name in names {
            let found = rotated(name.as_bytes());
            let found = found.as_ref().map(|it| (std::str::from_utf8(&it.log).expect("text"), it.certain));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn what_rotators_make_is_known() {
        check(
            &[
                "app.log.1",
                "app.log.10.gz",
                "app.log.0",
                "app.log.999.xz",
                "app.log.old",
                "app.log-20260102",
                "app.log-20260102.gz",
                "app.log-2026010213.zst",
                "app.log-20260102-131415",
                "app.log-20260102-1767358455.gz",
                "app.log-2026-01-02",
                "app.log.2026-01-02",
                "app.log.20260102.lz4",
                "app.log.2026-01-02_13-00-00",
                "app.log.2026-01-02_13-00",
                "app.log.2026-01-02_13",
                "app.log.2026-01-02-13",
                "app.log.2026-01-02.0.gz",
                "app-2026-01-02.log",
                "app-2026-01-02.log.gz",
                "app.2026-01-02.log.bz2",
                "app-2026-01-02-1.log.gz",
                "app-2026-01-02.12.log",
                "app-2026-01-02_131415.log",
                "app-20260102.log",
                "app-2026-02-29_23-59-60.100.log",
            ],
            Some(("app.log", true)),
        );
        check(&["syslog.1", "syslog.7.gz", "syslog-20260229"], Some(("syslog", true)));
        check(&["access_log-20260102", "access_log.3"], Some(("access_log", true)));
        check(&["wtmp.1", "wtmp-20260101.xz", "auth.log.2.gz", "secure-20260101", "sudo.log.9"], None);
        check(&["dmesg.0"], Some(("dmesg", true)));
        check(&["catalina.out-20260102.gz", "catalina.2026-01-02.out"], Some(("catalina.out", true)));
        check(&["Xorg.0.log.old"], Some(("Xorg.0.log", true)));
        check(&["a.log.1"], Some(("a.log", true)));
    }

    #[test]
    fn a_name_that_is_no_logs_needs_its_log_beside_it() {
        check(&["notes.1", "notes.old", "notes-20260102.gz"], Some(("notes", false)));
        check(&["eve.json.1", "eve.json-20260102"], Some(("eve.json", false)));
        check(&["catalog.1"], Some(("catalog", false)));
        // ZooKeeper calls its transactions so.
        check(&["log.1"], Some(("log", false)));
        check(&["a.1"], Some(("a", false)));
    }

    #[test]
    fn what_is_no_rotation_stays() {
        check(
            &[
                "",
                ".",
                "..",
                "app.log",
                "app.log.gz",
                "app.log.",
                "app.log.1.",
                "app.log.1.tmp",
                "app.log.01",
                "app.log.000",
                "app.log.1000",
                "app.log-1",
                "app.log-2026",
                "app.log-20261302",
                "app.log-20260230",
                "app.log-20260100",
                "app.log-2026010224",
                "app.log-20260102-240000",
                "app.log-20260102-136000",
                "app.log-20260102-123",
                "app.log-20260102.",
                "app.log.2026-1-2",
                "app.log.2026-01-02_25",
                "app.log.2026-01-02x",
                "app.log.1789-07-14",
                "app.1.log",
                "app-2026-01-02.txt",
                "2026-01-02.log",
                "app.log.gz.1",
                "app.log.1.2",
                "app.log.1.gz.1",
                "app.log.old.1",
                "app.log.1.old",
                ".app.log.1",
                ".1",
                ".old",
                ".log.1",
                "-2026-01-02.log",
                ".2026-01-02.log",
                "1",
                "old",
                "app.log.OLD",
            ],
            None,
        );
    }

    #[test]
    fn data_stays() {
        check(
            &[
                "mysql-bin.000001",
                "ibdata1",
                "libx.so.1",
                "libx.so.1.2",
                "libx.so.1.2.3",
                "dump.1.sql",
                "dump-2026-01-02.sql",
                "dump.sql.1",
                "dump.sql.gz.1",
                "backup.tar.1",
                "backup.tar.gz.1",
                "users.db.1",
                "users.DB.1",
                "users.sqlite.1",
                "users.sqlite3.old",
                "disk.img.old",
                "disk.qcow2.1",
                "redis.rdb.1",
                "redis.aof.2",
                "table.ibd-20260102",
                "named.conf.old",
                "server.key.1",
                "server.bak.1",
                "00000001000000A900000010",
                "core.812",
                "core.81",
                "system.journal.1",
                "db.192.168.1",
            ],
            None,
        );
    }

    #[test]
    fn a_name_put_aside_has_one_number() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(aside(&aside_name(number)), Some(number));
        }
        for other in [
            "7",
            ".prunella-removing-",
            ".prunella-removing-07",
            ".prunella-removing-+7",
            ".prunella-removing-7a",
        ] {
            assert_eq!(aside(other.as_bytes()), None, "{other}");
        }
        assert_eq!(aside(b".prunella-removing-99999999999999999999"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(name in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(rotated(&name).is_none_or(|it| !it.log.is_empty()));
            prop_assert!(aside(&name).is_none_or(|number| aside_name(number) == name));
        }

        /// Of the letters that matter, so that most of them come close.
        #[test]
        fn near_misses_are_read(name in r"(app|\.|syslog|a\.db)?([.\-_](log|old|gz|so|[0-9]{1,10})){0,5}") {
            if let Some(it) = rotated(name.as_bytes()) {
                prop_assert!(!it.log.is_empty() && it.log.len() < name.len(), "{name}");
                prop_assert!(!it.log.starts_with(b".") && !it.log.ends_with(b".db"), "{name}");
                // One rotation, and not one of a rotated file.
                prop_assert!(rotated(&it.log).is_none(), "{name}");
            }
        }
    }
}
