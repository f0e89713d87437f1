//! A job's `filter` and `transform`: SQL that polars evaluates on each chunk.
//!
//! Invariants: the result for a record depends on nothing but that record, so shards, chunks and
//! workers never show in it; and no value in a record can make the expression fail for the whole
//! chunk. Three things see to that: only constructs on an allowlist pass ([`check`]); polars' own
//! plan must call every expression elementwise; and casts and date parsing give null where a
//! value does not fit, instead of an error ([`plan`]).

mod check;
mod convert;
mod evaluate;
mod functions;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use sqlparser::ast::{Expr, SelectItem};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::RESERVED_FOR_COLUMN_ALIAS;
use sqlparser::parser::{Parser, ParserError, ParserOptions};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::error::Failure;
use evaluate::Expression;

/// The key of the job file that an expression stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    Filter,
    Transform,
}

impl fmt::Display for Clause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Clause::Filter => "filter",
            Clause::Transform => "transform",
        })
    }
}

/// A job's `filter` and `transform`, checked when the job is loaded.
#[derive(Clone, Debug)]
pub struct RowSql {
    filter: Option<Expression>,
    filter_columns: BTreeSet<String>,
    /// The added columns: name and expression, in the order of the job file.
    added: Vec<(String, Expression)>,
    transform_columns: BTreeSet<String>,
}

impl RowSql {
    /// Reads `filter` (a predicate) and `transform` (a list of `expression AS name`).
    ///
    /// # Errors
    ///
    /// Configuration failures: syntax, with its position; anything that looks beyond its record
    /// or is not deterministic; functions that are not on the list; an expression without a name
    /// or two with the same.
    pub fn parse(filter: Option<&str>, transform: Option<&str>) -> anyhow::Result<Self> {
        let mut filter_columns = BTreeSet::new();
        let filter = match filter {
            Some(text) => Some(parse_filter(text, &mut filter_columns)?),
            None => None,
        };
        let mut transform_columns = BTreeSet::new();
        let added = match transform {
            Some(text) => parse_transform(text, &mut transform_columns)?,
            None => Vec::new(),
        };
        Ok(Self {
            filter,
            filter_columns,
            added,
            transform_columns,
        })
    }

    /// Whether there is neither a filter nor a transform.
    pub fn is_empty(&self) -> bool {
        self.filter.is_none() && self.added.is_empty()
    }

    /// The input columns that the filter reads, named exactly as written.
    pub fn filter_columns(&self) -> &BTreeSet<String> {
        &self.filter_columns
    }

    /// The input columns that the transform reads, named exactly as written.
    pub fn transform_columns(&self) -> &BTreeSet<String> {
        &self.transform_columns
    }

    /// The names that the transform adds, in order.
    pub fn added_columns(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|(name, _)| name.as_str())
    }

    /// True where the record is kept; where the predicate is null the record is dropped. None
    /// if there is no filter. The batch holds at least the [`filter_columns`](Self::filter_columns).
    pub fn keep(&self, batch: &RecordBatch) -> anyhow::Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else {
            return Ok(None);
        };
        let column = filter.evaluate(batch)?;
        let predicate = column.bool().with_context(|| filter.describe())?;
        let keep = predicate.iter().map(|kept| Some(kept.unwrap_or(false)));
        Ok(Some(BooleanArray::from_iter(keep)))
    }

    /// The added columns, in order, each as long as the batch: Int64, UInt64, Float64, Utf8,
    /// Boolean, Date32 or Timestamp in microseconds. The batch holds at least the
    /// [`transform_columns`](Self::transform_columns).
    pub fn transform(&self, batch: &RecordBatch) -> anyhow::Result<Vec<ArrayRef>> {
        self.added
            .iter()
            .map(|(_, expression)| {
                convert::to_arrow(&expression.evaluate(batch)?)
                    .with_context(|| expression.describe())
            })
            .collect()
    }

    /// Finds columns that the source does not have; `schema` is all that its files have.
    pub fn check_names(&self, schema: &Schema) -> anyhow::Result<()> {
        self.check_columns(Clause::Filter, &self.filter_columns, schema)?;
        self.check_columns(Clause::Transform, &self.transform_columns, schema)
    }

    /// Finds unknown columns and type errors before anything is claimed, by evaluating both
    /// clauses on samples of this schema. Returns the types of the added columns.
    pub fn check_types(&self, schema: &Schema) -> anyhow::Result<Vec<DataType>> {
        if let Some(filter) = &self.filter {
            self.check_columns(Clause::Filter, &self.filter_columns, schema)?;
            let found = filter.check_type(schema)?;
            if found != polars::prelude::DataType::Boolean {
                return Err(check::refuse(
                    Clause::Filter,
                    filter.text(),
                    format!("is of type {found}, not true or false"),
                )
                .hint("compare it with something, as in `delay > 0`")
                .into());
            }
        }
        self.check_columns(Clause::Transform, &self.transform_columns, schema)?;
        self.added
            .iter()
            .map(|(_, expression)| {
                let found = expression.check_type(schema)?;
                convert::canonical_type(&found).ok_or_else(|| {
                    check::refuse(
                        Clause::Transform,
                        expression.text(),
                        format!("is of type {found}, which no feature can read"),
                    )
                    .hint("CAST(… AS DOUBLE), AS BIGINT or AS VARCHAR gives it a plain type")
                    .into()
                })
            })
            .collect()
    }

    fn check_columns(
        &self,
        clause: Clause,
        columns: &BTreeSet<String>,
        schema: &Schema,
    ) -> anyhow::Result<()> {
        let Some(unknown) = columns
            .iter()
            .find(|column| schema.column_with_name(column).is_none())
        else {
            return Ok(());
        };
        let known: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let hint = if self.added_columns().any(|added| added == unknown) {
            "`filter` and `transform` read columns of the source only; repeat the expression".into()
        } else if let Some(near) = known.iter().find(|name| name.eq_ignore_ascii_case(unknown)) {
            format!("names are case-sensitive: did you mean `{near}`?")
        } else {
            format!(
                "columns: {}; text goes in single quotes: 'JFK'",
                known.join(", ")
            )
        };
        Err(Failure::config(format!(
            "`{clause}` reads `{unknown}`, which the source does not have"
        ))
        .hint(hint)
        .into())
    }
}

