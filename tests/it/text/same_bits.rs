use lamplighter::features::{Rows, Tokens};
use lamplighter::job::ModelReference;
use lamplighter::model::bert::config::Config;
use lamplighter::model::bert::{Bert, Ending, Pooling};
use lamplighter::model::kernels::{InstructionSet, Kernels, Precision};
use lamplighter::model::weights::Weights;
use lamplighter::model::{Bundle, NetworkOutput};
use proptest::prelude::*;

use super::{BUNDLE, cosine, has_bf16, job, run};
use crate::harness::{Ended, Workspace, repository};

/// Texts of tokens, none of which is special.
fn tokens(texts: &[Vec<u32>]) -> Rows {
    let mut tokens = Tokens::default();
    for text in texts {
        tokens.push(text.iter().copied(), text.iter().map(|_| 0));
    }
    Rows::Tokens(tokens)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The whole model, in each precision that this processor has.
    #[test]
    fn a_text_scores_alike_among_any_others(
        texts in prop::collection::vec(prop::collection::vec(5_u32..4000, 1..90), 1..12),
        subject: prop::sample::Index,
    ) {
        use lamplighter::job::Precision;
        let precisions = match has_bf16() {
            true => vec![Precision::F32, Precision::Bf16],
            false => vec![Precision::F32],
        };
        for precision in precisions {
            let bundle = Bundle::load(&ModelReference {
                precision,
                ..ModelReference::of(&repository().join(BUNDLE))
            });
            let bundle = bundle.expect("the bundle");
            let forward = |texts: &[Vec<u32>], range: std::ops::Range<usize>| {
                let given = bundle.network.forward(&tokens(texts), range);
                let NetworkOutput::Numbers(logits) = given.expect("logits") else {
                    panic!("a ranking");
                };
                logits.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            };
            let all = forward(&texts, 0..texts.len());
            let index = subject.index(texts.len());
            prop_assert_eq!(all[index], forward(&texts[index..=index], 0..1)[0]);
            prop_assert_eq!(&all[index..], &forward(&texts, index..texts.len())[..]);
        }
    }
}

/// Ids and bits of the scores of some reviews.
fn reviews(workspace: &Workspace, variable: Option<&str>, arguments: &[&str]) -> Vec<Vec<String>> {
    let source = repository().join("fixtures/reviews/reviews.parquet");
    let more = "[run]\nbatch_tokens = 1000\n";
    workspace.write(
        "job.toml",
        job(&source, "review_id", &repository().join(BUNDLE), more),
    );
    let _ = std::fs::remove_file(workspace.path("lamplighter.db"));
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let start = ["run", "job.toml", "--limit", "400", "--database", &database];
    let mut command = workspace.command(&[&start[..], arguments].concat());
    if let Some(set) = variable {
        command.env("LAMPLIGHTER_NUMERICS", set);
    }
    Ended::of(&mut command).expect(0);
    workspace.query("SELECT record_id, label, printf('%!.17g', score) FROM predictions ORDER BY 1")
}

