//! Which room may use which: the map of the house, see the head of `src/lib.rs`.

use crate::paths::{crate_paths, tokens};
use crate::source::{Source, sources};

/// What one room may use of another.
#[derive(Clone, Copy)]
enum May {
    /// Anything that it shows.
    Use(&'static str),
    /// These items alone.
    UseOnly(&'static str, &'static [&'static str]),
}

use May::{Use, UseOnly};

/// A room that is not named here may use nothing but itself.
const MAP: &[(&str, &[May])] = &[
    ("model", &[]),
    ("policy", &[Use("model")]),
    // The pure stages: data in, data out. All look at a subject through the view that assess made of it.
    ("assess", &[Use("model"), Use("policy")]),
    ("decide", &[Use("model"), Use("policy"), Use("assess")]),
    ("guard", &[Use("model"), Use("policy"), Use("assess")]),
    ("verify", &[Use("model"), Use("policy"), Use("assess")]),
    ("engine", &[Use("model"), Use("policy"), Use("assess"), Use("decide"), Use("guard"), Use("verify")]),
    // The shell.
    // It starts children, and reads of processes and boots what the senses read of them, with the same parsers.
    ("manager", &[Use("model"), Use("policy"), UseOnly("sense", &["child", "host", "procfs"])]),
    ("sense", &[Use("model"), Use("policy"), Use("manager")]),
    // An act needs a permission and a manager, and nothing that could make it decide.
    ("act", &[Use("model"), Use("manager"), UseOnly("guard", &["Permit"])]),
    // A record's ticket is all that the ledger knows of the engine.
    ("ledger", &[Use("model"), UseOnly("engine", &["RecordTicket"])]),
    // It keeps numbers, and knows nobody who reads or uses them.
    ("history", &[Use("model")]),
    ("serve", &[Use("model"), UseOnly("policy", &["Access"]), Use("ledger")]),
    // Flags that two programs know.
    ("relay_options", &[]),
    // It reads the socket as any other program does; of the ledger it knows how a chain is proven.
    (
        "relay",
        &[
            Use("model"),
            Use("serve"),
            UseOnly("ledger", &["ChainId", "Place", "RecordHash"]),
            Use("relay_options"),
        ],
    ),
    // It speaks to the socket; what it does without the agent is handed in by the program.
    ("cli", &[Use("model"), Use("serve")]),
    (
        "daemon",
        &[
            Use("model"),
            Use("policy"),
            Use("engine"),
            // It carries a permit from the engine to the act, and can't look inside.
            UseOnly("guard", &["Permit"]),
            Use("manager"),
            Use("sense"),
            Use("act"),
            Use("ledger"),
            Use("history"),
            Use("serve"),
        ],
    ),
    // The simulated host stands in for the shell, so it sees what the daemon sees of the core.
    (
        "sim",
        &[
            Use("model"),
            Use("policy"),
            Use("assess"),
            Use("decide"),
            Use("guard"),
            Use("verify"),
            Use("engine"),
            Use("ledger"),
        ],
    ),
    // Flags in, library called. They hand the CLI the policy's and the ledger's own functions.
    (
        "bin",
        &[
            Use("daemon"),
            Use("cli"),
            Use("relay"),
            Use("relay_options"),
            Use("policy"),
            Use("ledger"),
            Use("history"),
            Use("model"),
            Use("sim"),
        ],
    ),
    ("lib", &[]),
];

/// What a file imports and may not.
fn strangers(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some((_, allowed)) = MAP.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: the room `{room}` is not on the map", source.path)];
    };
    let permits = |segments: &[String]| {
        let Some(first) = segments.first() else { return false };
        // What is no room is an item or a macro of the crate's root: there is none to use, but it is no arrow.
        if first == room || !MAP.iter().any(|(name, _)| name == first) && first != "*" {
            return true;
        }
        allowed.iter().any(|may| match may {
            Use(target) => first == target,
            UseOnly(target, items) => {
                first == target && segments.get(1).is_some_and(|item| items.contains(&item.as_str()))
            }
        })
    };
    crate_paths(&source.code(), source.depth())
        .into_iter()
        .filter(|path| !permits(&path.segments))
        .map(|path| {
            let target = path.segments.join("::");
            format!("{}:{}: `{room}` may not use `{target}`", source.path, path.line)
        })
        .collect()
}

#[test]
fn arrows_between_rooms_follow_the_map() {
    let found: Vec<String> = sources().iter().flat_map(strangers).collect();
    assert!(found.is_empty(), "against the map in tests/tidy/map.rs:\n{}", found.join("\n"));
}

#[test]
fn a_room_without_a_rule_is_noticed() {
    let listed = sources();
    let lib = listed.iter().find(|source| source.path == "src/lib.rs").unwrap();
    let code = tokens(&lib.text);
    for pair in code.windows(2).filter(|pair| pair[0].is("mod")) {
        assert!(MAP.iter().any(|(name, _)| *name == pair[1].text), "`{}` is not on the map", pair[1].text);
    }
}

#[test]
fn bad_samples_are_caught_and_good_ones_are_not() {
    let found = |path: &str, text: &str| strangers(&Source::sample(path, text)).len();
    let bad = [
        ("src/model/unit.rs", "use crate::policy::Rule;"),
        ("src/model/unit.rs", "use super::super::engine::Input;"),
        ("src/assess/mod.rs", "use crate::{model::Unit, sense::Proc};"),
        ("src/assess/mod.rs", "use super::daemon::Loop;"),
        ("src/guard/blast.rs", "fn f() { crate::manager::order(); }"),
        ("src/act/unit.rs", "use crate::guard::judge;"),
        ("src/act/unit.rs", "use crate::guard::{Permit, judge};"),
        ("src/act/unit.rs", "use crate::guard;"),
        ("src/act/unit.rs", "use crate::guard::*;"),
        ("src/act/unit.rs", "use crate::decide::Step;"),
        ("src/act/unit.rs", "use crate::*;"),
        ("src/decide/step.rs", "use crate::guard::Permit;"),
        ("src/daemon/hands.rs", "use crate::guard::judge;"),
        ("src/guard/blast.rs", "mod inner { use crate::sim::Host; }"),
        ("src/ledger/file.rs", "use crate::engine::{Input, RecordTicket};"),
        ("src/manager/direct.rs", "use crate::sense::proc::Stat;"),
        ("src/serve/http.rs", "use crate::daemon::clock;"),
        ("src/daemon/wire.rs", "use crate::sim::Host;"),
        ("src/bin/prunellad.rs", "use prunella::engine::Engine;"),
        ("src/relay/ship.rs", "use crate::ledger::Reader;"),
        ("src/relay/ship.rs", "use crate::daemon::clock;"),
        ("src/daemon/wire.rs", "use crate::relay::ship;"),
        ("src/attic/mod.rs", ""),
    ];
    for (path, text) in bad {
        assert_eq!(found(path, text), 1, "not caught: {path}: {text}");
    }
    let good = [
        ("src/act/unit.rs", "use crate::guard::Permit; use crate::manager::Order; use crate::act::x;"),
        ("src/manager/direct.rs", "use crate::sense::child::{run, Limits};"),
        ("src/ledger/file.rs", "use crate::engine::RecordTicket;"),
        ("src/guard/blast.rs", "#[cfg(test)] mod tests { use crate::sim::Host; }"),
        ("src/guard/tests.rs", "use crate::daemon::Loop;"),
        (
            "src/model/unit.rs",
            "//! See [`crate::engine`].\nuse super::UnitName; macro_rules! m { () => { $crate::x!() } }",
        ),
        ("src/bin/prunellad.rs", "fn main() { prunella::daemon::run() }"),
    ];
    for (path, text) in good {
        assert_eq!(found(path, text), 0, "wrongly caught: {path}: {text}");
    }
}
