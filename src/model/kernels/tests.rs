//! The laws of these kernels, over random shapes, on whatever instruction sets this processor has.

use proptest::prelude::*;

use super::lanes::{LANES, Lanes};
use super::*;

/// All that this processor computes by.
fn all() -> Vec<Kernels> {
    let precisions = [Precision::F32, Precision::Bf16];
    InstructionSet::ALL
        .into_iter()
        .flat_map(|set| precisions.map(|precision| Kernels::new(set, precision)))
        .flatten()
        .collect()
}

/// Numbers in (-scale, scale), from a seed.
fn numbers(count: usize, scale: f32, seed: &mut u64) -> Vec<f32> {
    let next = |_| {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
    };
    (0..count).map(next).collect()
}

/// Weights and biases of the six linear layers.
struct Weights {
    width: usize,
    heads: usize,
    linears: Vec<(Vec<f32>, Vec<f32>)>,
    norms: [Vec<f32>; 4],
}

impl Weights {
    fn new(size: usize, heads: usize, wide: usize, mut seed: u64) -> Self {
        let width = size * heads;
        let shapes = [(width, width); 4]
            .into_iter()
            .chain([(wide, width), (width, wide)]);
        let linears = shapes
            .map(|(outputs, inputs)| {
                let scale = 1.7 / (inputs as f32).sqrt();
                let weight = numbers(outputs * inputs, scale, &mut seed);
                (weight, numbers(outputs, 0.3, &mut seed))
            })
            .collect();
        let norms = std::array::from_fn(|_| numbers(width, 1.0, &mut seed));
        Self {
            width,
            heads,
            linears,
            norms,
        }
    }

    fn norm(&self, which: usize) -> LayerNorm {
        LayerNorm {
            weight: self.norms[2 * which]
                .iter()
                .map(|x| 1.0 + x / 4.0)
                .collect(),
            bias: self.norms[2 * which + 1].clone(),
            epsilon: 1e-12,
        }
    }

    fn layer(&self, kernels: Kernels) -> EncoderLayer {
        let linear = |i: usize| (&self.linears[i].0[..], &self.linears[i].1[..]);
        EncoderLayer::new(
            kernels,
            EncoderLayerWeights {
                query: linear(0),
                key: linear(1),
                value: linear(2),
                attention_output: linear(3),
                attention_norm: self.norm(0),
                intermediate: linear(4),
                output: linear(5),
                output_norm: self.norm(1),
                heads: self.heads,
                activation: Activation::Gelu,
            },
        )
    }

