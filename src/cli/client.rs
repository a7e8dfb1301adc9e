//! HTTP/1.1 over the Unix socket, one request a connection: all that a CLI needs, and nothing to configure.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::de::DeserializeOwned;

use crate::serve::{ApiError, ErrorBody, ErrorCode, limits};

use super::failure::Failure;
use super::head::parse_head;

/// The agent is on this host: longer than this, and it is stuck.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Above every deadline inside the agent, so that its own sentence arrives first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(limits::RELOAD_TIMEOUT.as_secs() + 5);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The largest head that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The agent, as seen through its socket.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.ask(
            &format!("GET {path} HTTP/1.1\r\nhost: prunella\r\nconnection: close\r\n\r\n"),
            b"",
            ANSWER_TIMEOUT,
        )
    }

    /// A long poll: the answer may take as long as it was asked to wait.
    pub(super) fn poll(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: prunella\r\nconnection: close\r\n\r\n");
        self.ask(&request, b"", limits::WAIT_MAX + ANSWER_TIMEOUT)
    }

    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> Result<Vec<u8>, Failure> {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: prunella\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.ask(&head, body.as_bytes(), ANSWER_TIMEOUT)
    }

    /// The answer in its type.
    pub(super) fn understand<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(body).map_err(|error| self.protocol(&error.to_string()))
    }

    fn ask(&self, head: &str, body: &[u8], within: Duration) -> Result<Vec<u8>, Failure> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(within)).map_err(|error| self.broken(error, within))?;
        // A peer that turns us away answers without listening: what it says counts, not that writing failed.
        let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        match self.read(&mut stream, within) {
            Err(Failure::Connect { .. }) if written.is_err() => Err(Failure::Connect {
                path: self.socket.clone(),
                source: written.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()),
            }),
            result => result,
        }
    }

    fn connect(&self) -> Result<UnixStream, Failure> {
        let attempt = || -> io::Result<UnixStream> {
            let socket = rustix::net::socket_with(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            // Bounds connect(2) as well: a full backlog blocks it (unix(7)).
            set_socket_timeout(&socket, Timeout::Send, Some(CONNECT_TIMEOUT))?;
            rustix::net::connect(&socket, &SocketAddrUnix::new(self.socket.as_path())?)?;
            Ok(socket.into())
        };
        attempt().map_err(|source| {
            let path = self.socket.clone();
            let kind = source.kind();
            if kind == io::ErrorKind::NotFound {
                Failure::NoSocket(path)
            } else if kind == io::ErrorKind::ConnectionRefused {
                Failure::NobodyListens(path)
            } else if kind == io::ErrorKind::WouldBlock {
                Failure::Late { seconds: CONNECT_TIMEOUT.as_secs() }
            } else {
                Failure::Connect { path, source }
            }
        })
    }

    fn read(&self, stream: &mut UnixStream, within: Duration) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(head) = parse_head(&bytes).map_err(|why| self.protocol(&why))? {
                break head;
            }
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(self.protocol("its head does not end"));
            }
            if self.more(stream, &mut bytes, within)? == 0 {
                return Err(self.broken(io::ErrorKind::ConnectionReset.into(), within));
            }
        };
        if head.length.is_some_and(|length| length > ANSWER_BYTES_MAX) {
            return Err(self.protocol("the answer is too large"));
        }
        let wanted = head.length.map(|length| head.end + length);
        while wanted.is_none_or(|wanted| bytes.len() < wanted) {
            if bytes.len() > head.end + ANSWER_BYTES_MAX {
                return Err(self.protocol("the answer is too large"));
            }
            if self.more(stream, &mut bytes, within)? == 0 {
                if wanted.is_some() {
                    return Err(self.protocol("the answer broke off"));
                }
                break;
            }
        }
        let body = bytes.split_off(head.end);
        if head.status == 200 { Ok(body) } else { Err(self.refused(head.status, &body)) }
    }

    fn more(&self, stream: &mut UnixStream, bytes: &mut Vec<u8>, within: Duration) -> Result<usize, Failure> {
        let mut part = [0; 16 * 1024];
        loop {
            match stream.read(&mut part) {
                Ok(n) => {
                    bytes.extend_from_slice(&part[..n]);
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error, within)),
            }
        }
    }

    fn broken(&self, source: io::Error, within: Duration) -> Failure {
        if matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            Failure::Late { seconds: within.as_secs() }
        } else {
            Failure::Connect { path: self.socket.clone(), source }
        }
    }

    fn protocol(&self, why: &str) -> Failure {
        Failure::Protocol { path: self.socket.clone(), why: why.to_owned() }
    }

    fn refused(&self, status: u16, body: &[u8]) -> Failure {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(ErrorBody { error }) => Failure::Api(ApiError { message: clean(&error.message), ..error }),
            Err(_) if status == 431 => {
                Failure::Api(ApiError::new(ErrorCode::TooLarge, "The request is too large."))
            }
            Err(_) => self.protocol(&format!("it answers {status} without a word")),
        }
    }
}

/// The sentence of another program, fit for the terminal, its lines kept.
fn clean(message: &str) -> String {
    message.lines().map(|line| crate::serve::printable(line, usize::MAX)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A peer that says this and closes.
    fn check(said: &'static [u8]) -> Result<Vec<u8>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Unread bytes would reset the connection when it is closed.
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(said).unwrap();
        });
        let result = Client::new(&path).get("/v1");
        thread.join().unwrap();
        result
    }

    #[test]
    fn answers_whole_broken_and_strange() {
        assert_eq!(check(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap(), b"{}");
        assert_eq!(check(b"HTTP/1.1 200 OK\r\n\r\n{}").unwrap(), b"{}");
        let exit = |said| check(said).unwrap_err().exit();
        use super::super::exit::Exit;
        assert_eq!(exit(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"), Exit::Troubled);
        assert_eq!(exit(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{}"), Exit::Troubled);
        assert_eq!(exit(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), Exit::Troubled);
        assert_eq!(exit(b"SSH-2.0-OpenSSH_9.2\r\n"), Exit::Troubled);
        assert_eq!(exit(b"HTTP/1.1 500 \r\ncontent-length: 0\r\n\r\n"), Exit::Troubled);
        assert_eq!(exit(b""), Exit::Unreachable);
        let error =
            b"HTTP/1.1 403 \r\n\r\n{\"error\":{\"code\":\"not-permitted\",\"message\":\"a\\u001b[2Jb\"}}";
        let failure = check(error).unwrap_err();
        assert_eq!((failure.exit(), failure.to_string().as_str()), (Exit::NotPermitted, "a\\u{1b}[2Jb"));
    }
}
