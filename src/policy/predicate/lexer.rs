//! What is seen before the parser: the caps that protect it, and the mistakes that it would report badly.

use std::ops::Range;

use super::{EXPRESSION_BYTES_MAX, EXPRESSION_NESTING_MAX, EXPRESSION_OPERATORS_MAX, PredicateError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text,
    Operator,
    Open,
    Close,
    Comma,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    range: Range<usize>,
}

type Refusal = Result<(), PredicateError>;

fn refuse<T>(
    range: Range<usize>,
    what: impl Into<String>,
    help: impl Into<String>,
) -> Result<T, PredicateError> {
    Err(PredicateError::new(range, what, help))
}

/// Refuses what is too large for the parser, and common slips with the words to write instead.
pub(super) fn inspect(source: &str) -> Refusal {
    if source.len() > EXPRESSION_BYTES_MAX {
        return refuse(
            0..source.len(),
            format!("the expression has {} bytes, at most {EXPRESSION_BYTES_MAX} are taken", source.len()),
            "split it into several rules",
        );
    }
    // The parser counts characters and we count bytes; plain ASCII, in texts and comments as well, keeps them alike.
    if let Some(at) = source.find(|c: char| !c.is_ascii()) {
        return Err(stray(source, at));
    }
    let tokens = split(source)?;
    if tokens.is_empty() {
        return refuse(
            0..source.len(),
            "the expression is empty",
            "write one, as in `active_state == 'failed'`",
        );
    }
    check_size(&tokens)?;
    check_brackets(source, &tokens)?;
    check_order(source, &tokens)
}

fn split(source: &str) -> Result<Vec<Token>, PredicateError> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = source[at..].find('\n').map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                at += run(&bytes[at..], |b| b.is_ascii_alphanumeric() || b == b'_');
                if matches!(bytes.get(at), Some(b'\'' | b'"')) && at - start <= 2 {
                    return refuse(
                        start..at,
                        format!("`{}` before a text: raw and byte strings are not taken", &source[start..at]),
                        "write the text in plain quotes",
                    );
                }
                Kind::Word
            }
            b'0'..=b'9' => {
                at = number(source, at)?;
                Kind::Number
            }
            quote @ (b'\'' | b'"') => {
                at = text(source, at, quote)?;
                Kind::Text
            }
            b'(' | b'[' | b'{' => {
                at += 1;
                Kind::Open
            }
            b')' | b']' | b'}' => {
                at += 1;
                Kind::Close
            }
            b',' => {
                at += 1;
                Kind::Comma
            }
            b'=' | b'!' | b'<' | b'>' | b'&' | b'|' => {
                at += operator(source, at)?;
                Kind::Operator
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'?' | b':' | b'.' => {
                at += 1;
                Kind::Operator
            }
            _ => return Err(stray(source, at)),
        };
        tokens.push(Token { kind, range: start..at });
    }
    Ok(tokens)
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|b| belongs(**b)).count()
}

fn stray(source: &str, at: usize) -> PredicateError {
    let found = source[at..].chars().next().unwrap_or(' ');
    let range = at..at + found.len_utf8();
    match found {
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '\u{b4}' => {
            PredicateError::new(
                range,
                format!("{found} is a typographic quote"),
                "write a plain ' on both sides of the text",
            )
        }
        '`' => PredicateError::new(
            range,
            "a backtick quotes nothing here",
            "write the text in plain quotes: 'text'",
        ),
        '\u{a0}' => PredicateError::new(range, "a non-breaking space", "write a plain space"),
        '\u{2264}' => PredicateError::new(range, format!("{found} is not an operator"), "write <="),
        '\u{2265}' => PredicateError::new(range, format!("{found} is not an operator"), "write >="),
        '\u{2260}' => PredicateError::new(range, format!("{found} is not an operator"), "write !="),
        '\u{2212}' | '\u{2013}' => {
            PredicateError::new(range, format!("{found} is a typographic dash"), "write a plain -")
        }
        '$' | '@' | '#' => PredicateError::new(
            range,
            format!("{found} has no meaning in an expression"),
            "write the bare name of the field",
        ),
        ';' => PredicateError::new(range, "an expression does not end in a semicolon", "leave it out"),
        '^' => PredicateError::new(
            range,
            "`^` is not an operator",
            "write != between two conditions for \"either\"",
        ),
        '~' => PredicateError::new(
            range,
            "`~` is not an operator",
            "write name.startsWith('…'), name.endsWith('…') or name.contains('…')",
        ),
        _ => PredicateError::new(
            range,
            format!("{found:?} can't stand in an expression"),
            "write plain ASCII: names of fields, numbers, 'text' and operators",
        ),
    }
}

