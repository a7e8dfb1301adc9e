//! The ledger against what needs processes, signals and small disks of its own.
//!
//! A trial that this machine does not permit is shown as ignored, with the reason in its name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the tests start processes and look at files")]

mod child;
mod crash;
mod disk;
mod fixture;
mod support;
mod sync;

use libtest_mimic::{Arguments, Trial};

fn main() -> std::process::ExitCode {
    if let Ok(role) = std::env::var(child::ROLE) {
        return child::run(&role);
    }
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("crash::killed_at_any_moment_loses_nothing", || {
            crash::killed_at_any_moment_loses_nothing();
            Ok(())
        }),
        Trial::test("fixture::first_format_still_reads_and_verifies", || {
            fixture::first_format_still_reads_and_verifies();
            Ok(())
        }),
    ];
    trials.extend(disk::trials());
    trials.extend(sync::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
