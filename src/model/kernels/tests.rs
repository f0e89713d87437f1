//! The instruction sets held to the portable one, bit by bit, and all of them to f64.

use proptest::prelude::*;

use super::functions::{Function, Gelu, GeluTanh, Relu, Silu, Tanh, exp};
use super::vector::{LANES, Operation, Vector};
use super::*;

/// Reproducible numbers between -1 and 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }
}

/// Everything that this processor computes with.
fn all() -> Vec<Kernels> {
    let precisions = [Precision::F32, Precision::Bf16];
    InstructionSet::ALL
        .into_iter()
        .flat_map(|set| precisions.map(|precision| Kernels::new(set, precision)))
        .flatten()
        .collect()
}

/// The plain twin.
fn portable(precision: Precision) -> Kernels {
    Kernels::new(InstructionSet::Portable, precision).unwrap()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

struct Apply<'a, F> {
    numbers: &'a mut [f32],
    function: std::marker::PhantomData<F>,
}

impl<F: Function> Operation for Apply<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for lanes in self.numbers.chunks_exact_mut(LANES) {
            // SAFETY: the caller's; there are so many numbers.
            unsafe { F::apply(V::load(lanes.as_ptr())).store(lanes.as_mut_ptr()) };
        }
    }
}

struct Exp;

impl Function for Exp {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: the caller's.
        unsafe { exp(x) }
    }
}

fn apply<F: Function>(kernels: Kernels, numbers: &[f32]) -> Vec<f32> {
    let mut padded = numbers.to_vec();
    padded.resize(numbers.len().next_multiple_of(LANES), 0.0);
    kernels.run(Apply::<F> {
        numbers: &mut padded,
        function: std::marker::PhantomData,
    });
    padded.truncate(numbers.len());
    padded
}

/// From -100 to 100, close to zero too, and the smallest numbers.
fn arguments() -> Vec<f32> {
    let grid = (-20_000..=20_000).map(|step| step as f32 / 200.0);
    let small = (-60..=0).flat_map(|exponent| [1.0, -1.0].map(|sign| sign * 2_f32.powi(exponent)));
    let odd = [0.0, -0.0, f32::MIN_POSITIVE, 1e-45];
    grid.chain(small).chain(odd).collect()
}

/// The complementary error function in f64, by its continued fraction (Abramowitz and Stegun 7.1.14)
/// or, close to zero, its series (7.1.5).
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let two_over_root_pi = std::f64::consts::FRAC_2_SQRT_PI;
    if x < 2.0 {
        let (mut sum, mut term) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - two_over_root_pi * sum;
    }
    let fraction = (1..200)
        .rev()
        .fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    two_over_root_pi / 2.0 * (-x * x).exp() / fraction
}

#[test]
fn functions_are_within_a_millionth_of_their_definitions() {
    fn check<F: Function>(name: &str, definition: impl Fn(f64) -> f64) {
        for kernels in all() {
            let arguments = arguments();
            for (x, found) in arguments.iter().zip(apply::<F>(kernels, &arguments)) {
                let expected = definition(f64::from(*x));
                let distance = (f64::from(found) - expected).abs();
                let allowed = 1e-6 * expected.abs().max(1.0);
                assert!(distance <= allowed, "{name}({x}) = {found}, not {expected}");
            }
        }
    }
    let root = (2.0 / std::f64::consts::PI).sqrt();
    check::<Gelu>("gelu", |x| x / 2.0 * erfc(-x / 2_f64.sqrt()));
    check::<GeluTanh>("gelu by tanh", |x| {
        x / 2.0 * (1.0 + (root * (x + 0.044_715 * x * x * x)).tanh())
    });
    check::<Relu>("relu", |x| x.max(0.0));
    check::<Tanh>("tanh", f64::tanh);
    check::<Silu>("silu", |x| x / (1.0 + (-x).exp()));
    check::<Exp>("exp", |x| x.clamp(-87.3, 88.0).exp());
}

#[test]
fn functions_are_alike_on_all_instruction_sets_and_a_nan_stays_one() {
    fn check<F: Function>() {
        let mut arguments = arguments();
        arguments.extend([f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN]);
        let plain = apply::<F>(portable(Precision::F32), &arguments);
        for kernels in all() {
            let found = apply::<F>(kernels, &arguments);
            for ((x, plain), found) in arguments.iter().zip(&plain).zip(&found) {
                let is_alike =
                    plain.to_bits() == found.to_bits() || plain.is_nan() && found.is_nan();
                assert!(is_alike, "{kernels:?} {x}: {plain} {found}");
            }
            assert!(apply::<F>(kernels, &[f32::NAN])[0].is_nan());
        }
    }
    check::<Gelu>();
    check::<GeluTanh>();
    check::<Relu>();
    check::<Tanh>();
    check::<Silu>();
    check::<Exp>();
}

