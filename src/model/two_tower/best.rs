//! The best of many scores, without sorting the rest.

use std::cmp::Ordering;

/// Scores that are compared at once.
const LANES: usize = 32;

/// The `k` best items of those that were seen, best first; of equal scores, the earlier item.
///
/// A score is looked at alone only if it is above the `k`-th best of those before it. What passes gathers
/// until there are as many again as are kept, and then a partial selection (`select_nth_unstable`, Hoare's
/// quickselect) drops the lesser half: linear in the number of scores, whatever their order.
pub(super) struct Best {
    k: usize,
    /// No score up to this one can be among the best.
    floor: f32,
    candidates: Vec<(f32, u32)>,
    /// A score was not finite.
    is_undefined: bool,
}

/// The better one first.
fn by_rank(left: &(f32, u32), right: &(f32, u32)) -> Ordering {
    // Sums of products: 0 and -0 are one number.
    let by_score = right.0.partial_cmp(&left.0).unwrap_or(Ordering::Equal);
    by_score.then(left.1.cmp(&right.1))
}

impl Best {
    /// Nothing seen yet; the best `k` of it are kept.
    pub(super) fn new(k: usize) -> Self {
        Self {
            k,
            floor: f32::NEG_INFINITY,
            candidates: Vec::new(),
            is_undefined: false,
        }
    }

    /// Sees the scores of neighbouring items, after all items before them, but for those that are
    /// `excluded`, which ascend.
    pub(super) fn see(&mut self, scores: &[f32], first_item: usize, excluded: &[u32]) {
        for (block, scores) in scores.chunks(LANES).enumerate() {
            // All of them, without a branch, so that the compiler compares many at once.
            if !scores
                .iter()
                .fold(false, |any, &score| any | self.passes(score))
            {
                continue;
            }
            let first = first_item + block * LANES;
            for (index, &score) in scores.iter().enumerate() {
                let item = (first + index) as u32;
                // The floor rises meanwhile.
                if self.passes(score) && excluded.binary_search(&item).is_err() {
                    self.take_in(score, item);
                }
            }
        }
    }

    /// Whether a score has to be looked at: it may be among the best, or is not finite.
    fn passes(&self, score: f32) -> bool {
        score > self.floor || !score.is_finite()
    }

    fn take_in(&mut self, score: f32, item: u32) {
        if !score.is_finite() {
            self.is_undefined = true;
            return;
        }
        self.candidates.push((score, item));
        if self.candidates.len() == 2 * self.k {
            self.drop_the_lesser();
        }
    }

    fn drop_the_lesser(&mut self) {
        if self.candidates.len() > self.k {
            let (_, last, _) = self.candidates.select_nth_unstable_by(self.k - 1, by_rank);
            // A later item with the same score comes after it.
            self.floor = last.0;
            self.candidates.truncate(self.k);
        }
    }

    /// The best, in their order, and begins anew.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.drop_the_lesser();
        self.candidates.sort_unstable_by(by_rank);
        if std::mem::take(&mut self.is_undefined) {
            self.candidates.clear();
            self.candidates.push((f32::NAN, 0));
        }
        self.floor = f32::NEG_INFINITY;
        self.candidates.drain(..).map(|(score, item)| (item, score))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By sorting everything.
    fn by_sorting(scores: &[f32], k: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
        let mut all: Vec<(f32, u32)> = scores.iter().copied().zip(0..).collect();
        all.retain(|(_, item)| !excluded.contains(item));
        all.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        all.truncate(k);
        all.into_iter().map(|(score, item)| (item, score)).collect()
    }

    fn seen_in_blocks(
        best: &mut Best,
        scores: &[f32],
        block: usize,
        excluded: &[u32],
    ) -> Vec<(u32, f32)> {
        for (index, scores) in scores.chunks(block).enumerate() {
            best.see(scores, index * block, excluded);
        }
        best.take().collect()
    }

    proptest! {
        /// Few different scores, so that many are equal.
        #[test]
        fn the_best_are_those_that_sorting_finds(
            scores in prop::collection::vec(-4_i8..4, 0..300),
            k in 1_usize..40,
            block in 1_usize..100,
            excluded in prop::collection::btree_set(0_u32..300, 0..40),
        ) {
            let scores: Vec<f32> = scores.into_iter().map(|score| f32::from(score) + 0.5).collect();
            let excluded: Vec<u32> = excluded.into_iter().collect();
            let mut best = Best::new(k);
            // Twice: nothing is left of what was before.
            for _ in 0..2 {
                let found = seen_in_blocks(&mut best, &scores, block, &excluded);
                prop_assert_eq!(found, by_sorting(&scores, k, &excluded));
            }
        }
    }

    #[test]
    fn ascending_and_descending_scores_are_ranked_alike() {
        let ascending: Vec<f32> = (0..5000).map(|score| score as f32).collect();
        let descending: Vec<f32> = ascending.iter().rev().copied().collect();
        for scores in [ascending, descending] {
            let found = seen_in_blocks(&mut Best::new(10), &scores, 512, &[]);
            assert_eq!(found, by_sorting(&scores, 10, &[]));
        }
    }

    #[test]
    fn what_is_not_finite_is_not_passed_over() {
        let mut best = Best::new(2);
        let mut scores = vec![1.0; 100];
        for undefined in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            scores[70] = undefined;
            let found = seen_in_blocks(&mut best, &scores, 64, &[]);
            assert!(found.len() == 1 && found[0].1.is_nan(), "{undefined}");
        }
        // Nobody asked for that item.
        assert_eq!(
            seen_in_blocks(&mut best, &scores, 64, &[70]),
            [(0, 1.0), (1, 1.0)]
        );
    }
}
