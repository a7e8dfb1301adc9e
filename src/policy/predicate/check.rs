//! From the parser's tree to ours: names, types, words.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::model::{FieldType, FieldValue, SubjectKind, fields_of};
use crate::policy::duration::{parse_duration, written};
use crate::policy::suggest::{closest, instead, listed};

use super::PredicateError;
use super::node::{Calculation, Comparison, Node, TextTest};
use super::text::{Text, parse};

type Checked = Result<(Node, FieldType), PredicateError>;

/// Finer states that people look for in `active_state`, since `systemctl` shows both in one line.
const SUB_STATES: &[&str] =
    &["running", "dead", "exited", "listening", "waiting", "mounted", "plugged", "auto-restart"];

const FUNCTIONS: &[&str] = &["size", "double", "duration", "startsWith", "endsWith", "contains"];

/// Parses and checks; gives the type of the whole.
pub(super) fn compile(source: &str, kind: SubjectKind) -> Checked {
    let (tree, text) = parse(source)?;
    Checker { kind, text }.check(&tree)
}

/// A type with its article, for messages.
pub(in crate::policy) const fn describe(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Bool => "true or false",
        FieldType::Int => "an integer",
        FieldType::Float => "a number with a fraction",
        FieldType::Text => "a text",
        FieldType::Duration => "a length of time",
    }
}

/// The fields of a subject, for help lines.
pub(super) fn field_list(kind: SubjectKind) -> String {
    listed(fields_of(kind).iter().map(|spec| spec.name))
}

struct Checker<'s> {
    kind: SubjectKind,
    text: Text<'s>,
}

