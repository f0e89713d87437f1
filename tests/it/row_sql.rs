//! `filter` and `transform` of a job, on real files: what is dropped is counted, what is added is
//! scored, what looks beyond its record is refused before anything is planned.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::*;

use crate::harness::{Ended, Workspace, batch, linear_bundle, simple_job, write_parquet};

/// Eight records of every type that an expression can read. Row 3 has nulls throughout.
fn records() -> RecordBatch {
    let valid = |row: usize| row != 3;
    let days: Date32Array = (0..8)
        .map(|row| valid(row).then_some(15_978 + row as i32))
        .collect();
    let moments: TimestampMillisecondArray = (0..8)
        .map(|row| valid(row).then_some(1_380_585_600_000 + row as i64 * 3_600_000))
        .collect();
    let airports = ["JFK", "EWR", "LGA", "", "JFK", "jfk", "EWR", "é-JFK"];
    let texts: StringArray = (0..8)
        .map(|row| valid(row).then_some(airports[row]))
        .collect();
    let times: Int32Array = (0..8)
        .map(|row| valid(row).then_some(row as i32 * 100 + 30))
        .collect();
    let amounts: Float64Array = (0..8)
        .map(|row| valid(row).then_some(row as f64 / 2.0))
        .collect();
    let flags: BooleanArray = (0..8)
        .map(|row| valid(row).then_some(row % 2 == 0))
        .collect();
    let ids = StringArray::from_iter_values((0..8).map(|row| format!("r{row}")));
    batch(vec![
        ("id", Arc::new(ids)),
        ("time", Arc::new(times)),
        ("amount", Arc::new(amounts)),
        ("flag", Arc::new(flags)),
        ("airport", Arc::new(texts)),
        ("day", Arc::new(days)),
        ("moment", Arc::new(moments)),
    ])
}

/// A workspace with these records, a bundle that predicts `columns` weighted, and a job with
/// `source` in its `[source]`.
fn workspace_of(rows: &RecordBatch, columns: &[(&str, f32)], source: &str) -> Workspace {
    let workspace = Workspace::new();
    write_parquet(&workspace.path("input/1.parquet"), rows, 3);
    linear_bundle(
        &workspace.path("bundle"),
        columns,
        0.0,
        "missing = \"impute\"\nfill = -1000.0",
    );
    let job = simple_job("[run]\nshard_size = 3\nbatch_size = 2\n");
    workspace.write(
        "job.toml",
        job.replace("[model]", &format!("{source}\n[model]")),
    );
    workspace
}

fn run(workspace: &Workspace) -> Ended {
    workspace.lamplighter(&["run", "job.toml", "--date", "2026-11-23"])
}

/// Ids and values that consumers see, by id.
fn published(workspace: &Workspace) -> Vec<(String, f64)> {
    workspace
        .query("SELECT record_id, printf('%!.17g', value) FROM predictions_latest ORDER BY 1")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse().expect("a value")))
        .collect()
}

/// Checks the counts of the newest run, and that its rows prove them.
#[track_caller]
fn assert_counts(workspace: &Workspace, planned: u32, predicted: u32, dead: u32, filtered: u32) {
    let counts = workspace.query(
        "SELECT planned, predicted, dead_letters, filtered FROM runs ORDER BY run_id DESC LIMIT 1",
    );
    let expected = [planned, predicted, dead, filtered].map(|count| count.to_string());
    assert_eq!(counts, [expected]);
    assert_eq!(planned, predicted + dead + filtered);
    workspace.lamplighter(&["runs", "verify"]).expect(0);
}

