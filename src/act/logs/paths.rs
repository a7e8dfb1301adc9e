//! Absolute paths as bytes, one text for each: `/var/log`, and nothing for the root. Pure.

/// None where it is not absolute, or climbs.
pub(super) fn canonical(path: &[u8]) -> Option<Vec<u8>> {
    let parts = path.strip_prefix(b"/")?.split(|byte| *byte == b'/');
    let mut whole = Vec::with_capacity(path.len());
    for part in parts.filter(|part| !part.is_empty() && *part != b".") {
        if part == b".." || part.contains(&0) {
            return None;
        }
        whole.push(b'/');
        whole.extend_from_slice(part);
    }
    Some(whole)
}

/// The way from this folder to that path, when it is the same or lies below.
pub(super) fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_each_path() {
        let check = |path: &str, expected: Option<&str>| {
            let found = canonical(path.as_bytes());
            assert_eq!(found, expected.map(|it| it.as_bytes().to_vec()), "{path}");
        };
        check("/", Some(""));
        check("/var//log/./", Some("/var/log"));
        check("/var/..log/...", Some("/var/..log/..."));
        check("/var/../etc", None);
        check("/..", None);
        check("/var\0/log", None);
        check("var/log", None);
        check("", None);
    }

    #[test]
    fn below_is_by_whole_parts() {
        let check = |path: &str, folder: &str, expected: Option<&str>| {
            let found = below(path.as_bytes(), folder.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{path} {folder}");
        };
        check("/var/log", "/var/log", Some(""));
        check("/var/log/app", "/var/log", Some("app"));
        check("/var/log/app/a", "", Some("var/log/app/a"));
        check("", "", Some(""));
        check("/var/logs", "/var/log", None);
        check("/var", "/var/log", None);
    }
}
