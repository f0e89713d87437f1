//! Weights that lie about themselves, or are no file at all: refused before anything is claimed.

use std::fs;
use std::os::unix::fs::symlink;

use super::{forged, nothing_was_planned, run, workspace};
use crate::harness::{Workspace, linear_bundle};

const WEIGHTS: &str = "bundle/model.safetensors";

/// A workspace with good records.
fn intact() -> Workspace {
    let workspace = workspace();
    let file = forged::file(&forged::columns(0..4));
    workspace.write("input/a.parquet", file);
    workspace
}

/// Safetensors of this header and these bytes of data.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

fn entry(name: &str, dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(
        "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}"
    )
}

/// Safetensors whose weight is `weight`, and whose bias is sound.
fn with_weight(weight: &str, data: &[u8]) -> Vec<u8> {
    let bias = entry("layers.0.bias", "F32", "[1]", 0, 4);
    safetensors(&format!("{{{bias},{weight}}}"), data)
}

#[track_caller]
fn is_refused(bytes: &[u8], words: &[&str]) -> String {
    let workspace = intact();
    workspace.write(WEIGHTS, bytes);
    let ended = run(&workspace)
        .expect(78)
        .says(&["error:", WEIGHTS, "hint:"])
        .says(words);
    nothing_was_planned(&workspace);
    ended.stderr
}

#[test]
fn the_weights_of_these_tests_are_sound_but_for_what_is_forged() {
    let workspace = intact();
    let weight = entry("layers.0.weight", "F32", "[1,1]", 4, 8);
    let data = [1f32.to_le_bytes(), 2f32.to_le_bytes()].concat();
    workspace.write(WEIGHTS, with_weight(&weight, &data));
    run(&workspace).expect(0);
    assert_eq!(super::published(&workspace), super::expected(4));
}

#[test]
fn a_forged_header_length_is_refused() {
    let header = format!("{{{}}}", entry("layers.0.bias", "F32", "[1]", 0, 4));
    let sound = safetensors(&header, &[0; 4]);
    let lengths = [
        0,
        1,
        sound.len() as u64,
        (1 << 20) + 1,
        1 << 32,
        i64::MAX as u64,
        u64::MAX,
    ];
    for length in lengths {
        let mut forged = sound.clone();
        forged[..8].copy_from_slice(&length.to_le_bytes());
        is_refused(&forged, &["not a safetensors file"]);
    }
}

#[test]
fn a_header_that_is_nested_without_end_is_refused() {
    for bracket in ["[", "{\"a\":"] {
        let header = format!("{{\"layers.0.bias\":{}", bracket.repeat(100_000));
        is_refused(&safetensors(&header, &[0; 4]), &["not a safetensors file"]);
    }
}

#[test]
fn thousands_of_tensors_are_refused_in_a_few_lines() {
    let names: Vec<String> = (0..10_000)
        .map(|n| entry(&format!("t{n}"), "F32", "[0]", 0, 0))
        .collect();
    let sound = [
        entry("layers.0.bias", "F32", "[1]", 0, 4),
        entry("layers.0.weight", "F32", "[1,1]", 4, 8),
    ];
    for needed in [&sound[..], &[]] {
        let header = format!("{{{}}}", [needed, &names[..]].concat().join(","));
        let data = vec![0; needed.len() * 4];
        let said = is_refused(&safetensors(&header, &data), &["t0"]);
        assert!(said.len() < 2_000, "{} bytes are said", said.len());
    }
}

#[test]
fn offsets_that_overlap_leave_holes_or_lie_beyond_the_file_are_refused() {
    for (begin, end) in [
        (0, 4),
        (2, 6),
        (8, 12),
        (4, 1 << 40),
        (8, 4),
        (u64::MAX - 4, u64::MAX),
    ] {
        let weight = entry("layers.0.weight", "F32", "[1,1]", begin, end);
        is_refused(&with_weight(&weight, &[0; 8]), &["not a safetensors file"]);
    }
}

