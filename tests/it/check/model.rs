use std::fs;

use super::{check, workspace};

#[test]
fn a_digest_that_is_not_the_bundles_is_78_and_hides_nothing() {
    let workspace = workspace("");
    let found = check(&workspace, &[]);
    found.only(0, &[]).is("model", "digest", "not_set_up", &[]);
    let mend = found.mend("model", "digest");
    let digest = mend.split('"').nth(1).expect("a digest").to_owned();
    assert!(
        digest.starts_with("sha256:") && digest.len() == 71,
        "{mend}"
    );
    let pin = format!("model.digest={digest}");
    check(&workspace, &["--set", &pin])
        .only(0, &[])
        .passed("model", "digest", &[&digest]);
    let wrong = format!("model.digest=sha256:{}", "0".repeat(64));
    let found = check(&workspace, &["--set", &wrong]);
    found
        .only(78, &["digest"])
        .failed("model", "digest", 78, &[&digest, "sha256:0000"])
        .passed("input", "records", &["12 scored"]);
    assert_eq!(found.mend("model", "digest"), mend);
    // What the item says is what a run says.
    let run = ["run", "job.toml", "--set", &wrong];
    workspace.lamplighter(&run).expect(78).says(&[&digest]);
}

#[test]
fn a_bundle_that_can_not_be_loaded_is_78() {
    let workspace = workspace("");
    check(&workspace, &["--set", "model.bundle=none"])
        .only(78, &["bundle"])
        .failed("model", "bundle", 78, &["none"])
        .is("model", "test vectors", "not_looked_at", &["`bundle`"])
        .is("model", "memory allowed", "not_looked_at", &[])
        .is("input", "columns", "not_looked_at", &["`bundle`"])
        .passed("input", "source", &["12 records"]);
    fs::remove_file(workspace.path("bundle/model.safetensors")).expect("the weights");
    check(&workspace, &[]).only(78, &["bundle"]).failed(
        "model",
        "bundle",
        78,
        &["no model.safetensors"],
    );
}

#[test]
fn a_reference_that_is_no_json_is_78() {
    let workspace = workspace("");
    check(&workspace, &[]).is("model", "reference profile", "not_set_up", &[]);
    // What a training script notes for people is no profile.
    workspace.write("bundle/reference.json", "{\"metrics\": {}, \"rows\": {}}");
    check(&workspace, &[]).only(0, &[]).is(
        "model",
        "reference profile",
        "not_set_up",
        &["nothing to compare"],
    );
    for broken in ["{\"metrics\": ", "[1]", ""] {
        workspace.write("bundle/reference.json", broken);
        check(&workspace, &[])
            .only(78, &["reference profile"])
            .failed("model", "reference profile", 78, &["reference.json"]);
    }
}

#[test]
fn a_run_that_needs_more_memory_than_it_may_is_78_and_says_how_much() {
    let workspace = workspace("");
    let found = check(&workspace, &["--set", "run.max_memory=16KiB"]);
    found.only(78, &["memory allowed"]).failed(
        "model",
        "memory allowed",
        78,
        &["weights 8 B", "1 worker of", "max_memory is 16.0 KiB"],
    );
    let mend = found.mend("model", "memory allowed");
    let enough = mend.split('"').nth(1).expect("a size");
    let more = format!("run.max_memory={enough}");
    check(&workspace, &["--set", &more]).only(0, &[]);
}

#[test]
fn the_instruction_set_is_that_of_runs() {
    let workspace = workspace("");
    let plan = ["run", "job.toml", "--dry-run", "--format", "json"];
    let plan = workspace.lamplighter(&plan).expect(0).json();
    let numerics = plan["numerics"].as_str().expect("an instruction set");
    check(&workspace, &[]).passed("host", "processor", &[numerics, "cores"]);
}
