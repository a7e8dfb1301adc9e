//! What a command could not do: one sentence with what to do next, and its exit code.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::serve::{ApiError, ErrorCode};

use super::exit::Exit;

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("There is no socket {}: the agent is not running, or listens elsewhere.", .0.display())]
    NoSocket(PathBuf),
    #[error("Nobody answers on {}: the agent has ended.", .0.display())]
    NobodyListens(PathBuf),
    #[error("The socket {} can't be reached: {source}.", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("The agent did not answer within {seconds} seconds.")]
    Late { seconds: u64 },
    #[error("What answers on {} is not understood: {why}.", path.display())]
    Protocol { path: PathBuf, why: String },
    /// The agent's own sentence.
    #[error("{}", .0.message)]
    Api(ApiError),
    #[error("{0}")]
    InvalidPolicy(String),
    #[error("{0}")]
    Ledger(String),
    /// The files of the history, without the agent.
    #[error("{0}.")]
    History(String),
    #[error("{} can't be read: {source}.", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Usage(String),
    #[error("The output can't be written: {0}.")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::NoSocket(_) | Self::NobodyListens(_) | Self::Connect { .. } | Self::Late { .. } => {
                Exit::Unreachable
            }
            Self::Protocol { .. } => Exit::Troubled,
            Self::Api(error) => match error.code {
                ErrorCode::BadRequest
                | ErrorCode::MethodNotAllowed
                | ErrorCode::TooLarge
                | ErrorCode::WrongMediaType => Exit::Usage,
                ErrorCode::NotPermitted => Exit::NotPermitted,
                ErrorCode::NotFound => Exit::NotFound,
                ErrorCode::Refused => Exit::Refused,
                ErrorCode::InvalidPolicy => Exit::InvalidPolicy,
                ErrorCode::TooSlow
                | ErrorCode::TooManyRequests
                | ErrorCode::Busy
                | ErrorCode::Unanswered
                | ErrorCode::Unavailable => Exit::Troubled,
            },
            Self::InvalidPolicy(_) => Exit::InvalidPolicy,
            Self::Ledger(_) => Exit::LedgerBroken,
            Self::Usage(_) => Exit::Usage,
            Self::History(_) | Self::File { .. } | Self::Output(_) => Exit::Local,
        }
    }

    /// What to do next.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoSocket(_) | Self::NobodyListens(_) => {
                Some("systemctl status prunellad; prunella doctor; --socket PATH for another place".into())
            }
            Self::Connect { .. } => Some("Who may pass through its folder: namei -l PATH".into()),
            Self::Late { .. } => Some(
                "systemctl status prunellad; journalctl -u prunellad -n 50; look before you repeat".into(),
            ),
            Self::Protocol { .. } => Some("Are prunella and prunellad of the same version?".into()),
            Self::Api(error) => error.hint.clone(),
            Self::InvalidPolicy(_)
            | Self::Ledger(_)
            | Self::History(_)
            | Self::Usage(_)
            | Self::File { .. }
            | Self::Output(_) => None,
        }
    }

    /// The code in `--json`.
    pub(super) const fn code(&self) -> &'static str {
        match self.exit() {
            Exit::Ok => "ok",
            Exit::Attention => "attention",
            Exit::Usage => "usage",
            Exit::Unreachable => "unreachable",
            Exit::NotPermitted => "not-permitted",
            Exit::NotFound => "not-found",
            Exit::Refused => "refused",
            Exit::InvalidPolicy => "invalid-policy",
            Exit::LedgerBroken => "ledger-broken",
            Exit::Troubled => "troubled",
            Exit::Local => "local",
        }
    }
}
