//! The sources of the package, as the rules want to see them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::{Token, tokens};

/// One file under `src/`.
pub(crate) struct Source {
    /// Relative to the package: `src/guard/permit.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The room it belongs to: `guard`; `lib` for `src/lib.rs`, `bin` for the programs.
    pub(crate) fn room(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap();
        inner.split_once('/').map_or_else(|| inner.trim_end_matches(".rs"), |(room, _)| room)
    }

    /// How many modules lie between it and the crate's root: `src/guard/mod.rs` is 1, `src/guard/permit.rs` 2.
    pub(crate) fn depth(&self) -> usize {
        let inner = self.path.strip_prefix("src/").unwrap().trim_end_matches(".rs");
        match inner {
            "lib" => 0,
            _ => inner.trim_end_matches("/mod").split('/').count(),
        }
    }

    /// A file of tests: its imports and its means are its own business.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// What the compiler sees: no comments, no strings, and no `mod tests { … }`.
    pub(crate) fn code(&self) -> Vec<Token> {
        if self.is_test() { Vec::new() } else { without_tests(tokens(&self.text)) }
    }
}

/// Every `.rs` file under `src/`, in the order of their names.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join("src"), &mut |path| {
        if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path: relative, text: fs::read_to_string(path).unwrap() });
        }
    });
    assert!(found.len() > 20, "only {} files under src/: is this the package?", found.len());
    found
}

/// The package's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Calls `visit` for each file below, in the order of their names.
pub(crate) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            walk(&entry, visit);
        } else {
            visit(&entry);
        }
    }
}

/// Drops `mod tests { … }`, braces and all.
fn without_tests(all: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(all.len());
    let mut rest = all.into_iter().peekable();
    while let Some(token) = rest.next() {
        let opens_tests = token.is("mod") && rest.peek().is_some_and(|next| next.is("tests"));
        if !opens_tests {
            kept.push(token);
            continue;
        }
        let mut depth = 0_usize;
        for inner in rest.by_ref() {
            match inner.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

#[test]
fn tests_modules_are_left_out() {
    let source = |text: &str| Source { path: "src/guard/x.rs".into(), text: text.into() };
    let words = |text: &str| -> Vec<String> { source(text).code().into_iter().map(|t| t.text).collect() };
    assert_eq!(
        words("fn a() {} mod tests { fn b() { {} } } fn c() {}").join(" "),
        "fn a ( ) { } fn c ( ) { }"
    );
    assert_eq!(words("mod tests; struct S;").join(" "), "struct S ;");
    assert_eq!(
        words("use crate::a; // crate::b\nlet s = \"crate::c\";").join(" "),
        "use crate :: a ; let s = ;"
    );
}

#[test]
fn rooms_and_depths_come_from_the_path() {
    let check = |path: &str, room: &str, depth: usize| {
        let source = Source { path: path.into(), text: String::new() };
        assert_eq!((source.room(), source.depth()), (room, depth), "{path}");
    };
    check("src/lib.rs", "lib", 0);
    check("src/guard/mod.rs", "guard", 1);
    check("src/guard/permit.rs", "guard", 2);
    check("src/manager/systemd/mod.rs", "manager", 2);
    check("src/bin/prunellad.rs", "bin", 2);
}
