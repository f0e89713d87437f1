//! Columns on their way to polars and back, by copying values: no shared memory between the two
//! implementations of Arrow, hence no unsafe code, and a chunk is small.

use anyhow::bail;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, UInt64Type,
};
use polars::prelude as polars;
use polars::{ChunkedArray, Column, IntoSeries, NewChunkedArray, Series};
use std::sync::Arc;

/// An arrow column of a canonical type as a polars series.
pub(super) fn to_polars(name: &str, array: &dyn Array) -> anyhow::Result<Series> {
    Ok(match array.data_type() {
        DataType::Int64 => numbers::<Int64Type, polars::Int64Type>(name, array).into_series(),
        DataType::UInt64 => numbers::<UInt64Type, polars::UInt64Type>(name, array).into_series(),
        DataType::Float64 => numbers::<Float64Type, polars::Float64Type>(name, array).into_series(),
        DataType::Date32 => numbers::<Date32Type, polars::Int32Type>(name, array)
            .into_series()
            .into_date(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            numbers::<TimestampMicrosecondType, polars::Int64Type>(name, array)
                .into_series()
                .into_datetime(polars::TimeUnit::Microseconds, None)
        }
        DataType::Boolean => {
            polars::BooleanChunked::from_iter_options(name.into(), array.as_boolean().iter())
                .into_series()
        }
        DataType::Utf8 => {
            polars::StringChunked::from_iter_options(name.into(), array.as_string::<i32>().iter())
                .into_series()
        }
        other => bail!("column `{name}` has type {other}, which SQL expressions cannot read"),
    })
}

fn numbers<A, P>(name: &str, array: &dyn Array) -> ChunkedArray<P>
where
    A: ArrowPrimitiveType,
    P: polars::PolarsNumericType<Native = A::Native>,
    ChunkedArray<P>: NewChunkedArray<P, A::Native>,
{
    let array = array.as_primitive::<A>();
    if array.null_count() == 0 {
        ChunkedArray::<P>::from_slice(name.into(), array.values())
    } else {
        ChunkedArray::<P>::from_iter_options(name.into(), array.iter())
    }
}

/// The canonical arrow type that holds values of a polars type, if there is one: small integers
/// and floats widen, times of day, durations, lists and the like have none.
pub(super) fn canonical_type(polars_type: &polars::DataType) -> Option<DataType> {
    use polars::DataType as Polars;
    Some(match polars_type {
        Polars::Int8 | Polars::Int16 | Polars::Int32 | Polars::Int64 => DataType::Int64,
        Polars::UInt8 | Polars::UInt16 | Polars::UInt32 => DataType::Int64,
        Polars::UInt64 => DataType::UInt64,
        Polars::Float32 | Polars::Float64 => DataType::Float64,
        Polars::Boolean => DataType::Boolean,
        Polars::String => DataType::Utf8,
        Polars::Date => DataType::Date32,
        Polars::Datetime(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return None,
    })
}

/// A polars column as an arrow array of its canonical type.
pub(super) fn to_arrow(column: &Column) -> anyhow::Result<ArrayRef> {
    let Some(target) = canonical_type(column.dtype()) else {
        bail!("a result of type {} cannot become a column", column.dtype());
    };
    let polars_target = match target {
        DataType::UInt64 => polars::DataType::UInt64,
        DataType::Float64 => polars::DataType::Float64,
        DataType::Boolean => polars::DataType::Boolean,
        DataType::Utf8 => polars::DataType::String,
        DataType::Date32 => polars::DataType::Date,
        DataType::Timestamp(..) => polars::DataType::Datetime(polars::TimeUnit::Microseconds, None),
        _ => polars::DataType::Int64,
    };
    let series = column.as_materialized_series().cast(&polars_target)?;
    Ok(match target {
        DataType::UInt64 => Arc::new(UInt64Array::from_iter(series.u64()?.iter())),
        DataType::Float64 => Arc::new(Float64Array::from_iter(series.f64()?.iter())),
        DataType::Boolean => Arc::new(BooleanArray::from_iter(series.bool()?.iter())),
        DataType::Utf8 => Arc::new(StringArray::from_iter(series.str()?.iter())),
        DataType::Date32 => Arc::new(Date32Array::from_iter(series.date()?.physical().iter())),
        DataType::Timestamp(..) => Arc::new(TimestampMicrosecondArray::from_iter(
            series.datetime()?.physical().iter(),
        )),
        _ => Arc::new(Int64Array::from_iter(series.i64()?.iter())),
    })
}