fn number(source: &str, start: usize) -> Result<usize, PredicateError> {
    let bytes = source.as_bytes();
    let mut at = start;
    if source[at..].starts_with("0x") {
        at += 2 + run(&bytes[at + 2..], |b| b.is_ascii_hexdigit());
    } else {
        at += run(&bytes[at..], |b| b.is_ascii_digit());
        if bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
            at += 1 + run(&bytes[at + 1..], |b| b.is_ascii_digit());
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let digits = run(&bytes[(at + 1 + sign).min(bytes.len())..], |b| b.is_ascii_digit());
            if digits > 0 {
                at += 1 + sign + digits;
            }
        }
    }
    let suffix = run(&bytes[at..], |b| b.is_ascii_alphanumeric() || b == b'_');
    if suffix > 0 {
        return refuse(
            start..at + suffix,
            format!("`{}` is not a number", &source[start..at + suffix]),
            format!(
                "write the bare number {}: each field has its own unit, see its meaning in the list of fields",
                &source[start..at]
            ),
        );
    }
    Ok(at)
}

fn text(source: &str, start: usize, quote: u8) -> Result<usize, PredicateError> {
    let bytes = source.as_bytes();
    if bytes[start..].starts_with(&[quote; 3]) {
        return refuse(
            start..start + 3,
            "texts in three quotes are not taken",
            "write the text in plain quotes",
        );
    }
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\n' => break,
            _ if byte == quote => return Ok(at + 1),
            _ => at += 1,
        }
    }
    refuse(
        start..source.len(),
        "the text that begins here has no end",
        format!("close it with {}", char::from(quote)),
    )
}

fn operator(source: &str, at: usize) -> Result<usize, PredicateError> {
    let length = run(&source.as_bytes()[at..], |b| b"=!<>&|".contains(&b));
    let found = &source[at..at + length];
    let instead = match found {
        "==" | "!=" | "<" | ">" | "<=" | ">=" | "&&" | "||" => return Ok(length),
        _ if found.starts_with('!') && found[1..].chars().all(|c| c == '!') => return Ok(1),
        // `a ==!b`, `a &&!b`: an operator and a negation.
        _ if ["==!", "!=!", "&&!", "||!"].iter().any(|both| found.starts_with(both)) => return Ok(2),
        "=" => "`=` gives a value; to compare, write ==",
        "===" => "write ==",
        "!==" | "<>" => "write !=",
        "=<" => "write <=",
        "=>" => "write >=",
        "&" => "write && to join two conditions",
        "|" => "write || for one or the other",
        _ => "the operators are == != < <= > >= && || !",
    };
    refuse(at..at + length, format!("`{found}` is not an operator"), instead)
}

fn check_size(tokens: &[Token]) -> Refusal {
    let operators = tokens.iter().filter(|t| t.kind == Kind::Operator || t.kind == Kind::Comma);
    match operators.into_iter().nth(EXPRESSION_OPERATORS_MAX) {
        None => Ok(()),
        Some(first_too_many) => refuse(
            first_too_many.range.clone(),
            format!("the expression has more than {EXPRESSION_OPERATORS_MAX} operators"),
            "split it into several rules",
        ),
    }
}

