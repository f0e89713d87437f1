//! What polars makes of an expression: its plan, and what is changed in it so that results are
//! exact, the same in every chunk, and never fail for one value.

use std::sync::Arc;

use polars::chunked_array::cast::CastOptions;
use polars::prelude::{DataFrame, DataType, Expr, IntoLazy, LiteralValue, Schema};
use polars_expr::prelude::PhysicalExpr;
use polars_expr::{ExpressionConversionState, create_physical_expr};
use polars_plan::dsl::{FunctionExpr, Operator, StringFunction, StrptimeOptions};
use polars_plan::frame::OptFlags;
use polars_plan::plans::{AExpr, ArenaExprIter, IR, ToFieldContext, is_elementwise_rec};
use polars_plan::prelude::{Arena, Node};

use super::evaluate::Expression;
use crate::error::Failure;

/// Makes casts and date parsing give null for a value that does not fit. Strict ones fail for
/// the whole chunk, and one bad record must not cost the others. Date literals stay strict: they
/// are the job file's, not a record's.
pub(super) fn lenient(expression: Expr) -> Expr {
    match expression {
        // polars warns on stderr, for each chunk, that text is cast to a date.
        Expr::Cast { expr, dtype, .. }
            if is_text(&expr) && dtype.as_literal() == Some(&DataType::Date) =>
        {
            let options = StrptimeOptions {
                format: Some("%Y-%m-%d".into()),
                ..Default::default()
            };
            Arc::unwrap_or_clone(expr).str().to_date(options)
        }
        Expr::Cast {
            expr,
            dtype,
            options: CastOptions::Strict,
        } => Expr::Cast {
            expr,
            dtype,
            options: CastOptions::NonStrict,
        },
        Expr::Function {
            input,
            function: FunctionExpr::StringExpr(StringFunction::Strptime(dtype, mut options)),
        } => {
            options.strict = input.first().is_some_and(is_text);
            Expr::Function {
                input,
                function: FunctionExpr::StringExpr(StringFunction::Strptime(dtype, options)),
            }
        }
        other => other,
    }
}

fn is_text(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(literal) if LiteralValue::extract_str(literal).is_some())
}

/// Plans an expression for columns of the types in `frame`.
pub(super) fn make(
    source: &Expression,
    expression: &Expr,
    frame: &DataFrame,
) -> Result<Arc<dyn PhysicalExpr>, Failure> {
    let polars_error = |error| source.refuse(format!("does not fit its columns: {error}"));
    // Only what makes the types agree: optimizing one expression gains nothing.
    let mut plan = frame
        .slice(0, 0)
        .lazy()
        .with_optimizations(OptFlags::TYPE_COERCION | OptFlags::TYPE_CHECK)
        .select([expression.clone()])
        .to_alp_optimized()
        .map_err(polars_error)?;
    let IR::Select {
        expr: expressions, ..
    } = plan.lp_arena.get(plan.lp_top)
    else {
        return Err(Failure::internal(format!(
            "{} has no plan",
            source.describe()
        )));
    };
    let [expression] = expressions.as_slice() else {
        return Err(source.refuse("gives several columns"));
    };
    let expression = expression.clone();
    if !is_elementwise_rec(expression.node(), &plan.expr_arena) {
        return Err(source.refuse("looks beyond its record"));
    }
    let schema = frame.schema();
    if casts_text_to_date(expression.node(), &plan.expr_arena, schema).map_err(polars_error)? {
        return Err(source
            .refuse("casts text to a date or time without saying its format")
            .hint("write date(text, '%Y-%m-%d') or timestamp(text, '%Y-%m-%d %H:%M:%S')"));
    }
    divide_exactly(expression.node(), &mut plan.expr_arena);
    // Work stays on the thread that brings it.
    let mut threading = ExpressionConversionState::new(false);
    create_physical_expr(&expression, &mut plan.expr_arena, schema, &mut threading)
        .map_err(polars_error)
}

fn casts_text_to_date(
    root: Node,
    arena: &Arena<AExpr>,
    schema: &Schema,
) -> polars::prelude::PolarsResult<bool> {
    for (_, expression) in arena.iter(root) {
        if let AExpr::Cast { expr, dtype, .. } = expression
            && dtype.is_temporal()
            && arena
                .get(*expr)
                .to_dtype(&ToFieldContext::new(arena, schema))?
                == DataType::String
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// polars divides floats by a constant by multiplying with its reciprocal: 70 / 100 would be
/// 0.7000000000000001, not the 0.7 that the model saw in training. Constant divisors are spread
/// to a whole column, for which polars does divide.
fn divide_exactly(root: Node, arena: &mut Arena<AExpr>) {
    let nodes: Vec<Node> = arena.iter(root).map(|(node, _)| node).collect();
    for node in nodes {
        let &AExpr::BinaryExpr { left, op, right } = arena.get(node) else {
            continue;
        };
        let divides = matches!(
            op,
            Operator::TrueDivide | Operator::FloorDivide | Operator::Modulus
        );
        if !divides || first_column(right, arena).is_some() {
            continue;
        }
        // Without any column the whole expression is a constant, computed once.
        let Some(column) = first_column(left, arena) else {
            continue;
        };
        let column = arena.add(column);
        let always = arena.add(AExpr::BinaryExpr {
            left: column,
            op: Operator::EqValidity,
            right: column,
        });
        let spread = arena.add(AExpr::Ternary {
            predicate: always,
            truthy: right,
            falsy: right,
        });
        arena.replace(
            node,
            AExpr::BinaryExpr {
                left,
                op,
                right: spread,
            },
        );
    }
}

fn first_column(root: Node, arena: &Arena<AExpr>) -> Option<AExpr> {
    arena
        .iter(root)
        .map(|(_, expression)| expression)
        .find(|expression| matches!(expression, AExpr::Column(_)))
        .cloned()
}
