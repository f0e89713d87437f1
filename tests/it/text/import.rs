use std::fs;

use serde_json::Value;

use super::variants;
use crate::harness::{Workspace, repository};

/// A variant without its `model.toml`, and what that says.
fn without_description(workspace: &Workspace, name: &str) -> String {
    workspace.copy_directory(&format!("fixtures/edge-cases/bert/{name}"), name);
    let path = workspace.path(name).join("model.toml");
    let text = fs::read_to_string(&path).expect("model.toml");
    fs::remove_file(path).expect("model.toml");
    text
}

#[test]
fn what_a_checkpoint_says_of_itself_is_written_down() {
    for name in variants() {
        let workspace = Workspace::new();
        let expected: toml::Table = without_description(&workspace, &name)
            .parse()
            .expect("TOML");
        let mut arguments = vec!["model", "import", "hf", &name, "--max-length", "40"];
        if name == "pairs" {
            arguments.extend(["--pair", "pair"]);
        }
        let ended = workspace.lamplighter(&arguments).expect(0);
        let written = fs::read_to_string(workspace.path(&name).join("model.toml"));
        let written: toml::Table = written.expect("model.toml").parse().expect("TOML");
        assert_eq!(
            written["model"]["task"], expected["model"]["task"],
            "{ended}"
        );
        let classes = |table: &toml::Table| table["model"].get("classes").cloned();
        assert_eq!(classes(&written), classes(&expected), "{ended}");
        assert_eq!(written["model"]["name"], expected["model"]["name"]);
        // It is there now.
        workspace
            .lamplighter(&arguments)
            .expect(64)
            .says(&["is there already"]);
    }
}