#[test]
fn a_filter_keeps_the_records_for_which_it_holds_and_counts_the_others() {
    // Row 3 is null throughout: only what asks for null keeps it.
    for (filter, kept) in [
        ("time >= 330", &[4, 5, 6, 7][..]),
        ("time < 330", &[0, 1, 2]),
        ("NOT (time < 330)", &[4, 5, 6, 7]),
        ("time IS NULL", &[3]),
        ("coalesce(time, 0) = 0", &[3]),
        ("amount BETWEEN 0.5 AND 1.0", &[1, 2]),
        ("flag", &[0, 2, 4, 6]),
        ("NOT flag", &[1, 5, 7]),
        ("NOT coalesce(flag, FALSE)", &[1, 3, 5, 7]),
        ("airport = 'JFK'", &[0, 4]),
        ("airport <> 'JFK'", &[1, 2, 5, 6, 7]),
        ("upper(airport) = 'JFK'", &[0, 4, 5]),
        ("airport IN ('JFK', 'LGA')", &[0, 2, 4]),
        ("airport LIKE '%JFK'", &[0, 4, 7]),
        ("airport LIKE 'é%'", &[7]),
        ("day >= DATE '2013-10-05'", &[5, 6, 7]),
        ("day = DATE '2013-09-30'", &[0]),
        ("moment < TIMESTAMP '2013-10-01 02:00:00'", &[0, 1]),
        ("EXTRACT(HOUR FROM moment) >= 6", &[6, 7]),
        ("time > 500 AND flag OR airport = 'LGA'", &[2, 6]),
        ("id = 'r5'", &[5]),
        ("1 = 1", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ] {
        let source = format!("filter = \"{filter}\"");
        let workspace = workspace_of(&records(), &[("amount", 1.0)], &source);
        run(&workspace).expect(0);
        let expected: Vec<(String, f64)> = kept
            .iter()
            .map(|&row| {
                let value = if row == 3 {
                    -1000.0
                } else {
                    f64::from(row) / 2.0
                };
                (format!("r{row}"), value)
            })
            .collect();
        assert_eq!(published(&workspace), expected, "{filter}");
        let kept = kept.len() as u32;
        assert_counts(&workspace, 8, kept, 0, 8 - kept);
    }
}

#[test]
fn a_filter_that_drops_everything_leaves_a_published_run_without_records() {
    let workspace = workspace_of(&records(), &[("amount", 1.0)], "filter = \"time > 9999\"");
    run(&workspace).expect(0);
    assert_eq!(published(&workspace), []);
    assert_counts(&workspace, 8, 0, 0, 8);
}

#[test]
fn the_report_tells_what_was_filtered() {
    let workspace = workspace_of(&records(), &[("amount", 1.0)], "filter = \"flag\"");
    let arguments = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--format",
        "json",
    ];
    let report = workspace.lamplighter(&arguments).expect(0).json();
    assert_eq!(report["counts"]["planned"], 8);
    assert_eq!(report["counts"]["filtered"], 4);
    assert_eq!(report["counts"]["predicted"], 4);
}

#[test]
fn duplicates_are_judged_among_what_the_filter_keeps() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["x", "x", "y", "x", "y", "z"]));
    let amounts: ArrayRef = Arc::new(Float64Array::from_iter_values((0..6).map(f64::from)));
    let keep = vec![false, true, true, true, false, false];
    let rows = batch(vec![
        ("id", ids),
        ("amount", amounts),
        ("keep", Arc::new(BooleanArray::from(keep))),
    ]);
    let columns = [("amount", 1.0)];
    let workspace = workspace_of(&rows, &columns, "filter = \"keep\"");
    run(&workspace).expect(0);
    let expected = [("x".to_owned(), 1.0), ("y".to_owned(), 2.0)];
    assert_eq!(published(&workspace), expected);
    let letters = workspace.query("SELECT ordinal, record_id, code FROM dead_letters");
    assert_eq!(letters, [["3", "x", "duplicate_id"]]);
    assert_counts(&workspace, 6, 2, 1, 3);

    // With `fail`, duplicates among what is dropped are none either.
    let source = "filter = \"keep AND amount < 3\"";
    let workspace = workspace_of(&rows, &columns, source);
    let fail = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--set",
        "errors.duplicates=fail",
    ];
    workspace.lamplighter(&fail).expect(0);
    let workspace = workspace_of(&rows, &columns, "filter = \"keep\"");
    workspace.lamplighter(&fail).expect(65);
}

#[test]
fn records_that_the_filter_drops_are_no_dead_letters_whatever_is_wrong_with_them() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), Some("b"), None]));
    let amounts: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::INFINITY, 2.0, 3.0]));
    let keep: ArrayRef = Arc::new(BooleanArray::from(vec![false, false, true, true]));
    let rows = batch(vec![("id", ids), ("amount", amounts), ("keep", keep)]);
    let workspace = workspace_of(&rows, &[("amount", 1.0)], "filter = \"keep\"");
    let lenient = [
        "run",
        "job.toml",
        "--date",
        "2026-11-23",
        "--set",
        "errors.max_dead_letters=1",
    ];
    workspace.lamplighter(&lenient).expect(0);
    assert_eq!(published(&workspace), [("b".to_owned(), 2.0)]);
    let letters = workspace.query("SELECT ordinal, code FROM dead_letters");
    assert_eq!(letters, [["3", "null_id"]]);
    assert_counts(&workspace, 4, 1, 1, 2);
}

