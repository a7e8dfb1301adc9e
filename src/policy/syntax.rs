//! What TOML's parser says, in words for people who do not know TOML by heart.

use super::diagnostic::{Place, Report};

/// Reports the parser's errors: one for each line, since one slip makes several.
pub(super) fn report_syntax(report: &mut Report<'_>, file: usize, errors: &[toml::de::Error]) {
    let text = report.file(file).text.as_str();
    let mut found: Vec<(std::ops::Range<usize>, &str)> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    found.sort_by_key(|(range, _)| range.start);
    let mut last_line = None;
    for (range, message) in found {
        let line_start = text[..floor(text, range.start)].rfind('\n').map_or(0, |newline| newline + 1);
        if last_line == Some(line_start) {
            continue;
        }
        last_line = Some(line_start);
        let line = text[line_start..].lines().next().unwrap_or("");
        let (what, help) = explain(line, &text[floor(text, range.start)..floor(text, range.end)], message);
        report.error(&Place { file, range }, what, help);
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn explain(line: &str, found: &str, message: &str) -> (String, String) {
    let line = line.trim();
    let typographic = |c: char| matches!(c, '\u{2018}'..='\u{201e}' | '\u{ab}' | '\u{bb}');
    let value = line.split_once('=').map(|(_, value)| value.trim());
    let said = |help: &str| (message.to_owned(), help.to_owned());
    let key_is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    if line.contains(typographic) {
        return ("a typographic quote".into(), "write plain quotes: \" on both sides".into());
    }
    if line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>") || line.starts_with("=======") {
        return (
            "a mark of an unfinished merge".into(),
            "settle the merge conflict and remove its marks".into(),
        );
    }
    if message.contains("duplicate key") {
        return (
            format!("`{found}` is given twice"),
            "leave one of them; lists of tables are written with [[two]] brackets".into(),
        );
    }
    if line.starts_with('[') && message.contains("unclosed") && !line.contains('=') {
        return if line.starts_with("[[") {
            said("close the header with ]], as in [[rule]]")
        } else {
            said("close the header with ], as in [limits]")
        };
    }
    if let Some((key, _)) = line.split_once(':')
        && key_is_plain(key.trim())
    {
        return (
            "a colon between a key and its value".into(),
            format!("TOML writes an equals sign: `{} = …`", key.trim()),
        );
    }
    if line.starts_with("//") || line.starts_with("/*") || line.starts_with(';') || line.starts_with("--") {
        return ("this is no comment in TOML".into(), "begin comments with #".into());
    }
    if line.starts_with("==") || value.is_some_and(|value| value.starts_with('=')) {
        return (
            "two equals signs outside of an expression".into(),
            "between a key and its value stands one =".into(),
        );
    }
    let Some(value) = value else {
        return if key_is_plain(line) {
            (format!("`{line}` has no value"), format!("write `{line} = …`"))
        } else {
            said("write KEY = VALUE, or a header as in [[rule]]")
        };
    };
    if value.is_empty() || value.starts_with('#') {
        return ("there is no value after the equals sign".into(), "write the value on the same line".into());
    }
    if matches!(value, "True" | "False" | "TRUE" | "FALSE" | "yes" | "no" | "on" | "off" | "Yes" | "No") {
        return (format!("`{value}` is not a value of TOML"), "write true or false, in lower case".into());
    }
    // 'active_state == 'failed'' and "… == "failed"": the inner quote ends the text.
    let inner_quote = |quote: char| value.starts_with(quote) && value[1..].matches(quote).count() > 1;
    if inner_quote('\'') {
        return (
            "the text ends at its second '".into(),
            "put \" around an expression that holds 'texts'".into(),
        );
    }
    if inner_quote('"') {
        return (
            "the text ends at its second \"".into(),
            "write the inner texts in single quotes: \"… == 'failed'\"".into(),
        );
    }
    if message.contains("escape") {
        return said(
            "write \\\\ for a backslash, or put the text in single quotes, where a backslash is just one",
        );
    }
    if value.starts_with('"') || value.starts_with('\'') {
        return said("close the text with the quote that began it, on the same line");
    }
    if value.starts_with('[') {
        return said(
            "write a list as [\"one\", \"two\"]: quotes around each text, commas between, ] at the end",
        );
    }
    if value.starts_with('{') {
        return said("write a table as { key = \"value\", other = 3 }, with } at the end");
    }
    if message.contains("leading zero") {
        return said("write the number without the zero in front");
    }
    if value.starts_with(|c: char| c.is_alphanumeric() || c == '/' || c == '*' || c == '.' || c == '-') {
        return ("a text without quotes".into(), format!("put quotes around it: \"{}\"", bare(value)));
    }
    said("write KEY = VALUE, with texts in quotes")
}

/// The value without a comment behind it.
fn bare(value: &str) -> &str {
    value.split(" #").next().unwrap_or(value).trim().trim_end_matches(['"', '\''])
}
