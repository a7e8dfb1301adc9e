//! Text for a terminal: colour, wrapping, times as people say them. Everything that others wrote passes
//! [`safe`] on its way here.

use std::fmt::Write as _;

use owo_colors::Style;

use crate::model::{Human, Subject, Timestamp, UnitName};
use crate::serve::printable;

/// Longest text of others in one place, characters.
const TEXT_CHARS_MAX: usize = 2000;
/// Columns taken by the word that a block begins with.
pub(super) const LABEL: usize = 11;
/// No line is wrapped narrower than this, whatever the terminal says.
const WIDTH_MIN: usize = 40;

/// What the terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    pub colour: bool,
    /// Columns.
    pub width: usize,
}

/// What a word says at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Busy,
    Bad,
    Plain,
    Strong,
    Faint,
}

/// A page as it grows.
#[derive(Debug)]
pub(super) struct Page {
    terminal: Terminal,
    text: String,
}

/// Text of others, fit for a terminal.
pub(super) fn safe(text: &str) -> String {
    printable(text, TEXT_CHARS_MAX)
}

pub(super) fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Host => "this host".into(),
        Subject::Agent => "the agent itself".into(),
        Subject::Unit(name) => name.to_string(),
        Subject::Filesystem(point) => point.to_string(),
    }
}

/// A subject, and the units that are touched for it where it is none: `/var/log (web.service)`.
pub(super) fn about(of: &Subject, targets: &[UnitName]) -> String {
    if targets.is_empty() || of.unit().is_some() {
        return subject(of);
    }
    let units: Vec<&str> = targets.iter().map(UnitName::as_str).collect();
    format!("{} ({})", subject(of), units.join(", "))
}

/// `5m ago`. By the wall clock: the moment may lie before a reboot.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", Human(whole(now.wall.since(then.wall))))
}

/// `in 4m 10s (03:12:10Z)`.
pub(super) fn ahead(then: Timestamp, now: Timestamp) -> String {
    let left = whole(then.wall.since(now.wall));
    if left.is_zero() {
        format!("now ({})", clock(then, now))
    } else {
        format!("in {} ({})", Human(left), clock(then, now))
    }
}

/// `4m 10s`
pub(super) fn lasting(length: std::time::Duration) -> String {
    Human(whole(length)).to_string()
}

/// Seconds are enough for people; below one, milliseconds.
fn whole(length: std::time::Duration) -> std::time::Duration {
    if length.as_secs() > 0 { std::time::Duration::from_secs(length.as_secs()) } else { length }
}

/// The time of day, with the date when it is another one. UTC, as in the records.
pub(super) fn clock(then: Timestamp, now: Timestamp) -> String {
    let (then, now) = (then.wall.to_string(), now.wall.to_string());
    match (then.split_once('T'), now.split_once('T')) {
        (Some((day, time)), Some((today, _))) => {
            let seconds = time.get(..8).unwrap_or(time);
            if day == today { format!("{seconds}Z") } else { format!("{day} {seconds}Z") }
        }
        _ => then,
    }
}

impl Page {
    pub(super) fn new(terminal: Terminal) -> Self {
        Self { terminal: Terminal { width: terminal.width.max(WIDTH_MIN), ..terminal }, text: String::new() }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) const fn width(&self) -> usize {
        self.terminal.width
    }

    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.terminal.colour {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Good => Style::new().green(),
            Tone::Busy => Style::new().yellow().bold(),
            Tone::Bad => Style::new().red().bold(),
            Tone::Plain => return text.to_owned(),
            Tone::Strong => Style::new().bold(),
            Tone::Faint => Style::new().dimmed(),
        };
        style.style(text).to_string()
    }

    /// Text as it is, with a line end.
    pub(super) fn line(&mut self, tone: Tone, text: &str) {
        let painted = self.paint(tone, text);
        self.text.push_str(painted.trim_end());
        self.text.push('\n');
    }

    pub(super) fn blank(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// A word in the left column and text beside it, wrapped.
    pub(super) fn labelled(&mut self, tone: Tone, label: &str, text: &str) {
        let padded = format!("{label:<LABEL$}");
        let painted = self.paint(tone, &padded);
        for (n, part) in wrap(text, self.width().saturating_sub(LABEL)).iter().enumerate() {
            let lead = if n == 0 { painted.clone() } else { " ".repeat(LABEL) };
            let _ = writeln!(self.text, "{}", format!("{lead}{part}").trim_end());
        }
    }

    /// Text below a label, wrapped.
    pub(super) fn under(&mut self, text: &str) {
        self.labelled(Tone::Plain, "", text);
    }

    /// What to type next.
    pub(super) fn next(&mut self, command: &str) {
        let painted = self.paint(Tone::Strong, command);
        let _ = writeln!(self.text, "{}→ {painted}", " ".repeat(LABEL));
    }

    /// Text that was laid out already.
    pub(super) fn block(&mut self, text: &str) {
        for line in text.lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
}

/// At spaces where there are some; a word that is too long is cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            last(&mut lines).push(' ');
            used += 1;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            last(&mut lines).extend(word);
            lines.push(String::new());
            word = rest;
        }
        used += word.len();
        last(&mut lines).extend(word);
    }
    lines
}

fn last(lines: &mut [String]) -> &mut String {
    lines.last_mut().expect("wrap starts with one line and only adds to it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{ago as earlier, ahead as later, now};
    use proptest::prelude::*;

    #[test]
    fn times() {
        assert_eq!(ago(earlier(250), now()), "4m 10s ago");
        assert_eq!(ahead(later(250), now()), "in 4m 10s (03:12:10Z)");
        assert_eq!(ahead(later(0), now()), "now (03:08:00Z)");
        assert_eq!(ahead(later(86_400), now()), "in 1d 0h (2026-03-15 03:08:00Z)");
    }

    proptest! {
        #[test]
        fn wrapping_keeps_to_the_width_and_loses_nothing(text in "[a-z ]{0,200}", width in 1usize..60) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width.max(1)));
            let bare = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
