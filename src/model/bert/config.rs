//! `config.json` of a Hugging Face directory, as far as it decides what is computed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::model::kernels::Activation;

/// How the tensors of a checkpoint are named, and what stands at its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// BERT.
    Bert,
    /// RoBERTa and XLM-R: positions begin behind the padding's, and the head has two layers of its
    /// own.
    Roberta,
    /// DistilBERT: no token types, no pooler.
    DistilBert,
}

/// `config.json`. What it says beside this has no part in scoring: dropouts, caches, versions.
#[derive(Debug, Deserialize)]
struct Written {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Activation,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    pad_token_id: Option<u32>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    problem_type: Option<String>,
    #[serde(default)]
    id2label: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
}

/// What DistilBERT calls the sizes of an encoder.
const DISTILBERT_KEYS: [(&str, &str); 5] = [
    ("dim", "hidden_size"),
    ("n_layers", "num_hidden_layers"),
    ("n_heads", "num_attention_heads"),
    ("hidden_dim", "intermediate_size"),
    ("activation", "hidden_act"),
];

/// The shape of an encoder.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names and ends.
    pub family: Family,
    /// Numbers of a token on its way.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads of a layer.
    pub heads: usize,
    /// Width between a layer's two halves.
    pub intermediate: usize,
    /// Function between them.
    pub activation: Activation,
    /// Rows of the word embeddings.
    pub vocabulary: usize,
    /// Rows of the position embeddings.
    pub positions: usize,
    /// Rows of the token type embeddings; 0 if there are none.
    pub types: usize,
    /// What keeps a LayerNorm from dividing by zero.
    pub epsilon: f64,
    /// Token id of padding.
    pub padding: u32,
    /// Names of the classes, by their index; empty if the checkpoint names none.
    pub labels: Vec<String>,
    /// Whether one text may have several labels, or `None` if the checkpoint says nothing of its
    /// task.
    pub problem: Option<Problem>,
    /// The classes of transformers that the checkpoint was saved from.
    pub architectures: Vec<String>,
}

/// What a checkpoint was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// One class of several.
    Classification,
    /// A number.
    Regression,
}

impl Config {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// It is damaged, or of a model that is none of the families, or one that attends differently
    /// (78).
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let refused = |problem: String| Failure::config(format!("config.json: {problem}"));
        let mut json: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| refused(error.to_string()))?;
        let kind = json.get("model_type").and_then(Value::as_str);
        let family = match kind.unwrap_or_default() {
            "bert" => Family::Bert,
            "roberta" | "xlm-roberta" | "camembert" => Family::Roberta,
            "distilbert" => Family::DistilBert,
            other => {
                return Err(refused(format!("model_type {other:?} is not known"))
                    .hint("architecture \"bert\" is for bert, distilbert, roberta, xlm-roberta and camembert")
                    .into());
            }
        };
        if family == Family::DistilBert {
            for (own, common) in DISTILBERT_KEYS {
                if let Some(value) = json.remove(own) {
                    json.insert(common.to_owned(), value);
                }
            }
        }
        let written: Written = serde_json::from_value(Value::Object(json))
            .map_err(|error| refused(error.to_string()))?;
        let positions = written.position_embedding_type.as_deref();
        if positions.is_some_and(|kind| kind != "absolute") || written.is_decoder {
            return Err(refused(
                "only encoders with absolute position embeddings are supported".to_owned(),
            )
            .into());
        }
        let sizes = [
            written.hidden_size,
            written.num_hidden_layers,
            written.num_attention_heads,
            written.intermediate_size,
            written.vocab_size,
            written.max_position_embeddings,
        ];
        if sizes.iter().any(|size| !(1..=LARGEST).contains(size)) {
            return Err(refused(format!("a size is 0 or beyond {LARGEST}")).into());
        }
        if !written
            .hidden_size
            .is_multiple_of(written.num_attention_heads)
        {
            return Err(refused(format!(
                "hidden_size {} can not be shared by {} attention heads",
                written.hidden_size, written.num_attention_heads
            ))
            .into());
        }
        let epsilon = match family {
            Family::DistilBert => DEFAULT_EPSILON,
            _ => written.layer_norm_eps.unwrap_or(DEFAULT_EPSILON),
        };
        if !(SMALLEST_EPSILON..=1.0).contains(&epsilon) {
            return Err(refused(format!("layer_norm_eps is {epsilon}")).into());
        }
        let problem = match written.problem_type.as_deref() {
            None => None,
            Some("single_label_classification") => Some(Problem::Classification),
            Some("regression") => Some(Problem::Regression),
            Some(other) => {
                return Err(refused(format!("problem_type {other:?} is not supported"))
                    .hint("one label a text (single_label_classification), or regression")
                    .into());
            }
        };
        Ok(Self {
            family,
            width: written.hidden_size,
            layers: written.num_hidden_layers,
            heads: written.num_attention_heads,
            intermediate: written.intermediate_size,
            activation: written.hidden_act,
            vocabulary: written.vocab_size,
            positions: written.max_position_embeddings,
            types: match family {
                Family::DistilBert => 0,
                _ => written.type_vocab_size.unwrap_or(DEFAULT_TYPES),
            },
            epsilon,
            padding: written.pad_token_id.unwrap_or(match family {
                Family::Roberta => 1,
                _ => 0,
            }),
            labels: labels(&written.id2label.unwrap_or_default()).map_err(refused)?,
            problem,
            architectures: written.architectures.unwrap_or_default(),
        })
    }

    /// Position of a text's first token.
    pub fn first_position(&self) -> usize {
        match self.family {
            Family::Roberta => self.padding as usize + 1,
            Family::Bert | Family::DistilBert => 0,
        }
    }

    /// The longest text, in tokens.
    pub fn longest(&self) -> usize {
        self.positions.saturating_sub(self.first_position())
    }
}

