//! A compiled CEL expression over the fields of one kind of subject.

use std::sync::Arc;

use crate::model::{FieldValue, Reading};

/// What an expression says of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    /// A field that it needs has no value, or the values do not fit: one phrase.
    Unknown(String),
}

/// A compiled expression. Its fields are known, its types were tried at load; evaluation is pure.
#[derive(Clone)]
pub struct Predicate {
    source: Arc<str>,
    program: Arc<cel::Program>,
    fields: Arc<[&'static str]>,
}

impl Predicate {
    /// As written in the policy.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The fields that it names.
    #[must_use]
    pub fn fields(&self) -> &[&'static str] {
        &self.fields
    }

    /// Evaluates over the fields that `read` gives; only those in [`Predicate::fields`] are asked for.
    pub fn evaluate(&self, read: impl Fn(&str) -> Reading<FieldValue>) -> Truth {
        let _ = (read, &self.program);
        Truth::Unknown("the rule language is not built yet".into())
    }
}

impl std::fmt::Debug for Predicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Predicate").field(&self.source).finish()
    }
}