    /// The layer in f64, by its definition, of one text.
    fn reference(&self, hidden: &[f32]) -> Vec<f64> {
        let width = self.width;
        let linear = |rows: &[f64], i: usize| -> Vec<f64> {
            let (weight, bias) = &self.linears[i];
            let inputs = weight.len() / bias.len();
            let mut out = vec![];
            for row in rows.chunks(inputs) {
                for (weights, bias) in weight.chunks(inputs).zip(bias) {
                    let sum: f64 = row
                        .iter()
                        .zip(weights)
                        .map(|(x, w)| x * f64::from(*w))
                        .sum();
                    out.push(sum + f64::from(*bias));
                }
            }
            out
        };
        let add_norm = |rows: &[f64], residual: &[f64], which: usize| -> Vec<f64> {
            let norm = self.norm(which);
            let sums: Vec<f64> = rows.iter().zip(residual).map(|(a, b)| a + b).collect();
            let normalize = |row: &[f64]| {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let scale = (variance + f64::from(norm.epsilon)).sqrt();
                let parts = row.iter().zip(norm.weight.iter().zip(&norm.bias));
                parts
                    .map(|(x, (w, b))| (x - mean) / scale * f64::from(*w) + f64::from(*b))
                    .collect::<Vec<f64>>()
            };
            sums.chunks(width).flat_map(normalize).collect()
        };
        let x: Vec<f64> = hidden.iter().map(|&x| f64::from(x)).collect();
        let [q, k, v] = [0, 1, 2].map(|i| linear(&x, i));
        let (tokens, size) = (hidden.len() / width, width / self.heads);
        let mut context = vec![0.0; x.len()];
        for start in (0..width).step_by(size) {
            for query in 0..tokens {
                let at = |token: usize, i: usize| token * width + start + i;
                let score = |key: usize| -> f64 {
                    let sum: f64 = (0..size).map(|i| q[at(query, i)] * k[at(key, i)]).sum();
                    (sum / (size as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = (0..tokens).map(score).collect();
                let total: f64 = scores.iter().sum();
                for (key, score) in scores.iter().enumerate() {
                    for i in 0..size {
                        context[at(query, i)] += score / total * v[at(key, i)];
                    }
                }
            }
        }
        let x = add_norm(&linear(&context, 3), &x, 0);
        let wide: Vec<f64> = linear(&x, 4).into_iter().map(gelu).collect();
        add_norm(&linear(&wide, 5), &x, 1)
    }
}

/// erf in f64 by its Taylor series, or by the continued fraction of its complement.
fn erf(x: f64) -> f64 {
    let u = x.abs();
    let value = if u < 3.0 {
        let (mut term, mut sum) = (u, u);
        for n in 1..200 {
            term *= -u * u / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let fraction = (1..200)
            .rev()
            .fold(u, |rest, n| u + f64::from(n) / 2.0 / rest);
        1.0 - (-u * u).exp() / fraction / std::f64::consts::PI.sqrt()
    };
    value.copysign(x)
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn shapes() -> impl Strategy<Value = (usize, usize, usize)> {
    let sizes = prop_oneof![Just(16usize), Just(20), Just(32), Just(64), 3usize..40];
    (sizes, 1usize..4, 1usize..150)
}

fn text_lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![4 => 1usize..40, 1 => 90usize..130], 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Laws 1 and 2, and the definition in f64, of the whole layer.
    #[test]
    fn a_text_has_its_bits_alone_among_others_and_by_any_instruction_set(
        (size, heads, wide) in shapes(), lengths in text_lengths(), seed: u64,
    ) {
        let weights = Weights::new(size, heads, wide, seed);
        let width = weights.width;
        let tokens: usize = lengths.iter().sum();
        let input = numbers(tokens * width, 2.0, &mut (seed ^ 1));
        let mut scratch = Scratch::default();
        let mut seen: Vec<(Precision, Vec<f32>)> = vec![];
        for kernels in all() {
            let layer = weights.layer(kernels);
            let mut together = input.clone();
            layer.forward(&mut together, &lengths, &mut scratch);
            let mut first = 0;
            for length in &lengths {
                let place = first * width..(first + length) * width;
                let mut alone = input[place.clone()].to_vec();
                layer.forward(&mut alone, &[*length], &mut Scratch::default());
                prop_assert_eq!(bits(&alone), bits(&together[place]), "{:?}", kernels);
                first += length;
            }
            if let Some((_, other)) = seen.iter().find(|(p, _)| *p == kernels.precision()) {
                prop_assert_eq!(bits(other), bits(&together), "{:?}", kernels);
            }
            seen.push((kernels.precision(), together));
        }
        let mut first = 0;
        for length in &lengths {
            let place = first * width..(first + length) * width;
            let expected = weights.reference(&input[place.clone()]);
            for (precision, found) in &seen {
                let allowed = if *precision == Precision::F32 { 2e-4 } else { 0.3 };
                for (found, expected) in found[place.clone()].iter().zip(&expected) {
                    let error = (f64::from(*found) - expected).abs();
                    prop_assert!(error < allowed, "{:?} {} {}", precision, found, expected);
                }
            }
            first += length;
        }
    }

    /// bf16 by the processor and by the twin, on any bits.
    #[test]
    fn bf16_is_what_the_processor_makes_of_it(
        sums: [u32; LANES], a: u32, b: [u32; LANES], near in any::<bool>(),
    ) {
        let Some(kernels) = Kernels::new(InstructionSet::Avx512, Precision::Bf16) else {
            return Ok(());
        };
        // Exponents near 1 let the three terms meet; any others mostly drown each other.
        let tame = |x: u32| if near { (x & 0x83ff_83ff) | 0x3c00_3c00 } else { x };
        let (sums, a, b) = (sums.map(tame), tame(a), b.map(tame));
        let mut found = Pairs { sums: sums.map(f32::from_bits), a, b, rounded: [0; LANES] };
        let mut expected = Pairs { ..found };
        kernels.run(&mut found);
        Kernels::new(InstructionSet::Portable, Precision::Bf16).unwrap().run(&mut expected);
        prop_assert_eq!(found.rounded, expected.rounded);
        for (found, expected) in found.sums.iter().zip(expected.sums) {
            prop_assert!(
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(),
                "{:e} {:e}", found, expected
            );
        }
    }

    #[test]
    fn what_is_not_finite_stays_in_its_text(
        (size, heads, wide) in shapes(), lengths in text_lengths(), seed: u64, place: prop::sample::Index,
        bad in prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)],
    ) {
        let weights = Weights::new(size, heads, wide, seed);
        let width = weights.width;
        let tokens: usize = lengths.iter().sum();
        let clean = numbers(tokens * width, 2.0, &mut (seed ^ 1));
        let mut input = clean.clone();
        let place = place.index(input.len());
        input[place] = bad;
        for kernels in all() {
            let layer = weights.layer(kernels);
            let (mut out, mut expected) = (input.clone(), clean.clone());
            layer.forward(&mut out, &lengths, &mut Scratch::default());
            layer.forward(&mut expected, &lengths, &mut Scratch::default());
            let mut first = 0;
            for length in &lengths {
                let text = first * width..(first + length) * width;
                if text.contains(&place) {
                    prop_assert!(out[text].iter().any(|x| !x.is_finite()), "{:?}", kernels);
                } else {
                    prop_assert_eq!(bits(&out[text.clone()]), bits(&expected[text]));
                }
                first += length;
            }
        }
    }

    #[test]
    fn pooled_rows_are_means_and_then_of_length_one(
        width in 1usize..80, lengths in text_lengths(), seed: u64,
    ) {
        let tokens: usize = lengths.iter().sum();
        let hidden = numbers(tokens * width, 3.0, &mut (seed ^ 1));
        for kernels in all() {
            let mut out = vec![0.0; lengths.len() * width];
            mean_pool(kernels, &hidden, width, &lengths, &mut out);
            let mut first = 0;
            for (length, row) in lengths.iter().zip(out.chunks(width)) {
                for (column, found) in row.iter().enumerate() {
                    let rows = first..first + length;
                    let sum: f64 = rows.map(|i| f64::from(hidden[i * width + column])).sum();
                    prop_assert!((sum / *length as f64 - f64::from(*found)).abs() < 1e-5);
                }
                first += length;
            }
            normalize_rows(kernels, &mut out, width);
            for row in out.chunks(width) {
                let square: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                prop_assert!((square - 1.0).abs() < 1e-5);
            }
        }
    }
}

/// Operands of one vector of pair products, and what becomes of the sums in bf16.
#[derive(Clone, Copy)]
struct Pairs {
    sums: [f32; LANES],
    a: u32,
    b: [u32; LANES],
    rounded: [u16; LANES],
}

impl Operation for &mut Pairs {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        // SAFETY: the arrays have sixteen elements, and the test runs this by bf16 kernels only.
        unsafe {
            l.store_bf16(self.rounded.as_mut_ptr(), l.load(self.sums.as_ptr()));
            let sums = l.dot_bf16(l.load(self.sums.as_ptr()), self.a, self.b.as_ptr());
            l.store(self.sums.as_mut_ptr(), sums);
        }
    }
}

/// All that computes in f32.
fn all_of_f32() -> impl Iterator<Item = Kernels> {
    let is_f32 = |kernels: &Kernels| kernels.precision() == Precision::F32;
    all().into_iter().filter(is_f32)
}

/// The function's values, from a layer that does nothing else.
fn applied(kernels: Kernels, activation: Activation, points: &[f32]) -> Vec<f32> {
    let linear = PackedLinear::new(kernels, &[1.0], &[0.0], 1);
    let mut out = vec![0.0; points.len()];
    linear.forward(points, &mut out, Some(activation), &mut Scratch::default());
    out
}

/// Values of torch.nn.functional at these points, PyTorch 2.
#[test]
fn activations_are_pytorchs() {
    let expected = [
        (Activation::Relu, [0.0, 0.0, 0.0, 1.5]),
        (
            Activation::Gelu,
            [-0.045_500_264, -0.154_268_8, 0.0, 1.399_789_2],
        ),
        (
            Activation::Tanh,
            [-0.964_027_6, -0.462_117_17, 0.0, 0.905_148_27],
        ),
        (
            Activation::Silu,
            [-0.238_405_84, -0.188_770_33, 0.0, 1.226_361_6],
        ),
    ];
    for kernels in all_of_f32() {
        for (activation, expected) in expected {
            let found = applied(kernels, activation, &[-2.0, -0.5, 0.0, 1.5]);
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    f32::abs(found - expected) < 1e-6,
                    "{activation:?}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn activations_keep_a_nan_and_end_at_their_limits() {
    for kernels in all_of_f32() {
        for activation in [
            Activation::Relu,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Tanh,
            Activation::Silu,
        ] {
            let found = applied(kernels, activation, &[f32::NAN, -1e38]);
            assert!(found[0].is_nan(), "{activation:?}");
            let limit = match activation {
                Activation::Tanh => -1.0,
                _ => 0.0,
            };
            assert!(
                (found[1] - limit).abs() < 1e-30,
                "{activation:?} {}",
                found[1]
            );
        }
    }
}

/// Every function's values from -30 to 30, against f64.
#[test]
fn activations_are_within_a_millionth() {
    let points: Vec<f32> = (-30_000..=30_000).map(|i| i as f32 / 1000.0).collect();
    let tanh_gelu =
        |x: f64| 0.5 * x * (1.0 + (0.797_884_560_8 * (x + 0.044_715 * x * x * x)).tanh());
    let functions: [(Activation, &dyn Fn(f64) -> f64); 5] = [
        (Activation::Gelu, &gelu),
        (Activation::GeluTanh, &tanh_gelu),
        (Activation::Relu, &|x| x.max(0.0)),
        (Activation::Tanh, &f64::tanh),
        (Activation::Silu, &|x| x / (1.0 + (-x).exp())),
    ];
    for kernels in all_of_f32() {
        for (activation, reference) in functions {
            for (x, found) in points.iter().zip(applied(kernels, activation, &points)) {
                let expected = reference(f64::from(*x));
                let error = (f64::from(found) - expected).abs();
                assert!(
                    error < 1e-6 * expected.abs().max(1.0),
                    "{activation:?} {x} {found} {expected}"
                );
            }
        }
    }
}

struct Exponentials(Vec<f32>);

impl Operation for &mut Exponentials {
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for part in self.0.chunks_exact_mut(LANES) {
            // SAFETY: the part has sixteen elements.
            unsafe { l.store(part.as_mut_ptr(), functions::exp(l, l.load(part.as_ptr()))) };
        }
    }
}

#[test]
fn exp_is_within_two_units_in_the_last_place() {
    let points: Vec<f32> = (0..160_000)
        .map(|i| -87.0 + i as f32 * 175.0 / 160_000.0)
        .collect();
    for kernels in all() {
        let mut values = Exponentials(points.clone());
        kernels.run(&mut values);
        for (x, found) in points.iter().zip(values.0) {
            let expected = f64::from(*x).exp();
            let error = (f64::from(found) / expected - 1.0).abs();
            assert!(
                error < 2.0 * f64::from(f32::EPSILON),
                "exp({x}) {found} {expected}"
            );
        }
    }
}
