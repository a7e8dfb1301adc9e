//! Policies as people write them: the shipped ones, good ones, and every mistake that we could think of, with the
//! error that its author sees.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads files"
)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use prunella::policy::{self, Policy, SourceFile};

mod loading;

fn corpus(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

/// Without the lines of shipped files, which move.
fn settled(told: &str) -> String {
    let mut parts = told.split("builtin:10-units.toml:");
    let mut text = parts.next().unwrap_or("").to_owned();
    for part in parts {
        text += "builtin:10-units.toml:LINE:COLUMN";
        text += part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    }
    text
}

/// After the shipped policy, as an operator's file is.
fn with_builtin(name: &str, text: String) -> Vec<SourceFile> {
    let mut files = policy::builtin_files();
    files.push(SourceFile { name: name.into(), text });
    files
}

#[test]
fn the_shipped_policy_is_right_and_does_what_it_says() {
    let policy = Policy::builtin().unwrap_or_else(|errors| panic!("{errors}"));
    let rules: Vec<String> = policy
        .rules
        .iter()
        .map(|rule| {
            format!(
                "{} ({:?}, {:?}, for {:?}): {:?} x{}\n  when  {}\n  clear {}",
                rule.name,
                rule.mode,
                rule.severity,
                rule.hold_for,
                rule.ladder,
                rule.attempts,
                rule.when.source(),
                rule.clear.source()
            )
        })
        .collect();
    insta::assert_snapshot!(rules.join("\n"));
    let protects = |name: &str| policy.protects(&prunella::model::UnitName::parse(name).unwrap());
    for name in
        ["init.scope", "prunellad.service", "ssh.service", "user@1000.service", "kubelet.service", "-.mount"]
    {
        assert!(protects(name), "{name}");
    }
    for name in ["nginx.service", "postgresql@15-main.service", "cron.service"] {
        assert!(!protects(name), "{name}");
    }
}

#[test]
fn the_example_shows_the_defaults_and_examples_that_are_right() {
    let text = include_str!("../../config/prunella.toml");
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            Some(_) | None => line,
        })
        .collect();
    let with = policy::parse(&with_builtin("prunella.toml", uncommented.join("\n")));
    let with = with.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(with.limits, policy::Limits::default());
    assert_eq!(with.access, policy::Access::default());
    assert_eq!((with.probes.len(), with.maintenance.len(), with.services.len()), (3, 1, 1));
    policy::parse(&with_builtin("prunella.toml", text.to_owned()))
        .unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn good_policies_are_taken() {
    for path in corpus("good") {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        policy::parse(&with_builtin(&name, text)).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A file that was cut, doubled or hit by noise is taken or refused, never more.
    #[test]
    fn a_damaged_file_is_taken_or_refused(
        file in 0_usize..4, at in any::<prop::sample::Index>(), cut in 0_usize..40, noise in "\\PC{0,6}|[\\[\\]=\"'\n{}]{1,3}",
    ) {
        let mut files = policy::builtin_files();
        let text = &files[file].text;
        let boundary = |mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(at.index(text.len() + 1));
        let end = boundary((start + cut).min(text.len())).max(start);
        files[file].text = format!("{}{noise}{}", &text[..start], &text[end..]);
        if let Err(errors) = policy::parse(&files) {
            prop_assert!(!errors.errors().is_empty());
            prop_assert!(errors.to_string().contains("help: "));
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "(\\PC|\n){0,200}") {
        if let Err(errors) = Policy::parse_one(&text) {
            prop_assert!(errors.to_string().contains("help: "));
        }
    }
}

#[test]
fn each_mistake_is_told_with_its_place_and_what_to_write_instead() {
    let files = corpus("bad");
    assert!(files.len() >= 45, "the corpus has {} files", files.len());
    for path in files {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let errors = match policy::parse(&with_builtin(&name, text)) {
            Err(errors) => errors,
            Ok(_) => panic!("{name} was taken"),
        };
        let told = errors.to_string();
        for error in errors.errors() {
            assert_eq!(error.location.file, name, "{told}");
            assert!(error.location.position.is_some(), "{told}");
            let one = error.to_string();
            assert!(
                one.contains(&format!("{name}:")) && one.contains('^') && one.contains("= help: "),
                "{told}"
            );
            assert!(error.help.len() > 5, "{told}");
        }
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.trim_end_matches(".toml"), settled(&told));
        });
    }
}
