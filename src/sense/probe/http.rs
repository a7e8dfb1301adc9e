//! GET over HTTP/1.1 (RFC 9112) on loopback, as far as a health check needs it: the status of the final response.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Attempt, socket};

/// Longest head of a response; twice what servers commonly allow for a request.
const HEAD_MAX: usize = 16 * 1024;
/// Most header lines.
const HEADERS_MAX: usize = 96;
/// Interim responses (1xx) passed over before the final one.
const INTERIM_MAX: usize = 4;

pub(super) async fn get(address: SocketAddr, host: &str, path: &str, expect: &[u16]) -> Attempt {
    // The policy has checked both; a line end in either would be a second request.
    if [host, path].iter().any(|text| text.bytes().any(|byte| byte <= b' ' || byte == 0x7f)) {
        return Attempt::Unable("host or path has a blank or control character".into());
    }
    let mut stream = match socket::tcp(address).await {
        Ok(stream) => stream,
        Err(attempt) => return attempt,
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: prunella/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let what = format!("GET http://{address}{path}");
    if let Err(error) = stream.write_all(request.as_bytes()).await {
        return socket::blame(&error, &what);
    }
    let mut head = Vec::with_capacity(1024);
    loop {
        match final_status(&head) {
            Ok(Some(status)) if expect.contains(&status) => return Attempt::Good,
            Ok(Some(status)) => {
                return Attempt::Bad(format!("{what}: status {status}, expected {}", list(expect)));
            }
            Ok(None) if head.len() >= HEAD_MAX => {
                return Attempt::Bad(format!("{what}: the head of the answer is over {HEAD_MAX} bytes"));
            }
            Ok(None) => {}
            Err(why) => return Attempt::Bad(format!("{what}: {why}")),
        }
        let mut chunk = [0; 2048];
        let room = chunk.len().min(HEAD_MAX - head.len());
        match stream.read(&mut chunk[..room]).await {
            Ok(0) => return Attempt::Bad(format!("{what}: the connection was closed before an answer")),
            Ok(read) => head.extend_from_slice(&chunk[..read]),
            Err(error) => return socket::blame(&error, &what),
        }
    }
}

/// The status of the final response in these bytes; `None` while it is not complete.
pub(super) fn final_status(bytes: &[u8]) -> Result<Option<u16>, String> {
    let mut rest = bytes;
    for _ in 0..=INTERIM_MAX {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(rest) {
            Ok(httparse::Status::Complete(length)) => match response.code {
                Some(100 | 102..=199) => rest = &rest[length..],
                Some(status) => return Ok(Some(status)),
                None => return Err("an answer without a status".into()),
            },
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("not an HTTP answer: {error}")),
        }
    }
    Err("interim answers without end".into())
}

fn list(expect: &[u16]) -> String {
    expect.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
}
