//! The page on bundles against what a bundle may hold, as its own errors tell.

use std::collections::BTreeSet;
use std::fs;

use lamplighter::job::ModelReference;
use lamplighter::model::Bundle;

use super::markdown::{Page, code_spans};
use crate::harness::{Workspace, repository};

const PAGE: &str = "src/model/bundle.md";

const NUMERIC: &str = "[[feature]]\ncolumn = \"x\"\nkind = \"numeric\"\nmean = 0.0\nstd = 1.0\n";
const CATEGORICAL: &str =
    "[[feature]]\ncolumn = \"x\"\nkind = \"categorical\"\ncategories = [\"a\"]\ndim = 0\n";

const TEXT: &str = "column = \"review\"\nmax_length = 256\n";

/// A whole `model.toml` that ends with this feature, without weights that fit.
fn with_feature(feature: &str) -> String {
    format!(
        "[model]\nname = \"a\"\nversion = \"1\"\narchitecture = \"mlp\"\ntask = \"binary\"\n\
         classes = [\"no\", \"yes\"]\n[mlp]\nhidden = []\nactivation = \"relu\"\n{feature}"
    )
}

/// A whole `model.toml` of a model of texts, with this `[text]` section.
fn with_text(text: &str) -> String {
    format!(
        "[model]\nname = \"a\"\nversion = \"1\"\narchitecture = \"bert\"\ntask = \"embedding\"\n[text]\n{text}"
    )
}

const RANKING: &str =
    "query_column = \"a\"\nqueries = \"ids.txt\"\nitems = \"ids.txt\"\ntop_k = 1\n";

/// A whole `model.toml` of a model of rankings, with this `[ranking]` section.
fn with_ranking(ranking: &str) -> String {
    format!(
        "[model]\nname = \"a\"\nversion = \"1\"\narchitecture = \"two_tower\"\ntask = \"ranking\"\n\
         [ranking]\n{ranking}"
    )
}

/// What a bundle with this `model.toml` and no tensors is refused for.
fn refusal(toml: &str) -> String {
    let workspace = Workspace::new();
    workspace.write("bundle/model.toml", toml);
    for name in ["config.json", "tokenizer.json"] {
        let of_fixture = repository()
            .join("fixtures/models/review-sentiment")
            .join(name);
        workspace.write(
            &format!("bundle/{name}"),
            fs::read(of_fixture).expect("a file"),
        );
    }
    for name in ["ids.txt", "queries.txt", "items.txt"] {
        let ids: String = (0..20).map(|id| format!("{id}\n")).collect();
        workspace.write(&format!("bundle/{name}"), ids);
    }
    let no_tensors = [&2_u64.to_le_bytes()[..], b"{}"].concat();
    workspace.write("bundle/model.safetensors", no_tensors);
    let error = Bundle::load(&ModelReference::of(&workspace.path("bundle"))).err();
    format!("{:#}", error.expect("no bundle is whole without weights"))
}

/// Whether the settings are right, so that it comes to the weights.
fn misses_only_weights(refusal: &str) -> bool {
    [
        "layers.0.weight",
        "embeddings.word_embeddings.weight",
        "query.embedding.weight",
    ]
    .iter()
    .any(|tensor| refusal.contains(tensor))
}

/// The words in backticks that serde expected.
fn expected_words(refusal: &str) -> Vec<String> {
    let (_, expected) = refusal
        .split_once("expected ")
        .unwrap_or_else(|| panic!("nothing was expected: {refusal}"));
    code_spans(expected.lines().next().expect("a line"))
        .map(str::to_owned)
        .collect()
}

/// Keys that a section may have: what serde names when it meets another one.
fn keys_of(section: &str) -> Vec<String> {
    let toml = format!("{section}\nno_such_key = 1\n");
    expected_words(&refusal(&toml))
}

/// A row of the table of keys.
struct Row {
    section: String,
    key: String,
    default: String,
    meaning: String,
}

fn documented() -> Vec<Row> {
    let rows = Page::read(PAGE).rows().into_iter();
    let rows = rows.filter(|(heading, cells)| {
        heading == "Keys" && cells.len() == 5 && cells[1].starts_with('`')
    });
    rows.map(|(_, cells)| Row {
        section: cells[0].trim_matches('`').to_owned(),
        key: cells[1].trim_matches('`').to_owned(),
        default: cells[3].clone(),
        meaning: cells[4].clone(),
    })
    .collect()
}

/// Section of each key: `numeric` and `categorical` are those of a feature that one kind has.
fn of_the_code() -> BTreeSet<(String, String)> {
    let mut keys = BTreeSet::new();
    for section in expected_words(&refusal("no_such_section = 1\n")) {
        match section.as_str() {
            "feature" => {
                for key in keys_of("[[feature]]") {
                    let refused_for = |feature: &str| {
                        let refusal = refusal(&with_feature(&format!("{feature}{}", some(&key))));
                        refusal.contains("has no meaning for")
                    };
                    let kind = match (refused_for(NUMERIC), refused_for(CATEGORICAL)) {
                        (false, false) => "[[feature]]",
                        (false, true) => "numeric",
                        (true, false) => "categorical",
                        (true, true) => panic!("{key} is of no kind"),
                    };
                    keys.insert((kind.to_owned(), key));
                }
            }
            section => {
                let section = format!("[{section}]");
                let of_section = keys_of(&section).into_iter();
                keys.extend(of_section.map(|key| (section.clone(), key)));
            }
        }
    }
    keys
}

