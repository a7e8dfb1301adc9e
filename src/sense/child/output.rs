//! What goes in and out of a child, bounded.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;

use rustix::fs::{Mode, OFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use super::CHILD_OUTPUT_MAX;

/// One output stream: its first [`CHILD_OUTPUT_MAX`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    pub bytes: Vec<u8>,
    /// There was more.
    pub truncated: bool,
}

impl Captured {
    /// The first line as text, for a sentence to people; control characters are not escaped.
    #[must_use]
    pub fn first_line(&self) -> String {
        let line = self.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line).trim().to_owned()
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = CHILD_OUTPUT_MAX - self.bytes.len();
        self.truncated |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// The three streams of one child.
pub(super) struct Pipes;

impl Pipes {
    /// Feeds and reads the child until both its outputs end.
    pub(super) fn take<'a>(
        child: &mut Child,
        stdin: Option<&'a [u8]>,
        stdout: &'a mut Captured,
        stderr: &'a mut Captured,
    ) -> impl Future<Output = ()> + 'a {
        let input = child.stdin.take().map(OwnedFd::from);
        let out = child.stdout.take().map(OwnedFd::from);
        let err = child.stderr.take().map(OwnedFd::from);
        async move {
            tokio::join!(feed(input, stdin), read(out, stdout), read(err, stderr));
        }
    }
}

async fn feed(pipe: Option<OwnedFd>, bytes: Option<&[u8]>) {
    let (Some(pipe), Some(bytes)) = (pipe, bytes) else { return };
    if let Ok(mut pipe) = pipe::Sender::from_owned_fd(pipe) {
        // A child that does not read its input is free not to.
        let _ = pipe.write_all(bytes).await;
    }
}

async fn read(pipe: Option<OwnedFd>, into: &mut Captured) {
    let Some(Ok(mut pipe)) = pipe.map(pipe::Receiver::from_owned_fd) else { return };
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        into.take(&buffer[..read]);
    }
}

/// Opens a log file to append to, made where it is missing (mode 0640 without what the umask takes).
///
/// # Errors
/// When it is a link, has a second name or is not a regular file: a directory that users can write could
/// otherwise point root's output anywhere.
pub fn open_log(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let log = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o640))?);
    let metadata = log.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(std::io::Error::other("not a regular file with a single name"));
    }
    Ok(log)
}