#[test]
fn sentence_transformers_say_how_they_pool() {
    let workspace = Workspace::new();
    without_description(&workspace, "mean");
    let modules = |kinds: &[&str]| {
        let kinds = kinds.iter().map(
            |kind| serde_json::json!({ "type": format!("sentence_transformers.models.{kind}") }),
        );
        Value::from(kinds.collect::<Vec<_>>()).to_string()
    };
    let import = || {
        let _ = fs::remove_file(workspace.path("mean/model.toml"));
        workspace.lamplighter(&["model", "import", "hf", "mean"])
    };
    workspace.write("mean/modules.json", modules(&["Transformer", "Pooling"]));
    workspace.write(
        "mean/1_Pooling/config.json",
        "{\"pooling_mode_cls_token\": true}",
    );
    workspace.write("mean/sentence_bert_config.json", "{\"max_seq_length\": 30}");
    let ended = import().expect(0);
    for line in ["pooling = \"cls\"", "normalize = false", "max_length = 30"] {
        assert!(ended.stdout.contains(line), "{ended}");
    }
    workspace.write(
        "mean/modules.json",
        modules(&["Transformer", "Pooling", "Normalize"]),
    );
    workspace.write(
        "mean/1_Pooling/config.json",
        "{\"pooling_mode_mean_tokens\": true}",
    );
    let ended = import().expect(0);
    assert!(ended.stdout.contains("normalize = true"), "{ended}");
    workspace.write(
        "mean/1_Pooling/config.json",
        "{\"pooling_mode_max_tokens\": true}",
    );
    import().expect(78).says(&["1_Pooling/config.json"]);
    workspace.write("mean/modules.json", modules(&["Transformer", "Dense"]));
    import().expect(78).says(&["Dense"]);
    // As newer versions write it, wherever the module is.
    let modules = r#"[{"type": "sentence_transformers.base.modules.transformer.Transformer", "path": ""},
        {"type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "path": "2_Pooling"}]"#;
    workspace.write("mean/modules.json", modules);
    import()
        .expect(78)
        .says(&["2_Pooling/config.json", "not in"]);
    for (mode, pooling) in [("cls", "cls"), ("mean", "mean")] {
        let config = format!("{{\"embedding_dimension\": 24, \"pooling_mode\": \"{mode}\"}}");
        workspace.write("mean/2_Pooling/config.json", config);
        let ended = import().expect(0);
        let line = format!("pooling = \"{pooling}\"");
        assert!(ended.stdout.contains(&line), "{ended}");
    }
    workspace.write(
        "mean/2_Pooling/config.json",
        "{\"pooling_mode\": \"lasttoken\"}",
    );
    import().expect(78).says(&["2_Pooling/config.json", "mean"]);
    workspace.write("mean/2_Pooling/config.json", "{\"pooling_mode\": \"mean\"}");
    workspace.write(
        "mean/config_sentence_transformers.json",
        r#"{"prompts": {"query": "find: ", "none": ""}, "default_prompt_name": "query"}"#,
    );
    import().expect(78).says(&["\"query\"", "transform"]);
    workspace.write(
        "mean/config_sentence_transformers.json",
        r#"{"prompts": {"query": "find: ", "none": ""}, "default_prompt_name": "none"}"#,
    );
    import().expect(0);
    // The tokenizer lowers texts anyway.
    workspace.write(
        "mean/sentence_bert_config.json",
        "{\"do_lower_case\": true}",
    );
    import().expect(0);
    let tokenizer = fs::read_to_string(workspace.path("mean/tokenizer.json")).expect("a file");
    let mut tokenizer: Value = serde_json::from_str(&tokenizer).expect("JSON");
    tokenizer["normalizer"]["lowercase"] = false.into();
    workspace.write("mean/tokenizer.json", tokenizer.to_string());
    import().expect(78).says(&["do_lower_case"]);
    assert!(!workspace.path("mean/model.toml").exists());
}

#[test]
fn what_is_no_checkpoint_is_refused_by_the_name_of_what_is_wrong() {
    let workspace = Workspace::new();
    without_description(&workspace, "cls");
    let import = || workspace.lamplighter(&["model", "import", "hf", "cls"]);
    let config = fs::read_to_string(workspace.path("cls/config.json")).expect("config.json");
    let change = |from: &str, to: &str| {
        assert!(config.contains(from), "{config}");
        workspace.write("cls/config.json", config.replace(from, to));
    };
    for (from, to, word) in [
        (
            "\"model_type\": \"bert\"",
            "\"model_type\": \"gpt2\"",
            "gpt2",
        ),
        (
            "\"hidden_size\": 24",
            "\"hidden_size\": 48",
            "embeddings.word_embeddings.weight",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 1",
            "encoder.layer.1",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 3",
            "encoder.layer.2",
        ),
        (
            "\"hidden_act\": \"gelu\"",
            "\"hidden_act\": \"mish\"",
            "mish",
        ),
        (
            "\"layer_norm_eps\": 1e-12",
            "\"layer_norm_eps\": -1",
            "layer_norm_eps",
        ),
    ] {
        change(from, to);
        import().expect(78).says(&[word]);
        assert!(
            !workspace.path("cls/model.toml").exists(),
            "nothing is left behind"
        );
    }
    workspace.write("cls/config.json", &config);
    let too_long = ["model", "import", "hf", "cls", "--max-length", "49"];
    workspace
        .lamplighter(&too_long)
        .expect(78)
        .says(&["at most 48 tokens"]);
    let tokenizer = fs::read_to_string(workspace.path("cls/tokenizer.json")).expect("a file");
    let tokenizer: Value = serde_json::from_str(&tokenizer).expect("JSON");
    let around = |change: &dyn Fn(&mut Value)| {
        let mut tokenizer = tokenizer.clone();
        change(&mut tokenizer["post_processor"]);
        workspace.write("cls/tokenizer.json", tokenizer.to_string());
    };
    around(&|around| around["special_tokens"]["[CLS]"]["ids"] = vec![4_000_000].into());
    import().expect(78).says(&["tokenizer.json", "vocab_size"]);
    around(&|around| around["single"][0]["SpecialToken"]["type_id"] = 7.into());
    import()
        .expect(78)
        .says(&["tokenizer.json", "type_vocab_size"]);
    fs::copy(
        repository().join("fixtures/models/review-sentiment/tokenizer.json"),
        workspace.path("cls/tokenizer.json"),
    )
    .expect("a copy");
    import().expect(78).says(&["tokenizer.json", "vocab_size"]);
    fs::remove_file(workspace.path("cls/tokenizer.json")).expect("a file");
    import()
        .expect(78)
        .says(&["tokenizer.json", "save_pretrained"]);
}

#[test]
fn heads_that_score_something_else_are_refused() {
    let workspace = Workspace::new();
    without_description(&workspace, "bert-relu");
    let config = fs::read_to_string(workspace.path("bert-relu/config.json")).expect("a file");
    let other = config.replace("ForSequenceClassification", "ForMultipleChoice");
    assert_ne!(config, other);
    workspace.write("bert-relu/config.json", other);
    workspace
        .lamplighter(&["model", "import", "hf", "bert-relu"])
        .expect(78)
        .says(&["BertForMultipleChoice", "ForSequenceClassification"]);
}
