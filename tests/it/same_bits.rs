//! Law 4: a prediction depends on record, bundle and precision, and on nothing else.

use std::path::PathBuf;

use lamplighter::features::{FeatureKind, Rows, Table};
use lamplighter::job::ModelReference;
use lamplighter::model::kernels::InstructionSet;
use lamplighter::model::{Bundle, Mlp, NetworkOutput};
use proptest::prelude::*;

use crate::harness::{Ended, Workspace, repository};

fn fixture_bundle(name: &str) -> Bundle {
    let directory: PathBuf = repository().join("fixtures/models").join(name);
    Bundle::load(&ModelReference::of(&directory)).expect("the bundle")
}

/// Appends row `index` of a reproducible crowd of encoded records, as wild as encoding allows.
fn add_record(bundle: &Bundle, table: &mut Table, index: u64) {
    let mut state = index.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let numbers = (0..table.dense_width).map(|_| (next() % 8001) as f32 / 1000.0 - 4.0);
    table.dense.extend(numbers.collect::<Vec<f32>>());
    for feature in bundle.encoder.features() {
        if let FeatureKind::Categorical {
            categories, dim, ..
        } = &feature.kind
            && *dim > 0
        {
            table
                .codes
                .push((next() % (categories.len() as u64 + 1)) as u32);
        }
    }
}

/// Bits of the logits of the record `subject` when it stands at `position` of a batch of
/// `capacity`, among `neighbours` (`None`: zeros).
fn bits_at(
    bundle: &Bundle,
    subject: u64,
    capacity: usize,
    position: usize,
    neighbours: Option<u64>,
) -> Vec<u32> {
    let Rows::Table(mut table) = bundle.encoder.no_rows() else {
        panic!("a model of texts");
    };
    for row in 0..capacity {
        match (row == position, neighbours) {
            (true, _) => add_record(bundle, &mut table, subject),
            (false, Some(seed)) => add_record(bundle, &mut table, seed.wrapping_add(row as u64)),
            (false, None) => {
                table.dense.extend(vec![0.0; table.dense_width]);
                table.codes.extend(vec![0; table.code_width]);
            }
        }
    }
    let rows = Rows::Table(table);
    let given = bundle.network.forward(&rows, 0..capacity).expect("logits");
    let NetworkOutput::Numbers(logits) = given else {
        panic!("a ranking");
    };
    let width = bundle.head.width();
    logits[position * width..(position + 1) * width]
        .iter()
        .map(|logit| logit.to_bits())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// All four activations are covered: relu, tanh, silu, gelu.
    #[test]
    fn a_record_scores_alike_at_every_place_and_among_any_neighbours(
        name in prop::sample::select(vec!["flight-delay", "delay-bucket", "credit-default", "retail-sales"]),
        capacity in prop::sample::select(vec![1usize, 2, 3, 7, 16, 17, 33, 64, 100, 257, 512]),
        subject: u64,
        place: prop::sample::Index,
        neighbours: u64,
    ) {
        let bundle = fixture_bundle(name);
        let alone = bits_at(&bundle, subject, capacity, 0, None);
        let position = place.index(capacity);
        prop_assert_eq!(&alone, &bits_at(&bundle, subject, capacity, position, Some(neighbours)));
        prop_assert_eq!(&alone, &bits_at(&bundle, subject, capacity, capacity - 1, None));
    }
}

