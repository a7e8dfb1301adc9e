#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{Absence, FieldSpec, fields_of};

fn unit(source: &str) -> Result<Predicate, PredicateError> {
    Predicate::compile(source, SubjectKind::Unit)
}

fn reading(values: &[(&str, FieldValue)], name: &str) -> Reading<FieldValue> {
    match values.iter().find(|(field, _)| *field == name) {
        Some((_, value)) => Reading::Value(value.clone()),
        None => Reading::Absent(Absence::NotApplicable),
    }
}

fn text(word: &str) -> FieldValue {
    FieldValue::Text(word.into())
}

#[test]
fn what_is_not_known_matters_only_where_it_decides() {
    let check = |source: &str, values: &[(&str, FieldValue)], expected: Truth| {
        assert_eq!(unit(source).unwrap().evaluate(|name| reading(values, name)), expected, "{source}");
    };
    let unknown = || Truth::Unknown("service_type: not applicable".into());
    let timer = &[("kind", text("timer"))];
    let service = &[("kind", text("service"))];
    check("kind == 'service' && service_type != 'oneshot'", timer, Truth::False);
    check("service_type != 'oneshot' && kind == 'service'", timer, Truth::False);
    check("kind == 'service' && service_type != 'oneshot'", service, unknown());
    check("kind == 'timer' || service_type == 'simple'", timer, Truth::True);
    check("service_type == 'simple' || kind == 'timer'", timer, Truth::True);
    check("!(service_type == 'simple')", timer, unknown());
    check("kind == 'timer' ? true : service_type == 'simple'", timer, Truth::True);
    check("service_type == 'simple' ? kind == 'timer' : kind == 'timer'", timer, unknown());
    check(
        "kind == 'service' && restarts / 0 > 1",
        &[("kind", text("service")), ("restarts", FieldValue::Int(1))],
        Truth::Unknown("division by zero".into()),
    );
    check("cpu_percent < 5", &[("cpu_percent", FieldValue::Float(f64::NAN))], {
        Truth::Unknown("cpu_percent: not a number".into())
    });
    check("cpu_percent < 5", &[("cpu_percent", FieldValue::Int(1))], {
        Truth::Unknown("cpu_percent: its value is not a number with a fraction".into())
    });
}

#[test]
fn the_language_does_what_it_says() {
    let values = &[
        ("name", text("nginx-a.service")),
        ("restarts", FieldValue::Int(5)),
        ("cpu_percent", FieldValue::Float(12.5)),
        ("probed", FieldValue::Bool(true)),
        ("result", text("signal")),
    ];
    let check = |source: &str, expected: bool| {
        let truth = if expected { Truth::True } else { Truth::False };
        assert_eq!(unit(source).unwrap().evaluate(|name| reading(values, name)), truth, "{source}");
    };
    check("name.startsWith('nginx') && name.endsWith(\".service\") && !name.contains('b.')", true);
    check("result in ['signal', 'oom-kill']", true);
    check("!(result in ['success'])", true);
    check("restarts in [-1, 4]", false);
    check("restarts == 5.0 && restarts < 5.5 && restarts > 4.9", true);
    check("cpu_percent > 12 && cpu_percent <= 13", true);
    check("probed", true);
    check("probed != true", false);
    check("-restarts == -5 && restarts % 3 == 2 && restarts * 2 - 1 == 9", true);
    check("size(name) == 15 && name.size() > 3", true);
    check("double(restarts) / 2.0 == 2.5", true);
    check("(restarts > 3 ? cpu_percent : 0.0) > 10 // comment", true);
}

