//! The README and scripts/ keep their promises: what is shown can be typed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::source::root;

/// The lines of a document's code blocks that start with a command.
fn commands(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside {
            let line = line.trim_start_matches("$ ").trim_start_matches("sudo ").trim();
            found.push(line.split(" #").next().unwrap_or("").trim().to_owned());
        }
    }
    found
}

/// Programs in scripts/: executable files, without their modules.
fn scripts() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.metadata().unwrap().permissions().mode() & 0o100 != 0)
        .collect();
    found.sort();
    found
}

fn ask(command: &mut Command) -> Output {
    command.current_dir(root()).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn every_script_explains_itself() {
    let listed = scripts();
    assert!(listed.len() >= 3, "scripts/ holds {listed:?}");
    for script in listed {
        let done = ask(Command::new(&script).arg("--help"));
        assert!(done.status.success(), "{} --help: {:?}", script.display(), done);
        assert!(done.stdout.len() > 80, "{} --help says too little", script.display());
    }
}

#[test]
fn commands_of_the_readme_exist() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let shown = commands(&readme);
    assert!(shown.iter().any(|line| line == "scripts/quickstart"), "the first command is missing");
    assert!(shown.iter().any(|line| line == "scripts/test"), "the second command is missing");
    for line in shown {
        let mut words = line.split_whitespace();
        match words.next() {
            Some(script) if script.starts_with("scripts/") => {
                assert!(scripts().contains(&root().join(script)), "README.md: {line}: there is no {script}");
            }
            Some("bash") => {
                let script = words.next().unwrap();
                assert!(root().join(script).is_file(), "README.md: {line}: there is no {script}");
            }
            Some("prunella") => prunella_knows(words.next(), &line),
            Some(_) | None => {}
        }
    }
}

/// The subcommand is listed and explains itself.
fn prunella_knows(subcommand: Option<&str>, line: &str) {
    let program = env!("CARGO_BIN_EXE_prunella");
    let subcommand = subcommand.unwrap();
    let listed = ask(Command::new(program).arg("--help"));
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(
        text.lines().any(|row| row.split_whitespace().next() == Some(subcommand)),
        "README.md: {line}: `prunella --help` does not list it"
    );
    assert!(ask(Command::new(program).args([subcommand, "--help"])).status.success(), "README.md: {line}");
}

#[test]
fn commands_are_found_in_code_blocks_alone() {
    let text = "scripts/no\n```sh\n$ scripts/a --x   # why\nsudo apt-get install x\n```\nscripts/no\n";
    assert_eq!(commands(text), ["scripts/a --x", "apt-get install x"]);
}
