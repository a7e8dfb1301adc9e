//! How a service is known to be alive.

use std::path::Path;

use crate::policy::ServiceDefinition;

/// The one way that counts, of those that a definition gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    Foreground,
    PidFile(&'a Path),
    Status(&'a [String]),
    /// The policy refuses such a definition.
    NotAtAll,
}

impl<'a> Known<'a> {
    pub(super) fn by(definition: &'a ServiceDefinition) -> Self {
        match (definition.foreground, &definition.pid_file, &definition.status) {
            (true, _, _) => Self::Foreground,
            (false, Some(path), _) => Self::PidFile(path),
            (false, None, Some(argv)) => Self::Status(argv),
            (false, None, None) => Self::NotAtAll,
        }
    }
}