/// A network wider than a block of a matrix product, whose blocks elsewhere follow the host's caches.
#[test]
fn wide_layers_are_summed_in_a_fixed_order() {
    use candle_core::{Device, Tensor};
    use lamplighter::features::TableEncoder;
    use lamplighter::features::spec::{Feature, OutOfRange, Scale};
    use lamplighter::model::Activation;
    use lamplighter::model::kernels::{Kernels, Precision};
    use lamplighter::model::weights::Weights;

    let inputs = 1100;
    let features: Vec<Feature> = (0..inputs)
        .map(|index| Feature {
            column: format!("f{index}"),
            kind: FeatureKind::Numeric(Scale {
                mean: 0.0,
                std: 1.0,
                min: f64::NEG_INFINITY,
                max: f64::INFINITY,
                fill: None,
                out_of_range: OutOfRange::Keep,
            }),
        })
        .collect();
    let weight: Vec<f32> = (0..inputs)
        .map(|index| (index as f32 * 0.37).sin())
        .collect();
    let tensors = std::collections::HashMap::from([
        (
            "layers.0.weight",
            Tensor::from_vec(weight.clone(), (1, inputs), &Device::Cpu).unwrap(),
        ),
        (
            "layers.0.bias",
            Tensor::from_vec(vec![0.25f32], 1, &Device::Cpu).unwrap(),
        ),
    ]);
    let workspace = Workspace::new();
    let path = workspace.path("wide.safetensors");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let mut weights = Weights::parse(&std::fs::read(&path).unwrap(), "wide").unwrap();
    let kernels = Kernels::new(InstructionSet::best(), Precision::F32).unwrap();
    let network = Mlp::load(&features, &[], Activation::Relu, 1, kernels, &mut weights).unwrap();
    weights.finish().unwrap();
    assert_eq!(TableEncoder::new(features).no_rows().dense_width, inputs);

    let row: Vec<f32> = (0..inputs)
        .map(|index| (index as f32 * 0.11).cos())
        .collect();
    let exact: f64 = 0.25
        + weight
            .iter()
            .zip(&row)
            .map(|(weight, value)| f64::from(*weight) * f64::from(*value))
            .sum::<f64>();
    for capacity in [1, 5, 512] {
        let logits = network.forward(capacity, &row.repeat(capacity), &[]);
        let logits: Vec<Vec<f32>> = logits.unwrap().to_vec2().unwrap();
        assert!(
            logits
                .iter()
                .all(|logit| logit[0].to_bits() == logits[0][0].to_bits())
        );
        assert!(
            (f64::from(logits[0][0]) - exact).abs() < 1e-4,
            "{} {exact}",
            logits[0][0]
        );
    }
}

/// Scores the flights with these further arguments and returns every prediction's bits.
fn flights(arguments: &[&str]) -> std::collections::BTreeMap<String, String> {
    flights_on(InstructionSet::best(), arguments)
}

fn flights_on(
    set: InstructionSet,
    arguments: &[&str],
) -> std::collections::BTreeMap<String, String> {
    let workspace = Workspace::new();
    let database = format!("sqlite://{}", workspace.path("lamplighter.db").display());
    let mut all = vec!["run", "jobs/flight-delay.toml", "--database", &database];
    all.extend_from_slice(arguments);
    let mut command = workspace.command(&all);
    command
        .current_dir(repository())
        .env("LAMPLIGHTER_NUMERICS", set.as_str());
    Ended::of(&mut command).expect(0);
    assert_eq!(workspace.value("SELECT numerics FROM runs"), set.as_str());
    workspace.prediction_bits(1)
}

#[test]
fn workers_shards_batches_and_chunks_do_not_change_a_bit() {
    let reference = flights(&["--workers", "1"]);
    assert!(reference.len() > 50_000);
    let variants: [&[&str]; 5] = [
        &["--workers", "2"],
        &["--workers", "4"],
        &["--set", "run.batch_size=7"],
        &["--workers", "3", "--set", "run.shard_size=1777"],
        &["--workers", "2", "--set", "run.max_memory=1MiB"],
    ];
    for variant in variants {
        // Not assert_eq: on failure it would print every flight twice.
        assert!(
            reference == flights(variant),
            "{variant:?} changes predictions"
        );
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let plain = flights_on(InstructionSet::Portable, &[]);
    assert!(plain.len() > 50_000);
    let sets = [InstructionSet::Avx512, InstructionSet::Avx2];
    for set in sets.into_iter().filter(|set| set.is_supported()) {
        assert!(plain == flights_on(set, &[]), "{set:?} changes predictions");
    }
}
