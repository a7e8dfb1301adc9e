//! Any text as a policy file and as an expression: an answer or errors that can be shown, and never a panic.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use prunella::model::{Absence, FieldValue, Reading, SubjectKind};
use prunella::policy::{Policy, Predicate};

/// Values of every type, by the length of the name: some fit a field, some do not.
fn field(name: &str, text: &str) -> Reading<FieldValue> {
    match name.len() % 5 {
        0 => Reading::Absent(Absence::NotObserved),
        1 => Reading::Value(FieldValue::Bool(text.len() % 2 == 0)),
        2 => Reading::Value(FieldValue::Int(if text.len() % 2 == 0 { i64::MIN } else { i64::MAX })),
        3 => Reading::Value(FieldValue::Float(f64::MAX)),
        _ => Reading::Value(FieldValue::Text(text.into())),
    }
}

fuzz_target!(|text: &str| {
    // The fuzzer's hook aborts at every panic; those of the CEL parser are caught by design. One that is not caught
    // still ends the process, for the fuzzer's frame aborts when a panic reaches it.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("panic: {panic}"))));
    if let Err(errors) = Policy::parse_one(text) {
        assert!(!errors.to_string().is_empty());
    }
    for kind in [SubjectKind::Host, SubjectKind::Agent, SubjectKind::Unit] {
        match Predicate::compile(text, kind) {
            Ok(predicate) => {
                assert_eq!(predicate.source(), text);
                let truth = predicate.evaluate(|name| field(name, text));
                let negated = predicate.negated().evaluate(|name| field(name, text));
                use prunella::policy::Truth::{False, True, Unknown};
                assert!(
                    matches!((&truth, &negated), (True, False) | (False, True) | (Unknown(_), Unknown(_))),
                    "{truth:?}, and negated {negated:?}"
                );
            }
            Err(error) => {
                assert!(error.range.start <= error.range.end && error.range.end <= text.len(), "{error:?}");
                assert!(!error.what.is_empty() && !error.help.is_empty());
            }
        }
    }
});