#[test]
fn mistakes_are_named_with_the_place_and_what_to_write() {
    let mut shown = String::new();
    for source in [
        "",
        "active_state = 'failed'",
        "active_state === 'failed'",
        "active_state == 'failed' and probed",
        "probed & probed",
        "not probed",
        "active_state == \u{201c}failed\u{201d}",
        "active_state == 'faild'",
        "active_state == failed",
        "'faild' == active_state",
        "result in ['signal', 'oomkill']",
        "actve_state == 'failed'",
        "load_1m > 3.0",
        "nonsense > 3",
        "restarts > '3'",
        "restarts == 'many'",
        "probed == 'true'",
        "active_state > 'failed'",
        "name == 5",
        "restarts",
        "restarts + 1",
        "restarts && probed",
        "!restarts",
        "cpu_percent > 90%",
        "memory_bytes > 10MB",
        "cpu_percent * 2 > 4.0",
        "cpu_percent * restarts > 4.0",
        "1 < 2",
        "restarts > 3 probed",
        "restarts >",
        "(restarts > 3",
        "restarts > 3)",
        "name.matches('a.*')",
        "name.startWith('a')",
        "startsWith('a', name)",
        "has(name)",
        "unit.name == 'a'",
        "[1,2].exists(x, x > restarts)",
        "restarts in 3",
        "restarts in []",
        "restarts in [restarts]",
        "restarts > 3 ? true",
        "restarts > 3 ? true : 'x'",
        "{'a': 1}",
        "name == r'x'",
        "name == 'x",
        "name == 'x\\",
        "name == 'x\\\u{afe}'",
        "probed // sch\u{f6}n",
        "null == name",
        "restarts > 3;",
        "restarts > 5u",
        "restarts > 99999999999999999999",
        "restarts > 3 &&\n  actve_state == 'failed'",
    ] {
        let error = unit(source).expect_err(source);
        let caret = " ".repeat(error.range.start) + &"^".repeat(error.range.len().max(1));
        let flat = source.replace('\n', " ");
        shown += &format!("{flat}\n{caret}\n  {}\n  help: {}\n\n", error.what, error.help);
        assert!(error.range.end <= source.len().max(1), "{source}: {:?}", error.range);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn size_and_depth_are_capped_before_the_parser_sees_them() {
    let check = |source: String, expected: &str| {
        let error = unit(&source).unwrap_err();
        assert!(error.what.contains(expected), "{}", error.what);
    };
    check("probed || ".repeat(1000) + "probed", "bytes");
    check("(".repeat(17) + "probed" + &")".repeat(17), "nested deeper");
    check("!".repeat(200) + "probed", "operators");
    check("1+".repeat(200) + "restarts > 1", "operators");
    let deepest = "(".repeat(16) + "probed" + &")".repeat(16);
    assert!(unit(&deepest).is_ok());
    assert!(unit(&("!".repeat(128) + "probed")).is_ok());
    assert!(unit(&("1+".repeat(126) + "restarts > 1")).is_ok());
    assert!(unit(&("probed?true:".repeat(60) + "probed")).is_ok());
}

#[test]
fn raise_and_clear_are_held_against_each_other() {
    let check = |raise: &str, clear: &str, expected: Relation| {
        assert_eq!(relation(&unit(raise).unwrap(), &unit(clear).unwrap()), expected, "{raise} / {clear}");
    };
    check("restarts > 5", "restarts < 3", Relation::Sound);
    check("restarts > 5", "restarts < 7", Relation::Both("restarts = 6".into()));
    check("restarts > 5 && restarts < 4", "restarts < 3", Relation::NeverRaised);
    check("restarts > 5", "restarts < 3 && restarts > 3", Relation::NeverCleared);
    check("kind == 'timer' && kind == 'service'", "probed", Relation::NeverRaised);
    check("cpu_percent > 5.0", "cpu_percent < 5.0", Relation::Sound);
    check("probed", "probe_failures == 0", Relation::Sound);
}

#[test]
fn lengths_of_time_are_compared_with_lengths_of_time() {
    let check = |source: &str, seconds: u64, expected: Truth| {
        let predicate = Predicate::compile(source, SubjectKind::Filesystem).unwrap();
        let value = FieldValue::Duration(std::time::Duration::from_secs(seconds));
        assert_eq!(predicate.evaluate(|_| Reading::Value(value.clone())), expected, "{source}");
    };
    check("full_in < duration('1h')", 3599, Truth::True);
    check("full_in < duration('1h')", 3600, Truth::False);
    check("duration('1h30m') <= full_in", 5400, Truth::True);
    check("full_in in [duration('90s'), duration('1ms')]", 90, Truth::True);
    let refused = |source: &str, help: &str| {
        let error = Predicate::compile(source, SubjectKind::Filesystem).unwrap_err();
        assert!(error.help.contains(help), "{source}: {error:?}");
    };
    refused("full_in < 3600", "write duration('3600s')");
    refused("full_in < '1h'", "write duration('1h')");
    refused("full_in < duration(3600)", "duration('1h30m')");
    refused("full_in < duration('2d')", "duration('48h')");
    refused("full_in < duration('soon')", "a number and a unit");
    refused("full_in < duration('1h', '2h')", "duration('1h30m')");
    refused("full_in + duration('1h') < duration('2h')", "compare it");
    refused("available_bytes < duration('1h')", "write 3600");
    refused("full_in", "compare it");
}

// The oracle: the crate's own evaluator over the same text and values.

fn by_the_crate(source: &str, values: &BTreeMap<&'static str, FieldValue>) -> Option<bool> {
    let program = cel::Program::compile(source).unwrap();
    let mut context = cel::Context::default();
    for (name, value) in values {
        match value {
            FieldValue::Bool(v) => context.add_variable_from_value(*name, *v),
            FieldValue::Int(v) => context.add_variable_from_value(*name, *v),
            FieldValue::Float(v) => context.add_variable_from_value(*name, *v),
            FieldValue::Text(v) => context.add_variable_from_value(*name, v.clone()),
            FieldValue::Duration(_) => panic!("no unit has a field of this type"),
        }
    }
    match program.execute(&context) {
        Ok(cel::Value::Bool(truth)) => Some(truth),
        Ok(other) => panic!("{source} gave {other:?}"),
        Err(_) => None,
    }
}

fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("restarts".to_owned()),
        Just("exit_code".to_owned()),
        Just("probe_failures".to_owned()),
        (-5_i64..10).prop_map(|n| n.to_string()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let order = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        Just("probed".to_owned()),
        Just("dependency_failed".to_owned()),
        (number(), order(), number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (order(), -3.0_f64..8.0).prop_map(|(op, f)| format!("restarts {op} {f:?}")),
        (order(), -3_i64..8).prop_map(|(op, n)| format!("cpu_percent {op} {n}")),
        prop::sample::select(vec![
            "name.startsWith('a')",
            "name.endsWith('service')",
            "name.contains('b')",
            "size(name) > 9",
            "active_state in ['failed', 'inactive']",
            "active_state != 'active'",
            "restarts in [1, 2, -3]",
            "double(restarts) < cpu_percent",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

/// Values for some of the fields; the others are missing.
fn some_values() -> impl Strategy<Value = BTreeMap<&'static str, FieldValue>> {
    let int = || prop::option::of((-4_i64..7).prop_map(FieldValue::Int));
    let boolean = || prop::option::of(any::<bool>().prop_map(FieldValue::Bool));
    let word = |words: Vec<&'static str>| prop::option::of(prop::sample::select(words).prop_map(text));
    (
        (int(), int(), int()),
        (boolean(), boolean()),
        prop::option::of((-4.0_f64..9.0).prop_map(FieldValue::Float)),
        word(vec!["a.service", "ab.timer", "long-name.service"]),
        word(vec!["active", "failed", "inactive"]),
    )
        .prop_map(|((a, b, c), (d, e), f, g, h)| {
            [
                ("restarts", a),
                ("exit_code", b),
                ("probe_failures", c),
                ("probed", d),
                ("dependency_failed", e),
                ("cpu_percent", f),
                ("name", g),
                ("active_state", h),
            ]
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Where the crate decides, we decide the same; where it fails, we do not know.
    #[test]
    fn our_evaluation_is_that_of_the_crate(source in condition(), values in some_values()) {
        // Only what names no field may be refused; proptest fails when that is often.
        let predicate = match unit(&source) {
            Ok(predicate) => predicate,
            Err(error) => {
                prop_assert!(error.what.contains("names no field"), "{source}: {error}");
                return Err(TestCaseError::reject("no field"));
            }
        };
        let ours = match predicate.evaluate(|name| {
            values.get(name).cloned().map_or(Reading::Absent(Absence::NotObserved), Reading::Value)
        }) {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown(_) => None,
        };
        prop_assert_eq!(ours, by_the_crate(&source, &values), "{}", source);
    }

    /// More knowledge never changes an answer.
    #[test]
    fn an_answer_stands_when_more_is_known(source in condition(), some in some_values(), more in some_values()) {
        let Ok(predicate) = unit(&source) else { return Ok(()) };
        let read = |values: &BTreeMap<&'static str, FieldValue>, name: &str| {
            values.get(name).cloned().map_or(Reading::Failed("EIO".into()), Reading::Value)
        };
        let before = predicate.evaluate(|name| read(&some, name));
        let mut all = more;
        all.extend(some.clone());
        if !matches!(before, Truth::Unknown(_)) {
            prop_assert_eq!(before, predicate.evaluate(|name| read(&all, name)));
        }
    }

    #[test]
    fn any_unicode_is_compiled_or_refused(source in "(probed|//|[(]|'|\\PC|\n){0,30}") {
        if let Err(error) = unit(&source) {
            prop_assert!(source.get(error.range.start..error.range.end.min(source.len())).is_some(), "{:?}", error);
        }
    }

    /// No text makes the compiler fail in another way than by an error that points into the text.
    #[test]
    fn any_text_is_compiled_or_refused(source in "[a-z_ ()!&|=<>'\"0-9.,?:+*/%\\[\\]{}-]{0,60}") {
        if let Err(error) = unit(&source) {
            prop_assert!(error.range.end <= source.len().max(1));
            prop_assert!(!error.help.is_empty());
        }
    }
}

#[test]
fn every_field_can_be_named() {
    for kind in SubjectKind::ALL {
        for FieldSpec { name, field_type, .. } in fields_of(kind) {
            let source = match field_type {
                FieldType::Bool => (*name).to_owned(),
                FieldType::Int => format!("{name} > 1"),
                FieldType::Float => format!("{name} > 1.0"),
                FieldType::Text => format!("size({name}) > 1"),
                FieldType::Duration => format!("{name} > duration('1h')"),
            };
            assert_eq!(Predicate::compile(&source, kind).unwrap().fields(), [*name]);
        }
    }
}