/// No size is larger: what claims to be would only ask for memory.
const LARGEST: usize = 1 << 24;

/// Of transformers, where the file says nothing.
const DEFAULT_EPSILON: f64 = 1e-12;
const DEFAULT_TYPES: usize = 2;

/// Smaller ones are zero in f32, or next to it.
const SMALLEST_EPSILON: f64 = 1e-30;

fn labels(names: &BTreeMap<String, Value>) -> Result<Vec<String>, String> {
    (0..names.len())
        .map(|index| match names.get(&index.to_string()) {
            Some(Value::String(name)) => Ok(name.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            Some(_) => Err(format!("id2label: \"{index}\" is no name")),
            None => Err(format!("id2label has no \"{index}\"")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written() -> serde_json::Value {
        json!({
            "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "hidden_act": "gelu", "vocab_size": 10,
            "max_position_embeddings": 32, "type_vocab_size": 2, "some_new_key": null,
        })
    }

    fn parse(written: &serde_json::Value) -> Result<Config, String> {
        Config::parse(written.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn positions_of_roberta_begin_behind_the_padding() {
        let mut config = written();
        assert_eq!(parse(&config).unwrap().longest(), 32);
        config["model_type"] = "xlm-roberta".into();
        let roberta = parse(&config).unwrap();
        assert_eq!((roberta.first_position(), roberta.longest()), (2, 30));
    }

    #[test]
    fn what_would_be_computed_differently_is_refused() {
        for (key, value) in [
            ("model_type", json!("gpt2")),
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("hidden_act", json!("mish")),
            ("num_attention_heads", json!(3)),
            ("num_hidden_layers", json!(0)),
            ("vocab_size", json!(1_u64 << 40)),
            ("problem_type", json!("multi_label_classification")),
            ("id2label", json!({"0": "a", "2": "b"})),
            ("id2label", json!({"0": ["a"]})),
            ("layer_norm_eps", json!(-1.0)),
            ("layer_norm_eps", json!(1e-60)),
        ] {
            let mut config = written();
            config[key] = value;
            let problem = parse(&config).unwrap_err();
            assert!(problem.starts_with("config.json: "), "{key}: {problem}");
        }
    }

    #[test]
    fn each_family_has_keys_and_defaults_of_its_own() {
        let mut config = written();
        // Of BERT it is a key like any other that has no part.
        config["dim"] = 99.into();
        config["num_labels"] = (1_u64 << 24).into();
        config["id2label"] = json!({"0": 0, "1": true});
        config.as_object_mut().unwrap().remove("type_vocab_size");
        let bert = parse(&config).unwrap();
        assert_eq!((bert.width, bert.types), (8, 2));
        assert_eq!(bert.labels, ["0", "true"]);
        config["model_type"] = "distilbert".into();
        config["dim"] = 4.into();
        config["layer_norm_eps"] = 0.5.into();
        let distilbert = parse(&config).unwrap();
        assert_eq!((distilbert.width, distilbert.types), (4, 0));
        assert_eq!(distilbert.epsilon, 1e-12);
    }
}