#[test]
fn a_transform_makes_features() {
    // Row 3 is null, which is imputed by -1000; what is made of its nulls otherwise is said here.
    for (transform, values) in [
        (
            "time * 2 AS x",
            [60., 260., 460., -1000., 860., 1060., 1260., 1460.],
        ),
        (
            "time / 100 AS x",
            [0.3, 1.3, 2.3, -1000., 4.3, 5.3, 6.3, 7.3],
        ),
        ("div(time, 100) AS x", [0., 1., 2., -1000., 4., 5., 6., 7.]),
        (
            "mod(time, 200) AS x",
            [30., 130., 30., -1000., 30., 130., 30., 130.],
        ),
        (
            "CASE WHEN airport = 'JFK' THEN 1 WHEN flag THEN 2 ELSE 0 END AS x",
            [1., 0., 2., 0., 1., 0., 2., 0.],
        ),
        (
            "CAST(flag AS INTEGER) AS x",
            [1., 0., 1., -1000., 1., 0., 1., 0.],
        ),
        (
            "CAST(amount AS BIGINT) AS x",
            [0., 0., 1., -1000., 2., 2., 3., 3.],
        ),
        ("CAST(airport AS DOUBLE) AS x", [-1000.; 8]),
        ("length(airport) AS x", [3., 3., 3., -1000., 3., 3., 3., 5.]),
        (
            "coalesce(amount, 7) AS x",
            [0., 0.5, 1., 7., 2., 2.5, 3., 3.5],
        ),
        ("amount IS NULL AS x", [0., 0., 0., 1., 0., 0., 0., 0.]),
        (
            "EXTRACT(HOUR FROM moment) AS x",
            [0., 1., 2., -1000., 4., 5., 6., 7.],
        ),
        (
            "EXTRACT(DAY FROM day) AS x",
            [30., 1., 2., -1000., 4., 5., 6., 7.],
        ),
        (
            "nullif(amount, 0.5) AS x",
            [0., -1000., 1., -1000., 2., 2.5, 3., 3.5],
        ),
    ] {
        let source = format!("transform = \"{transform}\"");
        let workspace = workspace_of(&records(), &[("x", 1.0)], &source);
        run(&workspace).expect(0);
        let expected: Vec<(String, f64)> = (0..8)
            .zip(values)
            .map(|(row, value)| (format!("r{row}"), f64::from(value as f32)))
            .collect();
        assert_eq!(published(&workspace), expected, "{transform}");
        assert_counts(&workspace, 8, 8, 0, 0);
    }
}

#[test]
fn several_features_may_be_made_beside_those_of_the_source() {
    let source = "transform = \"time * 2 AS x, CAST(flag AS INTEGER) AS y\"";
    let columns = [("y", 1.0), ("amount", 2.0), ("x", 4.0)];
    let workspace = workspace_of(&records(), &columns, source);
    run(&workspace).expect(0);
    let all = published(&workspace);
    assert_eq!(all[0], ("r0".to_owned(), 1.0 + 0.0 + 240.0));
    assert_eq!(all[5], ("r5".to_owned(), 0.0 + 5.0 + 4240.0));
}

#[test]
fn a_transform_stands_in_for_a_column_of_its_name() {
    for (transform, factor) in [("time * 2 AS amount", 0.0), ("amount * 3 AS amount", 3.0)] {
        let source = format!("transform = \"{transform}\"");
        let workspace = workspace_of(&records(), &[("amount", 1.0)], &source);
        run(&workspace).expect(0);
        let value = match factor {
            0.0 => 2.0 * 230.0,
            factor => factor * 1.0,
        };
        assert_eq!(
            published(&workspace)[2],
            ("r2".to_owned(), value),
            "{transform}"
        );
    }
}

#[test]
fn a_filter_reads_the_source_and_not_what_the_transform_makes() {
    let source = "filter = \"time > 330\"\ntransform = \"time / 2 AS x\"";
    let workspace = workspace_of(&records(), &[("x", 1.0)], source);
    run(&workspace).expect(0);
    let expected = [(4, 215.0), (5, 265.0), (6, 315.0), (7, 365.0)];
    let expected = expected.map(|(row, value)| (format!("r{row}"), value));
    assert_eq!(published(&workspace), expected);
    assert_counts(&workspace, 8, 4, 0, 4);

    let source = "filter = \"x > 330\"\ntransform = \"time / 2 AS x\"";
    let workspace = workspace_of(&records(), &[("x", 1.0)], source);
    run(&workspace).expect(78).says(&["`x`", "`filter`"]);
}

/// Each is refused, naming the construct, and nothing is planned.
#[track_caller]
fn assert_refused(source: &str, words: &[&str]) {
    let workspace = workspace_of(&records(), &[("amount", 1.0)], source);
    run(&workspace).expect(78).says(words);
    assert_eq!(
        workspace.value("SELECT count(*) FROM runs"),
        "0",
        "{source}"
    );
    assert_eq!(
        workspace.value("SELECT count(*) FROM shards"),
        "0",
        "{source}"
    );
}

