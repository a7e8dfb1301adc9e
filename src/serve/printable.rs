//! Text of others, made safe to show: names, reasons, log lines and error texts come from users and programs.

use std::fmt::Write as _;

/// Characters that move the cursor, colour, reorder or hide text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every such character as its escape (`\n`, `\u{1b}`), cut after `max` characters of it.
#[must_use]
pub fn printable(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut rest = text.chars();
    for c in rest.by_ref().take(max) {
        if is_unsafe(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(printable(text, 20), expected);
    }

    #[test]
    fn control_and_direction_characters_are_escaped() {
        check("plain ü 漢", "plain ü 漢");
        check("a\x1b[31mred", "a\\u{1b}[31mred");
        check("two\nlines\t", "two\\nlines\\t");
        check("\u{202e}gnp.exe", "\\u{202e}gnp.exe");
        check("\u{9b}2J", "\\u{9b}2J");
        check("123456789012345678901", "12345678901234567890…");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_gets_through(text in any::<String>(), max in 0usize..50) {
            prop_assert!(!printable(&text, max).chars().any(is_unsafe));
        }
    }
}