fn parse_filter(text: &str, columns: &mut BTreeSet<String>) -> anyhow::Result<Expression> {
    let mut items = parse_items(Clause::Filter, text)?;
    match (items.pop(), items.pop()) {
        (Some((SelectItem::UnnamedExpr(tree), text)), None) => {
            checked(Clause::Filter, &tree, text, columns)
        }
        _ => Err(
            check::refuse(Clause::Filter, text, "is not one single predicate")
                .hint("join conditions with AND or OR, and give no name")
                .into(),
        ),
    }
}

fn parse_transform(
    text: &str,
    columns: &mut BTreeSet<String>,
) -> anyhow::Result<Vec<(String, Expression)>> {
    let mut added: Vec<(String, Expression)> = Vec::new();
    for (item, text) in parse_items(Clause::Transform, text)? {
        let refuse = |why: &str| check::refuse(Clause::Transform, &text, why);
        let (tree, name) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value),
            SelectItem::UnnamedExpr(_) => {
                return Err(refuse("has no name")
                    .hint(format!("write `{text} AS name`"))
                    .into());
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                return Err(refuse("is a wildcard")
                    .hint("the source's columns are there anyway; name only what is added")
                    .into());
            }
            SelectItem::ExprWithAliases { .. } => return Err(refuse("has several names").into()),
        };
        if added.iter().any(|(other, _)| *other == name) {
            return Err(refuse("has a name that is taken already").into());
        }
        added.push((name, checked(Clause::Transform, &tree, text, columns)?));
    }
    Ok(added)
}

fn checked(
    clause: Clause,
    tree: &Expr,
    text: String,
    columns: &mut BTreeSet<String>,
) -> anyhow::Result<Expression> {
    let mut reads = BTreeSet::new();
    check::check(clause, tree, &mut reads)?;
    columns.extend(reads.iter().cloned());
    Expression::new(clause, text, reads)
}

/// The items of a comma-separated list with the text of each. The parser and its options are
/// those of `polars_sql::sql_expr`, so that what is checked here is what polars will see.
fn parse_items(clause: Clause, text: &str) -> Result<Vec<(SelectItem, String)>, Failure> {
    let syntax_error = |error: ParserError| {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => "nested too deeply".to_owned(),
        };
        Failure::config(format!("syntax of `{clause}`: {message}"))
    };
    let mut parser = Parser::new(&GenericDialect)
        .with_options(ParserOptions {
            trailing_commas: true,
            ..Default::default()
        })
        .try_with_sql(text)
        .map_err(syntax_error)?;
    let mut items = Vec::new();
    loop {
        let first = parser.peek_token();
        if first.token == Token::EOF {
            break;
        }
        refuse_clause(clause, &first)?;
        let item = parser.parse_select_item().map_err(syntax_error)?;
        let next = parser.peek_token();
        let item_text = &text[offset(text, first.span.start)..offset(text, next.span.start)];
        items.push((item, item_text.trim().to_owned()));
        if next.token != Token::EOF && !parser.consume_token(&Token::Comma) {
            refuse_clause(clause, &next)?;
            return Err(Failure::config(format!(
                "syntax of `{clause}`: `{}` is not expected{}",
                next.token, next.span.start
            )));
        }
    }
    if items.is_empty() {
        return Err(Failure::config(format!("`{clause}` is empty")).hint("leave the key out"));
    }
    Ok(items)
}

/// Refuses FROM, WHERE, ORDER and the other words that start a clause.
fn refuse_clause(clause: Clause, token: &TokenWithSpan) -> Result<(), Failure> {
    match &token.token {
        Token::Word(word)
            if word.quote_style.is_none() && RESERVED_FOR_COLUMN_ALIAS.contains(&word.keyword) =>
        {
            Err(check::refuse(
                clause,
                &word.value,
                format!("starts a clause of a query{}", token.span.start),
            )
            .hint("only expressions over the columns of one record may stand here"))
        }
        _ => Ok(()),
    }
}

/// Where a position of the parser lies in the text, in bytes; the end of input has line 0.
fn offset(text: &str, location: Location) -> usize {
    let (mut line, mut column) = (1, 1);
    for (offset, character) in text.char_indices() {
        if (line, column) == (location.line, location.column) {
            return offset;
        }
        if character == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    text.len()
}
