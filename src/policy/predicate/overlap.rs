//! Two expressions tried over sample values: can they be true at once, can one be true at all.
//!
//! The samples of a field are the values around each constant that it is compared with. Where fields meet only
//! constants, no other value can make a difference, so that "never" is proven; a witness is one in any case.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{FieldSpec, FieldType, FieldValue, Reading};
use crate::policy::duration::written;

use super::node::Node;
use super::{Predicate, Truth};

/// Most combinations tried: a check at load stays below a few milliseconds.
const COMBINATIONS_MAX: usize = 4_000;
/// The shortest time that can be written.
const NEAR: Duration = Duration::from_millis(1);

/// What the samples say of a raise and a clear expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Relation {
    /// Nothing against them that can be told.
    Sound,
    /// The raise expression is false for every value.
    NeverRaised,
    /// The clear expression is false for every value.
    NeverCleared,
    /// Both are true for these values.
    Both(String),
}

/// Tries a raise and a clear expression.
pub(in crate::policy) fn relation(raise: &Predicate, clear: &Predicate) -> Relation {
    if never(raise) {
        return Relation::NeverRaised;
    }
    if never(clear) {
        return Relation::NeverCleared;
    }
    // A clear over other fields may be tied to the raise in ways that are not known here.
    if !clear.fields.iter().all(|field| raise.fields.contains(field)) {
        return Relation::Sound;
    }
    let samples = Samples::of(&[&raise.root, &clear.root]);
    let mut witness = None;
    samples.each(|values| {
        if holds(raise, values) && holds(clear, values) {
            let shown: Vec<String> =
                values.iter().map(|(name, value)| format!("{name} = {}", show(value))).collect();
            witness = Some(shown.join(", "));
        }
        witness.is_none()
    });
    witness.map_or(Relation::Sound, Relation::Both)
}

fn never(predicate: &Predicate) -> bool {
    let samples = Samples::of(&[&predicate.root]);
    if !samples.exhaustive(&predicate.root) {
        return false;
    }
    let mut found = false;
    let tried_all = samples.each(|values| {
        found = holds(predicate, values);
        !found
    });
    tried_all && !found
}

type Values = BTreeMap<&'static str, FieldValue>;

fn holds(predicate: &Predicate, values: &Values) -> bool {
    let read = |name: &str| {
        values.get(name).map_or(Reading::Failed("no sample".into()), |v| Reading::Value(v.clone()))
    };
    predicate.evaluate(read) == Truth::True
}

fn show(value: &FieldValue) -> String {
    match value {
        FieldValue::Bool(truth) => truth.to_string(),
        FieldValue::Int(number) => number.to_string(),
        FieldValue::Float(number) => number.to_string(),
        FieldValue::Text(text) => format!("'{text}'"),
        FieldValue::Duration(time) => format!("duration('{}')", written(*time)),
    }
}

/// The fields that are named, each with values to try.
#[derive(Default)]
struct Samples(BTreeMap<&'static str, (&'static FieldSpec, Vec<FieldValue>)>);

impl Samples {
    fn of(nodes: &[&Node]) -> Self {
        let mut samples = Self::default();
        nodes.iter().for_each(|node| samples.gather(node));
        // Words that are only compared, and with which nothing is compared, are all alike: one stands for them.
        for (spec, values) in samples.0.values_mut() {
            let new = |word: &&&str| !values.contains(&FieldValue::Text((**word).to_owned()));
            if let Some(word) = spec.words.iter().find(new) {
                values.push(FieldValue::Text((*word).to_owned()));
            }
        }
        samples
    }

    fn gather(&mut self, node: &Node) {
        match node {
            Node::Field(spec) => {
                self.begin(spec);
                for word in spec.words {
                    self.add(spec, FieldValue::Text((*word).to_owned()));
                }
            }
            Node::Compare(_, left, right) => match (&**left, &**right) {
                (Node::Field(spec), Node::Constant(value)) | (Node::Constant(value), Node::Field(spec)) => {
                    self.around(spec, value);
                }
                _ => {
                    self.gather(left);
                    self.gather(right);
                }
            },
            Node::Among(needle, set) => {
                if let Node::Field(spec) = &**needle {
                    set.iter().for_each(|value| self.around(spec, value));
                } else {
                    self.gather(needle);
                }
            }
            Node::Test(_, text, part) => {
                self.gather(text);
                if let (Node::Field(spec), Some(part)) = (&**text, part.constant()) {
                    self.around(spec, part);
                }
            }
            Node::Constant(_)
            | Node::Not(_)
            | Node::And(..)
            | Node::Or(..)
            | Node::Choose(_)
            | Node::Calculate(..)
            | Node::Negate(_)
            | Node::Length(_)
            | Node::ToFloat(_) => node.children().into_iter().for_each(|child| self.gather(child)),
        }
    }

