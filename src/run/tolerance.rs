//! How many dead letters a run may have: whether it can be published, and whether it still could.

use crate::job::DeadLetterLimit;
use crate::ledger::{DeadLetterCount, ShardProgress};
use crate::record::DUPLICATE_ID;

/// The limit, and what counts beside a run's own records: of a retry, the rest of its parent.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Of dead letters that are no duplicates.
    pub limit: DeadLetterLimit,
    /// Dead letters that stand elsewhere.
    pub other_dead_letters: u64,
    /// Records that stand elsewhere, those dead letters among them.
    pub other_records: u64,
}

/// Dead letters that count, the records that they are of, and whether there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Dead letters, elsewhere and here, that are no duplicates.
    pub dead_letters: u64,
    /// Predictions and those dead letters.
    pub records: u64,
    /// Whether that is within the limit.
    pub is_kept: bool,
}

impl Tolerance {
    /// Of a whole date.
    pub fn of_date(limit: DeadLetterLimit) -> Self {
        Self {
            limit,
            other_dead_letters: 0,
            other_records: 0,
        }
    }

    /// Judges a run by its predictions and its dead letters that are no duplicates.
    pub fn judge(&self, predicted: u64, rejected: u64) -> Judgement {
        let dead_letters = self.other_dead_letters + rejected;
        let records = self.other_records + predicted + rejected;
        Judgement {
            dead_letters,
            records,
            is_kept: self.limit.allows(dead_letters, records),
        }
    }

    /// Whether the limit could still be kept if all other records of a run of `planned` were
    /// predicted.
    pub fn can_be_kept(&self, planned: u64, so_far: &ShardProgress) -> bool {
        let left = planned.saturating_sub(so_far.records);
        self.judge(so_far.predicted + left, so_far.rejected).is_kept
    }
}

/// What most dead letters of a list (the most frequent first) are, in words; empty without any.
pub fn worst(dead_letters: &[DeadLetterCount]) -> String {
    let mut counts = dead_letters.iter();
    let worst = counts.find(|count| count.code != DUPLICATE_ID);
    worst.map_or_else(String::new, |count| {
        let field = count.field.as_deref();
        let field = field.map_or_else(String::new, |field| format!(" in column `{field}`"));
        format!("; most of them: {} × {}{field}", count.records, count.code)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn so_far(predicted: u64, rejected: u64, others: u64) -> ShardProgress {
        ShardProgress {
            shards: 9,
            completed_shards: 1,
            records: predicted + rejected + others,
            dead_letters: rejected,
            predicted,
            rejected,
        }
    }

    #[test]
    fn a_share_is_given_up_when_no_luck_would_help() {
        let one_percent = DeadLetterLimit::Share { millionths: 10_000 };
        let tolerance = Tolerance::of_date(one_percent);
        assert!(tolerance.can_be_kept(1_000, &so_far(0, 10, 0)));
        assert!(!tolerance.can_be_kept(1_000, &so_far(0, 11, 0)));
        let after_filter = so_far(0, 10, 90);
        assert!(
            !tolerance.can_be_kept(1_000, &after_filter),
            "10 of 910 at best"
        );
    }

    #[test]
    fn a_retry_is_judged_with_the_rest_of_its_parent() {
        // 1,000 records, 50 dead letters, of which 45 are scored again.
        let tolerance = Tolerance {
            limit: DeadLetterLimit::Count(10),
            other_dead_letters: 5,
            other_records: 955,
        };
        let judged = tolerance.judge(40, 5);
        let expected = Judgement {
            dead_letters: 10,
            records: 1_000,
            is_kept: true,
        };
        assert_eq!(judged, expected);
        assert!(!tolerance.judge(39, 6).is_kept);
    }

    proptest! {
        /// What is given up early would have been withheld in the end, whatever came.
        #[test]
        fn no_run_is_given_up_that_could_have_been_published(
            predicted in 0u64..500,
            rejected in 0u64..50,
            filtered in 0u64..100,
            left in 0u64..500,
            later_rejected in 0u64..500,
            later_filtered in 0u64..500,
            millionths in 0u32..200_000,
        ) {
            let tolerance = Tolerance::of_date(DeadLetterLimit::Share { millionths });
            let so_far = so_far(predicted, rejected, filtered);
            let planned = so_far.records + left;
            if !tolerance.can_be_kept(planned, &so_far) {
                let later_rejected = later_rejected.min(left);
                let later_filtered = later_filtered.min(left - later_rejected);
                let later_predicted = left - later_rejected - later_filtered;
                let end = tolerance.judge(predicted + later_predicted, rejected + later_rejected);
                prop_assert!(!end.is_kept);
            }
        }
    }
}