impl Checker<'_> {
    fn check(&self, tree: &IdedExpr) -> Checked {
        match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Ident(name) => self.field(tree, name),
            Expr::Call(call) => self.call(tree, call),
            Expr::Select(select) => Err(self.error(
                tree,
                format!("`.{}` selects a part, and fields have no parts", select.field),
                match closest(&select.field, fields_of(self.kind).iter().map(|spec| spec.name)) {
                    Some(field) => format!("write `{field}`"),
                    None => format!("the fields are: {}", field_list(self.kind)),
                },
            )),
            Expr::List(_) => Err(self.error(
                tree,
                "a list can only stand to the right of `in`",
                "write it as in `result in ['signal', 'oom-kill']`",
            )),
            Expr::Comprehension(_) => Err(self.error(
                tree,
                "macros over lists are not part of the rule language",
                "write the conditions out and join them with && or ||",
            )),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Err(self.error(
                tree,
                "maps and messages are not part of the rule language",
                "compare fields with numbers, texts, true or false",
            )),
        }
    }

    fn literal(&self, tree: &IdedExpr, literal: &LiteralValue) -> Checked {
        match literal {
            LiteralValue::Boolean(truth) => {
                Ok((Node::Constant(FieldValue::Bool(*truth.inner())), FieldType::Bool))
            }
            LiteralValue::Int(number) => {
                Ok((Node::Constant(FieldValue::Int(*number.inner())), FieldType::Int))
            }
            LiteralValue::Double(number) => {
                Ok((Node::Constant(FieldValue::Float(*number.inner())), FieldType::Float))
            }
            LiteralValue::String(text) => {
                Ok((Node::Constant(FieldValue::Text(text.inner().to_owned())), FieldType::Text))
            }
            LiteralValue::Bytes(_) | LiteralValue::Null | LiteralValue::UInt(_) => Err(self.error(
                tree,
                "null, bytes and unsigned numbers are not part of the rule language",
                "write a number, a 'text', true or false",
            )),
        }
    }

    fn field(&self, tree: &IdedExpr, name: &str) -> Checked {
        let fields = fields_of(self.kind);
        if let Some(spec) = fields.iter().find(|spec| spec.name == name) {
            return Ok((Node::Field(spec), spec.field_type));
        }
        if let Some(spec) = fields.iter().find(|spec| spec.words.contains(&name)) {
            return Err(self.error(
                tree,
                format!("there is no field `{name}`; it is a word of `{}`", spec.name),
                format!("put quotes around it: '{name}'"),
            ));
        }
        let names: Vec<&str> = fields.iter().map(|spec| spec.name).collect();
        let help = match closest(name, names.iter().copied()) {
            Some(near) => format!("write `{near}`; the fields are: {}", listed(names)),
            None => match self.other_subject(name) {
                Some(subject) => format!("`{name}` is a field of the subject \"{subject}\""),
                None => format!("the fields are: {}", listed(names)),
            },
        };
        let subject = subject_word(self.kind);
        Err(self.error(tree, format!("the subject \"{subject}\" has no field `{name}`"), help))
    }

    fn other_subject(&self, name: &str) -> Option<&'static str> {
        SubjectKind::ALL
            .into_iter()
            .filter(|kind| *kind != self.kind)
            .find(|kind| fields_of(*kind).iter().any(|spec| spec.name == name))
            .map(subject_word)
    }

    fn call(&self, tree: &IdedExpr, call: &CallExpr) -> Checked {
        match (&call.target, call.args.as_slice()) {
            (None, [one]) => match call.func_name.as_str() {
                operators::LOGICAL_NOT => Ok((Node::Not(self.boolean(one)?), FieldType::Bool)),
                operators::NEGATE => self.negate(one),
                "size" => self.size(one),
                "double" => match self.check(one)? {
                    (node, FieldType::Int | FieldType::Float) => {
                        Ok((Node::ToFloat(Box::new(node)), FieldType::Float))
                    }
                    (_, found) => Err(self.mismatch(one, "double() takes a number", found)),
                },
                "duration" => self.duration(one),
                _ => Err(self.unknown_function(tree, call)),
            },
            (None, [left, right]) => self.operator(tree, call, left, right),
            (None, [condition, then, otherwise]) if call.func_name == operators::CONDITIONAL => {
                self.choose(condition, then, otherwise)
            }
            (Some(text), [part]) => {
                let test = match call.func_name.as_str() {
                    "startsWith" => TextTest::StartsWith,
                    "endsWith" => TextTest::EndsWith,
                    "contains" => TextTest::Contains,
                    _ => return Err(self.unknown_function(tree, call)),
                };
                let (text, part) = (self.text(text)?, self.text(part)?);
                Ok((Node::Test(test, text, part), FieldType::Bool))
            }
            (Some(text), []) if call.func_name == "size" => self.size(text),
            (None | Some(_), _) => Err(self.unknown_function(tree, call)),
        }
    }

    fn operator(&self, tree: &IdedExpr, call: &CallExpr, left: &IdedExpr, right: &IdedExpr) -> Checked {
        match call.func_name.as_str() {
            operators::LOGICAL_AND => {
                Ok((Node::And(self.boolean(left)?, self.boolean(right)?), FieldType::Bool))
            }
            operators::LOGICAL_OR => {
                Ok((Node::Or(self.boolean(left)?, self.boolean(right)?), FieldType::Bool))
            }
            operators::EQUALS => self.compare(Comparison::Equal, left, right),
            operators::NOT_EQUALS => self.compare(Comparison::NotEqual, left, right),
            operators::LESS => self.compare(Comparison::Less, left, right),
            operators::LESS_EQUALS => self.compare(Comparison::LessOrEqual, left, right),
            operators::GREATER => self.compare(Comparison::Greater, left, right),
            operators::GREATER_EQUALS => self.compare(Comparison::GreaterOrEqual, left, right),
            operators::ADD => self.calculate(Calculation::Add, left, right),
            operators::SUBSTRACT => self.calculate(Calculation::Subtract, left, right),
            operators::MULTIPLY => self.calculate(Calculation::Multiply, left, right),
            operators::DIVIDE => self.calculate(Calculation::Divide, left, right),
            operators::MODULO => self.calculate(Calculation::Remainder, left, right),
            operators::IN => self.among(left, right),
            operators::INDEX => Err(self.error(
                tree,
                "nothing here has elements to pick with [ ]",
                "a list stands to the right of `in`: `result in ['signal', 'oom-kill']`",
            )),
            _ => Err(self.unknown_function(tree, call)),
        }
    }

    fn boolean(&self, tree: &IdedExpr) -> Result<Box<Node>, PredicateError> {
        match self.check(tree)? {
            (node, FieldType::Bool) => Ok(Box::new(node)),
            (_, found) => {
                Err(self.mismatch(tree, "&&, ||, ! and ? take conditions that are true or false", found))
            }
        }
    }

    fn text(&self, tree: &IdedExpr) -> Result<Box<Node>, PredicateError> {
        match self.check(tree)? {
            (node, FieldType::Text) => Ok(Box::new(node)),
            (_, found) => Err(self.mismatch(tree, "startsWith, endsWith and contains take texts", found)),
        }
    }

    fn negate(&self, inner: &IdedExpr) -> Checked {
        match self.check(inner)? {
            (node, found @ (FieldType::Int | FieldType::Float)) => Ok((Node::Negate(Box::new(node)), found)),
            (_, found) => Err(self.mismatch(inner, "a minus sign takes a number", found)),
        }
    }

    fn size(&self, inner: &IdedExpr) -> Checked {
        match self.check(inner)? {
            (node, FieldType::Text) => Ok((Node::Length(Box::new(node)), FieldType::Int)),
            (_, found) => Err(self.mismatch(inner, "size() takes a text", found)),
        }
    }

    /// As in CEL, which knows no days.
    fn duration(&self, inner: &IdedExpr) -> Checked {
        let text = match self.check(inner)? {
            (Node::Constant(FieldValue::Text(text)), _) => text,
            (_, found) => {
                let what =
                    format!("duration() takes a text, `{}` is {}", self.snippet(inner), describe(found));
                return Err(self.error(inner, what, "write it as in `duration('1h30m')`"));
            }
        };
        let time = parse_duration(&text).map_err(|(what, help)| self.error(inner, what, help))?;
        if text.contains('d') {
            let help = format!("write the hours: duration('{}')", written(time));
            return Err(self.error(inner, "durations in conditions know no days", help));
        }
        Ok((Node::Constant(FieldValue::Duration(time)), FieldType::Duration))
    }

    fn choose(&self, condition: &IdedExpr, then: &IdedExpr, otherwise: &IdedExpr) -> Checked {
        let condition = *self.boolean(condition)?;
        let (then_node, found) = self.check(then)?;
        let (otherwise_node, other) = self.check(otherwise)?;
        if found != other {
            return Err(self.error(
                otherwise,
                format!(
                    "one branch gives {}, the other {}: both must be alike",
                    describe(found),
                    describe(other)
                ),
                format!("write {} here as well", describe(found)),
            ));
        }
        Ok((Node::Choose(Box::new([condition, then_node, otherwise_node])), found))
    }

    fn calculate(&self, how: Calculation, left: &IdedExpr, right: &IdedExpr) -> Checked {
        let (left_node, left_type) = self.check(left)?;
        let (right_node, right_type) = self.check(right)?;
        for (tree, found) in [(left, left_type), (right, right_type)] {
            match found {
                FieldType::Int | FieldType::Float => {}
                FieldType::Bool | FieldType::Text | FieldType::Duration => {
                    return Err(self.mismatch(tree, "a calculation takes numbers", found));
                }
            }
        }
        if left_type != right_type {
            let (whole, node) =
                if left_type == FieldType::Int { (left, &left_node) } else { (right, &right_node) };
            let help = match node.constant() {
                Some(FieldValue::Int(number)) => format!("write {number}.0"),
                Some(_) | None => format!("write double({})", self.snippet(whole)),
            };
            return Err(self.error(
                whole,
                "a calculation mixes an integer with a number that has a fraction",
                help,
            ));
        }
        if how == Calculation::Remainder && left_type == FieldType::Float {
            return Err(self.mismatch(left, "% takes integers", left_type));
        }
        Ok((Node::Calculate(how, Box::new(left_node), Box::new(right_node)), left_type))
    }

    fn compare(&self, how: Comparison, left: &IdedExpr, right: &IdedExpr) -> Checked {
        let (left_node, left_type) = self.check(left)?;
        let (right_node, right_type) = self.check(right)?;
        self.comparable((left, &left_node, left_type), (right, &right_node, right_type))?;
        let ordered = match how {
            Comparison::Equal | Comparison::NotEqual => false,
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual => {
                true
            }
        };
        if ordered && matches!(left_type, FieldType::Bool | FieldType::Text) {
            return Err(self.mismatch(left, "< and > compare numbers and lengths of time", left_type));
        }
        self.check_word(&left_node, right, &right_node)?;
        self.check_word(&right_node, left, &left_node)?;
        Ok((Node::Compare(how, Box::new(left_node), Box::new(right_node)), FieldType::Bool))
    }

    fn comparable(
        &self,
        (left, left_node, left_type): (&IdedExpr, &Node, FieldType),
        (right, right_node, right_type): (&IdedExpr, &Node, FieldType),
    ) -> Result<(), PredicateError> {
        let numeric = |t: FieldType| matches!(t, FieldType::Int | FieldType::Float);
        if left_type == right_type || (numeric(left_type) && numeric(right_type)) {
            return Ok(());
        }
        // The constant is what is easily changed: point at it.
        let (tree, node, found, expected) = if matches!(left_node, Node::Constant(_)) {
            (left, left_node, left_type, right_type)
        } else {
            (right, right_node, right_type, left_type)
        };
        let help = match (node.constant(), expected) {
            (Some(FieldValue::Text(text)), FieldType::Int | FieldType::Float)
                if text.parse::<f64>().is_ok() =>
            {
                format!("write {text} without quotes")
            }
            (Some(FieldValue::Text(text)), FieldType::Bool) if matches!(text.as_str(), "true" | "false") => {
                format!("write {text} without quotes")
            }
            (Some(_), FieldType::Text) => format!("put quotes around it: '{}'", self.snippet(tree)),
            (Some(FieldValue::Text(text)), FieldType::Duration) if parse_duration(text).is_ok() => {
                format!("write duration('{text}')")
            }
            (Some(FieldValue::Int(seconds)), FieldType::Duration) => {
                format!("write duration('{seconds}s') when these are seconds")
            }
            (Some(FieldValue::Duration(time)), FieldType::Int | FieldType::Float) => {
                format!("the field counts seconds: write {}", time.as_secs())
            }
            (Some(_) | None, _) => format!("compare it with {}", describe(expected)),
        };
        let other = if matches!(left_node, Node::Constant(_)) { right } else { left };
        Err(self.error(
            tree,
            format!(
                "`{}` is {}, `{}` is {}: they can't be compared",
                self.snippet(other),
                describe(expected),
                self.snippet(tree),
                describe(found)
            ),
            help,
        ))
    }

    /// Refuses a word that the field can't hold: the comparison would never be true, and nobody would notice.
    fn check_word(&self, field: &Node, tree: &IdedExpr, constant: &Node) -> Result<(), PredicateError> {
        let (Node::Field(spec), Node::Constant(FieldValue::Text(word))) = (field, constant) else {
            return Ok(());
        };
        if spec.words.is_empty() || spec.words.contains(&word.as_str()) {
            return Ok(());
        }
        Err(self.error(
            tree,
            format!("`{}` is never '{word}'", spec.name),
            match spec.name {
                "active_state" if SUB_STATES.contains(&word.as_str()) => {
                    format!("'{word}' is a word of `sub_state`: write `sub_state == '{word}'`")
                }
                _ => instead(word, spec.words, "it can be", "'"),
            },
        ))
    }

    fn among(&self, left: &IdedExpr, right: &IdedExpr) -> Checked {
        let (needle, needle_type) = self.check(left)?;
        let Expr::List(list) = &right.expr else {
            return Err(self.error(
                right,
                "to the right of `in` stands a list in square brackets",
                format!("write `{} in [{}]`", self.snippet(left), self.snippet(right)),
            ));
        };
        if list.elements.is_empty() {
            return Err(self.error(right, "nothing is in an empty list", "write the values between [ and ]"));
        }
        let mut set = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            let (node, found) = self.check(element)?;
            self.comparable((left, &needle, needle_type), (element, &node, found))?;
            self.check_word(&needle, element, &node)?;
            let constant = if let Node::Negate(inner) = &node {
                inner.constant().and_then(negated)
            } else {
                node.constant().cloned()
            };
            set.push(constant.ok_or_else(|| {
                self.error(
                    element,
                    "the list holds something that is not a constant",
                    "write numbers or texts, or compare with == and join with ||",
                )
            })?);
        }
        Ok((Node::Among(Box::new(needle), set), FieldType::Bool))
    }

    fn unknown_function(&self, tree: &IdedExpr, call: &CallExpr) -> PredicateError {
        let name = &call.func_name;
        let used = match name.as_str() {
            "startsWith" | "endsWith" | "contains" => {
                return self.error(
                    tree,
                    format!("`{name}` is called on a text, with one text"),
                    format!("write it as in `name.{name}('nginx')`"),
                );
            }
            "size" | "double" => {
                return self.error(
                    tree,
                    format!("`{name}` takes one value"),
                    format!("write {name}(…) with one field between the brackets"),
                );
            }
            "duration" => {
                return self.error(tree, "`duration` takes one text", "write it as in `duration('1h30m')`");
            }
            "matches" => "there are no regular expressions: use startsWith, endsWith or contains".to_owned(),
            other => match closest(other, FUNCTIONS.iter().copied()) {
                Some(near) => format!("write `{near}`"),
                None => format!("there are {}", listed(FUNCTIONS.iter().copied())),
            },
        };
        self.error(tree, format!("there is no function `{name}`"), used)
    }

    fn mismatch(&self, tree: &IdedExpr, wanted: &str, found: FieldType) -> PredicateError {
        let snippet = self.snippet(tree);
        let help = match found {
            FieldType::Bool => format!("`{snippet}` is a condition already: use it on its own"),
            FieldType::Int | FieldType::Float => format!("compare it: `{snippet} > 0`"),
            FieldType::Text if matches!(tree.expr, Expr::Literal(_)) => {
                format!("compare a field with it: `active_state == {snippet}`")
            }
            FieldType::Text => format!("compare it: `{snippet} == '…'`"),
            FieldType::Duration => format!("compare it: `{snippet} < duration('1h')`"),
        };
        self.error(tree, format!("{wanted}, `{snippet}` is {}", describe(found)), help)
    }

    fn error(&self, tree: &IdedExpr, what: impl Into<String>, help: impl Into<String>) -> PredicateError {
        PredicateError::new(self.text.range(tree), what, help)
    }

    fn snippet(&self, tree: &IdedExpr) -> &str {
        self.text.snippet(tree)
    }
}

/// The number with its sign changed, where it has one.
fn negated(value: &FieldValue) -> Option<FieldValue> {
    match value {
        FieldValue::Int(number) => number.checked_neg().map(FieldValue::Int),
        FieldValue::Float(number) => Some(FieldValue::Float(-number)),
        FieldValue::Bool(_) | FieldValue::Text(_) | FieldValue::Duration(_) => None,
    }
}

/// The subject's name in a policy.
pub(in crate::policy) const fn subject_word(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Host => "host",
        SubjectKind::Agent => "agent",
        SubjectKind::Unit => "unit",
        SubjectKind::Filesystem => "filesystem",
    }
}
