//! Models of texts: what they make of texts, against PyTorch, and how they are refused.

/// How a bundle is made of a Hugging Face directory.
mod import;
/// Same bits, whatever stands beside a text and whichever instruction set computes it.
mod same_bits;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::Float32Type;
use lamplighter::job::Precision;
use lamplighter::model::numerics;

use crate::harness::{
    Ended, Workspace, batch, read_column, read_numbers, read_text, repository, write_parquet,
};
use crate::ledger::{Home, on_both};

on_both! {
    embeddings_are_stored_and_verified,
}

/// What DESIGN demands of text models: of logits, absolute.
const TOLERANCE: f64 = 1e-4;

const BUNDLE: &str = "fixtures/models/review-sentiment";

/// The directories of `fixtures/edge-cases/bert`, by their names.
fn variants() -> Vec<String> {
    let entries = fs::read_dir(repository().join("fixtures/edge-cases/bert")).expect("variants");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    names
}

/// A job over this file, by this bundle.
fn job(source: &Path, id_column: &str, bundle: &Path, more: &str) -> String {
    format!(
        "[job]\nname = \"texts\"\n[source]\nkind = \"parquet\"\npath = \"{}\"\nid_column = \"{id_column}\"\n\
         [model]\nbundle = \"{}\"\n{more}",
        source.display(),
        bundle.display()
    )
}

fn run(workspace: &Workspace, more: &[&str]) -> Ended {
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let arguments = ["run", "job.toml", "--database", &database];
    workspace.lamplighter(&[&arguments, more].concat())
}

/// Lists of floats of a golden file.
fn read_lists(path: &Path, name: &str) -> Vec<Vec<f32>> {
    let chunks = read_column(path, name);
    let lists = chunks.iter().flat_map(|chunk| {
        let lists = chunk.as_list::<i32>();
        (0..lists.len()).map(|row| {
            let numbers = lists.value(row);
            numbers.as_primitive::<Float32Type>().values().to_vec()
        })
    });
    lists.collect()
}

fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let product = |left: &[f32], right: &[f32]| -> f64 {
        let terms = left.iter().zip(right);
        terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    product(left, right) / (product(left, left) * product(right, right)).sqrt()
}

