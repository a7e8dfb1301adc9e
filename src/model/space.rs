//! Who fills a file system: one bounded look.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::filesystem::escaped;
use super::{Absence, Bytes, Human, Reading, WallTime};

/// Files, folders and open files that a look names, of each kind.
pub const SPACE_NAMES_MAX: usize = 6;
/// Longest path that is told, bytes of its text.
pub const PATH_TEXT_MAX: usize = 512;
/// For how long it looks; what it has seen by then is told. Half of it is spent resting.
pub const SPACE_LOOK_FOR: Duration = Duration::from_secs(3);
/// When it is given up.
pub const SPACE_LOOK_WITHIN: Duration = Duration::from_secs(10);
/// Fields of a file system that tell of its room: an incident of a rule that names one of them begins with a look.
pub const SPACE_FIELDS: [&str; 4] = ["used_percent", "available_bytes", "inodes_used_percent", "full_in"];

/// A path for people: absolute, escaped like a mount point, its middle left out where it is too long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathText(String);

impl PathText {
    /// Of its bytes.
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        let text = escaped(path);
        if text.len() <= PATH_TEXT_MAX {
            return Self(text);
        }
        let half = PATH_TEXT_MAX / 2;
        let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
        Self(format!("{}…{}", &text[..head], &text[tail..]))
    }
}

impl std::fmt::Display for PathText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One large file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeFile {
    pub path: PathText,
    /// That it takes on the disk; its length may be another.
    pub bytes: Bytes,
    /// Last written to.
    pub modified: WallTime,
    /// In a second, while it was looked at; of one that somebody has open for writing.
    #[serde(default = "not_observed", skip_serializing_if = "is_not_observed")]
    pub growth: Reading<Bytes>,
    /// Who has it open for writing, the first that was found.
    #[serde(default = "not_observed", skip_serializing_if = "is_not_observed")]
    pub writer: Reading<FileWriter>,
}

/// A process that has a file open for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWriter {
    pub pid: i32,
    pub name: String,
    /// Of the system's service manager: that of a user's is all that his units are called.
    pub unit: Reading<String>,
}

impl std::fmt::Display for FileWriter {
    /// `app (app.service)`, or `812 app`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.unit {
            Reading::Value(unit) => write!(f, "{} ({unit})", self.name),
            Reading::Absent(_) | Reading::Failed(_) => write!(f, "{} {}", self.pid, self.name),
        }
    }
}

const fn not_observed<T>() -> Reading<T> {
    Reading::Absent(Absence::NotObserved)
}

const fn is_not_observed<T>(reading: &Reading<T>) -> bool {
    matches!(reading, Reading::Absent(Absence::NotObserved))
}

/// One folder, without those within it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeFolder {
    pub path: PathText,
    /// Of the files right in it.
    pub bytes: Bytes,
    /// Files and folders right in it.
    pub entries: u64,
}

/// A file that has no name any more, and takes its room as long as somebody has it open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedFile {
    /// As it was called last.
    pub path: PathText,
    pub bytes: Bytes,
    /// Who has it open, the first that was found.
    pub pid: i32,
    pub fd: i32,
    pub name: String,
    /// Of the system's service manager: that of a user's is all that his units are called.
    pub unit: Reading<String>,
}

/// Deleted files that are open, as far as they were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedFiles {
    /// Of all of them.
    pub bytes: Bytes,
    pub count: u64,
    /// The largest, largest first.
    pub largest: Vec<DeletedFile>,
    /// Processes whose open files could not be read.
    pub hidden: u64,
    /// Every process was looked at in time.
    pub complete: bool,
}

/// One look at who fills a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceLook {
    pub at: WallTime,
    pub over: Duration,
    /// Files and folders that were passed.
    pub entries: u64,
    /// Nothing was left out; else the rest was not reached in time, or could not be read.
    pub complete: bool,
    /// Folders that could not be read.
    pub unreadable: u64,
    /// Of all files that were passed.
    pub bytes: Bytes,
    /// Of the file system in use, as it says itself. What is not in `bytes` was not reached, lies under mounts or in
    /// other subvolumes, or is deleted and open.
    pub used: Bytes,
    /// Each largest first.
    pub files: Vec<LargeFile>,
    pub folders: Vec<LargeFolder>,
    /// With the most entries: who takes the inodes.
    pub crowded: Vec<LargeFolder>,
    pub deleted: Reading<DeletedFiles>,
}

