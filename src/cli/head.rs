//! The head of an answer. Pure: what answers on the socket need not be the agent.

/// Headers that are looked at.
const HEADERS_MAX: usize = 32;

/// What matters of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Where the body begins.
    pub end: usize,
    /// Bytes of the body, when it says so; otherwise it lasts until the connection ends.
    pub length: Option<usize>,
}

/// Reads the head at the start of `bytes`; `None` while more is needed.
///
/// # Errors
/// It is not the head of an HTTP answer, or of one that is sent in chunks.
pub fn parse_head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(bytes).map_err(|error| error.to_string())? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(end) => end,
    };
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if header("transfer-encoding").is_some() {
        return Err("it sends chunks".into());
    }
    let length = match header("content-length") {
        None => None,
        Some(header) => {
            let text = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            Some(text.ok_or("its length is no number")?)
        }
    };
    Ok(Some(Head { status: response.code.unwrap_or(0), end, length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_head_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse_head(&bytes);
            let _ = parse_head(&[b"HTTP/1.1 200 OK\r\ncontent-length: ", bytes.as_slice()].concat());
        }
    }
}
