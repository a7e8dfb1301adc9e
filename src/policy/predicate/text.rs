//! The parser of the `cel` crate, and which part of the text each node of its tree came from.

use std::ops::Range;

use cel::common::ast::{Expr, IdedExpr, SourceInfo};
use cel::parser::Parser;

use super::{EXPRESSION_NESTING_MAX, PredicateError};

/// A text that was parsed.
pub(super) struct Text<'s> {
    source: &'s str,
    info: SourceInfo,
}

/// Parses an expression that the lexer has let through.
pub(super) fn parse(source: &str) -> Result<(IdedExpr, Text<'_>), PredicateError> {
    // The parser's own limit counts in its grammar's terms; ours, checked before, is the lower one.
    let depth = u16::try_from(4 * EXPRESSION_NESTING_MAX).unwrap_or(u16::MAX);
    // It has panicked on odd input in the past. A policy file must not take the agent down.
    let parsed = std::panic::catch_unwind(|| {
        let parser = Parser::new().max_recursion_depth(depth);
        parser.parse_with_source_info(source).map_err(|errors| parse_error(source, errors.errors.first()))
    });
    let (tree, info) = parsed.unwrap_or_else(|_| Err(parse_error(source, None)))?;
    Ok((tree, Text { source, info }))
}

fn parse_error(source: &str, error: Option<&cel::ParseError>) -> PredicateError {
    let place = error.and_then(|error| {
        let line = usize::try_from(error.pos.0).ok()?.checked_sub(1)?;
        let column = usize::try_from(error.pos.1).ok()?.checked_sub(1)?;
        let before: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
        Some((before + column).min(source.len().saturating_sub(1)))
    });
    let range = place.map_or(0..source.len(), |at| {
        let word = source[at..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        at..at + word.max(1)
    });
    PredicateError::new(
        range.clone(),
        match source.get(range) {
            Some(found) if place.is_some() => format!("`{found}` is not expected here"),
            Some(_) | None => "this is not an expression".to_owned(),
        },
        "a condition is FIELD OPERATOR VALUE, as in `restarts > 3`; conditions are joined with && and ||",
    )
}

impl Text<'_> {
    pub(super) fn snippet(&self, tree: &IdedExpr) -> &str {
        self.source.get(self.range(tree)).unwrap_or(self.source)
    }

    /// The text that a tree came from: from its first token to its last. The parser keeps one token for each node.
    pub(super) fn range(&self, tree: &IdedExpr) -> Range<usize> {
        let mut range: Option<Range<usize>> = None;
        self.widen(tree, &mut range);
        let range = range.unwrap_or(0..self.source.len());
        range.start.min(self.source.len())..range.end.min(self.source.len())
    }

    fn widen(&self, tree: &IdedExpr, range: &mut Option<Range<usize>>) {
        if let Some((start, last)) = self.info.offset_for(tree.id) {
            let (start, end) = (start as usize, last as usize + 1);
            if start < end {
                let before = range.take().unwrap_or(start..end);
                *range = Some(before.start.min(start)..before.end.max(end));
            }
        }
        match &tree.expr {
            Expr::Call(call) => {
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.widen(part, range);
                }
            }
            Expr::Select(select) => self.widen(&select.operand, range),
            Expr::List(list) => list.elements.iter().for_each(|element| self.widen(element, range)),
            Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::Ident(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => {}
        }
    }
}
