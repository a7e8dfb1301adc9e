//! What the CLI does without the agent: checking policies, proving the ledger, reading the history. The rooms that own these
//! are handed in as functions, so that the CLI knows their answers and not their insides.

#![expect(clippy::disallowed_methods, reason = "folders that the operator names are listed here")]

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{HistoryAsk, HistoryList, HistorySeries};

use super::failure::Failure;
use super::manual::Manual;

/// More than any host has.
const FILES_MAX: usize = 1000;

/// A policy that is valid.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    pub digest: String,
    pub rules: usize,
}

/// What can be said of a ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub sound: bool,
    /// For people.
    pub text: String,
    /// For programs.
    pub json: serde_json::Value,
}

/// The functions of other rooms.
#[derive(Clone, Copy, Debug)]
pub struct Offline {
    /// The policy that is in force once these files are installed, or its errors as people read them.
    pub check: fn(&[PathBuf]) -> Result<Checked, String>,
    /// A state folder, or a ledger's file → what holds of it, or why nothing can be said.
    pub verify_ledger: fn(&Path) -> Result<Proof, String>,
    /// A state folder → the history in it.
    pub history_list: fn(&Path) -> Result<HistoryList, NoPast>,
    /// A state folder → a number over time, where now is the end of what is kept.
    pub history: fn(&Path, HistoryAsk) -> Result<HistorySeries, NoPast>,
    /// What the manual says of other programs and of files.
    pub manual: fn() -> Manual,
}

/// Why nothing is told of the past, a sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPast {
    /// There is no history.
    Missing(String),
    /// There is, and it has no answer.
    NoAnswer(String),
}

impl From<NoPast> for Failure {
    fn from(why: NoPast) -> Self {
        match why {
            NoPast::Missing(why) | NoPast::NoAnswer(why) => Self::History(why),
        }
    }
}

/// The files named, and the `*.toml` of the folders named (first of their `policy.d`), in the order of their names.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !std::fs::metadata(path).map_err(|error| unreadable(path, error))?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let drop_ins = path.join("policy.d");
        let mut found = if drop_ins.is_dir() { policy_files(&drop_ins)? } else { Vec::new() };
        found.append(&mut policy_files(path)?);
        if found.is_empty() {
            return Err(Failure::Usage(format!("There is no *.toml in {}.", path.display())));
        }
        files.append(&mut found);
    }
    if files.len() > FILES_MAX {
        return Err(Failure::Usage(format!("These are more than {FILES_MAX} files.")));
    }
    Ok(files)
}

/// Makes the folder and the files in it.
pub(super) fn write_pages(folder: &Path, pages: &[(String, Vec<u8>)]) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in pages {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn unreadable(path: &Path, source: io::Error) -> Failure {
    Failure::File { path: path.to_owned(), source }
}

fn policy_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir() {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            break;
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn names(paths: &[PathBuf]) -> Vec<String> {
        let files = expand(paths).unwrap();
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn folders_give_their_policy_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policy.d")).unwrap();
        for name in
            ["policy.d/20-b.toml", "policy.d/10-a.toml", "prunella.toml", "README", "old.toml~", ".x.toml"]
        {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let extra = folder.path().join("README");
        assert_eq!(
            names(&[folder.path().to_owned(), extra]),
            ["10-a.toml", "20-b.toml", "prunella.toml", "README"]
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(expand(&[folder.path().to_owned()]), Err(Failure::Usage(_))));
        let path = folder.path().join("none.toml");
        assert!(expand(&[path]).unwrap_err().to_string().contains("none.toml can't be read"));
    }
}