fn norm(numbers: &mut Numbers, width: usize) -> LayerNorm {
    LayerNorm {
        weight: numbers.take(width, 1.5),
        bias: numbers.take(width, 0.5),
        epsilon: 1e-12,
    }
}

/// A layer of random weights, large enough that attention is not even.
fn layer(
    kernels: Kernels,
    seed: u64,
    heads: usize,
    size: usize,
    intermediate: usize,
) -> EncoderLayer {
    let mut numbers = Numbers(seed | 1);
    let width = heads * size;
    let scale = 2.0 / (width as f32).sqrt();
    let mut linear = |outputs: usize, inputs: usize| {
        (
            numbers.take(outputs * inputs, scale),
            numbers.take(outputs, 0.1),
        )
    };
    let (query, key, value) = (
        linear(width, width),
        linear(width, width),
        linear(width, width),
    );
    let attention_output = linear(width, width);
    let (up, down) = (linear(intermediate, width), linear(width, intermediate));
    let of = |pair: &(Vec<f32>, Vec<f32>)| (pair.0.clone(), pair.1.clone());
    let all = [query, key, value, attention_output, up, down].map(|pair| of(&pair));
    let part = |index: usize| (all[index].0.as_slice(), all[index].1.as_slice());
    EncoderLayer::new(
        kernels,
        EncoderLayerWeights {
            query: part(0),
            key: part(1),
            value: part(2),
            attention_output: part(3),
            attention_norm: norm(&mut numbers, width),
            intermediate: part(4),
            output: part(5),
            output_norm: norm(&mut numbers, width),
            heads,
            activation: Activation::Gelu,
        },
    )
}

/// A text's tokens before the first layer.
fn text(seed: u64, length: usize, width: usize) -> Vec<f32> {
    Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1).take(length * width, 2.0)
}

