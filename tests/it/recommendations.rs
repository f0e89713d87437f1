//! Items ranked for queries: what PyTorch ranks, from every source, and what is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, FixedSizeListArray, Int64Array, ListArray, ListBuilder, NullArray,
    StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type};
use candle_core::{Device, Tensor};

use crate::harness::results::Results;
use crate::harness::{Ended, Workspace, batch, read_column, read_text, repository, write_parquet};

/// What tabular models are held to, absolute and relative.
const TOLERANCE: f64 = 1e-5;

const BUNDLE: &str = "fixtures/models/recommendations";

/// Lists of text of a file.
fn read_items(path: &Path, name: &str) -> Vec<Vec<String>> {
    let texts = |list: ArrayRef| -> Vec<String> {
        let texts = list.as_string::<i32>().iter();
        texts
            .map(|text| text.expect("an item").to_owned())
            .collect()
    };
    let chunks = read_column(path, name);
    let lists = chunks
        .iter()
        .flat_map(|chunk| chunk.as_list::<i32>().iter());
    lists.map(|list| texts(list.expect("a list"))).collect()
}

fn read_scores(path: &Path, name: &str) -> Vec<Vec<f32>> {
    let chunks = read_column(path, name);
    let lists = chunks
        .iter()
        .flat_map(|chunk| chunk.as_list::<i32>().iter());
    lists
        .map(|list| {
            let list = list.expect("a list");
            list.as_primitive::<Float32Type>().values().to_vec()
        })
        .collect()
}

/// Items and scores of a stored output.
fn ranked(output: &str) -> Vec<(String, f64)> {
    let output: serde_json::Value = serde_json::from_str(output).expect("JSON");
    let items = output.as_array().expect("an array").iter();
    items
        .map(|item| {
            let id = item["item"].as_str().expect("an id").to_owned();
            (id, item["score"].as_f64().expect("a score"))
        })
        .collect()
}

/// Holds a ranking to PyTorch's. Scores are within the tolerance place by place; where two of them are
/// nearer to each other than that, rounding decides which comes first.
#[track_caller]
fn assert_ranked(who: &str, found: &[(String, f64)], items: &[String], scores: &[f32]) {
    assert_eq!(found.len(), items.len(), "{who}");
    let by_item: HashMap<&String, f64> = items
        .iter()
        .zip(scores.iter().map(|score| f64::from(*score)))
        .collect();
    let allowed = |score: f64| TOLERANCE * (1.0 + score.abs());
    let last = f64::from(scores[scores.len() - 1]);
    for ((item, score), expected) in found.iter().zip(scores) {
        let expected = f64::from(*expected);
        assert!(
            (score - expected).abs() <= allowed(expected),
            "{who}: {score} is not {expected}"
        );
        // One that PyTorch has not is as good as its last one.
        let of_pytorch = by_item.get(item).copied().unwrap_or(last);
        assert!(
            (score - of_pytorch).abs() <= allowed(expected),
            "{who}: {item}"
        );
    }
}

/// Runs the job of the repository in this bundle.
fn run_fixture(workspace: &Workspace, more: &[&str]) -> BTreeMap<String, String> {
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let arguments = ["run", "jobs/recommendations.toml", "--database", &database];
    let mut command = workspace.command(&[&arguments, more].concat());
    Ended::of(command.current_dir(repository())).expect(0);
    let rows = workspace.query("SELECT record_id, output FROM predictions_latest");
    rows.into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect()
}

#[test]
fn recommendations_are_pytorchs_and_none_is_bought_already() {
    let workspace = Workspace::new();
    let outputs = run_fixture(&workspace, &[]);
    let golden = repository().join("fixtures/golden/recommendations.parquet");
    let customers = read_text(&golden, "customer");
    assert_eq!(outputs.len(), customers.len());
    let (items, scores) = (read_items(&golden, "items"), read_scores(&golden, "scores"));
    for (row, customer) in customers.iter().enumerate() {
        let found = ranked(&outputs[customer]);
        assert_ranked(customer, &found, &items[row], &scores[row]);
    }
    let input = repository().join("fixtures/customers/customers.parquet");
    let bought = read_items(&input, "bought").into_iter();
    for (customer, bought) in read_text(&input, "customer").iter().zip(bought) {
        let bought: BTreeSet<String> = bought.into_iter().collect();
        let found = ranked(&outputs[customer]);
        assert!(
            found.iter().all(|(item, _)| !bought.contains(item)),
            "{customer}"
        );
    }
}

