//! What the CLI does without the agent: checking policies and proving the ledger. The rooms that own these
//! are handed in as functions, so that the CLI knows their answers and not their insides.

#![expect(clippy::disallowed_methods, reason = "these commands read the files that the operator names")]

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// No policy file that a person writes comes near this.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Nor so many of them.
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

/// Name and text of each file.
pub type PolicyFiles = Vec<(String, String)>;

/// The functions of other rooms.
#[derive(Clone, Copy, Debug)]
pub struct Offline {
    /// The policy that the files make, or their errors as people read them.
    pub check: fn(PolicyFiles) -> Result<Checked, String>,
    /// A state folder, or a ledger's file → what holds of it, or why nothing can be said.
    pub verify_ledger: fn(&Path) -> Result<Proof, String>,
}

/// The rooms as they are in this build.
#[must_use]
pub fn offline() -> Offline {
    Offline {
        check: |_| Err("this build has no policy compiler".into()),
        verify_ledger: |_| Err("this build has no ledger".into()),
    }
}

/// The files named, and the `*.toml` of the folders named, in the order of their names.
pub(super) fn gather(paths: &[PathBuf]) -> Result<PolicyFiles, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let error = |source| Failure::File { path: path.clone(), source };
        if std::fs::metadata(path).map_err(error)?.is_dir() {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(path).map_err(error)? {
                let entry = entry.map_err(error)?.path();
                if entry.extension().is_some_and(|extension| extension == "toml") && entry.is_file() {
                    found.push(entry);
                }
            }
            found.sort();
            if found.is_empty() {
                return Err(Failure::Usage(format!("There is no *.toml in {}.", path.display())));
            }
            files.append(&mut found);
        } else {
            files.push(path.clone());
        }
        if files.len() > FILES_MAX {
            return Err(Failure::Usage(format!("These are more than {FILES_MAX} files.")));
        }
    }
    files.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<(String, String), Failure> {
    let text = || -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(&path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is over {FILE_BYTES_MAX} bytes"),
            ));
        }
        Ok(text)
    };
    match text() {
        Ok(text) => Ok((path.display().to_string(), text)),
        Err(source) => Err(Failure::File { path, source }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn folders_give_their_toml_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("20-b.toml", "b"), ("10-a.toml", "a"), ("README", "x"), ("30-c.toml~", "x")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let extra = folder.path().join("README");
        let files = gather(&[folder.path().to_owned(), extra]).unwrap();
        let texts: Vec<_> = files.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "x"]);
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(gather(&[folder.path().to_owned()]), Err(Failure::Usage(_))));
        let path = folder.path().join("none.toml");
        assert!(gather(&[path]).unwrap_err().to_string().contains("none.toml can't be read"));
        let big = folder.path().join("big.toml");
        std::fs::write(&big, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert!(gather(&[big]).unwrap_err().to_string().contains("over 1048576 bytes"));
    }
}
