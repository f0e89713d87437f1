//! Metrics of recommended items.

use std::collections::BTreeSet;

use super::{Metric, mean};

/// Metrics of the first `k` recommended items, each a mean over queries.
///
/// `rankings` holds each query's items, the best first, and `relevant` the items that turned out to
/// be right for it. Queries without relevant items are left out, so that nothing is expected where
/// nothing could be found; to count them is up to the caller. An item recommended twice can be
/// right only once. In the order they come:
///
/// - `hit_rate`: share of queries with at least one relevant item among the first `k`.
/// - `mrr`: mean reciprocal rank of the first relevant item, counting from 1; 0 if it is not among
///   the first `k`.
/// - `ndcg`: discounted cumulative gain of the first `k` with gains of 0 or 1 and the discount
///   log2(rank + 1), over the greatest possible, which has relevant items in all of the first
///   min(`k`, number of relevant items) ranks (Järvelin and Kekäläinen, 2002).
/// - `recall`: share of the relevant items that are among the first `k`.
/// - `precision`: relevant items among the first `k`, over `k`, even if fewer were recommended.
///
/// Without such queries, and for a `k` of 0, all are undefined.
pub fn ranking<Item: Ord>(
    rankings: &[Vec<Item>],
    relevant: &[BTreeSet<Item>],
    k: usize,
) -> Vec<Metric> {
    let queries: Vec<Query> = rankings
        .iter()
        .zip(relevant)
        .filter(|(_, relevant)| k > 0 && !relevant.is_empty())
        .map(|(items, relevant)| Query {
            hits: hits(&items[..items.len().min(k)], relevant),
            relevant: relevant.len(),
        })
        .collect();
    let average = |value: &dyn Fn(&Query) -> f64| mean(queries.iter().map(value));
    vec![
        Metric::new("hit_rate", average(&|query| query.hits.len().min(1) as f64)),
        Metric::new(
            "mrr",
            average(&|query| query.hits.first().map_or(0.0, |&rank| 1.0 / rank as f64)),
        ),
        Metric::new(
            "ndcg",
            average(&|query| gain(query.hits.iter().copied()) / gain(1..=query.relevant.min(k))),
        ),
        Metric::new(
            "recall",
            average(&|query| query.hits.len() as f64 / query.relevant as f64),
        ),
        Metric::new(
            "precision",
            average(&|query| query.hits.len() as f64 / k as f64),
        ),
    ]
}

/// What the metrics of one query are made of.
struct Query {
    /// Ranks of the relevant items that were recommended, counting from 1.
    hits: Vec<usize>,
    /// How many items are relevant.
    relevant: usize,
}

/// Ranks of the relevant items, counting from 1.
fn hits<Item: Ord>(items: &[Item], relevant: &BTreeSet<Item>) -> Vec<usize> {
    let ranked = items.iter().enumerate();
    ranked
        .filter(|(index, item)| relevant.contains(item) && !items[..*index].contains(item))
        .map(|(index, _)| index + 1)
        .collect()
}

/// Discounted cumulative gain of relevant items at these ranks.
fn gain(ranks: impl Iterator<Item = usize>) -> f64 {
    ranks.map(|rank| 1.0 / (rank as f64 + 1.0).log2()).sum()
}