#[test]
fn a_filter_that_is_not_for_single_records_is_refused_by_name() {
    for (filter, words) in [
        ("amount > avg(amount)", ["avg(amount)", "aggregate"]),
        ("count(*) > 1", ["count(*)", "aggregate"]),
        (
            "row_number() OVER (ORDER BY time) = 1",
            ["row_number()", "window"],
        ),
        (
            "sum(amount) OVER (PARTITION BY flag) > 1",
            ["sum(amount) OVER", "window"],
        ),
        ("amount > (SELECT 1)", ["SELECT 1", "subquery"]),
        (
            "airport IN (SELECT airport FROM self)",
            ["SELECT airport", "subquery"],
        ),
        ("random() < 0.5", ["random()", "repeatable"]),
        ("day < CURRENT_DATE", ["CURRENT_DATE", "repeatable"]),
        ("frobnicate(amount) > 1", ["frobnicate()", "not a function"]),
        ("amuont > 1", ["`amuont`", "does not have"]),
        ("amount >", ["syntax of", "`filter`"]),
        ("amount > 1 ORDER BY time", ["`ORDER`", "clause"]),
        ("time", ["`time`", "true or false"]),
        // polars answers null where SQL says true.
        ("flag IS NOT TRUE", ["`flag IS NOT TRUE`", "coalesce"]),
        ("airport > 1", ["`airport > 1`", "`filter`"]),
    ] {
        assert_refused(&format!("filter = \"{filter}\""), &words);
    }
}

#[test]
fn a_transform_that_is_not_for_single_records_is_refused_by_name() {
    for (transform, words) in [
        ("amount / max(amount) AS x", ["max(amount)", "aggregate"]),
        (
            "lag(amount) OVER (ORDER BY time) AS x",
            ["lag(amount)", "window"],
        ),
        ("(SELECT 1) AS x", ["SELECT 1", "subquery"]),
        ("rand() AS x", ["rand()", "repeatable"]),
        (
            "frobnicate(amount) AS x",
            ["frobnicate()", "not a function"],
        ),
        ("amuont + 1 AS x", ["`amuont`", "does not have"]),
        ("amount + ) AS x", ["syntax of", "`transform`"]),
        ("amount + 1", ["`amount + 1`", "has no name"]),
        ("amount AS x, time AS x", ["`time AS x`", "taken already"]),
        ("*", ["`transform`", "wildcard"]),
        ("airport AS amount", ["`amount`", "feature takes"]),
    ] {
        assert_refused(&format!("transform = \"{transform}\""), &words);
    }
}

/// A thousand records in ragged row groups, some null, some NaN, some of them text that no number
/// fits.
fn crowd() -> RecordBatch {
    let count = 1000;
    let amounts: Float64Array = (0..count)
        .map(|row| match row % 11 {
            0 => None,
            1 => Some(f64::NAN),
            _ => Some(f64::from(row) / 7.0),
        })
        .collect();
    let texts: StringArray = (0..count)
        .map(|row| match row % 13 {
            0 => None,
            1 => Some("none".to_owned()),
            rest => Some(format!("{}.{rest}", row / 3)),
        })
        .collect();
    let ids = StringArray::from_iter_values((0..count).map(|row| (row % 990).to_string()));
    batch(vec![
        ("id", Arc::new(ids)),
        ("amount", Arc::new(amounts)),
        ("text", Arc::new(texts)),
    ])
}

/// What became of each record: predictions by id, as bits, and dead letters.
type Fates = (BTreeMap<String, String>, Vec<Vec<String>>);

#[test]
fn shards_workers_and_chunks_do_not_change_a_bit_of_what_sql_makes() {
    let workspace = workspace_of(
        &crowd(),
        &[("x", 0.3), ("y", 0.7), ("amount", 0.1)],
        "filter = \"amount > 3.5 OR text LIKE '%.4'\"
transform = \"amount / 3 + ln(amount) AS x, coalesce(CAST(text AS DOUBLE), 0.1) * sqrt(amount) AS y\"
",
    );
    let mut seen: Option<Fates> = None;
    let settings = [
        ("16384", "1", "4GiB"),
        ("1", "2", "4GiB"),
        ("7", "3", "1KiB"),
        ("300", "1", "1KiB"),
    ];
    for (run_id, (shards, workers, memory)) in (1..).zip(settings) {
        let date = format!("2026-11-{run_id:02}");
        let sets = [
            format!("run.shard_size={shards}"),
            format!("run.workers={workers}"),
            format!("run.max_memory={memory}"),
        ];
        let mut arguments = vec!["run", "job.toml", "--date", &date];
        for set in &sets {
            arguments.extend(["--set", set]);
        }
        workspace.lamplighter(&arguments).expect(0);
        let letters = workspace.query(&format!(
            "SELECT ordinal, record_id, code FROM dead_letters WHERE run_id = {run_id} ORDER BY 1"
        ));
        let found = (workspace.prediction_bits(run_id), letters);
        assert!(found.0.len() > 500 && !found.1.is_empty());
        assert_eq!(
            *seen.get_or_insert_with(|| found.clone()),
            found,
            "shards of {shards}"
        );
    }
}
