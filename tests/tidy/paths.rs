//! From Rust source to the paths in it: a tokenizer that knows comments, strings and lifetimes, and a reader of
//! `use` trees. Enough for the rules, and no more.

/// One word or mark of the source, with its line.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The source without comments, strings, characters and lifetimes.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let bytes: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    let peek = |at: usize| bytes.get(at).copied().unwrap_or('\0');
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            '/' if peek(at + 1) == '/' => {
                while at < bytes.len() && bytes[at] != '\n' {
                    at += 1;
                }
            }
            '/' if peek(at + 1) == '*' => at = end_of_block_comment(&bytes, at),
            '"' => at = end_of_string(&bytes, at + 1),
            'r' | 'b' | 'c' if raw_string(&bytes, at).is_some() => {
                at = raw_string(&bytes, at).unwrap();
            }
            'b' | 'c' if peek(at + 1) == '"' => at = end_of_string(&bytes, at + 2),
            'b' if peek(at + 1) == '\'' => at = end_of_char(&bytes, at + 1).unwrap_or(at + 2),
            '\'' => at = end_of_char(&bytes, at).unwrap_or_else(|| end_of_word(&bytes, at + 1)),
            c if c.is_alphanumeric() || c == '_' => {
                at = end_of_word(&bytes, at);
                found.push(Token { text: bytes[start..at].iter().collect(), line });
            }
            ':' if peek(at + 1) == ':' => {
                at += 2;
                found.push(Token { text: "::".into(), line });
            }
            '-' if peek(at + 1) == '>' => {
                at += 2;
                found.push(Token { text: "->".into(), line });
            }
            c => {
                at += 1;
                if !c.is_whitespace() {
                    found.push(Token { text: c.into(), line });
                }
            }
        }
        line += bytes[start..at.min(bytes.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_word(bytes: &[char], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
        at += 1;
    }
    at
}

/// After the closing quote, when `at` is just behind the opening one.
fn end_of_string(bytes: &[char], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Block comments nest.
fn end_of_block_comment(bytes: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// `'x'`, `'\n'`, `'\u{1F33F}'`; `None` for a lifetime.
fn end_of_char(bytes: &[char], at: usize) -> Option<usize> {
    match (bytes.get(at + 1)?, bytes.get(at + 2)?) {
        ('\\', _) => (at + 3..bytes.len()).find(|i| bytes[*i] == '\'').map(|i| i + 1),
        (_, '\'') => Some(at + 3),
        _ => None,
    }
}

/// After `r"…"`, `r#"…"#`, `br"…"`, where one starts.
fn raw_string(bytes: &[char], at: usize) -> Option<usize> {
    let mut i = at;
    if matches!(bytes.get(i), Some('b' | 'c')) {
        i += 1;
    }
    if bytes.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let first = i;
    while bytes.get(i) == Some(&'#') {
        i += 1;
    }
    let hashes = i - first;
    if bytes.get(i) != Some(&'"') {
        return None;
    }
    let closing = |end: usize| (1..=hashes).all(|n| bytes.get(end + n) == Some(&'#'));
    let end = (i + 1..bytes.len()).find(|end| bytes[*end] == '"' && closing(*end))?;
    Some(end + hashes + 1)
}

/// A path to something of this crate, from its root: `["guard", "Permit"]`, with the line where it starts.
/// A glob is `*`; the root itself, imported whole, is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CratePath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// Every path through `crate::`, `prunella::` or as many `super::` as lead to the root, in `use` or in line.
/// `depth` is the file's own place below the root.
pub(crate) fn crate_paths(code: &[Token], depth: usize) -> Vec<CratePath> {
    let mut found = Vec::new();
    // Where an inline `mod x {` was opened, by depth of braces: `super` counts those as well.
    let (mut braces, mut inline) = (0_usize, Vec::new());
    let mut at = 0;
    while at < code.len() {
        let after_path = at > 0 && code[at - 1].is("::");
        match code[at].text.as_str() {
            "{" => {
                braces += 1;
                if at >= 2 && code[at - 2].is("mod") {
                    inline.push(braces);
                }
            }
            "}" => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            "crate" | "prunella" if !after_path && code.get(at + 1).is_some_and(|t| t.is("::")) => {
                at = read_tree(code, at + 2, &mut Vec::new(), &mut found);
                continue;
            }
            "super" if !after_path => {
                let mut ups = 0;
                while code.get(at).is_some_and(|t| t.is("super"))
                    && code.get(at + 1).is_some_and(|t| t.is("::"))
                {
                    ups += 1;
                    at += 2;
                }
                if ups == depth + inline.len() && ups > 0 {
                    at = read_tree(code, at, &mut Vec::new(), &mut found);
                } else if ups == 0 {
                    at += 1;
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads `a::b`, `{a, b::{c, d}}` or `*` below `prefix`; the place behind it.
fn read_tree(code: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<CratePath>) -> usize {
    let given = prefix.len();
    while let Some(token) = code.get(at) {
        if token.is("{") {
            at += 1;
            while code.get(at).is_some_and(|t| !t.is("}")) {
                at = read_tree(code, at, prefix, found);
                while code.get(at).is_some_and(|t| !t.is("}") && !t.is(",")) {
                    at += 1;
                }
                if code.get(at).is_some_and(|t| t.is(",")) {
                    at += 1;
                }
            }
            prefix.truncate(given);
            return at + 1;
        }
        if token.is("*") || token.is_word() {
            if !token.is("self") {
                prefix.push(token.text.clone());
            }
            at += 1;
            if code.get(at).is_some_and(|t| t.is("::")) {
                at += 1;
                continue;
            }
        }
        break;
    }
    let line = code.get(at.saturating_sub(1)).map_or(0, |t| t.line);
    found.push(CratePath { segments: prefix.clone(), line });
    prefix.truncate(given);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(depth: usize, text: &str, expected: &[&str]) {
        let found: Vec<String> =
            crate_paths(&tokens(text), depth).into_iter().map(|path| path.segments.join("::")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn plain_nested_and_inline_paths_are_found() {
        check(1, "use crate::model::Unit;", &["model::Unit"]);
        check(1, "use crate::{act, guard::{Permit, self}};", &["act", "guard::Permit", "guard"]);
        check(1, "use crate::{\n  act::{a, b::{c, d as e},},\n};", &["act::a", "act::b::c", "act::b::d"]);
        check(1, "pub(crate) use crate::*;", &["*"]);
        check(
            1,
            "fn f(x: &crate::daemon::Loop) -> crate::act::Done { crate::sim::run::<u8>() }",
            &["daemon::Loop", "act::Done", "sim::run"],
        );
        check(2, "use prunella::daemon;", &["daemon"]);
    }

    #[test]
    fn what_is_not_code_is_passed_over() {
        check(1, "//! [`crate::act`]\n/* crate::act /* nested */ crate::b */ // crate::c", &[]);
        check(1, r##"let a = "crate::act"; let b = r#"crate::"b"#; let c = b"crate::c"; let d = '"';"##, &[]);
        check(1, "fn f<'a>(x: &'a str) -> &'a crate::act::X { '\\'' }", &["act::X"]);
    }

    #[test]
    fn super_counts_to_the_root_and_no_further() {
        check(1, "use super::guard::Permit;", &["guard::Permit"]);
        check(2, "use super::super::{act, model::X};", &["act", "model::X"]);
        check(2, "use super::permit;", &[]);
        check(1, "mod inner { use super::own; use super::super::act; } use super::sim;", &["act", "sim"]);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let code = tokens("/* a\n b */\n\"x\n\ny\";\nuse crate::act;");
        assert_eq!(crate_paths(&code, 1), [CratePath { segments: vec!["act".into()], line: 6 }]);
    }
}
