use std::fs;
use std::os::unix::fs::symlink;

use super::{RUN, intact, set_up};
use crate::harness::linear_bundle;
use crate::harness::postgres::cluster;
use crate::harness::results::Results;
use crate::harness::started::Started;

#[test]
fn a_bundle_with_a_pickle_in_it_is_refused() {
    for name in [
        "model.pt",
        "pytorch_model.bin",
        "x.pkl",
        "Y.PTH",
        "a.ckpt",
        "s.joblib",
        "s.pickle",
    ] {
        let workspace = intact();
        workspace.write(&format!("bundle/{name}"), b"\x80\x02cposix\nsystem\n");
        workspace.lamplighter(&RUN).expect(78).says(&[
            &format!("bundle/{name}"),
            "no pickles",
            "hint:",
        ]);
        assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
    }
}

#[test]
fn a_flipped_bit_of_a_pinned_bundle_is_refused_wherever_it_is() {
    let workspace = intact();
    let dry_run = ["run", "job.toml", "--dry-run", "--format", "json"];
    let summary = workspace.lamplighter(&dry_run).expect(0).json();
    let pin = format!(
        "model.digest={}",
        summary["digest"].as_str().expect("a digest")
    );
    let pinned = [&RUN[..], &["--set", &pin]].concat();
    for name in ["model.toml", "model.safetensors"] {
        let path = workspace.path(&format!("bundle/{name}"));
        let sound = fs::read(&path).expect("a file");
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut flipped = sound.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).expect("a file");
            workspace
                .lamplighter(&pinned)
                .expect(78)
                .says(&["the job pins"]);
        }
        fs::write(&path, &sound[..sound.len() - 1]).expect("a file");
        workspace
            .lamplighter(&pinned)
            .expect(78)
            .says(&["the job pins"]);
        fs::write(&path, sound).expect("a file");
    }
    // A file that was added counts too.
    let more = workspace.write("bundle/notes.txt", "");
    workspace
        .lamplighter(&pinned)
        .expect(78)
        .says(&["the job pins"]);
    fs::remove_file(more).expect("a file");
    workspace.lamplighter(&pinned).expect(0);
}

/// What was hashed is what computes: the bytes are read once.
#[test]
fn a_bundle_that_is_swapped_after_the_start_changes_nothing() {
    let results = Results::in_database(cluster().database());
    set_up(&results.workspace, &[("a", Some(1.0)), ("b", Some(2.0))]);
    let database = results.postgres().expect("Postgres");
    let mut barrier = database.session();
    barrier.begin();
    barrier.execute("LOCK TABLE lamplighter.predictions IN ACCESS EXCLUSIVE MODE");
    let started = Started::new(&mut results.command(&RUN));
    started.until("scoring");
    let other = [("x", 1000.0)];
    linear_bundle(
        &results.workspace.path("bundle"),
        &other,
        0.0,
        "missing = \"reject\"",
    );
    barrier.roll_back();
    started.end().expect(0);
    let rows = results.published(super::DATE);
    assert_eq!(rows, [["a", "3"], ["b", "5"]]);
    // The next start sees another bundle, and says so.
    results.lamplighter(&RUN).expect(78).says(&["hint:"]);
}

/// Kubernetes mounts every file of a volume as a link.
#[test]
fn links_to_files_are_followed_and_count_by_their_content() {
    let workspace = intact();
    let digest = || {
        let dry_run = ["run", "job.toml", "--dry-run", "--format", "json"];
        workspace.lamplighter(&dry_run).expect(0).json()["digest"].clone()
    };
    let before = digest();
    fs::create_dir(workspace.path("bundle/..data")).expect("a directory");
    for name in ["model.toml", "model.safetensors"] {
        let moved = format!("bundle/..data/{name}");
        let link = workspace.path(&format!("bundle/{name}"));
        fs::rename(&link, workspace.path(&moved)).expect("a file");
        symlink(format!("..data/{name}"), link).expect("a link");
    }
    assert_eq!(digest(), before);
}

/// Descriptions that would fill the memory if they were believed.
#[test]
fn sizes_that_no_weights_have_are_refused_before_they_are_allocated() {
    let sound = fs::read_to_string(intact().path("bundle/model.toml")).expect("a file");
    let category =
        "\n[[feature]]\ncolumn = \"c\"\nkind = \"categorical\"\ncategories = [\"a\"]\ndim = ";
    for text in [
        sound.replace("hidden = []", "hidden = [2147483647]"),
        sound.replace(
            "hidden = []",
            "hidden = [9223372036854775807, 9223372036854775807]",
        ),
        sound.replace(
            "hidden = []",
            &format!("hidden = [{}1]", "1, ".repeat(100_000)),
        ),
        format!("{sound}{category}9223372036854775807\n"),
        format!("{sound}{category}2147483647\n"),
    ] {
        let workspace = intact();
        workspace.write("bundle/model.toml", text);
        crate::hostile::confined(&workspace.command(&RUN))
            .expect(78)
            .says(&["error:", "bundle/model"]);
        assert_eq!(workspace.value("SELECT count(*) FROM runs"), "0");
    }
    for categories in [2_500_000, 10_000_000] {
        let workspace = intact();
        let names: Vec<String> = (0..categories).map(|n| format!("\"c{n}\"")).collect();
        let names = category.replace("[\"a\"]", &format!("[{}]", names.join(",")));
        workspace.write("bundle/model.toml", format!("{sound}{names}4\n"));
        crate::hostile::confined(&workspace.command(&RUN))
            .expect(78)
            .says(&["error:", "bundle/model"]);
    }
}