impl SpaceLook {
    /// For people: what was found, then a line for each name.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let seconds = self.over.as_secs_f64();
        let extent = if self.complete { "all of it" } else { "as far as it came" };
        let mut lines = vec![format!(
            "{} files and folders in {seconds:.1} s, {extent}: {} of {} in use",
            self.entries, self.bytes, self.used
        )];
        match &self.deleted {
            Reading::Value(deleted) if deleted.count > 0 => {
                lines.push(format!(
                    "{} in {} deleted files that are still open",
                    deleted.bytes, deleted.count
                ));
                lines.extend(deleted.largest.iter().map(DeletedFile::line));
            }
            Reading::Value(_) | Reading::Absent(_) => {}
            Reading::Failed(why) => lines.push(format!("deleted files that are open are not known: {why}")),
        }
        if let Reading::Value(deleted) = &self.deleted
            && (deleted.hidden > 0 || !deleted.complete)
        {
            lines.push(
                "there may be more deleted files: not every process could be looked at in time".to_owned(),
            );
        }
        lines.extend(self.files.iter().map(|file| {
            let age = Duration::from_secs(self.at.since(file.modified).as_secs());
            let growth = file.growth.value().filter(|growth| growth.0 > 0);
            let growth = growth.map_or_else(String::new, |growth| format!(", grows by {growth} a second"));
            let writer =
                file.writer.value().map_or_else(String::new, |it| format!(", open for writing by {it}"));
            format!("{} {}, written {} before{growth}{writer}", file.bytes, file.path, Human(age))
        }));
        lines.extend(
            self.folders.iter().map(|it| format!("{} in {} entries of {}", it.bytes, it.entries, it.path)),
        );
        let more = self.crowded.iter().filter(|it| !self.folders.contains(it));
        lines.extend(more.map(|it| format!("{} entries in {}, {}", it.entries, it.path, it.bytes)));
        if self.unreadable > 0 {
            lines.push(format!("{} folders could not be read", self.unreadable));
        }
        lines
    }
}

impl DeletedFile {
    /// `1.2 GiB deleted /var/log/app.log, open as 7 by 812 app (app.service)`
    fn line(&self) -> String {
        let unit = self.unit.value().map_or_else(String::new, |unit| format!(" ({unit})"));
        format!(
            "{} deleted {}, open as {} by {} {}{unit}",
            self.bytes, self.path, self.fd, self.pid, self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Absence;

    #[test]
    fn people_are_told_who_takes_the_room() {
        let path = |path: &str| PathText::of(path.as_bytes());
        let folder = |name, bytes, entries| LargeFolder { path: path(name), bytes: Bytes(bytes), entries };
        let deleted = DeletedFile {
            path: path("/var/log/app.log.1"),
            bytes: Bytes(3 << 30),
            pid: 812,
            fd: 7,
            name: "app".into(),
            unit: Reading::Value("app.service".into()),
        };
        let look = SpaceLook {
            at: WallTime::from_unix_millis(7_200_000),
            over: Duration::from_millis(3012),
            entries: 80_000,
            complete: false,
            unreadable: 1,
            bytes: Bytes(20 << 30),
            used: Bytes(31 << 30),
            files: vec![LargeFile {
                path: path("/var/log/app\n.log"),
                bytes: Bytes(9 << 30),
                modified: WallTime::from_unix_millis(7_195_500),
                growth: Reading::Value(Bytes(3 << 20)),
                writer: Reading::Value(FileWriter {
                    pid: 812,
                    name: "app".into(),
                    unit: Reading::Value("app.service".into()),
                }),
            }],
            folders: vec![folder("/var/log", 10 << 30, 12)],
            crowded: vec![folder("/var/spool/q", 4096, 70_000), folder("/var/log", 10 << 30, 12)],
            deleted: Reading::Value(DeletedFiles {
                bytes: Bytes(3 << 30),
                count: 1,
                largest: vec![deleted],
                hidden: 0,
                complete: true,
            }),
        };
        let told = [
            "80000 files and folders in 3.0 s, as far as it came: 20.0 GiB of 31.0 GiB in use",
            "3.0 GiB in 1 deleted files that are still open",
            "3.0 GiB deleted /var/log/app.log.1, open as 7 by 812 app (app.service)",
            "9.0 GiB /var/log/app\\012.log, written 4s before, grows by 3.0 MiB a second, open for writing by app (app.service)",
            "10.0 GiB in 12 entries of /var/log",
            "70000 entries in /var/spool/q, 4.0 KiB",
            "1 folders could not be read",
        ];
        assert_eq!(look.lines(), told);
        let hidden = SpaceLook {
            deleted: Reading::Absent(Absence::Unsupported),
            unreadable: 0,
            complete: true,
            ..look
        };
        assert_eq!(hidden.lines().len(), 4);
    }

    #[test]
    fn long_paths_keep_both_ends() {
        let long = format!("/start/{}/end", "ä".repeat(2000));
        let text = PathText::of(long.as_bytes()).to_string();
        assert!(
            text.len() <= PATH_TEXT_MAX + 8 && text.starts_with("/start/") && text.ends_with("/end"),
            "{text}"
        );
    }
}
