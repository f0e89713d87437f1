//! How fast the kernels are: each operation and a whole layer, beside the peak of this processor.
//!
//! The peak is that of multiply-adds in registers alone, measured in the same rounds. Repeats of all
//! operations are interleaved, and the median is printed: other work on the machine disturbs single
//! figures.

use std::time::Instant;

use lamplighter::model::kernels::{
    Activation, EncoderLayer, EncoderLayerWeights, InstructionSet, Kernels, LayerNorm,
    PackedLinear, Precision, Scratch, mean_pool, multiply_in_registers, normalize_rows,
};

/// Rounds over all operations.
const REPEATS: usize = 9;
/// Texts of 10 to 256 tokens, 41 on average.
const LENGTHS: [usize; 12] = [10, 12, 15, 18, 22, 26, 30, 34, 40, 48, 75, 162];

/// An operation, and the floating-point operations of one call.
struct Operation {
    name: String,
    flops: f64,
    run: Box<dyn Fn(&mut Scratch) + Send + Sync>,
}

/// Numbers in (-scale, scale).
fn numbers(count: usize, scale: f32) -> Vec<f32> {
    let mut seed = 7u64;
    let next = |_| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
    };
    (0..count).map(next).collect()
}

fn linear(
    kernels: Kernels,
    name: &str,
    (rows, inputs, outputs): (usize, usize, usize),
    activation: Option<Activation>,
) -> Operation {
    let (weight, bias) = (numbers(inputs * outputs, 0.05), numbers(outputs, 0.05));
    let linear = PackedLinear::new(kernels, &weight, &bias, inputs);
    let input = numbers(rows * inputs, 1.0);
    Operation {
        name: format!("{name} {rows}x{inputs}x{outputs}"),
        flops: 2.0 * (rows * inputs * outputs) as f64,
        run: Box::new(move |scratch| {
            let mut out = vec![0.0; rows * outputs];
            linear.forward(&input, &mut out, activation, scratch);
            std::hint::black_box(&out);
        }),
    }
}

fn norm(width: usize) -> LayerNorm {
    LayerNorm {
        weight: vec![1.0; width],
        bias: vec![0.0; width],
        epsilon: 1e-12,
    }
}

fn layer(kernels: Kernels, width: usize, heads: usize, lengths: Vec<usize>) -> Operation {
    let wide = 4 * width;
    let (weight, bias) = (numbers(width * wide, 0.05), numbers(wide, 0.05));
    let square = (&weight[..width * width], &bias[..width]);
    let layer = EncoderLayer::new(
        kernels,
        EncoderLayerWeights {
            query: square,
            key: square,
            value: square,
            attention_output: square,
            attention_norm: norm(width),
            intermediate: (&weight, &bias),
            output: (&weight, &bias[..width]),
            output_norm: norm(width),
            heads,
            activation: Activation::Gelu,
        },
    );
    let tokens: usize = lengths.iter().sum();
    let hidden = numbers(tokens * width, 1.0);
    let pairs: usize = lengths.iter().map(|length| length * length).sum();
    let products = tokens * (4 * width * width + 2 * width * wide) + 2 * pairs * width;
    Operation {
        name: format!("layer {width}, {} texts", lengths.len()),
        flops: 2.0 * products as f64,
        run: Box::new(move |scratch| {
            let mut hidden = hidden.clone();
            layer.forward(&mut hidden, &lengths, scratch);
            std::hint::black_box(&hidden);
        }),
    }
}

fn operations(kernels: Kernels) -> Vec<Operation> {
    let lengths: Vec<usize> = LENGTHS.repeat(8);
    let tokens: usize = lengths.iter().sum();
    let rows = numbers(tokens * 384, 1.0);
    let (residual, pooled) = (rows.clone(), lengths.clone());
    vec![
        Operation {
            name: "peak".into(),
            flops: multiply_in_registers(kernels, 1_000_000),
            run: Box::new(move |_| {
                multiply_in_registers(kernels, 1_000_000);
            }),
        },
        linear(kernels, "projection", (tokens, 384, 1152), None),
        linear(kernels, "attention output", (tokens, 384, 384), None),
        linear(
            kernels,
            "intermediate + gelu",
            (tokens, 384, 1536),
            Some(Activation::Gelu),
        ),
        linear(kernels, "output", (tokens, 1536, 384), None),
        Operation {
            name: "residual + LayerNorm".into(),
            flops: 9.0 * (tokens * 384) as f64,
            run: Box::new(move |_| {
                let mut rows = residual.clone();
                norm(384).forward(kernels, &mut rows, Some(&residual));
                std::hint::black_box(&rows);
            }),
        },
        Operation {
            name: "mean + length one".into(),
            flops: (tokens * 384) as f64,
            run: Box::new(move |_| {
                let mut out = vec![0.0; pooled.len() * 384];
                mean_pool(kernels, &rows, 384, &pooled, &mut out);
                normalize_rows(kernels, &mut out, 384);
                std::hint::black_box(&out);
            }),
        },
        layer(kernels, 384, 12, lengths.clone()),
        layer(kernels, 768, 12, lengths),
        layer(kernels, 384, 12, vec![256; 16]),
    ]
}

/// Seconds of one call, while each of `threads` threads makes as many.
fn seconds(operation: &Operation, threads: usize) -> f64 {
    let calls = (1e9 / operation.flops).ceil() as usize;
    let work = || {
        let mut scratch = Scratch::default();
        (operation.run)(&mut scratch);
        let start = Instant::now();
        for _ in 0..calls {
            (operation.run)(&mut scratch);
        }
        start.elapsed().as_secs_f64() / calls as f64
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let times = workers
            .into_iter()
            .map(|worker| worker.join().expect("a timing"));
        times.sum::<f64>() / threads as f64
    })
}

fn main() {
    for set in [InstructionSet::Avx512, InstructionSet::Avx2] {
        for precision in [Precision::F32, Precision::Bf16] {
            let Some(kernels) = Kernels::new(set, precision) else {
                println!("{} {precision:?}: not measured", set.as_str());
                continue;
            };
            let operations = operations(kernels);
            for threads in [1, 2] {
                let mut times = vec![vec![]; operations.len()];
                for _ in 0..REPEATS {
                    for (operation, times) in operations.iter().zip(&mut times) {
                        times.push(seconds(operation, threads));
                    }
                }
                let rates: Vec<f64> = operations
                    .iter()
                    .zip(&mut times)
                    .map(|(operation, times)| {
                        times.sort_by(f64::total_cmp);
                        operation.flops / times[REPEATS / 2] / 1e9
                    })
                    .collect();
                println!("{} {precision:?}, {threads} thread(s):", set.as_str());
                for (operation, rate) in operations.iter().zip(&rates) {
                    let share = 100.0 * rate / rates[0];
                    println!(
                        "  {:<36} {rate:6.0} GFLOP/s a thread, {share:3.0} %",
                        operation.name
                    );
                }
            }
        }
    }
}