#[test]
fn without_exclusion_recommendations_are_pytorchs_too() {
    let workspace = Workspace::new();
    let bundle = workspace.copy_directory(BUNDLE, "bundle");
    let toml = fs::read_to_string(bundle.join("model.toml")).expect("a file");
    let without = toml.replace("exclude = \"bought\"\n", "");
    assert_ne!(toml, without);
    workspace.write("bundle/model.toml", without);
    let set = format!("model.bundle=\"{}\"", bundle.display());
    let outputs = run_fixture(&workspace, &["--set", &set]);
    let golden = repository().join("fixtures/golden/recommendations.parquet");
    let items = read_items(&golden, "items_all");
    let scores = read_scores(&golden, "scores_all");
    for (row, customer) in read_text(&golden, "customer").iter().enumerate() {
        let found = ranked(&outputs[customer]);
        assert_ranked(customer, &found, &items[row], &scores[row]);
    }
}

/// Batches, workers, shards and instruction sets.
#[test]
fn the_same_bits_however_they_are_computed() {
    let all = run_fixture(&Workspace::new(), &[]);
    for more in [
        &["--set", "run.batch_size=1000", "--workers", "1"][..],
        &["--set", "run.batch_size=7", "--set", "run.shard_size=100"],
    ] {
        assert_eq!(run_fixture(&Workspace::new(), more), all);
    }
}

/// Three customers, four products, vectors of two numbers: c1's scores of a, b, c, d are 1, 2, 3, 4;
/// c2's are 4, 3, 2, 1; c3's are all 0.
pub fn small_bundle(workspace: &Workspace, exclude: &str) {
    workspace.write(
        "bundle/model.toml",
        format!(
            "[model]\nname = \"small\"\nversion = \"1\"\narchitecture = \"two_tower\"\ntask = \"ranking\"\n\
             [ranking]\nquery_column = \"customer\"\nqueries = \"queries.txt\"\nitems = \"items.txt\"\n\
             top_k = 3\n{exclude}"
        ),
    );
    workspace.write("bundle/queries.txt", "c1\nc2\n3\n");
    workspace.write("bundle/items.txt", "a\nb\nc\n4\n");
    let tensor = |numbers: &[f32]| {
        Tensor::from_slice(numbers, (numbers.len() / 2, 2), &Device::Cpu).expect("a tensor")
    };
    let tensors = HashMap::from([
        ("query.embedding.weight", tensor(&[1., 0., 0., 1., 0., 0.])),
        (
            "item.embedding.weight",
            tensor(&[1., 4., 2., 3., 3., 2., 4., 1.]),
        ),
    ]);
    let path = workspace.path("bundle/model.safetensors");
    candle_core::safetensors::save(&tensors, path).expect("weights");
}

fn job(source: &str) -> String {
    format!(
        "[job]\nname = \"small\"\n[source]\n{source}\nid_column = \"id\"\n[model]\nbundle = \"bundle\"\n\
         [errors]\nmax_dead_letters = \"100%\"\n"
    )
}