/// A value that a feature's key may have, unless the features above have it already.
fn some(key: &str) -> String {
    match key {
        "column" | "kind" => String::new(),
        "categories" => "categories = [\"a\"]\n".to_owned(),
        "dim" => "dim = 0\n".to_owned(),
        "missing" | "unknown" | "out_of_range" => format!("{key} = \"reject\"\n"),
        key => format!("{key} = 1.0\n"),
    }
}

#[test]
fn the_page_has_every_key_and_no_other() {
    let documented: BTreeSet<(String, String)> = documented()
        .into_iter()
        .map(|row| (row.section, row.key))
        .collect();
    let keys = of_the_code();
    let undocumented: Vec<_> = keys.difference(&documented).collect();
    assert!(undocumented.is_empty(), "not in the page: {undocumented:?}");
    let unknown: Vec<_> = documented.difference(&keys).collect();
    assert!(unknown.is_empty(), "in no bundle: {unknown:?}");
}

#[test]
fn the_page_has_every_word_of_a_key_that_takes_words() {
    let whole = with_feature("");
    let model = whole.replace("architecture = \"mlp\"", "architecture = \"no_such_word\"");
    let task = whole.replace("\"binary\"", "\"no_such_word\"");
    let activation = whole.replace("\"relu\"", "\"no_such_word\"");
    let output = format!("{whole}[output]\ntransform = \"no_such_word\"\n");
    let of_feature = |key: &str, feature: &str| {
        let feature = match key {
            "kind" => "[[feature]]\ncolumn = \"x\"\nkind = \"no_such_word\"\n".to_owned(),
            key => format!("{feature}{key} = \"no_such_word\"\n"),
        };
        with_feature(&feature)
    };
    let wrong = [
        ("architecture", model),
        ("task", task),
        ("activation", activation),
        ("transform", output),
        ("kind", of_feature("kind", NUMERIC)),
        ("missing", of_feature("missing", NUMERIC)),
        ("out_of_range", of_feature("out_of_range", NUMERIC)),
        ("unknown", of_feature("unknown", CATEGORICAL)),
        (
            "too_long",
            with_text(&format!("{TEXT}too_long = \"no_such_word\"\n")),
        ),
        (
            "pooling",
            with_text(&format!("{TEXT}pooling = \"no_such_word\"\n")),
        ),
    ];
    let rows = documented();
    for (key, toml) in wrong {
        let words = expected_words(&refusal(&toml));
        assert!(!words.is_empty(), "{key}");
        let row = rows.iter().find(|row| row.key == key).expect("a row");
        for word in words {
            let is_there = code_spans(&row.meaning).any(|known| known == word);
            assert!(is_there, "{key}: `{word}` is not in {}", row.meaning);
        }
    }
}

#[test]
fn what_the_page_calls_required_is() {
    let whole = format!(
        "{}[output]\n",
        with_feature(&format!(
            "{NUMERIC}{}",
            CATEGORICAL.replace("\"x\"", "\"y\"")
        ))
    );
    let of_texts = with_text(TEXT);
    let of_rankings = with_ranking(RANKING);
    for whole in [&whole, &of_texts, &of_rankings] {
        assert!(misses_only_weights(&refusal(whole)), "{}", refusal(whole));
    }
    for row in documented() {
        let whole = match row.section.as_str() {
            "[text]" => &of_texts,
            "[ranking]" => &of_rankings,
            _ => &whole,
        };
        let without: String = whole
            .lines()
            .filter(|line| !line.starts_with(&format!("{} = ", row.key)))
            .map(|line| format!("{line}\n"))
            .collect();
        let refusal = refusal(&without);
        let is_required = row.default.starts_with("required");
        assert_eq!(
            is_required,
            !misses_only_weights(&refusal),
            "{}: {refusal}",
            row.key
        );
        if is_required {
            assert!(refusal.contains(&row.key), "{}: {refusal}", row.key);
        }
        if let Some(default) = row.default.strip_prefix('`') {
            let line = format!("{} = {}\n", row.key, default.trim_end_matches('`'));
            let written = match row.section.as_str() {
                "[model]" => with_feature(NUMERIC).replace("[mlp]", &format!("{line}[mlp]")),
                "numeric" => with_feature(&format!("{NUMERIC}{line}")),
                "categorical" => with_feature(&format!("{CATEGORICAL}{line}")),
                "[text]" => with_text(&format!("{TEXT}{line}")),
                section => panic!("{section} has defaults now"),
            };
            let refusal = self::refusal(&written);
            assert!(misses_only_weights(&refusal), "{line}: {refusal}");
        }
    }
}

#[test]
fn the_bundle_of_the_page_is_one() {
    for block in Page::read(PAGE).blocks_of("toml") {
        let refusal = refusal(&block.text);
        assert!(
            refusal.contains("embeddings.plan.weight") || misses_only_weights(&refusal),
            "{}: {refusal}",
            block.place
        );
    }
}