#[test]
fn workers_shards_batches_and_memory_do_not_change_a_bit() {
    let workspace = Workspace::new();
    let reference = reviews(&workspace, None, &["--workers", "1"]);
    assert_eq!(reference.len(), 400);
    let variants: [&[&str]; 4] = [
        &["--workers", "3"],
        &["--set", "run.shard_size=7"],
        &["--set", "run.batch_tokens=1"],
        &["--set", "run.max_memory=1MiB"],
    ];
    for variant in variants {
        assert!(
            reference == reviews(&workspace, None, variant),
            "{variant:?}"
        );
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let workspace = Workspace::new();
    let limit = ["--limit", "20"];
    let score = |set: &str, precision: &str| {
        let source = repository().join("fixtures/reviews/reviews.parquet");
        let more = format!("precision = \"{precision}\"\n");
        workspace.write(
            "job.toml",
            job(&source, "review_id", &repository().join(BUNDLE), &more),
        );
        let _ = std::fs::remove_file(workspace.path("lamplighter.db"));
        let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
        let start = ["run", "job.toml", "--database", &database];
        let mut command = workspace.command(&[&start[..], &limit].concat());
        let ended = Ended::of(command.env("LAMPLIGHTER_NUMERICS", set)).expect(0);
        assert!(
            ended.stdout.contains(&format!("{precision} {set}")),
            "{ended}"
        );
        assert_eq!(workspace.value("SELECT numerics FROM runs"), set);
        workspace.query("SELECT record_id, printf('%!.17g', score) FROM predictions ORDER BY 1")
    };
    let plain = score("portable", "f32");
    assert_eq!(plain.len(), 20);
    let sets = [InstructionSet::Avx512, InstructionSet::Avx2];
    for set in sets.into_iter().filter(|set| set.is_supported()) {
        assert_eq!(score(set.as_str(), "f32"), plain);
    }
    let half = score("portable", "bf16");
    assert_ne!(half, plain);
    if Kernels::new(InstructionSet::Avx512, Precision::Bf16).is_some() {
        assert_eq!(score("avx512", "bf16"), half);
    }
}

#[test]
fn what_a_processor_lacks_is_refused_with_the_way_out() {
    let workspace = Workspace::new();
    let source = repository().join("fixtures/reviews/reviews.parquet");
    let bundle = repository().join(BUNDLE);
    workspace.write(
        "job.toml",
        job(&source, "review_id", &bundle, "precision = \"bf16\"\n"),
    );
    let start = |set: &str| {
        let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
        let mut command = workspace.command(&["run", "job.toml", "--database", &database]);
        Ended::of(command.env("LAMPLIGHTER_NUMERICS", set))
    };
    start("avx2")
        .expect(78)
        .says(&["AVX512-BF16", "precision = \"f32\""]);
    start("sse9")
        .expect(78)
        .says(&["LAMPLIGHTER_NUMERICS", "avx512, avx2, portable"]);
    let table = repository().join("fixtures/models/credit-default");
    let source = repository().join("fixtures/credit/credit.parquet");
    workspace.write(
        "job.toml",
        job(&source, "customer_id", &table, "precision = \"bf16\"\n"),
    );
    run(&workspace, &[]).expect(78).says(&["mlp", "precision"]);
}

/// Candle's own operations, which other devices would use.
#[test]
fn kernels_and_candle_compute_the_same() {
    let directory = repository().join("fixtures/edge-cases/bert");
    for (name, ending) in [
        (
            "mean",
            Ending::Embedding {
                pooling: Pooling::Mean,
                normalize: true,
            },
        ),
        (
            "cls",
            Ending::Embedding {
                pooling: Pooling::Cls,
                normalize: false,
            },
        ),
        ("distilbert", Ending::Logits(3)),
        ("roberta", Ending::Logits(4)),
        ("bert-gelu-new", Ending::Logits(3)),
        ("bert-silu", Ending::Logits(3)),
        ("pairs", Ending::Logits(1)),
    ] {
        let read = |file: &str| std::fs::read(directory.join(name).join(file)).expect("a file");
        let config = Config::parse(&read("config.json")).expect("config.json");
        let load = |kernels: Option<Kernels>| {
            let mut weights = Weights::parse(&read("model.safetensors"), name).expect("weights");
            let bert = Bert::load(&config, ending, kernels, &mut weights).expect("a model");
            weights.finish().expect("nothing left over");
            bert
        };
        let texts: Vec<Vec<u32>> = (1..20)
            .map(|length| {
                (0..length)
                    .map(|place| 5 + (place * 37 + length) % 290)
                    .collect()
            })
            .collect();
        let Rows::Tokens(tokens) = tokens(&texts) else {
            panic!("texts");
        };
        let kernels = Kernels::new(InstructionSet::best(), Precision::F32);
        let forward = |bert: Bert| bert.forward(&tokens, 0..texts.len()).expect("outputs");
        let (by_kernels, by_candle) = (forward(load(kernels)), forward(load(None)));
        assert_eq!(by_kernels.len(), by_candle.len());
        let largest = by_kernels
            .iter()
            .zip(&by_candle)
            .map(|(a, b)| (a - b).abs());
        let largest = largest.fold(0.0, f32::max);
        assert!(largest < 1e-4, "{name}: {largest}");
        assert!(cosine(&by_kernels, &by_candle) > 0.999_999, "{name}");
    }
}