#[test]
fn shapes_that_do_not_fit_their_bytes_are_refused() {
    for shape in [
        "[2,1]",
        "[0,1]",
        "[18446744073709551615,18446744073709551615]",
        "[9223372036854775808,2]",
        "[1.5]",
        "[-1]",
        "[1e300]",
    ] {
        let weight = entry("layers.0.weight", "F32", shape, 4, 8);
        is_refused(&with_weight(&weight, &[0; 8]), &["not a safetensors file"]);
    }
}

#[test]
fn tensors_of_another_type_or_of_no_size_are_refused_by_name() {
    for (dtype, shape, bytes) in [
        ("F64", "[1,1]", 8),
        ("I32", "[1,1]", 4),
        ("BF16", "[1,1]", 2),
        ("F16", "[1,1]", 2),
        ("U8", "[1,1]", 1),
        ("F32", "[0,1]", 0),
        ("F32", "[1,0]", 0),
        ("F32", "[]", 4),
    ] {
        let weight = entry("layers.0.weight", dtype, shape, 4, 4 + bytes);
        let data = vec![0; 4 + bytes as usize];
        is_refused(&with_weight(&weight, &data), &["tensor `layers.0.weight`"]);
    }
    for dtype in ["BOOL", "F8_E4M3", "C64", "X"] {
        let weight = entry("layers.0.weight", dtype, "[1,1]", 4, 5);
        is_refused(&with_weight(&weight, &[0; 5]), &[]);
    }
}

#[test]
fn data_cut_anywhere_is_refused() {
    let weight = entry("layers.0.weight", "F32", "[1,1]", 4, 8);
    let sound = with_weight(&weight, &[0; 8]);
    for length in sound.len() - 8..sound.len() {
        is_refused(&sound[..length], &["not a safetensors file"]);
    }
}

#[test]
fn a_pickle_under_another_name_is_refused_with_the_way_to_export_it() {
    let pickle =
        b"\x80\x02cposix\nsystem\nX\x0e\x00\x00\x00touch /tmp/pwnedq\x00\x85R.".repeat(100);
    let zip = [b"PK\x03\x04", &[0; 60][..], &pickle].concat();
    for bytes in [&pickle, &zip] {
        is_refused(
            bytes,
            &["not a safetensors file", "safetensors.torch.save_file"],
        );
    }
}

#[test]
fn weights_that_are_not_finite_make_dead_letters_and_no_empty_values() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let workspace = intact();
        linear_bundle(&workspace.path("bundle"), &[("x", number)], 0.0, "");
        run(&workspace).expect(0);
        let letters = "SELECT count(*) FROM dead_letters WHERE code = 'non_finite_output'";
        assert_eq!(workspace.value(letters), "4");
        assert_eq!(workspace.value("SELECT count(*) FROM predictions"), "0");
    }
}

#[test]
fn what_is_not_a_file_is_not_waited_for() {
    let put: [fn(&Workspace); 4] = [
        |workspace| fs::create_dir(workspace.path(WEIGHTS)).expect("a directory"),
        |workspace| {
            nix::unistd::mkfifo(&workspace.path(WEIGHTS), nix::sys::stat::Mode::S_IRWXU)
                .expect("a FIFO");
        },
        |workspace| symlink("model.safetensors", workspace.path(WEIGHTS)).expect("a loop"),
        |workspace| symlink("/dev/zero", workspace.path(WEIGHTS)).expect("a link"),
    ];
    for put in put {
        let workspace = intact();
        fs::remove_file(workspace.path(WEIGHTS)).expect("the weights");
        put(&workspace);
        run(&workspace)
            .expect(78)
            .says(&["error:", WEIGHTS, "not a file"]);
        nothing_was_planned(&workspace);
    }
}

#[test]
fn a_bundle_beyond_all_memory_is_refused_by_name() {
    let workspace = intact();
    let file = fs::File::create(workspace.path("bundle/notes.txt")).expect("a file");
    // It takes no room on the disk.
    file.set_len(1 << 40).expect("a length");
    run(&workspace)
        .expect(74)
        .says(&["error:", "bundle/notes.txt"]);
    nothing_was_planned(&workspace);
}
