//! Every type of column, as everything that it can serve.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::{DATE, database, job, linear, run};
use crate::harness::linear_bundle;
use crate::harness::results::Results;

const UUID: &str = "0b9e3c1e-5d0c-4d62-9a55-3a9f6d1f0a11";

/// Three records: `full`, `other` and `null`, which has nothing but its id.
fn typed() -> String {
    format!(
        "CREATE TYPE mood AS ENUM ('sad', 'glad');
         CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
         CREATE TABLE typed (
             id text PRIMARY KEY, s smallint, i integer, b bigint, r real, d double precision,
             n numeric(20, 5), p positive, t text, v varchar(10), c char(5), truth boolean,
             day date, moment timestamp, zoned timestamptz, j json, jb jsonb, u uuid, m mood,
             bytes bytea, span interval, list integer[]);
         INSERT INTO typed VALUES
             ('full', 1, 2, 3, 0.5, 0.25, 4.125, 7, 'x, \"y\"', 'abc', 'ab', true,
              '2026-02-03', '2026-02-03 04:05:06', '2026-02-03 04:05:06+02', '{{\"a\":1}}',
              '{{\"a\":1}}', '{UUID}', 'glad', 'x', '1 day', '{{1}}'),
             ('other', -1, -2, -3, -0.5, -0.25, -4.125, 1, '', '', '', false,
              '1969-12-31', '1969-12-31 23:59:59', '1969-12-31 23:59:59+00', '[]',
              '[]', '00000000-0000-0000-0000-000000000000', 'sad', '', '0', '{{}}');
         INSERT INTO typed (id) VALUES ('null');"
    )
}

const SOURCE: &str = "table = \"typed\"\nid_column = \"id\"";

#[test]
fn numbers_of_every_type_are_numeric_features() {
    let weights = [
        ("s", 1.0),
        ("i", 2.0),
        ("b", 4.0),
        ("r", 8.0),
        ("d", 16.0),
        ("n", 32.0),
        ("p", 64.0),
        ("truth", 128.0),
    ];
    let results = linear(&typed(), SOURCE, "");
    let fill = "missing = \"impute\"\nfill = 1000.0";
    linear_bundle(&results.workspace.path("bundle"), &weights, 0.0, fill);
    run(&results, DATE, &[]).expect(0);
    let expected = |values: [f32; 8]| {
        let products = weights.iter().zip(values);
        let sum: f32 = products.map(|((_, weight), value)| weight * value).sum();
        sum.to_string()
    };
    let rows = [
        [
            "full".to_owned(),
            expected([1.0, 2.0, 3.0, 0.5, 0.25, 4.125, 7.0, 1.0]),
        ],
        ["null".to_owned(), expected([1000.0; 8])],
        [
            "other".to_owned(),
            expected([-1.0, -2.0, -3.0, -0.5, -0.25, -4.125, 1.0, 0.0]),
        ],
    ];
    assert_eq!(results.published(DATE), rows);
}

/// A bundle of categorical features that know one category each; it says which features of a
/// record are of that category, as the sum of powers of two.
fn categorical_bundle(results: &Results, features: &[(&str, &str)]) {
    let mut toml = "[model]\nname = \"kinds\"\nversion = \"1\"\narchitecture = \"mlp\"\n\
                    task = \"regression\"\n[mlp]\nhidden = []\nactivation = \"relu\"\n"
        .to_owned();
    let mut weights = Vec::new();
    let mut power = 1.0_f32;
    for (column, category) in features {
        let category = serde_json::Value::from(*category);
        toml += &format!(
            "[[feature]]\ncolumn = \"{column}\"\nkind = \"categorical\"\n\
             categories = [{category}]\ndim = 0\n"
        );
        weights.extend([0.0, power]);
        power *= 2.0;
    }
    results.workspace.write("bundle/model.toml", toml);
    let shape = (1, weights.len());
    let weight = Tensor::from_vec(weights, shape, &Device::Cpu).expect("a tensor");
    let bias = Tensor::new(&[0f32], &Device::Cpu).expect("a tensor");
    let tensors = HashMap::from([("layers.0.weight", weight), ("layers.0.bias", bias)]);
    let path = results.workspace.path("bundle/model.safetensors");
    candle_core::safetensors::save(&tensors, path).expect("weights");
}

