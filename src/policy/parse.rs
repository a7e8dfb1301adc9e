//! Texts → policy. Pure.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use super::build::build;
use super::diagnostic::{PolicyErrors, Report, SourceFile};
use super::document::Document;
use super::types::Policy;

/// Longest policy file, bytes.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
/// Most policy files.
pub const FILES_MAX: usize = 200;

/// A file that could not be taken, and why.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) file: String,
    pub(super) what: String,
    pub(super) help: String,
}

impl Unreadable {
    pub(super) fn new(path: &Path, what: &str, help: &str) -> Self {
        Self {
            file: path.display().to_string(),
            what: format!("{} {what}", path.display()),
            help: help.to_owned(),
        }
    }

    pub(super) fn too_large(file: String) -> Self {
        let what = format!("{file} is larger than {} KiB", FILE_BYTES_MAX / 1024);
        Self {
            file,
            what,
            help: "split it into several files, or check that it is a policy at all".to_owned(),
        }
    }
}

impl PolicyErrors {
    pub(super) fn of_files(unreadable: Vec<Unreadable>) -> Self {
        let mut report = Report::new(&[]);
        for file in unreadable {
            report.file_error(file.file, file.what, file.help);
        }
        report.into_errors()
    }
}

/// Parses, merges and checks files; later ones win over earlier ones.
///
/// # Errors
/// Every mistake that was found, in the order of the files.
pub fn parse(files: &[SourceFile]) -> Result<Policy, PolicyErrors> {
    parse_with(files, Vec::new())
}

/// As [`parse`], with files that could not be read.
pub(super) fn parse_with(
    files: &[SourceFile],
    mut unreadable: Vec<Unreadable>,
) -> Result<Policy, PolicyErrors> {
    let mut report = Report::new(files);
    if files.len() > FILES_MAX {
        let what = format!("there are {} policy files, at most {FILES_MAX} are taken", files.len());
        unreadable.push(Unreadable {
            file: files[FILES_MAX].name.clone(),
            what,
            help: "join some of them".into(),
        });
    }
    let too_large = files.iter().filter(|file| file.text.len() > FILE_BYTES_MAX);
    unreadable.extend(too_large.map(|file| Unreadable::too_large(file.name.clone())));
    let complete = unreadable.is_empty();
    for file in unreadable {
        report.file_error(file.file, file.what, file.help);
    }
    let parsed: Vec<_> = files
        .iter()
        .enumerate()
        .take(FILES_MAX)
        .filter(|(_, file)| file.text.len() <= FILE_BYTES_MAX)
        .map(|(index, file)| (index, DeTable::parse_recoverable(&file.text)))
        .collect();
    let mut document = Document::new(complete);
    for (index, (table, errors)) in &parsed {
        document.add(&mut report, *index, table.get_ref(), errors);
    }
    let policy = build(&mut report, &document, digest(files));
    report.finish(policy)
}

/// SHA-256 over names and texts, each with its length in front, hexadecimal.
fn digest(files: &[SourceFile]) -> String {
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|file| [&file.name, &file.text]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Policy {
    /// A policy of one text, named `policy.toml` in errors. Nothing is added to it but what is always protected.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn parse_one(text: &str) -> Result<Self, PolicyErrors> {
        parse(&[SourceFile { name: "policy.toml".into(), text: text.into() }])
    }
}
