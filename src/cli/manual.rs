//! Manual pages, from the same definitions that parse the command lines: they can't name what is not there.

use std::io;

use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::Cli;

/// What other rooms know of themselves.
#[derive(Clone, Debug)]
pub struct Manual {
    /// The command line of `prunellad`.
    pub agent: clap::Command,
    /// The command line of `prunella-relay`.
    pub relay: clap::Command,
    /// Name, sections and text of pages about files, whose source is no command line.
    pub files: Vec<FilePage>,
}

/// A page of section 5, as `roff` from `.SH NAME` on.
#[derive(Clone, Debug)]
pub struct FilePage {
    pub name: &'static str,
    pub body: String,
}

/// The name of the collection, at the top of each page.
const COLLECTION: &str = "Prunella";

/// File name and content of each page, for a date such as `2026-11-22`.
pub(super) fn pages(manual: Manual, date: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    // Flags that every command has are explained once, on the page of `prunella`.
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let names: Vec<String> = shown(&cli).map(|sub| sub.get_name().to_owned()).collect();
    for sub in shown(&cli) {
        pages.push(page(sub.clone(), "1", date, "prunella(1)")?);
    }
    let related: Vec<String> = names
        .iter()
        .map(|name| format!("prunella-{name}(1)"))
        .chain(["prunellad(8)".to_owned(), "prunella-relay(8)".to_owned()])
        .collect();
    pages.push(page(cli, "1", date, &related.join(", "))?);
    pages.push(page(manual.agent, "8", date, "prunella(1), prunella-relay(8), prunella.toml(5)")?);
    pages.push(page(manual.relay, "8", date, "prunella(1), prunellad(8)")?);
    for file in manual.files {
        let title = file.name.to_uppercase();
        let head = format!(".TH \"{title}\" 5 {date} \"{}\" {COLLECTION}\n", source());
        pages.push((format!("{}.5", file.name), tidied(&(head + &file.body)).into_bytes()));
    }
    Ok(pages)
}

fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn source() -> String {
    format!("prunella {}", env!("CARGO_PKG_VERSION"))
}

/// One page. The sections are those of man-pages(7), in its order.
fn page(command: clap::Command, section: &str, date: &str, related: &str) -> io::Result<(String, Vec<u8>)> {
    let has_commands = shown(&command).next().is_some();
    let codes = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command).section(section).date(date).source(source()).manual(COLLECTION);
    let name = man.get_filename();
    let title = name.trim_end_matches(char::is_numeric).trim_end_matches('.').to_uppercase();
    let man = man.title(title);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_commands {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(codes) = codes {
        exit_status(&codes).to_writer(&mut text)?;
    }
    let mut last = Roff::default();
    last.control("SH", ["SEE ALSO"]);
    last.text([roman(related)]);
    last.to_writer(&mut text)?;
    let text = tidied(&String::from_utf8_lossy(&text));
    Ok((name, text.into_bytes()))
}

/// The same page as mandoc(1) likes it: definitions once, breaks once, no blanks at the end of a line and no long lines.
fn tidied(text: &str) -> String {
    let mut page: Vec<String> = Vec::new();
    let mut as_is = false;
    for line in text.lines().map(str::trim_end) {
        match line {
            ".nf" => as_is = true,
            ".fi" => as_is = false,
            _ => {}
        }
        let defines = line.starts_with(".ie ") || line.starts_with(".el ");
        let known = defines && page.iter().any(|other| other == line);
        // An empty line is a space in itself, and breaks need none.
        let again = line.is_empty() || line == ".br" && page.last().is_some_and(|last| last == ".br");
        if known || again {
            continue;
        }
        if line.starts_with('.') {
            page.push(line.to_owned());
        } else {
            page.extend(cut(line, as_is));
        }
    }
    page.join("\n") + "\n"
}

/// Longest line of a page's source, bytes: mandoc(1) asks for 80, and counts a letter such as … as eight.
const SOURCE_WIDTH: usize = 72;

