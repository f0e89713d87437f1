//! Bundles that do not hold what they say: 78 before anything is claimed, naming the tensor or key.

use std::collections::HashMap;
use std::fs;

use candle_core::{Device, Tensor};

use super::{
    RUN, dead_letters, nothing_is_visible, nothing_was_planned, numbered, published, put_batch,
    report, run, verifies, workspace,
};
use crate::harness::{Workspace, linear_bundle, simple_job};

/// A workspace with good records, whose bundle is then spoiled.
fn intact() -> Workspace {
    let workspace = workspace("", "");
    put_batch(&workspace, "a.parquet", &numbered(4));
    workspace
}

#[track_caller]
fn is_refused(workspace: &Workspace, words: &[&str]) {
    run(workspace).expect(78).says(&["error:"]).says(words);
    nothing_was_planned(workspace);
}

/// Replaces `from` in model.toml.
fn edit(workspace: &Workspace, from: &str, to: &str) {
    let path = workspace.path("bundle/model.toml");
    let toml = fs::read_to_string(&path).expect("model.toml");
    assert!(toml.contains(from), "{toml}");
    fs::write(path, toml.replacen(from, to, 1)).expect("model.toml");
}

fn tensor(rows: usize, columns: usize) -> Tensor {
    Tensor::ones((rows, columns), candle_core::DType::F32, &Device::Cpu).expect("a tensor")
}

fn bias() -> Tensor {
    Tensor::new(&[1f32], &Device::Cpu).expect("a tensor")
}

/// A workspace whose weights are these.
fn with_weights(tensors: &[(&str, Tensor)]) -> Workspace {
    let workspace = intact();
    let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
    let path = workspace.path("bundle/model.safetensors");
    candle_core::safetensors::save(&tensors, path).expect("weights");
    workspace
}

#[test]
fn the_bundle_of_these_tests_is_scored_while_it_is_intact() {
    let weights = [("layers.0.weight", tensor(1, 1)), ("layers.0.bias", bias())];
    let workspace = with_weights(&weights);
    run(&workspace).expect(0);
    let expected = [
        ["r0000", "1"],
        ["r0001", "2"],
        ["r0002", "3"],
        ["r0003", "4"],
    ];
    assert_eq!(published(&workspace), expected);
}

#[test]
fn a_bundle_that_is_not_there_is_named_with_a_hint() {
    let workspace = intact();
    fs::remove_dir_all(workspace.path("bundle")).expect("the bundle");
    let words = [
        "bundle bundle",
        "No such file",
        "hint: [model] bundle is a directory",
    ];
    is_refused(&workspace, &words);
}

#[test]
fn a_bundle_without_one_of_its_files_says_which() {
    for file in ["model.toml", "model.safetensors"] {
        let workspace = intact();
        fs::remove_file(workspace.path("bundle").join(file)).expect("the file");
        is_refused(&workspace, &["bundle bundle", &format!("has no {file}")]);
    }
}

#[test]
fn a_typo_in_model_toml_is_named_with_line_and_allowed_keys() {
    let typos = [
        ("hidden = []", "hiden = []", "hiden", "hidden"),
        ("version = ", "verison = ", "verison", "version"),
        ("std = ", "sdt = ", "sdt", "std"),
        (
            "task = \"regression\"",
            "task = \"regresion\"",
            "regresion",
            "regression",
        ),
        (
            "kind = \"numeric\"",
            "kind = \"numerical\"",
            "numerical",
            "categorical",
        ),
        ("[mlp]", "[mpl]", "mpl", "mlp"),
    ];
    for (from, to, wrong, allowed) in typos {
        let workspace = intact();
        edit(&workspace, from, to);
        is_refused(&workspace, &["bundle/model.toml", "line ", wrong, allowed]);
    }
}

#[test]
fn a_contradiction_in_model_toml_is_named() {
    let contradictions = [
        ("std = 1.0", "std = 0.0", "`x`", "`std` must be positive"),
        (
            "std = 1.0",
            "std = 1.0\nmin = 2\nmax = 1",
            "`x`",
            "`min` is greater than `max`",
        ),
        (
            "std = 1.0",
            "std = 1.0\ndim = 3",
            "`x`",
            "`dim` has no meaning for a numeric feature",
        ),
        ("mean = 0.0", "mean = nan", "`x`", "`mean` must be finite"),
        ("mean = 0.0\n", "", "`x`", "needs `mean`"),
        (
            "task = \"regression\"",
            "task = \"binary\"",
            "`classes`",
            "two names",
        ),
        (
            "[mlp]",
            "[output]\ntransform = \"log1p\"\n[mlp]\nhidden = 3\n[else]",
            "line ",
            "",
        ),
    ];
    for (from, to, what, why) in contradictions {
        let workspace = intact();
        edit(&workspace, from, to);
        is_refused(&workspace, &["bundle/model.toml", what, why]);
    }
}

#[test]
fn a_missing_tensor_is_named_with_its_shape_and_what_there_is() {
    let workspace = with_weights(&[("layer.0.weight", tensor(1, 1)), ("layers.0.bias", bias())]);
    let words = [
        "bundle/model.safetensors",
        "tensor `layers.0.weight` of shape [1, 1] is missing",
        "hint: the file still holds layer.0.weight",
    ];
    is_refused(&workspace, &words);
}

#[test]
fn a_left_over_tensor_is_named_with_its_shape() {
    let workspace = with_weights(&[
        ("layers.0.weight", tensor(1, 1)),
        ("layers.0.bias", bias()),
        ("layers.1.weight", tensor(3, 2)),
    ]);
    let words = [
        "bundle/model.safetensors",
        "`layers.1.weight` [3, 2]",
        "hint:",
    ];
    is_refused(&workspace, &words);
}

