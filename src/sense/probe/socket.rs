//! Connections to local sockets, and whose fault it is when there is none.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};

use super::Attempt;

/// Connects, to loopback only: the agent never speaks to the network, whatever the policy says.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpStream, Attempt> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(Attempt::Unable(format!("{address} is not a loopback address")));
    }
    TcpStream::connect(address).await.map_err(|error| blame(&error, &format!("connection to {address}")))
}

pub(super) async fn unix(path: &Path) -> Attempt {
    let what = || format!("connection to {}", path.display());
    match UnixStream::connect(path).await {
        Ok(_) => Attempt::Good,
        // The service has not made its socket, or has removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Attempt::Bad(format!("there is no socket {}", path.display()))
        }
        // unix(7): a full queue of a stream socket; the service does not accept.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Attempt::Bad(format!("{}: its queue of connections is full", what()))
        }
        Err(error) => blame(&error, &what()),
    }
}

/// Sorts an error: what the other side does with a connection is its answer; everything else, known or not, is
/// trouble of ours.
pub(super) fn blame(error: &std::io::Error, what: &str) -> Attempt {
    let theirs = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(errno) => matches!(
            errno,
            Errno::CONNREFUSED | Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE | Errno::TIMEDOUT
        ),
        None => error.kind() == ErrorKind::UnexpectedEof,
    };
    let sentence = format!("{what}: {}", plain(error));
    if theirs { Attempt::Bad(sentence) } else { Attempt::Unable(sentence) }
}

/// Without Rust's `(os error 111)`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
