//! Tells a person: the command and the file that the policy names for escalations.

use std::io::Write;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::model::Incident;
use crate::policy::EscalationHooks;
use crate::sense::child::{self, Job};

/// A hook that takes longer is ended: the ledger has the escalation in any case.
const HOOK_DEADLINE: Duration = Duration::from_secs(30);
/// The file stops growing here; whoever reads it rotates it.
const HOOK_FILE_MAX: u64 = 16 * 1024 * 1024;

/// Runs every hook; what fails is logged, and lost only to the hook.
pub(super) async fn escalate(hooks: EscalationHooks, incident: Box<Incident>) {
    let text = match serde_json::to_string(&incident) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(incident = %incident.id, %error, "an escalation could not be written as JSON");
            return;
        }
    };
    if let Some(path) = &hooks.file
        && let Err(error) = append_line(path, &text)
    {
        tracing::error!(path = %path.display(), %error, "an escalation could not be appended to its file");
    }
    if let Some(argv) = &hooks.exec {
        run(argv, &text).await;
    }
}

fn append_line(path: &std::path::Path, line: &str) -> std::io::Result<()> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::APPEND
        | OFlags::CLOEXEC
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o640))?;
    let stat = rustix::fs::fstat(&file)?;
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > HOOK_FILE_MAX {
        return Err(std::io::Error::other("it has reached its largest size; rotate it"));
    }
    let mut file = std::fs::File::from(file);
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

async fn run(argv: &[String], text: &str) {
    let job = Job::new(argv, HOOK_DEADLINE).with_stdin(text.as_bytes());
    match child::run(&job).await {
        Ok(output) if output.exit.success() => {}
        Ok(output) => tracing::error!(?argv, exit = %output.exit, "the escalation hook failed"),
        Err(error) => tracing::error!(?argv, %error, "the escalation hook could not be run"),
    }
}
