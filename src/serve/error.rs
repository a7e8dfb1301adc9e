//! What the socket answers when it can't do what was asked: always JSON, a code and one sentence.

use serde::{Deserialize, Serialize};

use super::printable::printable;

/// Longest part of a peer's own input that a message repeats, characters.
pub(super) const ECHO_CHARS_MAX: usize = 80;
/// Longest message, characters: a policy's error text comes through here.
const MESSAGE_CHARS_MAX: usize = 16 * 1024;

/// The kinds of error: a closed list, part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request can't be understood.
    BadRequest,
    /// The peer may not do this.
    NotPermitted,
    /// No such endpoint, or nothing of that name.
    NotFound,
    /// The endpoint exists, for another method; `Allow` tells which.
    MethodNotAllowed,
    /// The request did not arrive in time.
    TooSlow,
    /// The engine understood and declined.
    Refused,
    /// The body or query is over its limit.
    TooLarge,
    /// A body that is not JSON.
    WrongMediaType,
    /// The policy files have mistakes; the policy in force stays.
    InvalidPolicy,
    /// Over the rate of one user; `Retry-After` tells when.
    TooManyRequests,
    /// Too much at once; `Retry-After` tells when.
    Busy,
    /// Handed over and not answered in time: it may have been done.
    Unanswered,
    /// A part of the agent that is needed can't be reached.
    Unavailable,
}

impl ErrorCode {
    /// The status that goes with it (RFC 9110).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotPermitted => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooSlow => 408,
            Self::Refused => 409,
            Self::TooLarge => 413,
            Self::WrongMediaType => 415,
            Self::InvalidPolicy => 422,
            Self::TooManyRequests => 429,
            Self::Busy | Self::Unanswered | Self::Unavailable => 503,
        }
    }
}

/// An error as it goes over the socket, with the headers that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    pub code: ErrorCode,
    /// One sentence, printable.
    pub message: String,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// `Allow`, for [`ErrorCode::MethodNotAllowed`].
    #[serde(skip)]
    pub allow: Option<&'static str>,
    /// `Retry-After`, seconds.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

/// The body: `{"error": {…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ApiError,
}

impl ApiError {
    /// An error with its sentence.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl AsRef<str>) -> Self {
        let message = message
            .as_ref()
            .split('\n')
            .map(|line| printable(line, MESSAGE_CHARS_MAX))
            .collect::<Vec<_>>()
            .join("\n");
        Self { code, message, hint: None, allow: None, retry_after: None }
    }

    /// With what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With `Allow`.
    #[must_use]
    pub const fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// With `Retry-After`.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// As JSON.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&ErrorBody { error: self.clone() }).expect("strings and an enum always serialize")
    }
}

/// A piece of the peer's input in a message: quoted, printable, short.
pub(super) fn echo(input: &str) -> String {
    format!("\u{201c}{}\u{201d}", printable(input, ECHO_CHARS_MAX))
}
