//! How far the agent sees: stalls, processes, and the past.

use std::collections::BTreeSet;

use crate::model::{
    Bytes, ProcessWay, Reading, RefusedWay, SenseNews, SenseState, StormEye, StormWay, UnitName,
};

use super::{PRESSURES, check, unseen};
use crate::cli::doctor::CheckState::{Limited, Ok as Fine, Unknown};
use crate::cli::doctor::{Check, Facts};

pub(super) fn pressure(facts: &Facts) -> Check {
    let name = "pressure";
    match &facts.pressure {
        Reading::Value(found) => {
            let lacking: Vec<_> =
                PRESSURES.into_iter().filter(|wanted| !found.iter().any(|f| f == wanted)).collect();
            if lacking.is_empty() {
                check(name, Fine, PRESSURES.join(", "), "stalls of the host are known")
            } else {
                check(
                    name,
                    Limited,
                    format!("without {}", lacking.join(", ")),
                    "rules about this pressure say nothing",
                )
            }
        }
        Reading::Absent(_) => {
            check(name, Limited, "the kernel offers none", "rules about pressure say nothing")
                .remedy("boot with psi=1; it needs CONFIG_PSI (4.20)")
        }
        Reading::Failed(why) => {
            check(name, Limited, why, "rules about pressure say nothing").remedy("boot with psi=1")
        }
    }
}

pub(super) fn processes(facts: &Facts) -> Check {
    let name = "processes";
    let Reading::Value(seen) = &facts.processes else {
        return unseen(name, &facts.processes, "whether the agent sees every process is not known");
    };
    let way = seen.list.way;
    match (&seen.list.counts, &seen.list.incomplete) {
        (_, Some(why)) => check(name, Limited, why, "rules about processes say nothing"),
        (Reading::Value(counts), None) => {
            let not = |refused: &RefusedWay| format!("; not by {}: {}", refused.way.as_str(), refused.why);
            let refused: String = seen.list.refused.iter().map(not).collect();
            let found = format!("{} known, read by {}{refused}", counts.processes, way.as_str());
            check(name, Fine, found, pace(way))
        }
        (counts, None) => {
            let why = counts.why_not().unwrap_or_default();
            check(name, Limited, why, "rules about processes say nothing")
        }
    }
}

/// How the makers of short-lived processes would be found.
pub(super) fn storms(facts: &Facts) -> Check {
    let name = "process storms";
    let seen = match &facts.processes {
        Reading::Value(seen) => &seen.list.storms,
        Reading::Absent(_) | Reading::Failed(_) => {
            return unseen(name, &facts.processes, "who would make them is not known");
        }
    };
    match seen {
        None => {
            check(name, Unknown, "the agent does not tell", "how their makers would be found is not known")
        }
        Some(StormEye { way, refused: None }) => check(
            name,
            Fine,
            way.as_str(),
            "makers of short-lived processes are counted, while a storm is suspected",
        ),
        Some(StormEye { way, refused: Some(why) }) => check(
            name,
            Limited,
            format!("{}; not by {}: {why}", way.as_str(), StormWay::EndingHook.as_str()),
            "they are counted, and their likely makers named by what they reap and leave",
        ),
    }
}

/// How often each process is looked at.
const fn pace(way: ProcessWay) -> &'static str {
    match way {
        ProcessWay::BpfTasks | ProcessWay::BpfIterator => "each is known every 10 s",
        ProcessWay::Procfs => {
            "each is known every 10 s; where there are thousands, less often, up to every 5 min, to save CPU time"
        }
    }
}

/// Whether stalls are told at once, as the agent has it from the kernel.
pub(super) fn triggers(facts: &Facts) -> Check {
    let name = "pressure triggers";
    if facts.stall_watches.is_empty() {
        return check(
            name,
            Unknown,
            "the agent does not tell",
            "whether stalls are told at once is not known",
        );
    }
    let lacking: Vec<String> = facts
        .stall_watches
        .iter()
        .filter_map(|(resource, watch)| Some(format!("{}: {}", resource.as_str(), watch.why_not()?)))
        .collect();
    if lacking.is_empty() {
        let watched = facts.stall_watches.iter().filter_map(|(resource, watch)| {
            Some(format!("{} {} s", resource.as_str(), watch.value()?.window.as_secs()))
        });
        let found = watched.collect::<Vec<_>>().join(", ");
        return check(name, Fine, found, "stalls of the host are told within these windows");
    }
    let consequence =
        "stalls are seen with the next pass over the host; rules that name their fields say nothing";
    check(name, Limited, lacking.join("; "), consequence)
}

/// Of which units the kernel tells at once that they wait.
pub(super) fn unit_triggers(facts: &Facts) -> Check {
    let name = "unit pressure";
    let units = &facts.sight.units;
    let of = |wanted: bool| {
        let units: BTreeSet<&UnitName> =
            units.iter().filter(|it| it.watch.value().is_some() == wanted).map(|it| &it.unit).collect();
        units.len()
    };
    if units.is_empty() && facts.stall_watches.is_empty() {
        return check(
            name,
            Unknown,
            "the agent does not tell",
            "whether stalls of units are told at once is not known",
        );
    }
    let Some(lacking) = units.iter().find_map(|it| Some((&it.unit, it.resource, it.watch.why_not()?))) else {
        let found = format!("of {} units", of(true));
        return match units.len() {
            0 => check(
                name,
                Unknown,
                "of no unit",
                "no protected or probed unit has a control group of its own",
            ),
            _ => check(name, Fine, found, "their stalls are told at once, and rules can name them"),
        };
    };
    let (unit, resource, why) = lacking;
    let found = format!("not of {} units; {unit}, {}: {why}", of(false), resource.as_str());
    check(name, Limited, found, "rules about stalls of these units say nothing")
}

/// Senses that are not at work, where there are any: it is not to be expected.
pub(super) fn broken_senses(facts: &Facts) -> Option<Check> {
    let told = facts.sight.broken.iter().filter_map(|SenseNews { sense, state }| match state {
        SenseState::Working => None,
        SenseState::Broken { why } => Some(format!("{} broke off: {why}", sense.as_str())),
        SenseState::Off { why } => Some(format!("{} stays off: {why}", sense.as_str())),
    });
    let found = told.collect::<Vec<_>>().join("; ");
    let consequence = "what they would tell counts as failed, and rules about it say nothing";
    let anew = "systemctl restart prunellad; and please tell those who make it";
    (!found.is_empty()).then(|| check("senses", Limited, found, consequence).remedy(anew))
}

/// Whether the past is kept.
pub(super) fn history(facts: &Facts) -> Check {
    let name = "history";
    let Reading::Value(history) = &facts.history else {
        return unseen(name, &facts.history, "whether the host's numbers are kept is not known");
    };
    let kept = format!("{} of at most {}", Bytes(history.bytes), Bytes(history.bytes_max));
    match (&history.failing, history.bytes_max, history.left_out) {
        (Some(why), _, _) => {
            let lost = format!("{why}; {} rows lost so far", history.rows_lost);
            check(name, Limited, lost, "the past is told up to that point, and no further")
        }
        (None, 0, _) => check(
            name,
            Limited,
            "switched off",
            "there is no past to look at: what led to a fault is not known",
        )
        .remedy("mebibytes under [history] in /etc/prunella/prunella.toml"),
        (None, _, 0) => {
            check(name, Fine, kept, "prunella history tells of hours in full, and of weeks by the minute")
        }
        (None, _, left_out) => check(
            name,
            Limited,
            format!("{kept}; without {left_out} disks, interfaces or file systems beyond the bound"),
            "of these only the present is known",
        ),
    }
}
