//! The last lines of a unit from the journal, read by `journalctl(1)`. Owns the arguments and the parsing; the child
//! itself is run by whoever hands in a runner, with its own limits on time and output.
//!
//! A child, not libsystemd: the journal's files are another program's memory-mapped format, written by whoever can
//! log, and root need not parse them in its own address space. It takes about 6 ms.

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::{Absence, Reading, UnitName};

/// Where distributions with systemd have it; a fixed path, so that no `PATH` decides what root runs.
const JOURNALCTL: &str = "/usr/bin/journalctl";
/// Longest line kept: evidence is for reading, and one line of a core dump's kind can be megabytes.
const LINE_MAX: usize = 2000;

/// Runs a program without a shell, bounded, and gives its standard output, or why there is none in one sentence.
pub type Runner = Box<dyn Fn(Vec<String>) -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// The program and its arguments. `--all` is not among them: fields of more than 4096 bytes come as null, which
/// bounds the output. Each argument is one of ours or a checked unit name.
fn argv(unit: &UnitName, lines: usize) -> Vec<String> {
    let mut argv: Vec<String> =
        [JOURNALCTL, "--no-pager", "--quiet", "--output=json", "--output-fields=MESSAGE"]
            .into_iter()
            .map(str::to_owned)
            .collect();
    argv.push(format!("--unit={unit}"));
    argv.push(format!("--lines={lines}"));
    argv
}

/// One line of text for each line of each message, oldest first, the last `lines` of them.
fn parse(output: &[u8], lines: usize) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for entry in output.split(|byte| *byte == b'\n').filter(|entry| !entry.is_empty()) {
        let entry: Value =
            serde_json::from_slice(entry).map_err(|error| format!("journalctl wrote no JSON: {error}"))?;
        let text = message(&entry["MESSAGE"]);
        found.extend(text.lines().map(printable));
    }
    found.drain(..found.len().saturating_sub(lines));
    Ok(found)
}

/// journalctl writes text as a string, anything else as an array of bytes, too much as null, and a field that is
/// there several times as an array of those.
fn message(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "(a message too long to be shown)".to_owned(),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> =
                items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
            match bytes {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => items.iter().map(message).collect::<Vec<_>>().join("\n"),
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Without control characters, which could play tricks on a terminal, and not too long.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).take(LINE_MAX).collect()
}

/// At most `lines` lines, oldest first.
pub(super) async fn last_lines(run: &Runner, unit: &UnitName, lines: usize) -> Reading<Vec<String>> {
    if lines == 0 {
        return Reading::Value(Vec::new());
    }
    match run(argv(unit, lines)).await.and_then(|output| parse(&output, lines)) {
        Ok(found) if found.is_empty() => Reading::Absent(Absence::NotObserved),
        Ok(found) => Reading::Value(found),
        Err(error) => Reading::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn check(output: &str, lines: usize, expected: &[&str]) {
        assert_eq!(parse(output.as_bytes(), lines).unwrap(), expected);
    }

    #[test]
    fn lines_of_text_bytes_and_null() {
        check(
            "{\"MESSAGE\":\"Started web.\"}\n{\"MESSAGE\":[104,105,27,255]}\n{\"MESSAGE\":null}\n{\"MESSAGE\":[\"a\",\"b\"]}\n",
            9,
            &["Started web.", "hi\u{fffd}\u{fffd}", "(a message too long to be shown)", "a", "b"],
        );
    }

    #[test]
    fn the_last_lines_count_not_the_last_messages() {
        check("{\"MESSAGE\":\"1\"}\n{\"MESSAGE\":\"2\\n3\\n4\"}\n", 2, &["3", "4"]);
    }

    #[test]
    fn no_shell_and_no_option_from_outside() {
        let argv = argv(&UnitName::parse("-x.service").unwrap(), 20);
        assert_eq!(argv.first().map(String::as_str), Some("/usr/bin/journalctl"));
        assert!(argv.contains(&"--unit=-x.service".to_owned()));
        assert!(argv.contains(&"--lines=20".to_owned()));
    }

    #[tokio::test]
    async fn a_runner_that_fails_is_told_and_silence_is_absence() {
        let unit = UnitName::parse("web.service").unwrap();
        let fails: Runner = Box::new(|_| Box::pin(async { Err("it took too long".to_owned()) }));
        assert_eq!(last_lines(&fails, &unit, 5).await, Reading::Failed("it took too long".to_owned()));
        let silent: Runner = Box::new(|_| Box::pin(async { Ok(Vec::new()) }));
        assert_eq!(last_lines(&silent, &unit, 5).await, Reading::Absent(Absence::NotObserved));
    }

    proptest! {
        #[test]
        fn no_output_is_too_odd(output in prop::collection::vec(any::<u8>(), 0..200), lines in 0..9_usize) {
            if let Ok(found) = parse(&output, lines) { prop_assert!(found.len() <= lines) }
        }
    }
}
