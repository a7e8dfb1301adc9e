//! The checked tree, and its value over readings. Types were settled at load.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::model::{FieldSpec, FieldValue, Reading};

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A calculation with two numbers of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A question about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// A checked expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(FieldValue),
    Field(&'static FieldSpec),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Choose(Box<[Self; 3]>),
    Compare(Comparison, Box<Self>, Box<Self>),
    /// Equal to one of these constants.
    Among(Box<Self>, Vec<FieldValue>),
    Calculate(Calculation, Box<Self>, Box<Self>),
    Negate(Box<Self>),
    Test(TextTest, Box<Self>, Box<Self>),
    Length(Box<Self>),
    ToFloat(Box<Self>),
}

/// A value, or why there is none.
type Answer<'a> = Result<Cow<'a, FieldValue>, String>;

impl Node {
    /// The value of a node that is true or false.
    pub(super) fn truth(&self, read: &impl Fn(&str) -> Reading<FieldValue>) -> Result<bool, String> {
        match self {
            Self::Not(inner) => inner.truth(read).map(|truth| !truth),
            // Kleene: one false side decides, whatever is not known of the other.
            Self::And(left, right) => match left.truth(read) {
                Ok(false) => Ok(false),
                Ok(true) => right.truth(read),
                Err(why) => match right.truth(read) {
                    Ok(false) => Ok(false),
                    Ok(true) | Err(_) => Err(why),
                },
            },
            Self::Or(left, right) => match left.truth(read) {
                Ok(true) => Ok(true),
                Ok(false) => right.truth(read),
                Err(why) => match right.truth(read) {
                    Ok(true) => Ok(true),
                    Ok(false) | Err(_) => Err(why),
                },
            },
            Self::Choose(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(read)? { then.truth(read) } else { otherwise.truth(read) }
            }
            Self::Compare(how, left, right) => {
                let (left, right) = (left.value(read)?, right.value(read)?);
                Ok(how.holds(&left, &right))
            }
            Self::Among(needle, set) => {
                let needle = needle.value(read)?;
                Ok(set.iter().any(|member| compare(&needle, member) == Some(Ordering::Equal)))
            }
            Self::Test(how, text, part) => {
                let (text, part) = (text.value(read)?, part.value(read)?);
                match (&*text, &*part) {
                    (FieldValue::Text(text), FieldValue::Text(part)) => Ok(how.holds(text, part)),
                    _ => Err(misfit("a text")),
                }
            }
            Self::Constant(_)
            | Self::Field(_)
            | Self::Calculate(..)
            | Self::Negate(_)
            | Self::Length(_)
            | Self::ToFloat(_) => match *self.value(read)? {
                FieldValue::Bool(truth) => Ok(truth),
                FieldValue::Int(_) | FieldValue::Float(_) | FieldValue::Text(_) | FieldValue::Duration(_) => {
                    Err(misfit("true or false"))
                }
            },
        }
    }

    fn value(&self, read: &impl Fn(&str) -> Reading<FieldValue>) -> Answer<'_> {
        match self {
            Self::Constant(value) => Ok(Cow::Borrowed(value)),
            Self::Field(spec) => field(spec, read(spec.name)).map(Cow::Owned),
            Self::Choose(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(read)? { then.value(read) } else { otherwise.value(read) }
            }
            Self::Calculate(how, left, right) => {
                let (left, right) = (left.value(read)?, right.value(read)?);
                how.result(&left, &right).map(Cow::Owned)
            }
            Self::Negate(inner) => match *inner.value(read)? {
                FieldValue::Int(number) => {
                    number.checked_neg().map(FieldValue::Int).map(Cow::Owned).ok_or_else(overflow)
                }
                FieldValue::Float(number) => Ok(Cow::Owned(FieldValue::Float(-number))),
                FieldValue::Bool(_) | FieldValue::Text(_) | FieldValue::Duration(_) => {
                    Err(misfit("a number"))
                }
            },
            Self::Length(inner) => match &*inner.value(read)? {
                FieldValue::Text(text) => i64::try_from(text.chars().count())
                    .map(|length| Cow::Owned(FieldValue::Int(length)))
                    .map_err(|_| overflow()),
                FieldValue::Bool(_) | FieldValue::Int(_) | FieldValue::Float(_) | FieldValue::Duration(_) => {
                    Err(misfit("a text"))
                }
            },
            Self::ToFloat(inner) => match *inner.value(read)? {
                #[expect(clippy::cast_precision_loss, reason = "CEL's double() rounds as well")]
                FieldValue::Int(number) => Ok(Cow::Owned(FieldValue::Float(number as f64))),
                FieldValue::Float(number) => Ok(Cow::Owned(FieldValue::Float(number))),
                FieldValue::Bool(_) | FieldValue::Text(_) | FieldValue::Duration(_) => {
                    Err(misfit("a number"))
                }
            },
            Self::Not(_)
            | Self::And(..)
            | Self::Or(..)
            | Self::Compare(..)
            | Self::Among(..)
            | Self::Test(..) => self.truth(read).map(|truth| Cow::Owned(FieldValue::Bool(truth))),
        }
    }

    /// The value, where it is fixed.
    pub(super) fn constant(&self) -> Option<&FieldValue> {
        if let Self::Constant(value) = self { Some(value) } else { None }
    }

    /// The nodes right below.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Constant(_) | Self::Field(_) => Vec::new(),
            Self::Not(one)
            | Self::Negate(one)
            | Self::Length(one)
            | Self::ToFloat(one)
            | Self::Among(one, _) => vec![one],
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Compare(_, left, right)
            | Self::Calculate(_, left, right)
            | Self::Test(_, left, right) => vec![left, right],
            Self::Choose(parts) => parts.iter().collect(),
        }
    }

    /// Adds the names of the fields in the order of the text, each once.
    pub(super) fn collect_fields(&self, names: &mut Vec<&'static str>) {
        if let Self::Field(spec) = self
            && !names.contains(&spec.name)
        {
            names.push(spec.name);
        }
        for child in self.children() {
            child.collect_fields(names);
        }
    }
}