/// Floats of a BLOB as `hex` shows it.
fn floats(hexadecimal: &str) -> Vec<f32> {
    let bytes = hex::decode(hexadecimal).expect("hexadecimal digits");
    let (floats, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    floats
        .iter()
        .map(|float| f32::from_le_bytes(*float))
        .collect()
}

/// Scores by id: `record_id`, `label`, `score`.
fn scored(workspace: &Workspace) -> BTreeMap<String, (String, f64)> {
    let rows = workspace.query(
        "SELECT record_id, label, printf('%!.17g', score) FROM predictions WHERE run_id = 1",
    );
    rows.into_iter()
        .map(|row| {
            let score = row[2].parse().expect("a number");
            (row[0].clone(), (row[1].clone(), score))
        })
        .collect()
}

#[test]
fn reviews_are_pytorchs() {
    let workspace = Workspace::new();
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let arguments = ["run", "jobs/review-sentiment.toml", "--database", &database];
    let mut command = workspace.command(&arguments);
    let ended = Ended::of(command.current_dir(repository())).expect(0);
    assert!(ended.stdout.contains("f32 "), "{ended}");
    let golden = repository().join("fixtures/golden/review-sentiment.parquet");
    let found = scored(&workspace);
    let ids = read_text(&golden, "review_id");
    assert_eq!(found.len(), ids.len());
    let labels = read_text(&golden, "label");
    let [scores, first, second] =
        ["score", "logit_0", "logit_1"].map(|column| read_numbers(&golden, column));
    for (row, id) in ids.iter().enumerate() {
        let (label, score) = &found[id];
        assert_eq!(label, &labels[row], "{id}");
        assert!((score - scores[row]).abs() < TOLERANCE, "{id}");
        // Where the sigmoid is flat, a score says little of the logit.
        if (0.001..0.999).contains(score) {
            let expected = second[row] - first[row];
            assert!(
                (logit(*score) - expected).abs() < TOLERANCE,
                "{id}: {expected}"
            );
        }
    }
}

/// Empty texts, long ones, emoji, right to left, what no tokenizer likes.
#[test]
fn texts_that_tokenizers_stumble_over_are_pytorchs() {
    let workspace = Workspace::new();
    let source = repository().join("fixtures/edge-cases/text/texts.parquet");
    let more = "[errors]\nmax_dead_letters = 1\n[sink]\ndatabase = \"sqlite://x.db\"\n";
    workspace.write(
        "job.toml",
        job(&source, "id", &repository().join(BUNDLE), more),
    );
    let ended = run(&workspace, &["--format", "json"]).expect(0);
    let found = scored(&workspace);
    let ids = read_text(&source, "id");
    let column = |name: &str| -> Vec<Option<f64>> {
        let chunks = read_column(&source, name);
        let numbers = chunks.iter().flat_map(|chunk| {
            let numbers = arrow::compute::cast(chunk, &arrow::datatypes::DataType::Float64);
            let numbers = numbers.expect("numbers");
            let numbers = numbers.as_primitive::<arrow::datatypes::Float64Type>();
            numbers.iter().collect::<Vec<_>>()
        });
        numbers.collect()
    };
    let (first, second) = (column("logit_0"), column("logit_1"));
    let mut truncated = 0;
    for (row, id) in ids.iter().enumerate() {
        let (Some(first), Some(second)) = (first[row], second[row]) else {
            assert!(!found.contains_key(id), "{id}");
            continue;
        };
        let (_, score) = &found[id];
        assert!((logit(*score) - (second - first)).abs() < TOLERANCE, "{id}");
        truncated += u64::from(column("tokens_before")[row] > Some(256.0));
    }
    assert!(truncated >= 3, "{truncated}");
    assert_eq!(ended.json()["columns"]["review"]["truncated"], truncated);
    let letters = workspace.query("SELECT record_id, stage, code, field FROM dead_letters");
    assert_eq!(letters, [["null", "validate", "missing_value", "review"]]);
}

/// Each family, each kind of head, each way to make a vector.
#[test]
fn every_family_is_what_transformers_computes() {
    for name in variants() {
        let workspace = Workspace::new();
        let directory = repository().join("fixtures/edge-cases/bert").join(&name);
        let golden = directory.join("golden.parquet");
        workspace.write("job.toml", job(&golden, "id", &directory, ""));
        run(&workspace, &[]).expect(0);
        let rows = workspace.query(
            "SELECT record_id, printf('%!.17g', value), output, hex(embedding) FROM predictions",
        );
        let expected = read_lists(&golden, "expected");
        assert_eq!(rows.len(), expected.len(), "{name}");
        for row in rows {
            let expected = &expected[row[0].parse::<usize>().expect("an id")];
            let context = format!("{name}, text {}", row[0]);
            if row[3] != "NULL" && !row[3].is_empty() {
                assert!(cosine(&floats(&row[3]), expected) > 0.99999, "{context}");
                let pairs = floats(&row[3]);
                let mut pairs = pairs.iter().zip(expected);
                assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-4), "{context}");
            } else if row[2] == "NULL" {
                let value: f64 = row[1].parse().expect("a number");
                assert!(
                    (value - f64::from(expected[0])).abs() < TOLERANCE,
                    "{context}"
                );
            } else {
                let json: serde_json::Value = serde_json::from_str(&row[2]).expect("JSON");
                let found = json.as_object().expect("probabilities").values();
                for (found, expected) in found.zip(expected) {
                    let distance = found.as_f64().expect("a number") - f64::from(*expected);
                    assert!(distance.abs() < TOLERANCE, "{context}");
                }
            }
        }
    }
}

