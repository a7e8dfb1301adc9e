//! A command as a probe: exit code 0 is health.

use std::time::Duration;

use super::{Attempt, silence};
use crate::sense::child::{self, ChildError, ChildExit, Job};
use crate::sense::evidence::clean_line;

/// What the end of the child may take beyond the probe's timeout.
pub(super) const SLACK: Duration = Duration::from_secs(2);

pub(super) async fn run(argv: &[String], timeout: Duration) -> Attempt {
    match child::run(&Job::new(argv, timeout)).await {
        Ok(output) => match output.exit {
            ChildExit::Code(0) => Attempt::Good,
            ChildExit::Code(_) => {
                let said = [&output.stderr, &output.stdout].map(child::Captured::first_line);
                let said = said.into_iter().find(|line| !line.is_empty());
                let said = said.map_or_else(String::new, |line| format!(": {}", clean_line(&line)));
                Attempt::Bad(format!("{} gave {}{said}", argv[0], output.exit))
            }
            // A check that was shot or crashed has said nothing about the service.
            ChildExit::Signal(_) => Attempt::Unable(format!("{} was ended by {}", argv[0], output.exit)),
        },
        Err(ChildError::TimedOut { .. }) => Attempt::Bad(silence(timeout)),
        Err(error @ ChildError::Spawn { .. }) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            Attempt::Unable(format!("{error}: {cause}"))
        }
        Err(error @ (ChildError::Empty | ChildError::NotFound(_) | ChildError::Log { .. })) => {
            Attempt::Unable(error.to_string())
        }
    }
}