    fn begin(&mut self, spec: &'static FieldSpec) {
        match spec.field_type {
            FieldType::Bool => {
                self.add(spec, FieldValue::Bool(false));
                self.add(spec, FieldValue::Bool(true));
            }
            FieldType::Int => self.add(spec, FieldValue::Int(0)),
            FieldType::Float => self.add(spec, FieldValue::Float(0.0)),
            FieldType::Text if spec.words.is_empty() => self.add(spec, FieldValue::Text("another".into())),
            FieldType::Text => {}
            FieldType::Duration => self.add(spec, FieldValue::Duration(Duration::ZERO)),
        }
    }

    fn add(&mut self, spec: &'static FieldSpec, value: FieldValue) {
        let (_, values) = self.0.entry(spec.name).or_insert_with(|| (spec, Vec::new()));
        if !values.contains(&value) {
            values.push(value);
        }
    }

    fn around(&mut self, spec: &'static FieldSpec, value: &FieldValue) {
        self.begin(spec);
        match (spec.field_type, value) {
            (FieldType::Int, FieldValue::Int(number)) => {
                for near in [number.saturating_sub(1), *number, number.saturating_add(1)] {
                    self.add(spec, FieldValue::Int(near));
                }
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a sample near the constant; it need not be exact"
            )]
            (FieldType::Int, FieldValue::Float(number)) => {
                self.add(spec, FieldValue::Int(number.floor() as i64));
                self.add(spec, FieldValue::Int(number.ceil() as i64));
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "a sample near the constant; it need not be exact"
            )]
            (FieldType::Float, FieldValue::Int(number)) => {
                for near in [*number as f64 - 1.0, *number as f64, *number as f64 + 1.0] {
                    self.add(spec, FieldValue::Float(near));
                }
            }
            (FieldType::Float, FieldValue::Float(number)) => {
                for near in [number - 1.0, *number, number + 1.0] {
                    self.add(spec, FieldValue::Float(near));
                }
            }
            (FieldType::Duration, FieldValue::Duration(time)) => {
                for near in [time.saturating_sub(NEAR), *time, time.saturating_add(NEAR)] {
                    self.add(spec, FieldValue::Duration(near));
                }
            }
            (FieldType::Text, FieldValue::Text(word))
                if spec.words.is_empty() || spec.words.contains(&word.as_str()) =>
            {
                self.add(spec, value.clone());
            }
            _ => {}
        }
    }

    /// Whether the samples stand for every value: fields meet constants only, and of texts only known words.
    fn exhaustive(&self, node: &Node) -> bool {
        match node {
            Node::Compare(_, left, right) => match (&**left, &**right) {
                (Node::Field(spec), Node::Constant(value)) | (Node::Constant(value), Node::Field(spec)) => {
                    matches!(
                        (spec.field_type, value),
                        (FieldType::Bool, FieldValue::Bool(_))
                            | (FieldType::Int, FieldValue::Int(_))
                            | (FieldType::Text, FieldValue::Text(_))
                    )
                }
                _ => false,
            },
            Node::Among(needle, _) => {
                matches!(&**needle, Node::Field(spec) if matches!(spec.field_type, FieldType::Int | FieldType::Text))
            }
            Node::Test(_, text, part) => {
                matches!((&**text, &**part), (Node::Field(spec), Node::Constant(_)) if !spec.words.is_empty())
            }
            Node::Field(spec) => spec.field_type == FieldType::Bool,
            Node::Constant(_) => true,
            Node::Not(_) | Node::And(..) | Node::Or(..) => {
                node.children().into_iter().all(|child| self.exhaustive(child))
            }
            Node::Choose(_) | Node::Calculate(..) | Node::Negate(_) | Node::Length(_) | Node::ToFloat(_) => {
                false
            }
        }
    }

    /// Calls `visit` with each combination until it says stop. False when there were too many to try them all.
    fn each(&self, mut visit: impl FnMut(&Values) -> bool) -> bool {
        let names: Vec<&'static str> = self.0.keys().copied().collect();
        let sizes: Vec<usize> = self.0.values().map(|(_, values)| values.len()).collect();
        let total = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        let tried = total.unwrap_or(usize::MAX).min(COMBINATIONS_MAX);
        for number in 0..tried {
            let mut rest = number;
            let mut values = Values::new();
            for (name, size) in names.iter().zip(&sizes) {
                if let Some(value) = self.0.get(name).and_then(|(_, values)| values.get(rest % size)) {
                    values.insert(name, value.clone());
                }
                rest /= size;
            }
            if !visit(&values) {
                return true;
            }
        }
        total.is_some_and(|total| total <= COMBINATIONS_MAX)
    }
}