/// The full-size model, where it has been fetched.
#[test]
fn embeddings_of_minilm_are_those_of_sentence_transformers() {
    let model = repository().join("fixtures/.cache/models/all-MiniLM-L6-v2");
    let golden = repository().join("fixtures/golden/minilm.parquet");
    if !model.join("model.safetensors").exists() {
        let fetched = std::process::Command::new("fixtures/train/fetch.sh")
            .arg("minilm")
            .current_dir(repository())
            .status();
        assert!(
            fetched.expect("fetch.sh").success(),
            "the model can not be fetched"
        );
    }
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("bundle")).expect("a directory");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(model.join(file), workspace.path("bundle").join(file)).expect("a copy");
    }
    workspace
        .lamplighter(&["model", "import", "hf", "bundle", "--max-length", "256"])
        .expect(0);
    for (precision, least) in [("f32", 0.99999), ("bf16", 0.999)] {
        if precision == "bf16" && !has_bf16() {
            continue;
        }
        let more = format!("precision = \"{precision}\"\n");
        workspace.write(
            "job.toml",
            job(&golden, "id", &workspace.path("bundle"), &more),
        );
        let rescore = ["--rescore", "--reason", precision];
        run(&workspace, &rescore).expect(0);
        let rows = workspace.query(
            "SELECT record_id, hex(embedding) FROM predictions WHERE run_id = (SELECT max(run_id) FROM runs)",
        );
        let ids = read_text(&golden, "id");
        let expected = read_lists(&golden, "expected");
        assert_eq!(rows.len(), ids.len());
        let expected: BTreeMap<&String, &Vec<f32>> = ids.iter().zip(&expected).collect();
        for row in rows {
            let cosine = cosine(&floats(&row[1]), expected[&row[0]]);
            assert!(cosine >= least, "{precision}, {}: {cosine}", row[0]);
        }
    }
}

/// Whether processes that tests start compute in bf16: it is the processor's, or the environment's choice.
fn has_bf16() -> bool {
    numerics::kernels(Precision::Bf16).is_ok()
}

fn embeddings_are_stored_and_verified(home: &Home) {
    let directory = repository().join("fixtures/edge-cases/bert/mean");
    let golden = directory.join("golden.parquet");
    let workspace = home.workspace();
    workspace.write(
        "job.toml",
        job(&golden, "id", &directory, "[run]\nshard_size = 3\n"),
    );
    let url = home.url();
    let date = ["--date", "2026-11-23", "--database", &url];
    let start = [&["run", "job.toml"], &date[..]].concat();
    let scored = workspace.lamplighter(&start).expect(0);
    assert!(scored.stdout.contains("records       10"), "{scored}");
    let verify = ["runs", "verify", "texts@2026-11-23#1", "--database", &url];
    workspace.lamplighter(&verify).expect(0);
    let by_date =
        "SELECT count(*) FROM predictions_by_date WHERE embedding IS NOT NULL AND label IS NULL";
    assert_eq!(home.value(by_date), "10");
    // What was tampered with is found.
    let other = match url.starts_with("sqlite") {
        true => "UPDATE predictions SET embedding = zeroblob(96) WHERE record_id = '4'",
        false => {
            "UPDATE lamplighter.predictions SET embedding = array_fill(0::real, ARRAY[24]) WHERE record_id = '4'"
        }
    };
    home.execute(other);
    let found = workspace.lamplighter(&verify).expect(70);
    assert!(found.stdout.contains("hash differs"), "{found}");
}