/// The value of a field, or `FIELD: reason`. A value that is not of the field's type is no value.
fn field(spec: &FieldSpec, reading: Reading<FieldValue>) -> Result<FieldValue, String> {
    use crate::model::FieldType;
    match reading {
        Reading::Value(value) => match (&value, spec.field_type) {
            (FieldValue::Float(number), FieldType::Float) if number.is_nan() => {
                Err(format!("{}: not a number", spec.name))
            }
            (FieldValue::Bool(_), FieldType::Bool)
            | (FieldValue::Int(_), FieldType::Int)
            | (FieldValue::Float(_), FieldType::Float)
            | (FieldValue::Text(_), FieldType::Text)
            | (FieldValue::Duration(_), FieldType::Duration) => Ok(value),
            (
                FieldValue::Bool(_)
                | FieldValue::Int(_)
                | FieldValue::Float(_)
                | FieldValue::Text(_)
                | FieldValue::Duration(_),
                _,
            ) => Err(format!("{}: its value is not {}", spec.name, super::check::describe(spec.field_type))),
        },
        Reading::Absent(reason) => Err(format!("{}: {reason}", spec.name)),
        Reading::Failed(error) => Err(format!("{}: could not be read: {error}", spec.name)),
    }
}

fn overflow() -> String {
    "the calculation leaves the range of numbers".into()
}

fn misfit(expected: &str) -> String {
    format!("a value that should be {expected} is not")
}

impl Comparison {
    fn holds(self, left: &FieldValue, right: &FieldValue) -> bool {
        let order = compare(left, right);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// Order of two values; an integer and a fraction compare as the exact numbers that they are.
fn compare(left: &FieldValue, right: &FieldValue) -> Option<Ordering> {
    match (left, right) {
        (FieldValue::Bool(a), FieldValue::Bool(b)) => Some(a.cmp(b)),
        (FieldValue::Int(a), FieldValue::Int(b)) => Some(a.cmp(b)),
        (FieldValue::Float(a), FieldValue::Float(b)) => a.partial_cmp(b),
        (FieldValue::Text(a), FieldValue::Text(b)) => Some(a.cmp(b)),
        (FieldValue::Duration(a), FieldValue::Duration(b)) => Some(a.cmp(b)),
        (FieldValue::Int(a), FieldValue::Float(b)) => exact(*a, *b),
        (FieldValue::Float(a), FieldValue::Int(b)) => exact(*b, *a).map(Ordering::reverse),
        (
            FieldValue::Bool(_)
            | FieldValue::Int(_)
            | FieldValue::Float(_)
            | FieldValue::Text(_)
            | FieldValue::Duration(_),
            _,
        ) => None,
    }
}

fn exact(int: i64, float: f64) -> Option<Ordering> {
    // 2^63, the first number above every i64; exact as f64.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= BEYOND {
        return Some(Ordering::Less);
    }
    if float < -BEYOND {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "within range, and the fraction is compared next")]
    let whole = float.trunc() as i64;
    Some(int.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal)))
}

impl Calculation {
    fn result(self, left: &FieldValue, right: &FieldValue) -> Result<FieldValue, String> {
        match (left, right) {
            (FieldValue::Int(a), FieldValue::Int(b)) => match self {
                Self::Add => a.checked_add(*b),
                Self::Subtract => a.checked_sub(*b),
                Self::Multiply => a.checked_mul(*b),
                Self::Divide | Self::Remainder if *b == 0 => return Err("division by zero".into()),
                Self::Divide => a.checked_div(*b),
                Self::Remainder => a.checked_rem(*b),
            }
            .map(FieldValue::Int)
            .ok_or_else(overflow),
            (FieldValue::Float(a), FieldValue::Float(b)) => {
                let number = match self {
                    Self::Add => a + b,
                    Self::Subtract => a - b,
                    Self::Multiply => a * b,
                    Self::Divide => a / b,
                    Self::Remainder => return Err(misfit("an integer")),
                };
                if number.is_finite() { Ok(FieldValue::Float(number)) } else { Err(overflow()) }
            }
            _ => Err(misfit("a number of the same type")),
        }
    }
}

impl TextTest {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            Self::Contains => text.contains(part),
        }
    }
}
