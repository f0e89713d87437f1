//! The functions that `filter` and `transform` may call, and the names that deserve a better
//! answer than "unknown function".

use std::ops::RangeInclusive;

/// A function that `filter` and `transform` may call.
pub(super) struct AllowedFunction {
    pub(super) name: &'static str,
    /// How many arguments it takes.
    pub(super) arguments: RangeInclusive<usize>,
    /// Arguments from this position on (counted from 0) must be literals.
    pub(super) literals_from: usize,
    /// A call as an example: shown to users, and evaluated by the tests, which hold every
    /// function to being row-wise. Its columns: `number` (integer), `count` (unsigned), `amount`
    /// (float), `text`, `other` (text), `flag` (boolean), `day` (date), `moment` (timestamp).
    pub(super) example: &'static str,
}

const ANY: usize = usize::MAX;

const fn function(
    name: &'static str,
    arguments: RangeInclusive<usize>,
    literals_from: usize,
    example: &'static str,
) -> AllowedFunction {
    AllowedFunction {
        name,
        arguments,
        literals_from,
        example,
    }
}

/// The allowlist. A function belongs here only if its result for a row depends on that row alone
/// and no value in a row can make it fail.
pub(super) const FUNCTIONS: &[AllowedFunction] = &[
    // Arithmetic
    function("abs", 1..=1, ANY, "abs(amount)"),
    function("bit_and", 2..=2, ANY, "bit_and(number, 6)"),
    function("bit_not", 1..=1, ANY, "bit_not(number)"),
    function("bit_or", 2..=2, ANY, "bit_or(number, 6)"),
    function("bit_xor", 2..=2, ANY, "bit_xor(number, 6)"),
    function("cbrt", 1..=1, ANY, "cbrt(amount)"),
    function("ceiling", 1..=1, ANY, "ceiling(amount)"),
    function("div", 2..=2, ANY, "div(number, 100)"),
    function("exp", 1..=1, ANY, "exp(amount)"),
    function("ln", 1..=1, ANY, "ln(amount)"),
    function("log", 2..=2, ANY, "log(amount, 2)"),
    function("log10", 1..=1, ANY, "log10(amount)"),
    function("log1p", 1..=1, ANY, "log1p(amount)"),
    function("log2", 1..=1, ANY, "log2(amount)"),
    function("mod", 2..=2, ANY, "mod(number, 100)"),
    function("pi", 0..=0, ANY, "amount * pi()"),
    function("pow", 2..=2, 1, "pow(amount, 2)"),
    function("power", 2..=2, 1, "power(amount, 0.5)"),
    function("round", 1..=2, 1, "round(amount, 1)"),
    function("sign", 1..=1, ANY, "sign(amount)"),
    function("sqrt", 1..=1, ANY, "sqrt(amount)"),
    function("trunc", 1..=2, 1, "trunc(amount)"),
    function("truncate", 1..=2, 1, "truncate(amount, 1)"),
    // Trigonometry
    function("acos", 1..=1, ANY, "acos(amount)"),
    function("acosd", 1..=1, ANY, "acosd(amount)"),
    function("asin", 1..=1, ANY, "asin(amount)"),
    function("asind", 1..=1, ANY, "asind(amount)"),
    function("atan", 1..=1, ANY, "atan(amount)"),
    function("atan2", 2..=2, ANY, "atan2(amount, number)"),
    function("atan2d", 2..=2, ANY, "atan2d(amount, number)"),
    function("atand", 1..=1, ANY, "atand(amount)"),
    function("cos", 1..=1, ANY, "cos(amount)"),
    function("cosd", 1..=1, ANY, "cosd(amount)"),
    function("cot", 1..=1, ANY, "cot(amount)"),
    function("cotd", 1..=1, ANY, "cotd(amount)"),
    function("degrees", 1..=1, ANY, "degrees(amount)"),
    function("radians", 1..=1, ANY, "radians(amount)"),
    function("sin", 1..=1, ANY, "sin(amount)"),
    function("sind", 1..=1, ANY, "sind(amount)"),
    function("tan", 1..=1, ANY, "tan(amount)"),
    function("tand", 1..=1, ANY, "tand(amount)"),
    // Choice
    function("coalesce", 1..=ANY, ANY, "coalesce(amount, number, 0)"),
    function("if", 3..=3, ANY, "if(flag, amount, 0)"),
    function("ifnull", 2..=2, ANY, "ifnull(amount, 0)"),
    function("nullif", 2..=2, ANY, "nullif(number, 0)"),
    // Dates and times; without a format polars would guess one from the first row
    function("date", 2..=2, 1, "date(text, '%Y-%m-%d')"),
    function("date_part", 2..=2, ANY, "date_part('hour', moment)"),
    function("datetime", 2..=2, 1, "datetime(text, '%Y-%m-%d %H:%M')"),
    function("strftime", 2..=2, 1, "strftime(day, '%A')"),
    function("strptime", 2..=2, 1, "strptime(text, '%Y-%m-%d %H:%M')"),
    function("timestamp", 2..=2, 1, "timestamp(text, '%Y-%m-%d %H:%M')"),
    // Text
    function("bit_length", 1..=1, ANY, "bit_length(text)"),
    function("char_length", 1..=1, ANY, "char_length(text)"),
    function("character_length", 1..=1, ANY, "character_length(text)"),
    function("concat", 1..=ANY, ANY, "concat(text, '-', number)"),
    function("concat_ws", 2..=ANY, ANY, "concat_ws('-', text, other)"),
    function("ends_with", 2..=2, ANY, "ends_with(text, other)"),
    function("left", 2..=2, 1, "left(text, 2)"),
    function("length", 1..=1, ANY, "length(text)"),
    function("lower", 1..=1, ANY, "lower(text)"),
    function("lpad", 2..=3, 1, "lpad(text, 5, '0')"),
    function("ltrim", 1..=2, ANY, "ltrim(text)"),
    function("normalize", 1..=1, ANY, "normalize(text)"),
    function("octet_length", 1..=1, ANY, "octet_length(text)"),
    function("regexp_like", 2..=3, 1, "regexp_like(text, '^a.*', 'i')"),
    function("replace", 3..=3, 1, "replace(text, 'a', 'b')"),
    function("reverse", 1..=1, ANY, "reverse(text)"),
    function("right", 2..=2, 1, "right(text, 2)"),
    function("rpad", 2..=3, 1, "rpad(text, 5)"),
    function("rtrim", 1..=2, ANY, "rtrim(text, 'a')"),
    function("split_part", 3..=3, 1, "split_part(text, '-', 2)"),
    function("starts_with", 2..=2, ANY, "starts_with(text, other)"),
    function("upper", 1..=1, ANY, "upper(text)"),
];

