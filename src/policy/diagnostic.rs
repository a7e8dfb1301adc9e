//! Errors of policy files as people read them: file, line, column, the line with a caret, what is wrong, and what
//! to write instead.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// A policy file: its path or its name for people, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub name: String,
    pub text: String,
}

/// Most errors kept of one load; the rest is counted. Nobody reads more, and each costs a look through its file.
pub const ERRORS_MAX: usize = 50;
/// Longest part of a line that is shown, characters.
const EXCERPT_CHARS_MAX: usize = 120;
/// How much of a long line is shown before the caret, characters.
const EXCERPT_LEAD: usize = 40;

/// A place in a file, both counted from 1; the column in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    pub file: String,
    /// None when the file could not be read.
    pub position: Option<(usize, usize)>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A line of a file with the part that matters, free of control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    pub text: String,
    /// Where the caret stands, characters from the start of `text`.
    pub caret: usize,
    /// How many characters it underlines, at least 1.
    pub width: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    pub location: Location,
    pub excerpt: Option<Excerpt>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub help: String,
    /// Another place that has to do with it, and how.
    pub also: Option<(String, Location)>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        let number = self.location.position.map_or(String::new(), |(line, _)| line.to_string());
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin}--> {}", self.location)?;
        if let Some(Excerpt { text, caret, width }) = &self.excerpt {
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {text}")?;
            writeln!(f, "{margin} | {}{}", " ".repeat(*caret), "^".repeat(*width))?;
        }
        if let Some((how, place)) = &self.also {
            writeln!(f, "{margin} = note: {how} at {place}")?;
        }
        write!(f, "{margin} = help: {}", self.help)
    }
}

impl std::error::Error for PolicyError {}

/// The mistakes that were found, in the order of files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyErrors {
    errors: Vec<PolicyError>,
    /// Found beyond [`ERRORS_MAX`].
    more: usize,
}

impl PolicyErrors {
    /// The mistakes, at most [`ERRORS_MAX`].
    #[must_use]
    pub fn errors(&self) -> &[PolicyError] {
        &self.errors
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            write!(f, "{error}\n\n")?;
        }
        match (self.errors.len(), self.more) {
            (1, 0) => f.write_str("1 error: this policy is not taken"),
            (shown, 0) => write!(f, "{shown} errors: this policy is not taken"),
            (shown, more) => {
                write!(f, "{} errors, {shown} are shown: this policy is not taken", shown + more)
            }
        }
    }
}

impl std::error::Error for PolicyErrors {}

/// A part of one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) range: Range<usize>,
}

/// Collects the mistakes of one load.
#[derive(Debug)]
pub(super) struct Report<'f> {
    files: &'f [SourceFile],
    found: Vec<(Option<(usize, usize)>, PolicyError)>,
    more: usize,
}

impl<'f> Report<'f> {
    pub(super) const fn new(files: &'f [SourceFile]) -> Self {
        Self { files, found: Vec::new(), more: 0 }
    }

    pub(super) fn file(&self, file: usize) -> &'f SourceFile {
        &self.files[file]
    }

    pub(super) fn error(&mut self, place: &Place, what: impl Into<String>, help: impl Into<String>) {
        self.push(place, what.into(), help.into(), None);
    }

    pub(super) fn error_with(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        help: impl Into<String>,
        also: (impl Into<String>, &Place),
    ) {
        let other = (also.0.into(), self.location(also.1));
        self.push(place, what.into(), help.into(), Some(other));
    }

    fn push(&mut self, place: &Place, what: String, help: String, also: Option<(String, Location)>) {
        if self.found.len() >= ERRORS_MAX {
            self.more += 1;
            return;
        }
        let error = PolicyError {
            location: self.location(place),
            excerpt: Some(excerpt(&self.files[place.file].text, &place.range)),
            what,
            help,
            also,
        };
        self.found.push((Some((place.file, place.range.start)), error));
    }

    /// A file that could not be taken at all.
    pub(super) fn file_error(&mut self, file: String, what: String, help: String) {
        if self.found.len() >= ERRORS_MAX {
            self.more += 1;
            return;
        }
        let location = Location { file, position: None };
        self.found.push((None, PolicyError { location, excerpt: None, what, help, also: None }));
    }

    fn location(&self, place: &Place) -> Location {
        let file = &self.files[place.file];
        Location { file: file.name.clone(), position: Some(position(&file.text, place.range.start)) }
    }

    /// What was found, or the result.
    pub(super) fn finish<T>(self, result: T) -> Result<T, PolicyErrors> {
        if self.count() == 0 { Ok(result) } else { Err(self.into_errors()) }
    }

    pub(super) fn into_errors(mut self) -> PolicyErrors {
        self.found.sort_by_key(|(place, _)| *place);
        PolicyErrors { errors: self.found.into_iter().map(|(_, error)| error).collect(), more: self.more }
    }

    /// How many mistakes were found so far.
    pub(super) const fn count(&self) -> usize {
        self.found.len() + self.more
    }
}

/// The nearest character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..boundary(text, at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

fn excerpt(text: &str, range: &Range<usize>) -> Excerpt {
    let start = boundary(text, range.start);
    let end = boundary(text, range.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let before = text[line_start..start].chars().count();
    let marked = text[start..end.min(line_end).max(start)].chars().count();
    // Control characters would act on the terminal; a tab would move the caret.
    let clean = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => '\u{fffd}',
        c => c,
    };
    let line = text[line_start..line_end].trim_end_matches('\r');
    let skip = if line.chars().count() > EXCERPT_CHARS_MAX { before.saturating_sub(EXCERPT_LEAD) } else { 0 };
    let shown: String = line.chars().skip(skip).take(EXCERPT_CHARS_MAX).map(clean).collect();
    let caret = before - skip;
    let room = shown.chars().count().saturating_sub(caret);
    Excerpt { text: shown, caret, width: marked.min(room).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_what_it_means() {
        let check = |text: &str, range: Range<usize>, expected: (&str, usize, usize), at: (usize, usize)| {
            let Excerpt { text: shown, caret, width } = excerpt(text, &range);
            assert_eq!((shown.as_str(), caret, width), expected);
            assert_eq!(position(text, range.start), at);
        };
        check("ab = 1\ncd = 2\n", 7..9, ("cd = 2", 0, 2), (2, 1));
        check("\tab\r\n", 1..3, (" ab", 1, 2), (1, 2));
        check("é = é\n", 5..7, ("é = é", 4, 1), (1, 5));
        check("a = \"x\ny\"", 4..9, ("a = \"x", 4, 2), (1, 5));
        check("a =", 3..3, ("a =", 3, 1), (1, 4));
        check("", 0..0, ("", 0, 1), (1, 1));
        check("a\u{1b}[2Jb", 0..1, ("a\u{fffd}[2Jb", 0, 1), (1, 1));
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let Excerpt { text: shown, caret, width } = excerpt(&text, &(500..501));
        assert_eq!((shown.chars().count(), caret, width), (EXCERPT_CHARS_MAX, EXCERPT_LEAD, 1));
        assert_eq!(shown.chars().nth(caret), Some('X'));
    }
}