fn forward(layer: &EncoderLayer, texts: &[Vec<f32>], width: usize) -> Vec<Vec<f32>> {
    let lengths: Vec<usize> = texts.iter().map(|text| text.len() / width).collect();
    let mut hidden = texts.concat();
    layer.forward(&mut hidden, &lengths, &mut Scratch::default());
    let mut rest = hidden.as_slice();
    lengths
        .iter()
        .map(|length| {
            let (text, others) = rest.split_at(length * width);
            rest = others;
            text.to_vec()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_linear_layer_is_the_same_product_everywhere(
        seed: u64,
        rows in 1_usize..40,
        inputs in 1_usize..90,
        outputs in 1_usize..90,
        is_large: bool,
    ) {
        let mut numbers = Numbers(seed | 1);
        // Numbers so small that they count as zeros in bf16, too.
        let scale = if is_large { 1.0 } else { 1e-25 };
        let weight = numbers.take(outputs * inputs, scale);
        let bias = numbers.take(outputs, scale);
        let left = numbers.take(rows * inputs, scale);
        for kernels in all() {
            let product = |kernels: Kernels| {
                let linear = PackedLinear::new(kernels, &weight, &bias, inputs);
                let mut out = vec![0.0; rows * outputs];
                linear.forward(&left, &mut out, Some(Activation::Gelu), &mut Scratch::default());
                out
            };
            let plain = product(portable(kernels.precision()));
            prop_assert_eq!(bits(&plain), bits(&product(kernels)), "{:?}", kernels);
        }
    }

    #[test]
    fn a_product_is_that_of_f64(seed: u64, inputs in 1_usize..300, outputs in 1_usize..50) {
        let mut numbers = Numbers(seed | 1);
        let weight = numbers.take(outputs * inputs, 1.0);
        let bias = numbers.take(outputs, 1.0);
        let left = numbers.take(3 * inputs, 1.0);
        for kernels in all() {
            let mut out = vec![0.0; 3 * outputs];
            let linear = PackedLinear::new(kernels, &weight, &bias, inputs);
            linear.forward(&left, &mut out, None, &mut Scratch::default());
            let tolerance = match kernels.precision() {
                Precision::F32 => 1e-5,
                Precision::Bf16 => 2e-2,
            };
            for (row, out) in left.chunks_exact(inputs).zip(out.chunks_exact(outputs)) {
                for ((weight, bias), found) in weight.chunks_exact(inputs).zip(&bias).zip(out) {
                    let terms = row.iter().zip(weight);
                    let terms = terms.map(|(x, w)| f64::from(*x) * f64::from(*w));
                    let exact = terms.sum::<f64>() + f64::from(*bias);
                    let distance = (exact - f64::from(*found)).abs();
                    prop_assert!(distance < tolerance * (inputs as f64).sqrt(), "{kernels:?}");
                }
            }
        }
    }

    #[test]
    fn a_text_is_encoded_alike_among_any_others_and_by_every_instruction_set(
        seed: u64,
        heads in 1_usize..4,
        size in prop::sample::select(vec![8_usize, 16, 20, 32, 33, 64]),
        intermediate in 1_usize..100,
        length in 1_usize..70,
        before in prop::collection::vec(1_usize..60, 0..5),
        after in prop::collection::vec(1_usize..60, 0..3),
    ) {
        let width = heads * size;
        let subject = text(seed, length, width);
        let others = |lengths: &[usize], salt: u64| -> Vec<Vec<f32>> {
            let texts = lengths.iter().zip(salt..);
            texts.map(|(length, salt)| text(seed ^ salt, *length, width)).collect()
        };
        let (before, after) = (others(&before, 1), others(&after, 100));
        let place = before.len();
        let crowd = [before, vec![subject.clone()], after].concat();
        for kernels in all() {
            let plain = layer(portable(kernels.precision()), seed, heads, size, intermediate);
            let layer = layer(kernels, seed, heads, size, intermediate);
            let alone = forward(&layer, std::slice::from_ref(&subject), width);
            let amidst = forward(&layer, &crowd, width);
            prop_assert_eq!(bits(&alone[0]), bits(&amidst[place]), "{:?}", kernels);
            let plain = forward(&plain, std::slice::from_ref(&subject), width);
            prop_assert_eq!(bits(&alone[0]), bits(&plain[0]), "{:?}", kernels);
        }
    }

    #[test]
    fn what_is_not_finite_stays_within_its_text(
        seed: u64,
        length in 1_usize..40,
        place: prop::sample::Index,
        bad in prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]),
    ) {
        let width = 40;
        for kernels in all() {
            let layer = layer(kernels, seed, 2, 20, 30);
            let neighbour = text(seed ^ 7, 11, width);
            let mut subject = text(seed, length, width);
            subject[place.index(length * width)] = bad;
            let texts = [neighbour.clone(), subject, neighbour.clone()];
            let found = forward(&layer, &texts, width);
            let alone = forward(&layer, &[neighbour], width);
            prop_assert_eq!(bits(&found[0]), bits(&alone[0]));
            prop_assert_eq!(bits(&found[2]), bits(&alone[0]));
            prop_assert!(found[1].iter().any(|number| !number.is_finite()) || bad == f32::MAX);
        }
    }

    #[test]
    fn rows_are_pooled_and_normalised_alike_everywhere(
        seed: u64,
        width in 1_usize..100,
        lengths in prop::collection::vec(1_usize..20, 1..6),
    ) {
        let tokens: usize = lengths.iter().sum();
        let hidden = Numbers(seed | 1).take(tokens * width, 3.0);
        let pooled = |kernels: Kernels| {
            let (residual, mut hidden) = (hidden.clone(), hidden.clone());
            norm(&mut Numbers(seed | 1), width).forward(kernels, &mut hidden, Some(&residual));
            let mut out = vec![0.0; lengths.len() * width];
            mean_pool(kernels, &hidden, width, &lengths, &mut out);
            normalize_rows(kernels, &mut out, width);
            out
        };
        let plain = pooled(portable(Precision::F32));
        for row in plain.chunks_exact(width) {
            let length: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
            prop_assert!((length.sqrt() - 1.0).abs() < 1e-5 || length == 0.0);
        }
        for kernels in all() {
            prop_assert_eq!(bits(&plain), bits(&pooled(kernels)));
        }
    }
}

#[test]
fn a_layer_norm_is_that_of_f64() {
    for width in [1, 7, 16, 100, 384] {
        let mut numbers = Numbers(99);
        let norm = norm(&mut numbers, width);
        let rows = numbers.take(3 * width, 5.0);
        for kernels in all() {
            let mut found = rows.clone();
            norm.forward(kernels, &mut found, None);
            for (row, found) in rows.chunks_exact(width).zip(found.chunks_exact(width)) {
                let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                let mean = row.iter().sum::<f64>() / width as f64;
                let squares = row.iter().map(|x| (x - mean).powi(2));
                let deviation = (squares.sum::<f64>() / width as f64 + 1e-12).sqrt();
                for (index, x) in row.iter().enumerate() {
                    let weight = f64::from(norm.weight[index]);
                    let exact = (x - mean) / deviation * weight + f64::from(norm.bias[index]);
                    assert!((exact - f64::from(found[index])).abs() < 1e-5, "{width}");
                }
            }
        }
    }
}

#[test]
fn the_names_are_those_that_runs_store() {
    assert_eq!(
        InstructionSet::ALL.map(InstructionSet::as_str),
        ["avx512", "avx2", "portable"]
    );
    assert!(InstructionSet::best().is_supported());
    assert!(Kernels::new(InstructionSet::Avx2, Precision::Bf16).is_none());
}
