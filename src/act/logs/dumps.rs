//! Names of core dumps: the one shape that systemd-coredump(8) writes. Pure.
//!
//! Knows nothing of files. `core.COMM.UID.BOOT.PID.TIME`, and how it is compressed: COMM is the program's name, in
//! which dots, slashes, blanks, backslashes and what is no ASCII are written `\xNN`; BOOT is the boot id. What differs in
//! a single letter is none; nor are `core` and `core.812` of the kernel itself, which others may have called so.

const COMPRESSED: [&[u8]; 3] = [b".zst", b".lz4", b".xz"];
/// Of a boot id, in small letters.
const BOOT_DIGITS: usize = 32;

/// What all dumps of one program have in common, by its name and the user that it ran as: `core.COMM.UID`.
pub(super) fn program(name: &[u8]) -> Option<Vec<u8>> {
    let plain = COMPRESSED.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name);
    // From the end: COMM is what is left.
    let mut parts = plain.rsplitn(5, |byte| *byte == b'.');
    let (time, pid, boot, uid, rest) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let comm = rest.strip_prefix(b"core.")?;
    let is_dump = is_number(time, u64::MAX)
        && is_number(pid, u32::MAX.into())
        && is_boot(boot)
        && is_number(uid, u32::MAX.into())
        && is_escaped(comm);
    is_dump.then(|| [rest, b".", uid].concat())
}

/// As `%u` of printf writes it: one number, one text.
fn is_number(text: &[u8], most: u64) -> bool {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    number.is_some_and(|number| number <= most && number.to_string().as_bytes() == text)
}

