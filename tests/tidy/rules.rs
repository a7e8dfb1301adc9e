//! Rules for the sources beside the map: purity, size, the permit, and words that are not left in.

use crate::paths::{Token, tokens};
use crate::source::{Source, sources};

/// The rooms that take time, bytes and seed as arguments.
const PURE: &[&str] = &["model", "assess", "decide", "guard", "verify", "engine", "sim"];

/// What would make them impure. A pure room tells by effects and return values, so it does not log either.
const IMPURE: &[&[&str]] = &[
    &["std", "fs"],
    &["std", "io"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "os"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["std", "net", "UdpSocket"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["SystemTime"],
    &["Instant"],
    &["Zoned", "now"],
    &["Timestamp", "now"],
];

/// Crates that are nothing but input, output or waiting.
const IMPURE_CRATES: &[&str] =
    &["tokio", "rustix", "rusqlite", "zbus", "hyper", "notify", "tracing", "uzers", "anstream", "sd_notify"];

/// Longest file: one idea fits.
const LINES_MAX: usize = 500;

/// Files that may be longer, each with its reason.
const LONG: &[(&str, &str)] = &[];

/// Does `path` occur in `code`, in line or through nested `use` braces? The line of the first place.
fn uses(code: &[Token], path: &[&str]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    (0..code.len())
        .filter(|at| code[*at].is(first))
        .find(|at| follows(code, at + 1, rest))
        .map(|at| code[at].line)
}

/// The rest of a path, directly behind or somewhere in the braces that open there.
fn follows(code: &[Token], at: usize, rest: &[&str]) -> bool {
    let Some((next, rest)) = rest.split_first() else { return true };
    if !code.get(at).is_some_and(|token| token.is("::")) {
        return false;
    }
    match code.get(at + 1) {
        Some(token) if token.is(next) => follows(code, at + 2, rest),
        Some(token) if token.is("{") => {
            let mut depth = 0;
            for i in at + 1..code.len() {
                match code[i].text.as_str() {
                    "{" => depth += 1,
                    "}" if depth == 1 => return false,
                    "}" => depth -= 1,
                    word if depth == 1 && word == *next && follows(code, i + 1, rest) => return true,
                    _ => {}
                }
            }
            false
        }
        _ => false,
    }
}

fn impurities(source: &Source) -> Vec<String> {
    if !PURE.contains(&source.room()) {
        return Vec::new();
    }
    let code = source.code();
    let items = IMPURE.iter().filter_map(|path| uses(&code, path).map(|line| (line, path.join("::"))));
    let crates = code
        .windows(2)
        .filter(|pair| IMPURE_CRATES.contains(&pair[0].text.as_str()) && pair[1].is("::"))
        .map(|pair| (pair[0].line, pair[0].text.clone()));
    items.chain(crates).map(|(line, what)| format!("{}:{line}: {what}", source.path)).collect()
}

#[test]
fn pure_rooms_touch_nothing() {
    let found: Vec<String> = sources().iter().flat_map(impurities).collect();
    assert!(found.is_empty(), "in a pure room:\n{}", found.join("\n"));
}

#[test]
fn impurity_is_caught_in_every_spelling() {
    let caught = |text: &str| !impurities(&Source::sample("src/engine/x.rs", text)).is_empty();
    for bad in [
        "use std::fs;",
        "use std::{fmt, fs::File};",
        "fn f() { std::fs::read(p) }",
        "use std::time::{Duration, Instant};",
        "use std::time; fn f(t: time::SystemTime) {}",
        "use tokio::sync::mpsc;",
        "fn f() { let z = jiff::Zoned::now(); }",
        "use std::net::{IpAddr, TcpStream};",
    ] {
        assert!(caught(bad), "not caught: {bad}");
    }
    for good in [
        "use std::time::Duration;",
        "use std::{fmt, collections::BTreeMap};",
        "// std::fs\nfn f() -> &'static str { \"tokio::spawn\" }",
        "use std::net::SocketAddr;",
        "use jiff::Zoned; use crate::model::Timestamp;",
        "#[cfg(test)] mod tests { use std::fs; }",
        "fn notify(tracing: bool) { self.notify(tracing) }",
    ] {
        assert!(!caught(good), "wrongly caught: {good}");
    }
}

#[test]
fn files_stay_small() {
    let listed = sources();
    let long: Vec<String> = listed
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(source, lines)| *lines > LINES_MAX && !LONG.iter().any(|(path, _)| *path == source.path))
        .map(|(source, lines)| format!("{}: {lines} lines, {LINES_MAX} at the most", source.path))
        .collect();
    assert!(long.is_empty(), "split these, or list them in LONG with a reason:\n{}", long.join("\n"));
    for (path, _) in LONG {
        let still = listed.iter().any(|s| s.path == *path && s.text.lines().count() > LINES_MAX);
        assert!(still, "{path} is in LONG and no longer needs to be");
    }
}

/// `Permit { … }` as a value: not a return type, not an `impl`.
fn makes_permit(code: &[Token]) -> Option<usize> {
    let types = ["->", "struct", "impl", "for", "enum", "mod", "use"];
    (1..code.len().saturating_sub(1))
        .find(|at| {
            code[*at].is("Permit")
                && code[at + 1].is("{")
                && !types.iter().any(|word| code[first_of_path(code, *at) - 1].is(word))
        })
        .map(|at| code[at].line)
}

/// Where the path that ends at `at` begins; at least 1.
fn first_of_path(code: &[Token], mut at: usize) -> usize {
    while at > 2 && code[at - 1].is("::") {
        at -= 2;
    }
    at.max(1)
}

#[test]
fn a_permit_is_made_by_the_guard_alone() {
    for source in sources().iter().filter(|source| source.room() != "guard") {
        if let Some(line) = makes_permit(&source.code()) {
            panic!("{}:{line}: makes a Permit", source.path);
        }
    }
    assert!(makes_permit(&tokens("let p = Permit { action };")).is_some());
    assert!(makes_permit(&tokens("let p = crate::guard::Permit { action };")).is_some());
    assert!(makes_permit(&tokens("fn f() -> Permit { g() }")).is_none());
    assert!(
        makes_permit(&tokens("fn f() -> guard::Permit { g() } impl Permit {} impl X for Permit {}"))
            .is_none()
    );
}

#[test]
fn a_permit_has_no_back_door() {
    let listed = sources();
    let permit = listed.iter().find(|source| source.path == "src/guard/permit.rs").unwrap();
    let (_, body) = permit.text.split_once("pub struct Permit {").expect("the type is here");
    let (before, _) = permit.text.split_once("pub struct Permit {").unwrap();
    let (fields, _) = body.split_once('}').unwrap();
    assert!(!fields.contains("pub"), "a field of Permit is public: anyone could change it");
    let derive = before.rsplit("#[derive(").next().unwrap();
    assert!(
        derive.starts_with("Debug)]"),
        "Permit derives more than Debug: it must be used once and never parsed"
    );
    for source in listed.iter().filter(|source| source.room() == "guard") {
        let words: Vec<String> = source.code().into_iter().map(|token| token.text).collect();
        let text = words.join(" ");
        for way in ["Clone for Permit", "Copy for Permit", "Default for Permit", "for Permit : From"] {
            assert!(!text.contains(way), "{}: {way}", source.path);
        }
    }
}

/// Marks of work that is not done, and of lints put to sleep without a word.
const LEFT_OVERS: &[&[&str]] = &[
    &["todo", "!"],
    &["unimplemented", "!"],
    &["dbg", "!"],
    &["#", "[", "ignore"],
    &["#", "[", "allow"],
    &["#", "!", "[", "allow"],
];

fn left_over(text: &str) -> Option<(usize, String)> {
    let code = tokens(text);
    LEFT_OVERS.iter().find_map(|mark| {
        code.windows(mark.len())
            .find(|window| window.iter().zip(*mark).all(|(token, word)| token.is(word)))
            .map(|window| (window[0].line, mark.concat()))
    })
}

#[test]
fn nothing_is_left_over() {
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        crate::source::walk(&crate::source::root().join(folder), &mut |path| {
            if path.extension().is_some_and(|ending| ending == "rs")
                && let Some((line, mark)) = left_over(&std::fs::read_to_string(path).unwrap())
            {
                found.push(format!("{}:{line}: {mark}", path.display()));
            }
        });
    }
    assert!(found.is_empty(), "left over:\n{}", found.join("\n"));
}

#[test]
fn left_overs_are_caught() {
    for bad in
        ["fn f() { todo!() }", "#[test]\n#[ignore]\nfn f() {}", "#![allow(dead_code)]", "#[ignore = \"x\"]"]
    {
        assert!(left_over(bad).is_some(), "{bad}");
    }
    for good in ["// todo!()", "let s = \"dbg!(x)\";", "#[expect(dead_code, reason = \"x\")]", "fn todo() {}"]
    {
        assert!(left_over(good).is_none(), "{good}");
    }
}
