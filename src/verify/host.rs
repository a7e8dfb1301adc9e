//! Whether the host is better off since somebody was held back, or restarted.

use crate::model::{Applied, BootTime, Human, Intent, Verification};

use super::{Progress, Watch};

/// Judges the act by whether the rule that asked for it calls the harm over.
#[must_use]
pub fn judge_host(intent: &Intent, applied: &Applied, over: bool, watch: Watch, now: BootTime) -> Progress {
    let did = match applied {
        Applied::Withdrawn { why } => {
            let why = format!("nothing was done: {why}");
            return Progress::Done(Verification::Inconclusive { why });
        }
        Applied::Failed { why } => {
            return Progress::Done(Verification::Refuted { why: format!("it failed ({why})") });
        }
        Applied::Restrained { what, .. } => what.clone(),
        Applied::Unknown { why } => format!("how far it came is unknown ({why})"),
        Applied::Changed | Applied::Removed { .. } | Applied::Archived { .. } | Applied::AlreadySo => {
            "it was carried out".to_owned()
        }
    };
    let deadline = watch.from + intent.expectation.within;
    let since = Human(now.since(watch.from));
    if over {
        let why = format!("{did}, and the harm was over {since} later");
        return Progress::Done(Verification::Confirmed { why });
    }
    if now < deadline {
        return Progress::Wait { until: deadline };
    }
    Progress::Done(Verification::Refuted { why: format!("{did}, and the harm goes on {since} later") })
}
