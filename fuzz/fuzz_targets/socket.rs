//! Any request to the agent, and any answer to the CLI: understood or refused with a sentence, never a panic.
//!
//! The input is text: method, path with query, content type (none when empty), each on a line; then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella::cli::parse_head;
use prunella::serve::{Parts, parse};

/// Longest sentence for a peer, characters: what it sent is cut when it is echoed.
const SENTENCE_CHARS_MAX: usize = 2000;

fn request(bytes: &[u8]) {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().map(String::from_utf8_lossy).unwrap_or_default();
    let (method, target, content_type) = (line(), line(), line());
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_ref(), None),
    };
    let content_type = Some(content_type.as_ref()).filter(|text| !text.is_empty());
    let body = lines.next().unwrap_or_default();
    match parse(&Parts { method: &method, path, query, content_type, body }) {
        Ok(request) => {
            let _right = request.needs();
        }
        Err(error) => {
            assert!(!error.message.chars().any(char::is_control), "{error:?}");
            assert!(error.message.chars().count() <= SENTENCE_CHARS_MAX, "{error:?}");
        }
    }
}

fn answer(bytes: &[u8]) {
    if let Ok(Some(head)) = parse_head(bytes) {
        assert!(head.end <= bytes.len());
        // What follows the head does not change it, and without its last byte it is not whole.
        assert_eq!(parse_head(&bytes[..head.end]), Ok(Some(head)));
        assert_eq!(parse_head(&bytes[..head.end - 1]), Ok(None));
    }
}

fuzz_target!(|bytes: &[u8]| {
    request(bytes);
    answer(bytes);
});