#[test]
fn bytes_that_are_no_text_and_texts_that_are_too_long_are_dead_letters() {
    let workspace = Workspace::new();
    workspace.copy_directory(BUNDLE, "bundle");
    let toml = fs::read_to_string(workspace.path("bundle/model.toml")).expect("model.toml");
    fs::remove_file(workspace.path("bundle/test_vectors.parquet")).expect("test vectors");
    let toml = toml.replace("max_length = 256", "max_length = 12\nmax_bytes = 100");
    workspace.write(
        "bundle/model.toml",
        toml.replace("\"truncate\"", "\"reject\""),
    );
    let long = "love it ".repeat(20);
    // Few tokens, many bytes.
    let wide = "a".repeat(101);
    let texts: Vec<Option<&[u8]>> = vec![
        Some(b"a lovely dress"),
        Some(b"\xff\xfe broken"),
        None,
        Some(long.as_bytes()),
        Some(wide.as_bytes()),
        Some(b""),
    ];
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..texts.len()).map(|row| format!("r{row}")),
    ));
    let rows = batch(vec![
        ("id", ids),
        ("review", Arc::new(BinaryArray::from(texts))),
    ]);
    assert_eq!(
        dead_letters_of(&workspace, &rows, 4),
        [
            ["r1", "invalid_utf8", "review"],
            ["r2", "missing_value", "review"],
            ["r3", "too_long", "review"],
            ["r4", "too_long", "review"]
        ]
    );
    assert_eq!(scored(&workspace).len(), 2);
}

/// Scores rows with the workspace's bundle. Returns id, code and column of what could not be scored, of
/// which there may be so many.
fn dead_letters_of(workspace: &Workspace, rows: &RecordBatch, most: u64) -> Vec<Vec<String>> {
    let source = workspace.path("input/texts.parquet");
    write_parquet(&source, rows, 4);
    let more = format!("[errors]\nmax_dead_letters = {most}\n");
    workspace.write(
        "job.toml",
        job(&source, "id", &workspace.path("bundle"), &more),
    );
    run(workspace, &[]).expect(0);
    workspace.query("SELECT record_id, code, field FROM dead_letters ORDER BY ordinal")
}

/// Of a pair that is too long, the longer text is named.
#[test]
fn the_longer_text_of_a_pair_is_to_blame() {
    let workspace = Workspace::new();
    workspace.copy_directory("fixtures/edge-cases/bert/pairs", "bundle");
    let toml = fs::read_to_string(workspace.path("bundle/model.toml")).expect("model.toml");
    let mut toml: toml::Table = toml.parse().expect("TOML");
    let text = toml["text"].as_table_mut().expect("a section");
    text.insert("max_length".into(), 12.into());
    text.insert("too_long".into(), "reject".into());
    let columns = ["column", "pair"].map(|key| text[key].as_str().expect("a name").to_owned());
    workspace.write("bundle/model.toml", toml.to_string());
    let long = "a dress ".repeat(20);
    let texts = |texts: [&str; 3]| Arc::new(StringArray::from_iter_values(texts)) as ArrayRef;
    let rows = batch(vec![
        ("id", texts(["first", "second", "neither"])),
        (&columns[0], texts([&long, "a", "a"])),
        (&columns[1], texts(["a", &long, "a"])),
    ]);
    assert_eq!(
        dead_letters_of(&workspace, &rows, 2),
        [
            ["first", "too_long", &columns[0]],
            ["second", "too_long", &columns[1]]
        ]
    );
}

/// A text that kills costs no other.
#[test]
fn a_text_that_kills_is_found() {
    let workspace = Workspace::new();
    let source = repository().join("fixtures/edge-cases/text/texts.parquet");
    let more = "[errors]\nmax_dead_letters = 2\n[run]\nworkers = 1\n";
    workspace.write(
        "job.toml",
        job(&source, "id", &repository().join(BUNDLE), more),
    );
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let start = || {
        let mut command = workspace.command(&["run", "job.toml", "--database", &database]);
        Ended::of(command.env("LAMPLIGHTER_FAULT", "abort:emoji"))
    };
    for _ in 0..2 {
        assert!(start().signal.is_some());
    }
    start().expect(0);
    let letters = workspace.query("SELECT record_id, code FROM dead_letters ORDER BY 1");
    assert_eq!(
        letters,
        [["emoji", "process_died"], ["null", "missing_value"]]
    );
    assert_eq!(scored(&workspace).len(), 19);
}
