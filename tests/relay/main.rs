//! The relay as a program: between an agent's ledger and receivers that fail in every way, and real ones.
//!
//! ```text
//!  Ledger (real file) ─► stand_in (the agent's socket) ─► prunella-relay (real program) ─► receiver (ours: faults)
//!  prunellad (real program) ──────────────────────────►      "                           ─► rotel, Alertmanager, Prometheus
//! ```
//!
//! Real receivers: rotel (`pip install rotel`, found by `PRUNELLA_ROTEL` or on the path as `rotel-agent`), and Debian's
//! prometheus and prometheus-alertmanager. What is not there is SKIPPED, and said so. Run it with
//! `cargo test --features relay --test relay`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the test starts programs, waits for them and kills them")]
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

mod alerts;
mod drain;
mod faults;
mod process;
mod real;
mod receiver;
mod stand_in;

use libtest_mimic::{Arguments, Trial};

/// What a test needs that may not be there.
struct Case {
    name: &'static str,
    run: fn(),
    /// Why it can't run here.
    lacks: fn() -> Option<String>,
}

const fn case(name: &'static str, run: fn()) -> Case {
    Case { name, run, lacks: || None }
}

fn main() {
    let cases = [
        case("every record arrives in order and is acknowledged", faults::plain),
        case("whatever a receiver does wrong, every record arrives", faults::each_fault),
        case("the second receiver takes over and the first is returned to", faults::failover),
        case("a record that a receiver does not take is set aside, and no other", faults::poison),
        case("a receiver that takes little at once gets little at once", faults::small_requests),
        case("a full disk of the relay's own stops no record", faults::full_disk),
        case("killed at a hundred moments, nothing is missing", faults::kills),
        case("a ledger that is begun anew is followed", faults::new_chain),
        case(
            "a ledger that lost its last records with the power is shipped as it is then",
            faults::power_cut,
        ),
        case("an agent that goes and comes back is followed", faults::agent_restarts),
        case("a certificate that is not right gets no record", faults::certificates),
        case(
            "a page and its end, by a webhook, signed; the second route when the first fails",
            alerts::webhooks,
        ),
        case("what was told is not told again after a restart", alerts::restart),
        Case { name: "rotel has every record of a real agent", run: real::rotel, lacks: real::no_rotel },
        Case {
            name: "Alertmanager shows a page and its end",
            run: real::alertmanager,
            lacks: real::no_alertmanager,
        },
        Case {
            name: "Prometheus scrapes, and its rules reach Alertmanager",
            run: real::prometheus,
            lacks: real::no_prometheus,
        },
    ];
    let by_hand = Trial::test("a day of records drains", || {
        drain::drains();
        Ok(())
    });
    let trials = cases
        .into_iter()
        .map(|case| {
            let missing = (case.lacks)();
            if let Some(why) = &missing {
                eprintln!("SKIPPED: {}: {why}", case.name);
            }
            Trial::test(case.name, move || {
                (case.run)();
                Ok(())
            })
            .with_ignored_flag(missing.is_some())
        })
        .chain([by_hand.with_ignored_flag(true)])
        .collect();
    let mut arguments = Arguments::from_args();
    // Each has programs of its own, and two processors are shared by all.
    arguments.test_threads.get_or_insert(2);
    libtest_mimic::run(&arguments, trials).exit();
}
