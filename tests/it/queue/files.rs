//! Files that are pushed: every format carries every bit, and what can not be pushed as it is
//! refuses the file with its place.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{linear, stats};
use crate::harness::flights;
use crate::harness::results::Results;

/// Writes a Parquet file's records as CSV and as lines of JSON, with all digits of every number.
fn convert(from: &Path, csv: &Path, json: &Path) {
    let file = File::open(from).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let fields = reader.schema().fields().clone();
    let mut csv = BufWriter::new(File::create(csv).expect("a file"));
    let mut json = BufWriter::new(File::create(json).expect("a file"));
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    writeln!(csv, "{}", names.join(",")).expect("a line");
    for batch in reader.build().expect("a reader") {
        let batch = batch.expect("rows");
        let columns: Vec<StringArray> = batch
            .columns()
            .iter()
            .map(|column| {
                // A short float has other digits than the double that it is read as.
                let wide = match column.data_type() {
                    DataType::Float32 => cast(column, &DataType::Float64).expect("doubles"),
                    // Names of time zones are not built in; the moments are the same.
                    DataType::Timestamp(unit, Some(_)) => {
                        let numbers = cast(column, &DataType::Int64).expect("numbers");
                        let moments = DataType::Timestamp(*unit, Some("+00:00".into()));
                        cast(&numbers, &moments).expect("moments")
                    }
                    _ => column.clone(),
                };
                let texts = cast(&wide, &DataType::Utf8).expect("a column that prints");
                texts.as_string::<i32>().clone()
            })
            .collect();
        for row in 0..batch.num_rows() {
            let mut cells = Vec::new();
            let mut entries = Vec::new();
            for (field, column) in fields.iter().zip(&columns) {
                let text = column.is_valid(row).then(|| column.value(row));
                let number = field.data_type().is_numeric();
                let value = match text {
                    None | Some("NaN") => "null".to_owned(),
                    Some(text) if number => text.to_owned(),
                    Some(text) => serde_json::Value::from(text).to_string(),
                };
                entries.push(format!("\"{}\":{value}", field.name()));
                let cell = text.filter(|text| *text != "NaN").unwrap_or_default();
                cells.push(match cell.contains([',', '"', '\n']) {
                    true => format!("\"{}\"", cell.replace('"', "\"\"")),
                    false => cell.to_owned(),
                });
            }
            writeln!(csv, "{}", cells.join(",")).expect("a line");
            writeln!(json, "{{{}}}", entries.join(",")).expect("a line");
        }
    }
}

#[test]
fn flights_have_the_same_bits_from_every_format() {
    let [october, ..] = flights::files();
    let expected = flights::expected_bits();
    for results in Results::in_each() {
        let path = |name: &str| results.workspace.path(name);
        convert(&october, &path("f.csv"), &path("f.jsonl"));
        let job = flights::job("kind = \"queue\"");
        results.workspace.write("job.toml", job);
        let parquet = october.to_str().expect("a path");
        for (run_id, file) in (1..).zip([parquet, "f.csv", "f.jsonl"]) {
            results
                .lamplighter(&["queue", "push", "job.toml", file])
                .expect(0);
            let date = format!("2026-11-2{run_id}");
            results
                .lamplighter(&["run", "job.toml", "--date", &date])
                .expect(0);
            let found = results.prediction_bits(run_id);
            assert!(found.len() > 25_000, "{file}: {}", found.len());
            for (id, bits) in found {
                assert!(expected[&id] == bits, "{file}: {id} has other bits");
            }
        }
        assert_eq!(results.value("SELECT count(*) FROM dead_letters"), "0");
        results.verify();
    }
}

#[test]
fn files_that_can_not_be_pushed_are_refused_with_their_place() {
    for results in linear("", "") {
        let files = [
            ("a.txt", "id,x\n", 64, &["a.txt", ".csv", ".jsonl"][..]),
            ("none.csv", "", 66, &["none.csv"]),
            (
                "a.csv",
                "Id,x\na,1\n",
                65,
                &["a.csv, line 1", "`id`", "did you mean `Id`"],
            ),
            ("b.csv", "id,x\na,1\n,2\n", 65, &["b.csv, line 3", "`id`"]),
            (
                "c.csv",
                "id,x\na,1\nb\n",
                65,
                &["c.csv, line 3", "2 columns"],
            ),
            (
                "d.csv",
                "id,x\na,1\nb,\"2\n",
                65,
                &["d.csv, line 3", "quote"],
            ),
            (
                "a.jsonl",
                "{\"id\":1}\n{\"x\":1}\n",
                65,
                &["a.jsonl, line 2", "`id`"],
            ),
            (
                "b.jsonl",
                "{\"id\":1}\n[\"canary\"]\n",
                65,
                &["b.jsonl, line 2"],
            ),
            ("c.jsonl", "{\"id\":1}\ncanary\n", 65, &["c.jsonl, line 2"]),
            (
                "d.jsonl",
                "{\"id\":1.5}\n",
                65,
                &["d.jsonl, line 1", "`id`", "float"],
            ),
            ("a.parquet", "canary", 65, &["a.parquet"]),
        ];
        for (name, content, code, words) in files {
            if !name.starts_with("none") {
                results.workspace.write(name, content);
            }
            let push = ["queue", "push", "job.toml", name];
            let ended = results.lamplighter(&push).expect(code).says(words);
            assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        }
        assert_eq!(stats(&results), [0; 4]);
    }
}

#[test]
fn only_jobs_on_the_queue_have_one() {
    for results in linear("", "") {
        let other = crate::harness::simple_job("");
        results.workspace.write("other.toml", other);
        results.workspace.write("a.csv", "id,x\na,1\n");
        let push = ["queue", "push", "other.toml", "a.csv"];
        results
            .lamplighter(&push)
            .expect(78)
            .says(&["simple", "queue"]);
    }
}

#[test]
fn cells_are_numbers_where_numbers_are_read() {
    for results in linear("", "[errors]\nmax_dead_letters = \"100%\"\n") {
        let lines = "\u{feff}x,id\n1.5,a\n\"2\",b\n,c\nmany,d\n1e2,007\n";
        results.workspace.write("a.csv", lines);
        let push = ["queue", "push", "job.toml", "a.csv", "--format", "json"];
        let told = results.lamplighter(&push).expect(0).json();
        assert_eq!(
            (told["read"].as_u64(), told["queued"].as_u64()),
            (Some(5), Some(5))
        );
        super::run(&results, "2026-11-23", &[]).expect(0);
        let published = results.published("2026-11-23");
        assert_eq!(published, [["007", "201"], ["a", "4"], ["b", "5"]]);
        let expected = ["c validate/missing_value x", "d read/wrong_type x"];
        assert_eq!(results.dead_letters(1), expected);
    }
}
