//! Why a file stays, or why there is no search: a closed list, each with a sentence for people.

use rustix::io::Errno;
use thiserror::Error;

/// Why a file is left alone. The path is told by whoever knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(in crate::act) enum Refused {
    #[error("it is a link")]
    Link,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it has other names (hard links): removing this one would free nothing")]
    OtherNames,
    #[error("it takes on the rights of its owner or group when it is run: no log or dump does")]
    SetId,
    #[error("it is on another file system or another mount")]
    Elsewhere,
    #[error("it is marked as immutable")]
    Immutable,
    #[error("it is marked as append-only")]
    AppendOnly,
    #[error("it is too young, or its times lie in the future")]
    Young,
    #[error("it is open for writing")]
    OpenForWriting,
    #[error("somebody has asked the kernel to be told before it is opened, and was")]
    Leased,
    #[error("whether it is open for writing can't be told: {0}")]
    Untold(Errno),
    #[error("it is gone")]
    Gone,
    #[error("it has changed since it was looked at")]
    Changed,
    #[error("another file has its name by now")]
    Replaced,
    #[error("its folder was moved, replaced or removed")]
    FolderMoved,
    #[error("the newest of its log or program, which is to be kept, is not there any more")]
    NothingKept,
    #[error("the name under which it is put aside first is taken")]
    AsideTaken,
    #[error(
        "a removal that was broken off put it aside, and it is not the file that was meant: see whose it is"
    )]
    Stray,
    #[error(
        "a file could not get its name back, which another took just then: it is called .prunella-removing-{0}"
    )]
    LeftAside(u64),
    #[error("its name was removed, and it lives on under another that it was given at the last moment")]
    LivesOn,
    #[error("the kernel forbids it: a swap file, marks on the folder, or missing rights: {0}")]
    Forbidden(Errno),
    #[error("it is not lines of text")]
    NoLines,
    #[error("another act is at work on its archive")]
    Busy,
    #[error("it is too small, or holds nothing but its last lines")]
    NothingToArchive,
    #[error("compressing it frees next to nothing")]
    Dense,
    #[error("parts of it can't be given back on this file system")]
    NoHoles,
    #[error("there is no room for its archive")]
    NoRoom,
    #[error("the file system is read-only")]
    ReadOnly,
    #[error("{0}")]
    Errno(Errno),
}

impl Refused {
    /// What this answer means where one file is looked up, opened, renamed or removed by its name.
    pub(super) const fn of(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Gone,
            Errno::LOOP => Self::Link,
            Errno::PERM | Errno::ACCESS => Self::Forbidden(errno),
            Errno::ROFS => Self::ReadOnly,
            Errno::NOSPC | Errno::DQUOT => Self::NoRoom,
            // What a mount stands on is busy.
            Errno::BUSY | Errno::XDEV => Self::Elsewhere,
            Errno::EXIST => Self::AsideTaken,
            Errno::ISDIR => Self::NotAFile,
            _ => Self::Errno(errno),
        }
    }
}

/// Why nothing can be searched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::act) enum NoSearch {
    #[error("another file system is mounted there by now, or none")]
    Gone,
    #[error("which mount it is can't be told, so that others could not be told from it: {0}")]
    Mount(Errno),
    /// With the reasons of those that could not be used.
    #[error("no folder that the policy names is on it{0}")]
    NoFolder(String),
    #[error("{0}")]
    Errno(Errno),
}
