//! What a `filter` or `transform` may say: a walk over the syntax tree that lets through only
//! constructs known to be row-wise and deterministic, and collects the columns they read.
//!
//! Everything is refused unless it stands here. Two constructs that polars does evaluate row by
//! row are refused as well, because one row could fail its whole chunk (a pattern taken from a
//! column) or sway its neighbours (a date whose format is guessed from the first row).

use std::collections::BTreeSet;
use std::fmt::Display;

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DateTimeField, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, UnaryOperator, Value,
};

use super::Clause;
use super::functions::{
    AGGREGATES, AllowedFunction, FUNCTIONS, NOT_DETERMINISTIC, SEVERAL_RESULTS, WINDOW_FUNCTIONS,
    function_names,
};
use crate::error::Failure;

const LARGER_OF_TWO: &str = "of a record's own values: CASE WHEN a > b THEN a ELSE b END";
const ROW_WISE: &str = "a record's result may depend on nothing but that record";

/// Checks one expression and adds the columns it reads to `columns`.
pub(super) fn check(
    clause: Clause,
    expression: &Expr,
    columns: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    Walk { clause, columns }.expression(expression)
}

/// A refusal of `construct` in `clause`.
pub(super) fn refuse(clause: Clause, construct: impl Display, why: impl Display) -> Failure {
    Failure::config(format!("`{construct}` in `{clause}` {why}"))
}

struct Walk<'a> {
    clause: Clause,
    columns: &'a mut BTreeSet<String>,
}

