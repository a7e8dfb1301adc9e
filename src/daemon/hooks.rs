//! Tells a person: the command and the file that the policy names for escalations and
//! proposals.

use std::io::Write;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::model::{Channel, Notice};
use crate::policy::EscalationHooks;
use crate::sense::child::{self, Job};

/// A hook that takes longer is ended, and counts as failed.
const HOOK_DEADLINE: Duration = Duration::from_secs(30);
/// The file stops growing here; whoever reads it rotates it.
const HOOK_FILE_MAX: u64 = 16 * 1024 * 1024;

/// Tells through these channels; returns those that did not take it, each with the reason.
pub(super) async fn tell(
    hooks: &EscalationHooks,
    notice: &Notice,
    channels: &[Channel],
) -> Vec<(Channel, String)> {
    let text = match serde_json::to_string(notice) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("it can't be written as JSON: {error}");
            return channels.iter().map(|channel| (*channel, why.clone())).collect();
        }
    };
    let mut failed = Vec::new();
    for channel in channels {
        let told = match (channel, &hooks.file, &hooks.exec) {
            (Channel::File, Some(path), _) => {
                append_line(path, &text).map_err(|error| format!("{}: {error}", path.display()))
            }
            (Channel::Exec, _, Some(argv)) => run(argv, &text).await,
            // It left the policy a moment ago.
            (Channel::File, None, _) | (Channel::Exec, _, None) => Ok(()),
        };
        if let Err(why) = told {
            tracing::warn!(kind = notice.id.kind(), incident = %notice.id.incident(), channel = channel.as_str(),
                "people could not be told: {why}");
            failed.push((*channel, why));
        }
    }
    failed
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

async fn run(argv: &[String], text: &str) -> Result<(), String> {
    let job = Job::new(argv, HOOK_DEADLINE).with_stdin(text.as_bytes());
    match child::run(&job).await {
        Ok(output) if output.exit.success() => Ok(()),
        Ok(output) => Err(format!("{} ended: {}", argv.join(" "), output.exit)),
        Err(error) => Err(format!("{} could not be run: {error}", argv.join(" "))),
    }
}