#[test]
fn what_has_one_text_is_a_categorical_feature() {
    let results = linear(&typed(), SOURCE, "");
    let features = [
        ("t", "x, \"y\""),
        ("v", "abc"),
        ("c", "ab"),
        ("truth", "true"),
        ("s", "1"),
        ("i", "2"),
        ("b", "3"),
        ("p", "7"),
        ("u", UUID),
        ("m", "glad"),
        ("j", "{\"a\":1}"),
        ("jb", "{\"a\": 1}"),
    ];
    categorical_bundle(&results, &features);
    run(&results, DATE, &[]).expect(0);
    let all = (1 << features.len()) - 1;
    let all = all.to_string();
    let expected = [["full", &all], ["null", "0"], ["other", "0"]];
    assert_eq!(results.published(DATE), expected);
}

#[test]
fn expressions_read_every_type() {
    let transform = "EXTRACT(hour FROM zoned) AS hour, EXTRACT(day FROM day) AS day_of_month, \
                     EXTRACT(minute FROM moment) AS minute, n * 2 + s + i + b + r + d AS numbers, \
                     CASE WHEN truth AND m = 'glad' AND c = 'ab' AND v LIKE 'a%' AND t = 'x, \\\"y\\\"' \
                     AND j = '{\\\"a\\\":1}' AND u LIKE '0b9e%' THEN 1 ELSE 0 END AS texts";
    let source =
        format!("{SOURCE}\ntransform = \"{transform}\"\nfilter = \"day < DATE '2027-01-01'\"");
    let results = linear(&typed(), &source, "");
    let columns = [
        ("hour", 1.0),
        ("day_of_month", 100.0),
        ("minute", 10_000.0),
        ("numbers", 0.5),
        ("texts", 1_000_000.0),
    ];
    linear_bundle(&results.workspace.path("bundle"), &columns, 0.0, "");
    run(&results, DATE, &[]).expect(0);
    let numbers = 2.0 * 4.125 + 1.0 + 2.0 + 3.0 + 0.5 + 0.25;
    // The hour is that of UTC.
    let full = 2.0 + 300.0 + 50_000.0 + numbers / 2.0 + 1_000_000.0;
    let numbers = -2.0 * 4.125 - 1.0 - 2.0 - 3.0 - 0.5 - 0.25;
    let other = 23.0 + 3_100.0 + 590_000.0 + numbers / 2.0;
    let expected = [
        ["full".to_owned(), f64::to_string(&full)],
        ["other".to_owned(), f64::to_string(&other)],
    ];
    assert_eq!(results.published(DATE), expected);
    assert_eq!(results.value("SELECT filtered FROM reports"), "1");
}

