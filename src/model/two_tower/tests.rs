use std::collections::HashMap;

use super::*;
use crate::model::kernels::{InstructionSet, Precision};

const WIDTH: usize = 24;

/// Numbers of a table: small integers, whose products are exact in f32 in whatever order.
fn table(rows: usize, factor: usize) -> Vec<f32> {
    (0..rows * WIDTH)
        .map(|index| ((index * factor + index / 7) % 17) as f32 - 8.0)
        .collect()
}

fn towers(queries: usize, items: usize, top_k: usize, set: InstructionSet) -> TwoTower {
    let tensor = |rows: usize, factor| {
        Tensor::from_vec(table(rows, factor), (rows, WIDTH), &Device::Cpu).unwrap()
    };
    let mut weights = weights(&[
        ("query.embedding.weight", tensor(queries, 5)),
        ("item.embedding.weight", tensor(items, 11)),
    ]);
    let kernels = Kernels::new(set, Precision::F32).unwrap();
    TwoTower::load(queries, items, top_k, kernels, &mut weights).unwrap()
}

fn weights(tensors: &[(&str, Tensor)]) -> Weights {
    let file = tempfile::NamedTempFile::new().unwrap();
    let tensors: HashMap<&str, Tensor> = tensors.iter().cloned().collect();
    candle_core::safetensors::save(&tensors, file.path()).unwrap();
    Weights::parse(&std::fs::read(file.path()).unwrap(), "weights").unwrap()
}

/// Every product, in f64, sorted.
fn by_sorting(query: usize, items: usize, top_k: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
    let (queries, item_table) = (table(query + 1, 5), table(items, 11));
    let vector = &queries[query * WIDTH..];
    let mut all: Vec<(f64, u32)> = (0..items)
        .map(|item| {
            let other = &item_table[item * WIDTH..(item + 1) * WIDTH];
            let products = vector.iter().zip(other);
            let product = products.map(|(left, right)| f64::from(left * right)).sum();
            (product, item as u32)
        })
        .filter(|(_, item)| !excluded.contains(item))
        .collect();
    all.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    all.truncate(top_k);
    let ranked = all.into_iter();
    ranked.map(|(score, item)| (item, score as f32)).collect()
}

#[test]
fn blocks_rank_as_sorting_every_product_does() {
    for set in InstructionSet::ALL {
        if !set.is_supported() {
            continue;
        }
        // Beyond a block of queries and of items, and not whole ones.
        for (queries, items, top_k) in [(100, 1300, 10), (1, 1, 1), (97, 512, 100), (3, 20, 20)] {
            let towers = towers(queries, items, top_k, set);
            let mut asked = Queries::default();
            let excluded = |query: usize| -> Vec<u32> {
                (0..items as u32)
                    .filter(|item| (*item as usize + query).is_multiple_of(3))
                    .collect()
            };
            for query in 0..queries {
                asked.push(query as u32, excluded(query));
            }
            let rankings = towers.rank(&asked, 0..queries).unwrap();
            assert_eq!(rankings.len(), queries);
            for query in 0..queries {
                let (found, scores) = rankings.list(query);
                let found: Vec<_> = found.iter().copied().zip(scores.iter().copied()).collect();
                let expected = by_sorting(query, items, top_k, &excluded(query));
                assert_eq!(found, expected, "query {query} of {queries}, {items} items");
            }
            // A part of a batch gives what the whole gave.
            let last = queries - 1;
            let alone = towers.rank(&asked, last..queries).unwrap();
            assert_eq!(alone.list(0), rankings.list(last));
        }
    }
}

#[test]
fn tables_of_another_shape_or_not_finite_are_refused() {
    let kernels = Kernels::new(InstructionSet::Portable, Precision::F32).unwrap();
    let tensor = |numbers: &[f32], rows: usize| {
        Tensor::from_slice(numbers, (rows, numbers.len() / rows), &Device::Cpu).unwrap()
    };
    let refused = |query: Tensor, item: Tensor| {
        let mut weights = weights(&[
            ("query.embedding.weight", query),
            ("item.embedding.weight", item),
        ]);
        match TwoTower::load(2, 2, 1, kernels, &mut weights) {
            Ok(_) => panic!("it was taken"),
            Err(error) => error.to_string(),
        }
    };
    let good = || tensor(&[1.0, 2.0, 3.0, 4.0], 2);
    let message = refused(tensor(&[1.0; 6], 3), good());
    assert!(
        message.contains("has 3 rows, but there are 2 ids"),
        "{message}"
    );
    let message = refused(good(), tensor(&[1.0; 6], 2));
    assert!(message.contains("`item.embedding.weight`"), "{message}");
    let flat = Tensor::from_slice(&[1.0_f32; 4], 4, &Device::Cpu).unwrap();
    assert!(refused(flat, good()).contains("shape"));
    let message = refused(good(), tensor(&[1.0, 2.0, f32::NAN, 4.0], 2));
    assert!(
        message.contains("`item.embedding.weight`, row 1"),
        "{message}"
    );
}
