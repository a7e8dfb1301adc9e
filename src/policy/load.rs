//! From directories to a policy. What is read is bounded, and what a stranger could have written is not obeyed.
#![expect(
    clippy::disallowed_methods,
    reason = "this file reads the policy directories; nothing else here does"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::builtin::builtin_files;
use super::diagnostic::{PolicyErrors, SourceFile};
use super::parse::{FILE_BYTES_MAX, FILES_MAX, Unreadable, parse_with};
use super::types::Policy;

/// Where policies come from. A file of a later place replaces the file of the same name of an earlier one, and
/// masks it when it is empty or a link to `/dev/null`, as systemd's drop-ins do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Start from the policy that is compiled in; it is the same as the shipped one.
    pub builtin: bool,
    /// What the package ships: `/usr/lib/prunella/policy.d`.
    pub shipped: PathBuf,
    /// The operator's: `/etc/prunella/policy.d`.
    pub operator: PathBuf,
    /// Read last: `/etc/prunella/prunella.toml`.
    pub main: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            builtin: true,
            shipped: "/usr/lib/prunella/policy.d".into(),
            operator: "/etc/prunella/policy.d".into(),
            main: "/etc/prunella/prunella.toml".into(),
        }
    }
}

/// Reads, merges and checks everything. No file need exist: the built-in policy stands on its own.
///
/// # Errors
/// Every mistake that was found; there is no half-loaded policy.
pub fn load(sources: &Sources) -> Result<Policy, PolicyErrors> {
    load_with(sources, &[])
}

/// As [`load`], as if `candidates` lay in the operator's directory already (a `prunella.toml` in the place of the main
/// file): what a check before installing them asks. Whose they are does not matter yet.
///
/// # Errors
/// Every mistake that was found.
pub fn load_with(sources: &Sources, candidates: &[PathBuf]) -> Result<Policy, PolicyErrors> {
    let (files, unreadable) = collect(sources, candidates);
    parse_with(&files, unreadable)
}

/// Reads the files that are in force, in the order in which they are merged, without looking into them.
///
/// # Errors
/// What could not be read, or must not be obeyed.
pub fn read(sources: &Sources) -> Result<Vec<SourceFile>, PolicyErrors> {
    let (files, unreadable) = collect(sources, &[]);
    if unreadable.is_empty() { Ok(files) } else { Err(PolicyErrors::of_files(unreadable)) }
}

/// The directories to watch for changes; some may not exist yet.
#[must_use]
pub fn watch_paths(sources: &Sources) -> Vec<PathBuf> {
    let mut paths = vec![sources.shipped.clone(), sources.operator.clone()];
    paths.extend(sources.main.parent().map(Path::to_path_buf));
    paths.dedup();
    paths
}

fn collect(sources: &Sources, candidates: &[PathBuf]) -> (Vec<SourceFile>, Vec<Unreadable>) {
    let mut files: BTreeMap<String, SourceFile> = BTreeMap::new();
    let mut unreadable = Vec::new();
    if sources.builtin {
        for file in builtin_files() {
            files.insert(file.name.trim_start_matches("builtin:").to_owned(), file);
        }
    }
    let mut put = |name: String, path: &Path, text: String| {
        if text.is_empty() {
            files.remove(&name);
        } else {
            files.insert(name, SourceFile { name: path.display().to_string(), text });
        }
    };
    for directory in [&sources.shipped, &sources.operator] {
        for (name, path) in list(directory, &mut unreadable) {
            match read_file(&path, Trust::OnlyOwn) {
                Ok(text) => put(name, &path, text),
                Err(why) => unreadable.push(why),
            }
        }
    }
    let mut main = None;
    match std::fs::symlink_metadata(&sources.main) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(_) | Err(_) => match read_file(&sources.main, Trust::OnlyOwn) {
            Ok(text) => main = Some(SourceFile { name: sources.main.display().to_string(), text }),
            Err(why) => unreadable.push(why),
        },
    }
    for path in candidates {
        match (read_file(path, Trust::Anybody), path.file_name()) {
            (Ok(text), name) if name == sources.main.file_name() => {
                main = Some(SourceFile { name: path.display().to_string(), text });
            }
            (Ok(text), name) => {
                put(name.map_or(String::new(), |name| name.to_string_lossy().into_owned()), path, text);
            }
            (Err(why), _) => unreadable.push(why),
        }
    }
    (files.into_values().chain(main).collect(), unreadable)
}

/// Whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// As root, those that only root can write.
    OnlyOwn,
    Anybody,
}

/// The policy files of a directory, by name. Other files (`.rpmsave`, `~`, hidden ones) are no policy.
fn list(directory: &Path, unreadable: &mut Vec<Unreadable>) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return found,
        Err(error) => {
            unreadable.push(Unreadable::new(
                directory,
                &format!("can't be listed: {error}"),
                "make it readable",
            ));
            return found;
        }
    };
    if let Ok(metadata) = std::fs::metadata(directory)
        && let Some(why) = distrust(directory, &metadata)
    {
        unreadable.push(why);
        return found;
    }
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                unreadable.push(Unreadable::new(
                    directory,
                    &format!("can't be listed: {error}"),
                    "make it readable",
                ));
                break;
            }
        };
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        if found.len() > FILES_MAX {
            let what = format!("has more than {FILES_MAX} policy files");
            unreadable.push(Unreadable::new(directory, &what, "join some of them"));
            break;
        }
        match entry.file_name().into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) => {
                found.insert(name, path);
            }
            Err(_) => unreadable.push(Unreadable::new(
                &path,
                "the name of the file is not UTF-8",
                "name it with plain letters, as in 50-shop.toml",
            )),
        }
    }
    found
}

/// The text of a regular file; empty for a link to `/dev/null`.
fn read_file(path: &Path, trust: Trust) -> Result<String, Unreadable> {
    if std::fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null")) {
        return Ok(String::new());
    }
    let failed =
        |error: std::io::Error, help: &str| Unreadable::new(path, &format!("can't be read: {error}"), help);
    // A link is not followed, a pipe is not waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(rustix::io::Errno::LOOP) => {
            return Err(Unreadable::new(
                path,
                "is a link, which is not followed",
                "put the file itself there; a link to /dev/null masks the shipped file",
            ));
        }
        Err(error) => return Err(failed(error.into(), "make it readable for the agent")),
    };
    let metadata = file.metadata().map_err(|error| failed(error, "look at the file system's errors"))?;
    if !metadata.is_file() {
        let what = "is not a regular file";
        return Err(Unreadable::new(path, what, "put a plain text file there, or take it away"));
    }
    if trust == Trust::OnlyOwn
        && let Some(why) = distrust(path, &metadata)
    {
        return Err(why);
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error, "look at the file system's errors"))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Unreadable::too_large(path.display().to_string()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        Unreadable::new(path, &format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

/// Root does not obey what others may write.
fn distrust(path: &Path, metadata: &std::fs::Metadata) -> Option<Unreadable> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    if metadata.uid() != 0 {
        let what = format!("belongs to the user {}: root does not take orders from others", metadata.uid());
        return Some(Unreadable::new(path, &what, &format!("run `chown root: {}`", path.display())));
    }
    if metadata.mode() & 0o022 != 0 {
        let what = format!("can be written by others (mode {:04o})", metadata.mode() & 0o7777);
        return Some(Unreadable::new(path, &what, &format!("run `chmod go-w {}`", path.display())));
    }
    None
}