#[test]
fn integers_uuids_enums_and_texts_are_ids_as_postgres_writes_them() {
    let columns = [
        ("smallint", "(-32768), (0), (32767)"),
        ("integer", "(-2147483648), (0), (2147483647)"),
        (
            "bigint",
            "(-9223372036854775808), (0), (9223372036854775807)",
        ),
        (
            "uuid",
            "('0b9e3c1e-5d0c-4d62-9a55-3a9f6d1f0a11'), ('00000000-0000-0000-0000-000000000000')",
        ),
        ("mood", "('sad'), ('glad')"),
        (
            "text",
            "('a'), ('A'), (' é,\"\\'), ('{}'), ('NULL'), ('a''b')",
        ),
        ("varchar(9)", "('a'), ('a ')"),
        ("char(5)", "('a'), ('abcde')"),
        ("name", "('a'), ('b')"),
    ];
    let results = linear("CREATE TYPE mood AS ENUM ('sad', 'glad')", "", "");
    let mut count = 0;
    for (index, (column, values)) in columns.iter().enumerate() {
        // Found again by their places, by an index, and without either.
        let variants = [
            (
                "heap",
                format!("CREATE TABLE heap{index} (id {column}, x integer)"),
            ),
            (
                "keyed",
                format!("CREATE TABLE keyed{index} (id {column} PRIMARY KEY, x integer)"),
            ),
            (
                "view",
                format!("CREATE VIEW view{index} AS SELECT * FROM keyed{index}"),
            ),
        ];
        for (kind, create) in variants {
            database(&results).execute(&create);
            let table = format!("{kind}{index}");
            if kind != "view" {
                database(&results).execute(&format!(
                    "INSERT INTO {table} (id) VALUES {values}; UPDATE {table} SET x = 1"
                ));
            }
            let source = format!("table = \"{table}\"\nid_column = \"id\"");
            let name = format!("\"{table}\"");
            let job = job(&source, "").replace("\"simple\"", &name);
            results.workspace.write("job.toml", job);
            run(&results, DATE, &["--set", "run.shard_size=2"]).expect(0);
            count += 1;
            let scored =
                format!("SELECT record_id FROM predictions WHERE run_id = {count} ORDER BY 1");
            let stored =
                database(&results).query(&format!("SELECT id::text FROM {table} ORDER BY 1"));
            assert_eq!(results.query(&scored), stored, "{create}");
        }
    }
}

#[test]
fn what_is_no_safe_identity_is_refused_by_name() {
    let results = linear(&typed(), SOURCE, "");
    for (column, declared, hint) in [
        ("n", "numeric(20,5)", "n::bigint"),
        ("r", "real", "integer or text"),
        ("d", "double precision", "integer or text"),
        ("truth", "boolean", "integer or text"),
        ("day", "date", "integer or text"),
        ("zoned", "timestamp with time zone", "integer or text"),
        ("bytes", "bytea", "bytes::text"),
        ("span", "interval", "span::text"),
        ("list", "integer[]", "to_json(list)::text"),
    ] {
        let source = format!("table = \"typed\"\nid_column = \"{column}\"");
        results.workspace.write("job.toml", job(&source, ""));
        let name = format!("column `{column}`");
        let words = ["[source] table typed", &name, declared, "hint: ", hint];
        run(&results, DATE, &[]).expect(65).says(&words);
    }
    assert_eq!(results.value("SELECT count(*) FROM runs"), "0");
}

#[test]
fn columns_that_can_not_be_read_hurt_only_who_uses_them() {
    let results = linear(&typed(), SOURCE, "");
    let bundle = results.workspace.path("bundle");
    // A list can be read, but only by who takes lists.
    let unreadable = "can not be read";
    for (column, problem) in [
        ("bytes", unreadable),
        ("span", unreadable),
        ("list", "must hold"),
    ] {
        linear_bundle(&bundle, &[(column, 1.0)], 0.0, "");
        let name = format!("column `{column}`");
        run(&results, DATE, &[]).expect(65).says(&[&name, problem]);
        let filter = format!("source.filter={column} IS NULL");
        linear_bundle(&bundle, &[("i", 1.0)], 0.0, "");
        let name = format!("`{column}`");
        run(&results, DATE, &["--set", &filter])
            .expect(65)
            .says(&[&name, problem]);
    }
    // Text is no number, and a date is no category.
    linear_bundle(&bundle, &[("t", 1.0)], 0.0, "");
    run(&results, DATE, &[])
        .expect(65)
        .says(&["column `t`", "type text", "must hold"]);
    categorical_bundle(&results, &[("day", "x")]);
    run(&results, DATE, &[])
        .expect(65)
        .says(&["column `day`", "type date", "must hold"]);
    linear_bundle(&bundle, &[("i", 1.0)], 0.0, "");
    run(&results, DATE, &[]).expect(0);
}

