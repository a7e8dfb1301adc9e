//! The exit codes: part of the interface, shown in `--help`.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done; for `status`, nothing needs a person.
    Ok = 0,
    /// `status`: an incident is escalated or would page, or the agent itself is impaired. `doctor`: something
    /// that the agent needs is missing.
    Attention = 1,
    /// The command line, or what it asks for, can't be understood.
    Usage = 2,
    /// The agent does not answer.
    Unreachable = 3,
    /// The peer may not do this.
    NotPermitted = 4,
    /// Nothing of that name.
    NotFound = 5,
    /// The agent understood and declined.
    Refused = 6,
    /// The policy has mistakes.
    InvalidPolicy = 7,
    /// The ledger is damaged, or can't be read.
    LedgerBroken = 8,
    /// The agent is reached and can't answer now: busy, stopping, or a part of it is stuck.
    Troubled = 9,
    /// A file or the terminal could not be read or written.
    Local = 10,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// For `--help`.
pub(super) const HELP: &str = "\
Exit codes:
   0  done; for status: nothing needs a person
   1  status: something is escalated, would page, or impairs the agent;
      doctor: something that the agent needs is missing
   2  the command line can't be understood
   3  the agent does not answer
   4  you may not do this
   5  nothing of that name
   6  the agent declined
   7  the policy has mistakes
   8  the ledger is damaged or can't be read
   9  the agent is reached and can't answer now
  10  a file or the terminal can't be read or written

Reading needs root or group prunella, commanding root or group prunella-admin
(the policy may name other groups).";