#[test]
fn a_tensor_of_the_wrong_shape_is_named_with_the_expected_and_the_found_shape() {
    let workspace = with_weights(&[("layers.0.weight", tensor(2, 3)), ("layers.0.bias", bias())]);
    let words = [
        "bundle/model.safetensors",
        "tensor `layers.0.weight`",
        "[1, 1]",
        "[2, 3]",
        "hint:",
    ];
    is_refused(&workspace, &words);
}

#[test]
fn a_real_bundle_whose_description_lost_a_category_is_refused_with_its_embedding() {
    let workspace = intact();
    workspace.copy_directory("fixtures/models/flight-delay", "bundle");
    let toml = fs::read_to_string(workspace.path("bundle/model.toml")).expect("model.toml");
    let (_, carrier) = toml
        .split_once("column = \"carrier\"")
        .expect("the carrier");
    let (_, categories) = carrier.split_once("categories = [").expect("categories");
    let (first, _) = categories.split_once(',').expect("categories");
    edit(
        &workspace,
        &format!("categories = [{first},"),
        "categories = [",
    );
    let words = [
        "bundle/model.safetensors",
        "tensor `embeddings.carrier.weight`",
        "should have the shape",
        "but has",
        "hint:",
    ];
    is_refused(&workspace, &words);
}

#[test]
fn a_tensor_of_the_wrong_type_is_named_with_the_expected_and_the_found_type() {
    let weight = Tensor::new(&[[1f64]], &Device::Cpu).expect("a tensor");
    let workspace = with_weights(&[("layers.0.weight", weight), ("layers.0.bias", bias())]);
    let words = [
        "bundle/model.safetensors",
        "tensor `layers.0.weight` should be f32, but is f64",
        "hint:",
    ];
    is_refused(&workspace, &words);
}

#[test]
fn weights_that_are_not_safetensors_are_refused_with_the_way_to_export_them() {
    let zipped = b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl";
    let pickled = b"\x80\x02}q\x00(X\x0f\x00\x00\x00layers.0.weight";
    let mut giant = (1u64 << 40).to_le_bytes().to_vec();
    giant.extend(b"{}");
    let mut padded = (2u64 << 20).to_le_bytes().to_vec();
    padded.extend(vec![b' '; 2 << 20]);
    let mut beyond = 100u64.to_le_bytes().to_vec();
    beyond.extend(b"{}");
    let forgeries = [&zipped[..], pickled, b"", b"{}", &giant, &padded, &beyond];
    for bytes in forgeries {
        let workspace = intact();
        workspace.write("bundle/model.safetensors", bytes);
        let words = [
            "bundle/model.safetensors",
            "not a safetensors file",
            "hint:",
            "safetensors.torch.save_file",
        ];
        is_refused(&workspace, &words);
    }
}

#[test]
fn weights_cut_anywhere_are_refused() {
    let workspace = intact();
    let path = workspace.path("bundle/model.safetensors");
    let bytes = fs::read(&path).expect("weights");
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        fs::write(&path, &bytes[..length]).expect("weights");
        is_refused(&workspace, &["bundle/model.safetensors", "hint:"]);
    }
}

#[test]
fn a_bundle_with_another_digest_than_the_job_pins_is_refused_with_both() {
    let workspace = intact();
    let digest = |job: &[&str]| {
        let arguments = [&RUN[..], &["--dry-run", "--format", "json"], job].concat();
        let summary = workspace.lamplighter(&arguments).expect(0).json();
        summary["digest"].as_str().expect("a digest").to_owned()
    };
    let pinned = digest(&[]);
    let pin = format!("model.digest={pinned}");
    assert_eq!(digest(&["--set", &pin]), pinned);

    edit(&workspace, "version = \"1\"", "version = \"2\"");
    let changed = digest(&[]);
    assert_ne!(changed, pinned);
    workspace
        .lamplighter(&[&RUN[..], &["--set", &pin]].concat())
        .expect(78)
        .says(&[
            "bundle bundle",
            &pinned,
            &changed,
            "hint:",
            "[model] digest",
        ]);
    nothing_was_planned(&workspace);
}

#[test]
fn an_output_that_is_not_finite_is_a_dead_letter_of_inference() {
    let workspace = intact();
    linear_bundle(&workspace.path("bundle"), &[("x", 1e38)], 0.0, "");
    workspace.write(
        "job.toml",
        simple_job("[errors]\nmax_dead_letters = \"50%\"\n"),
    );
    put_batch(&workspace, "a.parquet", &numbered(5));
    run(&workspace).expect(0);
    let ids: Vec<String> = published(&workspace)
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(ids, ["r0000", "r0001", "r0002", "r0003"]);
    let message = "the model's output is not finite";
    let expected = [["4", "r0004", "infer", "non_finite_output", "NULL", message]];
    assert_eq!(dead_letters(&workspace), expected);
    verifies(&workspace);
}

#[test]
fn a_model_whose_weights_are_not_numbers_publishes_nothing() {
    let workspace = intact();
    linear_bundle(&workspace.path("bundle"), &[("x", f32::NAN)], 0.0, "");
    run(&workspace).expect(65);
    nothing_is_visible(&workspace);
    let letters = dead_letters(&workspace);
    assert_eq!(letters.len(), 4);
    for letter in letters {
        assert_eq!(letter[2..4], ["infer", "non_finite_output"]);
    }
    let explanation = report(&workspace)["outcome"]["explanation"].to_string();
    assert!(explanation.contains("non_finite_output"), "{explanation}");
    verifies(&workspace);
}
