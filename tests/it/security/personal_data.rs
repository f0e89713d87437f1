use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use super::RUN;
use crate::harness::results::Results;
use crate::harness::{batch, linear_bundle, simple_job, write_parquet};

const CANARY: &str = "Canary-Lovelace";
const NUMBER: &str = "48151623";

const FEATURES: &str = r#"
[[feature]]
column = "plan"
kind = "categorical"
categories = ["basic"]
dim = 0
unknown = "reject"
"#;

/// A bundle that rejects by range, by absence and by category.
fn bundle(results: &Results) {
    let directory = results.workspace.path("bundle");
    let more = "missing = \"reject\"\nmin = 0.0\nmax = 100.0\nout_of_range = \"reject\"";
    linear_bundle(&directory, &[("x", 1.0), ("y", 1.0), ("z", 1.0)], 0.0, more);
    let path = directory.join("model.toml");
    // The feature `y z` becomes one-hot: "other" and "basic" are two inputs.
    let toml = fs::read_to_string(&path).expect("a file");
    let cut = toml
        .find("\n[[feature]]\ncolumn = \"y\"")
        .expect("the second feature");
    fs::write(&path, format!("{}{FEATURES}", &toml[..cut])).expect("a file");
}

fn columns(xs: &[f64], plans: &[&str]) -> Vec<(&'static str, ArrayRef)> {
    let ids = StringArray::from_iter_values((0..xs.len()).map(|row| format!("r{row}")));
    vec![
        ("id", Arc::new(ids)),
        ("x", Arc::new(Float64Array::from(xs.to_vec()))),
        ("plan", Arc::new(StringArray::from(plans.to_vec()))),
        ("name", Arc::new(StringArray::from(vec![CANARY; xs.len()]))),
    ]
}

/// Checks that no value of a record is in what was said and, but for the queue, in what is stored.
#[track_caller]
fn repeats_nothing(results: &Results, said: &str) {
    let tables = [
        "runs",
        "shards",
        "dead_letters",
        "run_attempts",
        "reports",
        "publications",
    ];
    let stored: String = tables
        .iter()
        .map(|table| format!("{:?}", results.query(&format!("SELECT * FROM {table}"))))
        .collect();
    for text in [said, &stored] {
        for value in [CANARY, NUMBER, "4.8151623", "48_151_623", "Lovelace"] {
            assert!(!text.contains(value), "{value}: {text}");
        }
    }
}

/// What all commands that speak of the last run say, and the run itself, as loudly as can be.
fn everything_said(results: &Results, code: i32) -> String {
    let mut said = String::new();
    for form in ["text", "json"] {
        let run = [&RUN[..], &["-vv", "--log-format", form, "--format", form]].concat();
        let ended = results.lamplighter(&run).expect(code);
        said += &(ended.stdout + &ended.stderr);
        for command in [
            &["dead-letters", "list"][..],
            &["dead-letters", "export"],
            &["runs", "show"],
            &["runs", "verify"],
            &["report"],
        ] {
            let arguments = [command, &["--format", form, "-vv"]].concat();
            let ended = results.lamplighter(&arguments).expect(0);
            said += &(ended.stdout + &ended.stderr);
        }
    }
    said
}

#[test]
fn no_rejected_value_is_repeated_in_logs_dead_letters_and_reports() {
    for results in Results::in_each() {
        bundle(&results);
        let number: f64 = NUMBER.parse().expect("a number");
        let xs = [number, -number, f64::INFINITY, f64::NAN, 1.0, 1.0];
        let plans = ["basic", "basic", "basic", "basic", CANARY, "basic"];
        let rows = batch(columns(&xs, &plans));
        write_parquet(&results.workspace.path("input/rows.parquet"), &rows, 10);
        let job = simple_job("[errors]\nmax_dead_letters = \"100%\"\n");
        results.workspace.write("job.toml", job);
        let said = everything_said(&results, 0);
        assert_eq!(
            results.dead_letters(1),
            [
                "r0 validate/out_of_range x",
                "r1 validate/out_of_range x",
                "r2 validate/not_finite x",
                "r3 validate/missing_value x",
                "r4 validate/unknown_category plan",
            ]
        );
        repeats_nothing(&results, &said);
    }
}

/// SQL of the job that meets a value which it can not take.
#[test]
fn no_value_that_a_filter_or_a_transform_meets_is_repeated() {
    for sql in [
        "filter = \"CAST(plan AS BIGINT) > 1\"",
        "filter = \"CAST(name AS DOUBLE) > 1\"",
        "transform = \"CAST(name AS DOUBLE) AS w\"",
        "transform = \"CAST(name AS DATE) AS w\"",
    ] {
        let results = Results::in_sqlite();
        bundle(&results);
        let rows = batch(columns(&[1.0, 2.0], &["basic", CANARY]));
        write_parquet(&results.workspace.path("input/rows.parquet"), &rows, 10);
        let job = simple_job("[errors]\nmax_dead_letters = \"100%\"\n");
        let job = job.replace("[source]\n", &format!("[source]\n{sql}\n"));
        results.workspace.write("job.toml", job);
        let ended = results.lamplighter(&[&RUN[..], &["-vv"]].concat());
        let said = format!("{ended}");
        assert!(!said.contains(CANARY), "{sql}: {said}");
        if results.workspace.path("lamplighter.db").exists() {
            repeats_nothing(&results, "");
        }
    }
}

#[test]
fn no_payload_of_the_queue_is_repeated() {
    for results in Results::in_each() {
        bundle(&results);
        let job = simple_job("[errors]\nmax_dead_letters = \"100%\"\n");
        let parquet = "kind = \"parquet\"\npath = \"input/*.parquet\"";
        results
            .workspace
            .write("job.toml", job.replace(parquet, "kind = \"queue\""));
        let lines = [
            format!("{{\"id\": \"a\", \"x\": \"{CANARY}\", \"plan\": \"basic\"}}"),
            format!(
                "{{\"id\": \"b\", \"x\": {NUMBER}, \"plan\": \"basic\", \"name\": \"{CANARY}\"}}"
            ),
            format!("{{\"id\": \"c\", \"x\": 1, \"plan\": \"{CANARY}\"}}"),
            format!("{{\"id\": \"d\", \"x\": 1, \"plan\": [\"{CANARY}\"]}}"),
            format!("{{\"id\": \"e\", \"plan\": \"{CANARY}\"}}"),
            "{\"id\": \"f\", \"x\": 1, \"plan\": \"basic\"}".to_owned(),
        ];
        results.workspace.write("rows.jsonl", lines.join("\n"));
        let push = ["queue", "push", "job.toml", "rows.jsonl", "-vv"];
        let pushed = results.lamplighter(&push).expect(0);
        let said = everything_said(&results, 0) + &pushed.stdout + &pushed.stderr;
        assert_eq!(results.dead_letters(1).len(), 5);
        repeats_nothing(&results, &said);
        // What can not be pushed is refused by its place.
        for (name, bad) in [
            ("bad.jsonl", format!("{{\"id\": \"g\", \"x\": {CANARY}}}\n")),
            (
                "float.jsonl",
                format!("{{\"id\": {NUMBER}.5, \"name\": \"{CANARY}\"}}\n"),
            ),
            ("bad.csv", format!("id,x,plan\ng,{CANARY}\n")),
            ("open.csv", format!("id,x,plan\ng,\"{CANARY},1\n")),
        ] {
            results.workspace.write(name, bad);
            let push = ["queue", "push", "job.toml", name, "-vv"];
            let refused = results.lamplighter(&push).expect(65);
            repeats_nothing(&results, &(refused.stdout + &refused.stderr));
        }
    }
}