fn check_brackets(source: &str, tokens: &[Token]) -> Refusal {
    let mut open: Vec<&Token> = Vec::new();
    for token in tokens {
        match token.kind {
            Kind::Open => {
                open.push(token);
                if open.len() > EXPRESSION_NESTING_MAX {
                    return refuse(
                        token.range.clone(),
                        format!("brackets are nested deeper than {EXPRESSION_NESTING_MAX}"),
                        "split the expression into several rules",
                    );
                }
            }
            Kind::Close => {
                let closes = match &source[token.range.clone()] {
                    ")" => "(",
                    "]" => "[",
                    _ => "{",
                };
                let opened = open.pop().map(|opener| &source[opener.range.clone()]);
                if opened != Some(closes) {
                    return refuse(
                        token.range.clone(),
                        format!("`{}` closes nothing", &source[token.range.clone()]),
                        format!("leave it out, or open it with {closes}"),
                    );
                }
            }
            Kind::Word | Kind::Number | Kind::Text | Kind::Operator | Kind::Comma => {}
        }
    }
    match open.pop() {
        None => Ok(()),
        Some(opener) => refuse(
            opener.range.clone(),
            format!("`{}` is never closed", &source[opener.range.clone()]),
            match &source[opener.range.clone()] {
                "(" => "close it with )",
                "[" => "close it with ]",
                _ => "close it with }",
            },
        ),
    }
}

/// Words of other languages, and operands that stand side by side.
fn check_order(source: &str, tokens: &[Token]) -> Refusal {
    let text_of = |token: &Token| &source[token.range.clone()];
    for token in tokens.iter().filter(|token| token.kind == Kind::Word) {
        let instead = match text_of(token).to_ascii_lowercase().as_str() {
            "and" => "write && to join two conditions",
            "or" => "write || for one or the other",
            "not" => "write ! in front of a condition, or !=",
            "is" | "equals" | "eq" => "write ==",
            "ne" => "write !=",
            "null" | "nil" | "none" | "unknown" | "has" => {
                "leave it out: a field without a value makes the rule unknown by itself, which never acts"
            }
            "like" | "matches" => "write name.startsWith('…'), name.endsWith('…') or name.contains('…')",
            _ => continue,
        };
        return refuse(
            token.range.clone(),
            format!("`{}` is not part of the language", text_of(token)),
            instead,
        );
    }
    for pair in tokens.windows(2) {
        let [left, right] = pair else { continue };
        let ends = match left.kind {
            Kind::Word => text_of(left) != "in",
            Kind::Number | Kind::Text | Kind::Close => true,
            Kind::Operator | Kind::Open | Kind::Comma => false,
        };
        let begins = match right.kind {
            Kind::Word => text_of(right) != "in",
            Kind::Number | Kind::Text => true,
            Kind::Operator | Kind::Open | Kind::Close | Kind::Comma => false,
        };
        if ends && begins {
            return refuse(
                right.range.clone(),
                format!("there is no operator between `{}` and `{}`", text_of(left), text_of(right)),
                "compare with == != < <= > >=, join conditions with && or ||",
            );
        }
        let percent = text_of(left) == "%";
        let nothing_follows = matches!(right.kind, Kind::Close) || matches!(text_of(right), "&&" | "||");
        if percent && nothing_follows {
            return Err(percent_sign(left));
        }
    }
    match tokens.last() {
        Some(last) if text_of(last) == "%" => Err(percent_sign(last)),
        Some(last) if last.kind == Kind::Operator => refuse(
            last.range.clone(),
            format!("nothing follows `{}`", text_of(last)),
            "write what it is compared or joined with, or leave it out",
        ),
        Some(_) | None => Ok(()),
    }
}

fn percent_sign(token: &Token) -> PredicateError {
    PredicateError::new(
        token.range.clone(),
        "`%` is the remainder of a division, not a percentage",
        "write the bare number: percentages go from 0 to 100",
    )
}