/// What each record of [`records`] gets.
const EXPECTED: [(&str, &str); 5] = [
    (
        "1",
        r#"[{"item":"c","score":3},{"item":"b","score":2},{"item":"a","score":1}]"#,
    ),
    ("2", r#"[{"item":"b","score":3},{"item":"c","score":2}]"#),
    ("3", "[]"),
    // Equal scores: in the order of the items.
    (
        "4",
        r#"[{"item":"a","score":0},{"item":"b","score":0},{"item":"c","score":0}]"#,
    ),
    (
        "5",
        r#"[{"item":"4","score":4},{"item":"c","score":3},{"item":"b","score":2}]"#,
    ),
];

/// Customer and what they have, of the records 1, 2, ….
fn records() -> [(&'static str, Option<&'static [&'static str]>); 5] {
    [
        ("c1", Some(&["4", "unknown"])),
        ("c2", Some(&["4", "a", "a"])),
        ("c2", Some(&["a", "b", "c", "4"])),
        ("3", Some(&[])),
        ("c1", None),
    ]
}

#[track_caller]
fn assert_expected(results: &Results) {
    let rows = results.query("SELECT record_id, output FROM predictions_latest ORDER BY record_id");
    let expected: Vec<Vec<String>> = EXPECTED
        .iter()
        .map(|(id, output)| vec![(*id).to_owned(), (*output).to_owned()])
        .collect();
    assert_eq!(rows, expected);
    results.verify();
}

/// Lists, JSON, arrays of Postgres, payloads of the queue: into both databases.
#[test]
fn every_source_gives_the_same() {
    let json = |items: &[&str]| serde_json::json!(items).to_string();
    for results in Results::in_each() {
        small_bundle(&results.workspace, "exclude = \"has\"\n");
        let mut lists = ListBuilder::new(StringBuilder::new());
        for (_, has) in records() {
            lists.append_option(has.map(|has| has.iter().map(Some)));
        }
        let texts: StringArray = records().iter().map(|(_, has)| has.map(json)).collect();
        let columns: [ArrayRef; 2] = [Arc::new(lists.finish()), Arc::new(texts)];
        for has in columns {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=5));
            let customers = records().map(|(customer, _)| customer);
            let customers: ArrayRef = Arc::new(StringArray::from(customers.to_vec()));
            let rows = batch(vec![("id", ids), ("customer", customers), ("has", has)]);
            write_parquet(&results.workspace.path("input.parquet"), &rows, 2);
            let source = "kind = \"parquet\"\npath = \"input.parquet\"";
            results.workspace.write("job.toml", job(source));
            let again = ["--rescore", "--reason", "another form"];
            let arguments = ["run", "job.toml", "--date", "2026-11-01"];
            results
                .lamplighter(&[&arguments, &again[..]].concat())
                .expect(0);
            assert_expected(&results);
        }

        let lines = records().into_iter().zip(1..).map(|((customer, has), id)| {
            format!(
                "{}\n",
                serde_json::json!({ "id": id.to_string(), "customer": customer, "has": has })
            )
        });
        results
            .workspace
            .write("pushed.jsonl", lines.collect::<String>());
        results.workspace.write("job.toml", job("kind = \"queue\""));
        results
            .lamplighter(&["queue", "push", "job.toml", "pushed.jsonl"])
            .expect(0);
        results
            .lamplighter(&["run", "job.toml", "--date", "2026-11-02"])
            .expect(0);
        assert_expected(&results);

        let Some(database) = results.postgres() else {
            continue;
        };
        database.execute(
            "CREATE TABLE asked (id int PRIMARY KEY, customer text, has text[], as_json jsonb)",
        );
        for ((customer, has), id) in records().into_iter().zip(1..) {
            let has = has.map_or("NULL".to_owned(), |has| format!("'{}'", json(has)));
            database.execute(&format!(
                "INSERT INTO asked SELECT {id}, '{customer}', \
                 CASE WHEN {has}::jsonb IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text({has}::jsonb)) END, \
                 {has}::jsonb"
            ));
        }
        let source = "kind = \"postgres\"\ntable = \"asked\"";
        let of_json =
            "kind = \"postgres\"\nquery = \"SELECT id, customer, as_json AS has FROM asked\"";
        for (source, date) in [(source, "2026-11-03"), (of_json, "2026-11-04")] {
            results.workspace.write("job.toml", job(source));
            results
                .lamplighter(&["run", "job.toml", "--date", date])
                .expect(0);
            assert_expected(&results);
        }
    }
}

#[test]
fn whom_the_model_does_not_know_is_a_dead_letter() {
    let results = Results::in_sqlite();
    small_bundle(&results.workspace, "exclude = \"has\"\n");
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=5));
    let customers = [Some("c1"), Some("nobody"), None, Some("c1"), Some("c1")];
    let customers: ArrayRef = Arc::new(StringArray::from(customers.to_vec()));
    let has = [
        Some("[\"4\"]"),
        Some("[]"),
        Some("{"),
        Some("4"),
        Some("[null]"),
    ];
    let has: ArrayRef = Arc::new(StringArray::from(has.to_vec()));
    let rows = batch(vec![("id", ids), ("customer", customers), ("has", has)]);
    write_parquet(&results.workspace.path("input.parquet"), &rows, 10);
    let source = "kind = \"parquet\"\npath = \"input.parquet\"";
    results.workspace.write("job.toml", job(source));
    results.lamplighter(&["run", "job.toml"]).expect(0);
    assert_eq!(
        results.dead_letters(1),
        [
            "2 validate/unknown_query customer",
            "3 validate/missing_value customer",
            "4 validate/invalid_items has",
            "5 validate/invalid_items has",
        ]
    );
    assert_eq!(
        results.value("SELECT output FROM predictions"),
        EXPECTED[0].1
    );
    results.verify();
}

/// What writers make of lists of which they know nothing: null columns, lists of nulls, lists of one length.
#[test]
fn files_whose_lists_are_empty_go_together_with_others() {
    let results = Results::in_sqlite();
    small_bundle(&results.workspace, "exclude = \"has\"\n");
    let some = {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("4")]);
        lists.finish()
    };
    let length = [Some(vec![Some(4), Some(3)])];
    let fixed = FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(length, 2);
    let empty = ListArray::new_null(Arc::new(Field::new_list_field(DataType::Null, true)), 1);
    let columns: [ArrayRef; 4] = [
        Arc::new(NullArray::new(1)),
        Arc::new(empty),
        Arc::new(some),
        Arc::new(fixed),
    ];
    for (index, has) in columns.into_iter().enumerate() {
        let id: ArrayRef = Arc::new(Int64Array::from(vec![index as i64]));
        let customer: ArrayRef = Arc::new(StringArray::from(vec!["c1"]));
        let rows = batch(vec![("id", id), ("customer", customer), ("has", has)]);
        let path = results.workspace.path(&format!("input/{index}.parquet"));
        write_parquet(&path, &rows, 1);
    }
    let source = "kind = \"parquet\"\npath = \"input/*.parquet\"";
    results.workspace.write("job.toml", job(source));
    results.lamplighter(&["run", "job.toml"]).expect(0);
    let outputs = results
        .query("SELECT output FROM predictions ORDER BY ordinal")
        .concat();
    let [without_4, all] = [EXPECTED[0].1, EXPECTED[4].1];
    assert_eq!(outputs, [all, all, without_4, without_4]);
}