fn is_boot(text: &[u8]) -> bool {
    text.len() == BOOT_DIGITS && text.iter().all(|byte| is_hex(*byte))
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// What can be printed stands for itself, but dots, slashes, blanks and backslashes.
fn is_escaped(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = match (first, behind) {
            (b'\\', [b'x', high, low, behind @ ..]) if is_hex(*high) && is_hex(*low) => behind,
            (b'\\' | b'.' | b'/', _) => return false,
            (b'!'..=b'~', _) => behind,
            _ => return false,
        };
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::act::logs::names::{aside, rotated};

    const BOOT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        // `~` stands for the boot id.
        let name = name.replace('~', BOOT);
        let found = program(name.as_bytes());
        assert_eq!(found.as_deref().map(|it| std::str::from_utf8(it).expect("text")), expected, "{name}");
        assert!(expected.is_none() || rotated(name.as_bytes()).is_none(), "{name} is no log as well");
    }

    #[test]
    fn what_systemd_writes_is_known() {
        let shop = Some("core.shop.1000");
        check("core.shop.1000.~.4242.1767358455000000", shop);
        check("core.shop.1000.~.4242.1767358455000000.zst", shop);
        check("core.shop.1000.~.4242.1767358455000000.lz4", shop);
        check("core.shop.1000.~.4242.1767358455000000.xz", shop);
        check("core.shop.0.~.1.0", Some("core.shop.0"));
        check("core.shop.4294967294.~.4194304.18446744073709551615", Some("core.shop.4294967294"));
        check(r"core.python3\x2e11.33.~.7.1767358455000000", Some(r"core.python3\x2e11.33"));
        check(r"core.Web\x20Content.1000.~.7.1767358455000000.zst", Some(r"core.Web\x20Content.1000"));
        check(r"core.\x5c\xc3\xa4.1000.~.7.1767358455000000", Some(r"core.\x5c\xc3\xa4.1000"));
        check("core.kworker-u8:1+ev.0.~.7.1767358455000000", Some("core.kworker-u8:1+ev.0"));
        // As version 252 called them.
        check(
            r"core.my\x2eshop\x20a\x5c\x5cb.33.~.79.1767358455000000.zst",
            Some(r"core.my\x2eshop\x20a\x5c\x5cb.33"),
        );
        check("core.-plain_1.0.~.89.1767358455000000.zst", Some("core.-plain_1.0"));
        check("core.core.0.~.7.1767358455000000", Some("core.core.0"));
        check("core.zst.0.~.7.1767358455000000.zst", Some("core.zst.0"));
        check("core.(sd-pam).0.~.7.1767358455000000", Some("core.(sd-pam).0"));
    }

    #[test]
    fn what_is_written_otherwise_stays() {
        for name in [
            "",
            ".",
            "..",
            "core",
            "core.",
            "core.812",
            "core.shop",
            "core.shop.812",
            "app.log.1",
            "app.log-20260102.gz",
            "shop.core.1000.~.4242.1767358455000000",
            "Core.shop.1000.~.4242.1767358455000000",
            ".core.shop.1000.~.4242.1767358455000000",
            // As it is called while it is written.
            ".#core.shop.1000.~.4242.1767358455000000f00ba4",
            "vmcore.shop.1000.~.4242.1767358455000000",
            "core..1000.~.4242.1767358455000000",
            "core.1000.~.4242.1767358455000000",
            // Not escaped, or half of it.
            "core.my.shop.1000.~.4242.1767358455000000",
            "core.my shop.1000.~.4242.1767358455000000",
            "core.my/shop.1000.~.4242.1767358455000000",
            "core.sh\u{f6}p.1000.~.4242.1767358455000000",
            "core.shop\n.1000.~.4242.1767358455000000",
            "core.shop\u{7f}.1000.~.4242.1767358455000000",
            r"core.shop\.1000.~.4242.1767358455000000",
            r"core.shop\x.1000.~.4242.1767358455000000",
            r"core.shop\x2.1000.~.4242.1767358455000000",
            r"core.shop\x2E.1000.~.4242.1767358455000000",
            r"core.shop\n.1000.~.4242.1767358455000000",
            // Numbers that nobody writes so.
            "core.shop.01000.~.4242.1767358455000000",
            "core.shop.-1.~.4242.1767358455000000",
            "core.shop.+1.~.4242.1767358455000000",
            "core.shop.root.~.4242.1767358455000000",
            "core.shop.4294967296.~.4242.1767358455000000",
            "core.shop.1000.~.04242.1767358455000000",
            "core.shop.1000.~.x.1767358455000000",
            "core.shop.1000.~.4242.18446744073709551616",
            "core.shop.1000.~.4242.1767358455000000 ",
            "core.shop.1000.~.4242.2026-01-02",
            "core.shop.1000.~.4242.",
            "core.shop.1000.~.4242",
            "core.shop.1000.~..1767358455000000",
            "core.shop..~.4242.1767358455000000",
            // Another boot id.
            "core.shop.1000.0A1B2C3D4E5F60718293A4B5C6D7E8F9.4242.1767358455000000",
            "core.shop.1000.0a1b2c3d4e5f60718293a4b5c6d7e8f.4242.1767358455000000",
            "core.shop.1000.0a1b2c3d4e5f60718293a4b5c6d7e8f90.4242.1767358455000000",
            "core.shop.1000.0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9.4242.1767358455000000",
            "core.shop.1000.0a1b2c3d4e5f60718293a4b5c6d7e8fg.4242.1767358455000000",
            "core.shop.1000..4242.1767358455000000",
            // Somebody worked on it.
            "core.shop.1000.~.4242.1767358455000000.gz",
            "core.shop.1000.~.4242.1767358455000000.zst.xz",
            "core.shop.1000.~.4242.1767358455000000.zst.bak",
            "core.shop.1000.~.4242.1767358455000000.ZST",
            "core.shop.1000.~.4242.1767358455000000.1",
            "core.shop.1000.~.4242.1767358455000000.old",
            "core.shop.1000.~.4242.1767358455000000.txt",
            "core.shop.1000.~.4242.1767358455000000~",
            "core.shop.1000.~.4242.1767358455000000\0",
        ] {
            check(name, None);
        }
    }

    #[test]
    fn a_name_of_any_bytes_is_none() {
        let name = [b"core.sh\xffp.1000.", BOOT.as_bytes(), b".4242.1767358455000000"].concat();
        assert_eq!(program(&name), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(name in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(program(&name).is_none_or(|it| name.starts_with(&it)));
        }

        /// Of the parts that matter, so that most of them come close.
        #[test]
        fn near_misses_are_read(
            comm in r"(shop|\\x2e|\\|\.| |core){0,4}", uid in "0|[1-9][0-9]{0,10}|x", end in r"(\.zst|\.xz|\.gz|\.1)?",
        ) {
            let name = format!("core.{comm}.{uid}.{BOOT}.7.1767358455000000{end}");
            if let Some(it) = program(name.as_bytes()) {
                prop_assert_eq!(it, format!("core.{comm}.{uid}").into_bytes());
                prop_assert!(!comm.contains(['.', ' ']) && !comm.is_empty() && uid != "x", "{name}");
                prop_assert!(rotated(name.as_bytes()).is_none() && aside(name.as_bytes()).is_none(), "{name}");
            }
        }
    }
}