#[test]
fn a_moment_at_infinity_is_a_dead_letter_with_its_column() {
    let sql = "CREATE TABLE t (id integer PRIMARY KEY, x integer, day date, moment timestamp, zoned timestamptz);
               INSERT INTO t VALUES (1, 1, '2026-01-01', '2026-01-01', '2026-01-01'),
               (2, 1, 'infinity', '2026-01-01', '2026-01-01'), (3, 1, '2026-01-01', '-infinity', '2026-01-01'),
               (4, 1, '2026-01-01', '2026-01-01', 'infinity'), (5, 1, NULL, NULL, NULL)";
    let source = "table = \"t\"\nid_column = \"id\"\n\
                  filter = \"day IS NULL OR (day < DATE '2026-06-01' AND moment = zoned)\"";
    let results = linear(sql, source, "[errors]\nmax_dead_letters = 3\n");
    run(&results, DATE, &[]).expect(0);
    assert_eq!(results.published(DATE), [["1", "3"], ["5", "3"]]);
    let letters = results.dead_letters(1);
    let fields: Vec<(&str, &str)> = letters
        .iter()
        .map(|letter| {
            let mut words = letter.split(' ');
            (
                words.next().expect("an id"),
                words.next_back().expect("a column"),
            )
        })
        .collect();
    assert_eq!(fields, [("2", "day"), ("3", "moment"), ("4", "zoned")]);
    results.verify();
}

#[test]
fn numbers_that_are_none_are_what_they_are_in_every_source() {
    let sql = "CREATE TABLE t (id integer PRIMARY KEY, x double precision, n numeric);
               INSERT INTO t VALUES (1, 1, 1), (2, 'NaN', 1), (3, 'Infinity', 1), (4, 1, 'NaN'),
               (5, 1, '1e300'), (6, 1, 1.1), (7, 1, '1e400')";
    let source = "table = \"t\"\nid_column = \"id\"";
    let results = linear(sql, source, "[errors]\nmax_dead_letters = \"100%\"\n");
    let bundle = results.workspace.path("bundle");
    let more = "missing = \"reject\"\nmax = 10.0\nout_of_range = \"reject\"";
    linear_bundle(&bundle, &[("x", 2.0), ("n", 0.0)], 1.0, more);
    run(&results, DATE, &[]).expect(0);
    assert_eq!(results.published(DATE), [["1", "3"], ["6", "3"]]);
    let expected = [
        "2 validate/missing_value x",
        "3 validate/not_finite x",
        "4 validate/missing_value n",
        "5 validate/out_of_range n",
        "7 read/out_of_range n",
    ];
    assert_eq!(results.dead_letters(1), expected);
}

#[test]
fn any_name_is_a_name() {
    let names = [
        "x y", "X", "o\"x", "é", "select", "source", "id\\", "a.b", ":date", "$1",
    ];
    let quoted = names.map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
    let columns = quoted
        .map(|name| format!("{name} integer DEFAULT 1"))
        .join(", ");
    let sql = format!(
        "CREATE TABLE \"Ta ble\" (\"the id\" integer, {columns}); INSERT INTO \"Ta ble\" VALUES (7)"
    );
    let results = linear(&sql, "", "");
    let bundle = results.workspace.path("bundle");
    let weights: Vec<(String, f32)> = names
        .iter()
        .map(|name| name.replace('\\', "\\\\").replace('"', "\\\""))
        .zip((0..).map(|power| 2_f32.powi(power)))
        .collect();
    let weights: Vec<(&str, f32)> = weights
        .iter()
        .map(|(name, weight)| (&**name, *weight))
        .collect();
    linear_bundle(&bundle, &weights, 0.0, "");
    let all = ((1 << names.len()) - 1).to_string();
    let sources = [
        ("2026-11-23", "table = \"Ta ble\""),
        ("2026-11-24", "query = \"SELECT * FROM \\\"Ta ble\\\"\""),
    ];
    for (date, source) in sources {
        let source = format!("{source}\nid_column = \"the id\"");
        let job = job(&source, "").replace("\"simple\"", &format!("\"of-{date}\""));
        results.workspace.write("job.toml", job);
        run(&results, date, &[]).expect(0);
        assert_eq!(results.published(date), [["7", &all]]);
    }
}