/// A bundle at fault ends a start with 78, and says what is wrong.
#[test]
fn bundles_at_fault_are_refused() {
    let results = Results::in_sqlite();
    let workspace = &results.workspace;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=2));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=2));
    let rows = batch(vec![
        ("id", ids.clone()),
        ("customer", numbers),
        ("has", ids),
    ]);
    write_parquet(&workspace.path("input.parquet"), &rows, 10);
    let source = "kind = \"parquet\"\npath = \"input.parquet\"";
    workspace.write("job.toml", job(source));
    let toml = |workspace: &Workspace, from: &str, to: &str| {
        let toml = fs::read_to_string(workspace.path("bundle/model.toml")).expect("a file");
        assert!(toml.contains(from), "{toml}");
        workspace.write("bundle/model.toml", toml.replace(from, to));
    };
    type Damage<'a> = Box<dyn Fn(&Workspace) + 'a>;
    let write = |name: &'static str, text: &'static str| -> Damage<'_> {
        Box::new(move |workspace| drop(workspace.write(name, text)))
    };
    let replace = |from: &'static str, to: &'static str| -> Damage<'_> {
        Box::new(move |workspace| toml(workspace, from, to))
    };
    let cases: Vec<(Damage<'_>, &[&str])> = vec![
        (
            write("bundle/queries.txt", "c1\nc1\n3\n"),
            &["queries.txt", "line 2", "`c1`", "twice"],
        ),
        (
            write("bundle/items.txt", "a\n\nb\nc\n"),
            &["items.txt", "line 2 is empty"],
        ),
        (write("bundle/items.txt", ""), &["items.txt", "no ids"]),
        (
            write("bundle/items.txt", "\u{FEFF}a\nb\nc\n4\n"),
            &["items.txt", "line 1", "byte-order mark"],
        ),
        (
            write("bundle/queries.txt", "c1\nc2 \n3\n"),
            &["queries.txt", "line 2", "white space"],
        ),
        (
            replace("queries.txt", "../queries.txt"),
            &["`../queries.txt`", "in the bundle itself"],
        ),
        (
            write("bundle/items.txt", "a\nb\nc\n"),
            &["`item.embedding.weight`", "4 rows", "3 ids"],
        ),
        (
            replace("queries.txt", "customers.txt"),
            &["has no customers.txt"],
        ),
        (
            replace("top_k = 3", "top_k = 0"),
            &["`top_k` is 0", "4 items"],
        ),
        (
            replace("top_k = 3", "top_k = 5"),
            &["`top_k` is 5", "4 items"],
        ),
        (
            replace("task = \"ranking\"", "task = \"embedding\""),
            &["\"two_tower\" is for task", "ranking"],
        ),
        (
            replace("\"two_tower\"", "\"mlp\""),
            &["architecture \"mlp\""],
        ),
        (
            replace("[ranking]", "classes = [\"a\", \"b\"]\n[ranking]"),
            &["no `classes`"],
        ),
        (
            replace(
                "[ranking]",
                "[mlp]\nhidden = []\nactivation = \"relu\"\n[ranking]",
            ),
            &["no section but [model] and [ranking]"],
        ),
        (
            replace("exclude = \"has\"", "exclude = \"customer\""),
            &["`exclude` and `query_column` are both `customer`"],
        ),
    ];
    for (damage, words) in cases {
        small_bundle(workspace, "exclude = \"has\"\n");
        damage(workspace);
        results
            .lamplighter(&["run", "job.toml"])
            .expect(78)
            .says(words);
    }
    // The input's column of items holds none.
    small_bundle(workspace, "exclude = \"has\"\n");
    results
        .lamplighter(&["run", "job.toml"])
        .expect(65)
        .says(&["column `has`", "lists of text or integers"]);
    small_bundle(workspace, "");
    for (set, word) in [
        ("model.threshold=0.5", "threshold"),
        ("model.precision=\"bf16\"", "precision"),
    ] {
        results
            .lamplighter(&["run", "job.toml", "--set", set])
            .expect(78)
            .says(&[word]);
    }
}