impl Walk<'_> {
    fn refuse(&self, construct: impl Display, why: impl Display) -> Failure {
        refuse(self.clause, construct, why)
    }

    fn all<'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr>) -> Result<(), Failure> {
        expressions
            .into_iter()
            .try_for_each(|expression| self.expression(expression))
    }

    fn expression(&mut self, expression: &Expr) -> Result<(), Failure> {
        match expression {
            Expr::Identifier(identifier) => self.column(identifier),
            Expr::Value(value) => self.value(&value.value),
            // Only DATE, TIME, DATETIME and TIMESTAMP pass polars, and only as literals.
            Expr::TypedString(_) => Ok(()),
            Expr::Interval(interval) => self.expression(&interval.value),
            // polars answers null where SQL says true or false.
            Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner) => Err(self.refuse(expression, "is not supported").hint(
                format!("write coalesce({inner}, FALSE), or NOT coalesce({inner}, FALSE)"),
            )),
            Expr::Nested(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::Extract { expr: inner, .. } => self.expression(inner),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.all([left.as_ref(), right])
            }
            Expr::InList { expr, list, .. } => {
                if let Some(element) = list.iter().find(|element| !is_literal(element)) {
                    return Err(self
                        .refuse(element, "stands in an IN list, which takes literals only")
                        .hint("compare with `=` and OR instead"));
                }
                self.expression(expr)?;
                self.all(list)
            }
            Expr::Between {
                expr, low, high, ..
            } => self.all([expr.as_ref(), low, high]),
            Expr::BinaryOp { left, op, right } => {
                if !is_allowed_operator(op) {
                    return Err(self.refuse(op, "is not an operator that Lamplighter knows"));
                }
                self.all([left.as_ref(), right])
            }
            Expr::UnaryOp { op, expr } => match op {
                UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not => {
                    self.expression(expr)
                }
                _ => Err(self.refuse(op, "is not an operator that Lamplighter knows")),
            },
            Expr::Like {
                any: false,
                expr,
                pattern,
                ..
            }
            | Expr::ILike {
                any: false,
                expr,
                pattern,
                ..
            }
            | Expr::RLike { expr, pattern, .. } => {
                if !is_literal(pattern) {
                    return Err(self.refuse(pattern, "is a pattern, which must be a literal"));
                }
                self.all([expr.as_ref(), pattern])
            }
            Expr::Cast {
                kind, expr, format, ..
            } => match (kind, format) {
                (
                    CastKind::Cast | CastKind::TryCast | CastKind::SafeCast | CastKind::DoubleColon,
                    None,
                ) => self.expression(expr),
                _ => Err(self.refuse(expression, "has a FORMAT, which CAST does not take")),
            },
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => match field {
                CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => self.expression(expr),
                // polars would ignore what follows the number.
                _ => Err(self.refuse(expression, "takes one argument")),
            },
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                // A negative length fails for the whole chunk.
                if let Some(length) = substring_for
                    .as_deref()
                    .filter(|length| !is_literal(length))
                {
                    return Err(self.refuse(length, "is a length, which must be a literal"));
                }
                self.expression(expr)?;
                self.all(
                    substring_from
                        .iter()
                        .chain(substring_for)
                        .map(AsRef::as_ref),
                )
            }
            Expr::Trim {
                expr,
                trim_what,
                trim_characters: None,
                ..
            } => {
                self.expression(expr)?;
                self.all(trim_what.iter().map(AsRef::as_ref))
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                self.all(operand.iter().map(AsRef::as_ref))?;
                for branch in conditions {
                    self.all([&branch.condition, &branch.result])?;
                }
                self.all(else_result.iter().map(AsRef::as_ref))
            }
            Expr::Function(call) => self.call(call),
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => Err(self
                .refuse(expression, "has a dot, but a record has plain columns")
                .hint("write the column alone; a name that contains a dot goes in double quotes")),
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => Err(self
                .refuse(expression, format!("is a subquery; {ROW_WISE}"))
                .hint("join in the source query, or list the values: IN ('a', 'b')")),
            Expr::AnyOp { .. } | Expr::AllOp { .. } => {
                Err(self.refuse(expression, format!("compares with many rows; {ROW_WISE}")))
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                Err(self.refuse(expression, "is a wildcard; name the columns"))
            }
            Expr::Position { .. } => Err(self
                .refuse(expression, "is not supported")
                .hint("LIKE '%…%' or regexp_like(…) tells whether a text contains another")),
            _ => Err(self
                .refuse(expression, "is not supported")
                .hint(format!("scalar SQL only; functions: {}", function_names()))),
        }
    }

    fn column(&mut self, identifier: &Ident) -> Result<(), Failure> {
        let name = &identifier.value;
        if identifier.quote_style.is_none()
            && ["distinct", "all"].contains(&name.to_ascii_lowercase().as_str())
        {
            return Err(self.refuse(name, format!("is not for single rows; {ROW_WISE}")));
        }
        // polars reads such names as patterns that stand for several columns.
        if name == "*" || (name.starts_with('^') && name.ends_with('$')) {
            return Err(self
                .refuse(identifier, "cannot be read as one column")
                .hint("rename the column in the source"));
        }
        self.columns.insert(name.clone());
        Ok(())
    }

    fn value(&self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::Number(digits, false)
                if digits.contains(['e', 'E']) && !digits.contains('.') =>
            {
                Err(self
                    .refuse(digits, "is not a number that polars reads")
                    .hint("write it with a decimal point, as in 1.0e5"))
            }
            Value::Number(_, false)
            | Value::SingleQuotedString(_)
            | Value::Boolean(_)
            | Value::Null => Ok(()),
            _ => Err(self.refuse(value, "is not a literal that Lamplighter knows")),
        }
    }

    fn call(&mut self, call: &Function) -> Result<(), Failure> {
        let name = call.name.to_string().to_ascii_lowercase();
        let name = name.trim_matches('"');
        if call.over.is_some() || WINDOW_FUNCTIONS.contains(&name) {
            return Err(self
                .refuse(call, format!("is a window function; {ROW_WISE}"))
                .hint("compute it where the input is written"));
        }
        if AGGREGATES.contains(&name) {
            let refusal = self.refuse(call, format!("is an aggregate; {ROW_WISE}"));
            return Err(match name {
                "max" | "min" => refusal.hint(LARGER_OF_TWO),
                _ => refusal.hint("compute it where the input is written"),
            });
        }
        if NOT_DETERMINISTIC.contains(&name) {
            return Err(self
                .refuse(
                    call,
                    "gives another result each time; a run must be repeatable",
                )
                .hint("write the value, as in DATE '2013-10-01', or take it from a column"));
        }
        // Of NaN and a number polars takes one or the other, by whether the chunk has nulls.
        if ["greatest", "least"].contains(&name) {
            return Err(self
                .refuse(
                    call,
                    format!("lets NaN results depend on other records; {ROW_WISE}"),
                )
                .hint(LARGER_OF_TWO));
        }
        if SEVERAL_RESULTS.contains(&name) {
            return Err(self.refuse(call, "gives several results for a record"));
        }
        let Some(allowed) = FUNCTIONS.iter().find(|allowed| allowed.name == name) else {
            return Err(self
                .refuse(
                    format!("{name}()"),
                    "is not a function that Lamplighter knows",
                )
                .hint(format!("functions: {}", function_names())));
        };
        if call.filter.is_some()
            || call.null_treatment.is_some()
            || !call.within_group.is_empty()
            || call.uses_odbc_syntax
            || !matches!(call.parameters, FunctionArguments::None)
        {
            return Err(self
                .refuse(call, "has a clause that a scalar function does not take")
                .hint(format!("for example {}", allowed.example)));
        }
        self.arguments(call, allowed)
    }

    fn arguments(&mut self, call: &Function, allowed: &AllowedFunction) -> Result<(), Failure> {
        let FunctionArguments::List(list) = &call.args else {
            return Err(self.refuse(call, "has no list of arguments"));
        };
        if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            return Err(self.refuse(
                call,
                format!("has DISTINCT, ORDER BY or the like in it; {ROW_WISE}"),
            ));
        }
        if !allowed.arguments.contains(&list.args.len()) {
            return Err(self
                .refuse(call, format!("has {} arguments", list.args.len()))
                .hint(format!("for example {}", allowed.example)));
        }
        for (position, argument) in list.args.iter().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                return Err(self.refuse(call, "has an argument that is not a plain expression"));
            };
            if position >= allowed.literals_from && !is_literal(argument) {
                return Err(self
                    .refuse(argument, format!("must be a literal in {}()", allowed.name))
                    .hint(format!("for example {}", allowed.example)));
            }
            self.expression(argument)?;
        }
        Ok(())
    }
}

fn is_literal(expression: &Expr) -> bool {
    match expression {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::UnaryOp {
            op: UnaryOperator::Plus | UnaryOperator::Minus,
            expr,
        }
        | Expr::Nested(expr)
        | Expr::Cast { expr, .. } => is_literal(expr),
        _ => false,
    }
}

fn is_allowed_operator(operator: &BinaryOperator) -> bool {
    use BinaryOperator::*;
    matches!(
        operator,
        And | Or
            | Xor
            | Eq
            | NotEq
            | Lt
            | LtEq
            | Gt
            | GtEq
            | Spaceship
            | Plus
            | Minus
            | Multiply
            | Divide
            | DuckIntegerDivide
            | Modulo
            | StringConcat
            | BitwiseAnd
            | BitwiseOr
            | PGRegexMatch
            | PGRegexIMatch
            | PGRegexNotMatch
            | PGRegexNotIMatch
    )
}
