//! The sources of the package, as the rules want to see them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::{Token, tokens};

/// One file under `src/`.
pub(crate) struct Source {
    /// Relative to the package: `src/guard/permit.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// A file of tests: its imports and its means are its own business.
    pub(crate) is_test: bool,
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

    /// What the compiler sees outside tests: no comments, no strings, no `#[cfg(test)] mod x { … }`.
    pub(crate) fn code(&self) -> Vec<Token> {
        if self.is_test { Vec::new() } else { without_tests(tokens(&self.text)).0 }
    }

    /// The files that its `#[cfg(test)] mod x;` name, either of which may be there.
    fn test_files(&self) -> Vec<String> {
        let folder = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let folder = if self.path == "src/lib.rs" { "src" } else { folder };
        let (_, modules) = without_tests(tokens(&self.text));
        modules.iter().flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]).collect()
    }

    /// A made-up file, for the tests of the rules.
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), is_test: path.ends_with("tests.rs") }
    }
}

/// Every `.rs` file under `src/`, in the order of their names.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join("src"), &mut |path| {
        if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_test = relative.ends_with("tests.rs") || relative.contains("/tests/");
            found.push(Source { path: relative, text: fs::read_to_string(path).unwrap(), is_test });
        }
    });
    let tests: Vec<String> = found.iter().flat_map(Source::test_files).collect();
    for source in &mut found {
        source.is_test |= tests.iter().any(|path| source.path.starts_with(path.as_str()));
    }
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

/// Drops `#[cfg(test)] mod x { … }`, braces and all; also the names of modules of tests that are files.
fn without_tests(all: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut files): (Vec<Token>, Vec<String>) = (Vec::with_capacity(all.len()), Vec::new());
    let mut rest = all.into_iter().peekable();
    while let Some(token) = rest.next() {
        if !token.is("mod") || !for_tests(&kept) {
            kept.push(token);
            continue;
        }
        let name = rest.next().map(|token| token.text).unwrap_or_default();
        let mut depth = 0_usize;
        for inner in rest.by_ref() {
            match inner.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => {
                    files.push(name);
                    break;
                }
                _ => {}
            }
        }
    }
    (kept, files)
}

/// Whether the attributes right before say `cfg(test)`.
fn for_tests(before: &[Token]) -> bool {
    let attributes: Vec<&str> = before
        .iter()
        .rev()
        .map(|token| token.text.as_str())
        .take_while(|text| !";{}".contains(text))
        .collect();
    attributes.windows(4).any(|window| window == [")", "test", "(", "cfg"])
}

#[test]
fn tests_modules_are_left_out() {
    #[track_caller]
    fn check(text: &str, kept: &str, files: &[&str]) {
        let (code, found) = without_tests(tokens(text));
        let words: Vec<String> = code.into_iter().map(|token| token.text).collect();
        assert_eq!(
            (words.join(" "), found),
            (kept.to_owned(), files.iter().map(|f| (*f).to_owned()).collect()),
            "{text}"
        );
    }
    check(
        "fn a() {} #[cfg(test)] mod t { fn b() { {} } } fn c() {}",
        "fn a ( ) { } # [ cfg ( test ) ] fn c ( ) { }",
        &[],
    );
    check(
        "#[cfg(test)]\npub(crate) mod fake; struct S;",
        "# [ cfg ( test ) ] pub ( crate ) struct S ;",
        &["fake"],
    );
    check("mod real { use crate::a; }", "mod real { use crate :: a ; }", &[]);
    check("use crate::a; // crate::b\nlet s = \"crate::c\";", "use crate :: a ; let s = ;", &[]);
}

#[test]
fn rooms_and_depths_come_from_the_path() {
    let check = |path: &str, room: &str, depth: usize| {
        let source = Source::sample(path, "");
        assert_eq!((source.room(), source.depth()), (room, depth), "{path}");
    };
    check("src/lib.rs", "lib", 0);
    check("src/guard/mod.rs", "guard", 1);
    check("src/guard/permit.rs", "guard", 2);
    check("src/manager/systemd/mod.rs", "manager", 2);
    check("src/bin/prunellad.rs", "bin", 2);
}
