//! The socket file: made once, by one agent, in a folder that nobody else can write to.
//!
//! Its mode is 0666 and the check is by credentials: the policy names two groups, a file has room for one,
//! and a user who is refused gets a sentence in place of `Permission denied`. What an uninvited peer can
//! cost is bounded in `limits`.

#![expect(clippy::disallowed_methods, reason = "this is where the socket file is made and removed")]

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use thiserror::Error;

/// Mode of the socket file; see the module's word.
const SOCKET_MODE: u32 = 0o666;

/// Why the socket can't be made.
#[derive(Debug, Error)]
pub enum SocketError {
    #[error("{} has no folder", .0.display())]
    NoFolder(PathBuf),
    #[error("{} can't be used", .path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// Another user could put a socket of their own in its place.
    #[error("{} must belong to uid {uid} and be writable by nobody else", .path.display())]
    FolderShared { path: PathBuf, uid: u32 },
    #[error("another agent is running: it holds {}", .0.display())]
    Locked(PathBuf),
    #[error("another program answers on {}", .0.display())]
    InUse(PathBuf),
    #[error("{} exists and is no socket", .0.display())]
    NotASocket(PathBuf),
    #[error("{} can't be bound", .path.display())]
    Bind { path: PathBuf, source: io::Error },
}

/// The bound socket. Dropping it removes the file, if it is still this one, and then the lock.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
    _lock: rustix::fd::OwnedFd,
}

impl Bound {
    /// A listener for [`super::run`], in non-blocking mode. This `Bound` must outlive it.
    ///
    /// # Errors
    /// When no file descriptor is left.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.identity);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds the socket at `path`; a stale one is replaced, a live one is an error.
///
/// A lock file `PATH.lock` decides between two agents; the connection test finds anybody else.
///
/// # Errors
/// See [`SocketError`].
pub fn bind(path: &Path) -> Result<Bound, SocketError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    check_folder(folder.ok_or_else(|| SocketError::NoFolder(path.into()))?)?;
    let lock = lock(path)?;
    let bind_error = |source: io::Error| SocketError::Bind { path: path.into(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(path.into())),
        Ok(_) if is_alive(path) => return Err(SocketError::InUse(path.into())),
        Ok(_) => std::fs::remove_file(path).map_err(bind_error)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(bind_error(error)),
    }
    let listener = UnixListener::bind(path).map_err(bind_error)?;
    listener.set_nonblocking(true).map_err(bind_error)?;
    rustix::fs::chmod(path, Mode::from_raw_mode(SOCKET_MODE)).map_err(|e| bind_error(e.into()))?;
    let made = std::fs::symlink_metadata(path).map_err(bind_error)?;
    Ok(Bound { listener, path: path.into(), identity: (made.dev(), made.ino()), _lock: lock })
}

fn check_folder(folder: &Path) -> Result<(), SocketError> {
    let found =
        std::fs::metadata(folder).map_err(|source| SocketError::Folder { path: folder.into(), source })?;
    let uid = rustix::process::geteuid().as_raw();
    if found.uid() != uid || found.mode() & 0o022 != 0 {
        return Err(SocketError::FolderShared { path: folder.into(), uid });
    }
    Ok(())
}

fn lock(path: &Path) -> Result<rustix::fd::OwnedFd, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, &name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| SocketError::Bind { path: name.clone(), source: e.into() })?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SocketError::Locked(name)),
        Err(error) => Err(SocketError::Bind { path: name, source: error.into() }),
    }
}

/// Whether somebody listens; without waiting. Only a refusal proves that nobody does.
fn is_alive(path: &Path) -> bool {
    let attempt = || {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
    };
    attempt() != Err(rustix::io::Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn folder() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = folder();
        let path = folder.path().join("p.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the stale file of a crashed agent");
        let bound = bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, SOCKET_MODE);
        assert!(matches!(bind(&path), Err(SocketError::Locked(_))));
        drop(bound);
        assert!(!path.exists());
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::InUse(_))));
    }

    #[test]
    fn anything_else_at_the_path_is_kept() {
        let folder = folder();
        let path = folder.path().join("p.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NotASocket(_))));
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = folder();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = bind(&folder.path().join("p.sock")).unwrap_err();
        assert!(matches!(error, SocketError::FolderShared { .. }), "{error}");
    }
}
