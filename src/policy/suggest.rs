//! "Did you mean": the nearest of the words that would have been right.

/// Words that people bring from other tools, and what they are called here.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("action", "ladder"),
    ("actions", "ladder"),
    ("alert", "severity"),
    ("command", "exec"),
    ("condition", "when"),
    ("depends", "depends_on"),
    ("disabled", "enabled"),
    ("duration", "length"),
    ("exclude", "except"),
    ("expr", "when"),
    ("expression", "when"),
    ("group", "admins"),
    ("hold", "for"),
    ("if", "when"),
    ("level", "severity"),
    ("match", "units"),
    ("pattern", "units"),
    ("pidfile", "pid_file"),
    ("priority", "severity"),
    ("remedies", "ladder"),
    ("remedy", "ladder"),
    ("retries", "attempts"),
    ("schedule", "cron"),
    ("service", "unit"),
    ("team", "owner"),
    ("threshold", "failures"),
    ("start_period", "grace"),
    ("initial_delay", "grace"),
    ("timezone", "zone"),
    ("tz", "zone"),
    ("unless", "clear"),
    ("url", "http"),
    ("warning", "ticket"),
    ("critical", "page"),
    ("automatic", "auto"),
    ("manual", "approve"),
    ("dry-run", "observe"),
    ("shadow", "observe"),
];

/// The candidate that was most likely meant, if any is near.
pub(super) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = word.to_lowercase().replace([' ', '-'], "_");
    let renamed = OTHER_NAMES.iter().find(|(other, _)| *other == word.to_lowercase()).map(|(_, name)| *name);
    // A third of the letters may be wrong, or one of a short word.
    let allowed = (folded.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.replace('-', "_");
            let distance = strsim::damerau_levenshtein(&folded, &other);
            if renamed == Some(candidate) {
                Some((0, candidate))
            } else if distance <= allowed {
                Some((distance + 1, candidate))
            } else if folded.len() >= 4 && (other.contains(&folded) || folded.contains(&other)) {
                Some((100 + distance, candidate))
            } else {
                None
            }
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a, b and c`, for the end of a help line.
pub(super) fn listed<'c>(words: impl IntoIterator<Item = &'c str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// `a, b or c`: one of them is to be written.
pub(super) fn either<'c>(words: impl IntoIterator<Item = &'c str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// "write X", or the list of what there is when nothing is near.
pub(super) fn instead(word: &str, candidates: &[&str], what: &str, quote: &str) -> String {
    match closest(word, candidates.iter().copied()) {
        Some(near) => format!("write {quote}{near}{quote}"),
        None => format!("{what} {}", either(candidates.iter().copied())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(closest(word, ["when", "ladder", "severity", "active_state"]), expected, "{word}");
        };
        check("wehn", Some("when"));
        check("Severity", Some("severity"));
        check("actions", Some("ladder"));
        check("active-state", Some("active_state"));
        check("state", Some("active_state"));
        check("xyz", None);
    }

    #[test]
    fn lists_read_as_people_write_them() {
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
        assert_eq!(either(["a", "b", "c"]), "a, b or c");
    }
}