/// A line in pieces, cut at blanks. Where lines stay as they are, those that follow are indented.
fn cut(line: &str, as_is: bool) -> Vec<String> {
    let blanks = line.len() - line.trim_start().len();
    let indent = if as_is { " ".repeat(blanks + 2) } else { String::new() };
    let mut lines = vec![line[..blanks].to_owned()];
    for word in line.split_whitespace() {
        let last = lines.len() - 1;
        let begun = lines[last].trim().is_empty();
        // A line that begins so would be a request.
        let request = word.starts_with(['.', '\'']);
        if !begun && !request && lines[last].len() + 1 + word.len() > SOURCE_WIDTH {
            lines.push(format!("{indent}{word}"));
        } else {
            // Tables are made of blanks.
            let gap = gap_before(line, word);
            if !begun {
                lines[last].push_str(if as_is { gap } else { " " });
            }
            lines[last].push_str(word);
        }
    }
    lines
}

/// The blanks before a word that is a slice of the line.
fn gap_before<'a>(line: &'a str, word: &str) -> &'a str {
    let at = word.as_ptr() as usize - line.as_ptr() as usize;
    &line[line[..at].trim_end().len()..at]
}

/// The table of exit codes, whose lines are to stay lines.
fn exit_status(codes: &str) -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["EXIT STATUS"]);
    roff.control("nf", []);
    for line in codes.lines() {
        if line.is_empty() {
            roff.control("sp", []);
        } else if line.starts_with(' ') {
            roff.text([roman(line)]);
        } else {
            roff.text([bold(line)]);
        }
    }
    roff.control("fi", []);
    roff
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_flags() {
        let agent = clap::Command::new("prunellad").about("x").arg(clap::Arg::new("bus").long("bus"));
        let relay =
            clap::Command::new("prunella-relay").about("x").arg(clap::Arg::new("check").long("check"));
        let files = vec![FilePage { name: "prunella.toml", body: ".SH NAME\n".to_owned() }];
        let pages = pages(Manual { agent, relay, files }, "2026-11-22").unwrap();
        let of = |name: &str| {
            let found = pages.iter().find(|(page, _)| page == name);
            String::from_utf8(found.unwrap_or_else(|| panic!("no {name}")).1.clone()).unwrap()
        };
        for sub in shown(&Cli::command()) {
            let text = of(&format!("prunella-{}.1", sub.get_name()));
            let about = sub.get_about().unwrap().to_string();
            let first = about.split([' ', ',']).next().unwrap();
            assert!(text.contains(first), "{}: {text}", sub.get_name());
        }
        assert!(of("prunellad.8").contains("\\-\\-bus"));
        assert!(of("prunella-relay.8").contains("\\-\\-check"));
        assert!(of("prunella.1").contains("EXIT STATUS"));
        assert!(of("prunella.toml.5").starts_with(".TH \"PRUNELLA.TOML\" 5 2026-11-22"));
        for (name, text) in &pages {
            let text = String::from_utf8_lossy(text);
            assert!(text.lines().all(|line| line.len() <= 80 && line.trim_end() == line), "{name}: {text}");
        }
        assert!(!pages.iter().any(|(name, _)| name.contains("manual")), "what is hidden has no page");
    }

    #[test]
    fn lines_are_cut_at_blanks_and_tables_stay() {
        let long = "word ".repeat(30);
        assert!(cut(&long, false).iter().all(|line| line.len() <= SOURCE_WIDTH && !line.starts_with(' ')));
        assert_eq!(cut("  name      lower-case", true), ["  name      lower-case"]);
        let wide = format!("  {}{} end", "x".repeat(60), "  .y".repeat(6));
        assert!(cut(&wide, true)[1].starts_with("    "), "{:?}", cut(&wide, true));
        assert_eq!(tidied(".ie x\n.br\n\n.br\na \n.ie x\n"), ".ie x\n.br\na\n");
    }
}