/// Functions with a syntax of their own, which the parser does not report as functions.
const FUNCTIONS_WITH_SYNTAX: &[&str] = &[
    "cast", "ceil", "extract", "floor", "substr", "trim", "try_cast",
];

/// Names that deserve a better answer than "unknown function".
pub(super) const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "corr",
    "count",
    "covar",
    "covar_pop",
    "covar_samp",
    "first",
    "group_concat",
    "last",
    "listagg",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "quantile_cont",
    "quantile_disc",
    "stddev",
    "stddev_samp",
    "stdev",
    "stdev_samp",
    "string_agg",
    "sum",
    "total",
    "var",
    "var_samp",
    "variance",
];
pub(super) const WINDOW_FUNCTIONS: &[&str] = &[
    "cume_dist",
    "cum_count",
    "cum_max",
    "cum_min",
    "cum_sum",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
    "rowid",
];
pub(super) const NOT_DETERMINISTIC: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "gen_random_uuid",
    "getdate",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "random",
    "sysdate",
    "today",
    "uuid",
];
pub(super) const SEVERAL_RESULTS: &[&str] = &["columns", "explode", "unnest"];

/// All function names, for messages.
pub(super) fn function_names() -> String {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|allowed| allowed.name).collect();
    names.extend(FUNCTIONS_WITH_SYNTAX);
    names.sort_unstable();
    names.join(", ")
}
