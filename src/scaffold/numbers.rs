//! Mean, deviation and range of a column of numbers, in one pass.

use arrow::array::{Array, Float64Array};

/// What a column of numbers holds.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Values that are numbers.
    pub count: u64,
    /// Nulls and NaN.
    pub missing: u64,
    /// Infinite values, of either sign.
    pub infinite: u64,
    /// Smallest number.
    pub min: f64,
    /// Largest number.
    pub max: f64,
    mean: f64,
    /// Sum of the squares of the distances to the mean.
    squares: f64,
    /// Whether all numbers are 0 or 1.
    is_flag: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            count: 0,
            missing: 0,
            infinite: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
            is_flag: true,
        }
    }
}

impl Numbers {
    /// Takes the values of a chunk in.
    pub fn add(&mut self, values: &Float64Array) {
        for row in 0..values.len() {
            let value = values.value(row);
            if values.is_null(row) || value.is_nan() {
                self.missing += 1;
            } else if value.is_infinite() {
                self.infinite += 1;
            } else {
                self.count += 1;
                self.min = self.min.min(value);
                self.max = self.max.max(value);
                self.is_flag &= value == 0.0 || value == 1.0;
                // Welford's way: sums of squares would lose the digits that matter.
                let distance = value - self.mean;
                self.mean += distance / self.count as f64;
                self.squares += distance * (value - self.mean);
            }
        }
    }

    /// Whether there is one value only.
    pub fn is_constant(&self) -> bool {
        self.min == self.max
    }

    /// Whether both 0 and 1 are there, and nothing else.
    pub fn is_flag(&self) -> bool {
        self.is_flag && self.count > 0 && !self.is_constant()
    }

    /// What is subtracted and what is divided by, as few digits as do: `None` if there are no numbers,
    /// or they are too large for it. Of a constant the deviation is 1.
    pub fn mean_and_std(&self) -> Option<(f64, f64)> {
        if self.count == 0 {
            return None;
        }
        let std = (self.squares / self.count as f64).sqrt();
        if self.is_constant() || std < f64::MIN_POSITIVE {
            return Some((self.min, 1.0));
        }
        let is_usable = self.mean.is_finite() && std.is_finite();
        is_usable.then(|| shortened(self.mean, std))
    }
}

/// Both with as many decimals as give six digits of the deviation.
fn shortened(mean: f64, std: f64) -> (f64, f64) {
    const DIGITS: f64 = 5.0;
    let decimals = DIGITS - std.log10().floor();
    if !(0.0..=300.0).contains(&decimals) {
        return (mean, std);
    }
    let short = |number: f64| {
        format!("{number:.*}", decimals as usize)
            .parse()
            .unwrap_or(number)
    };
    (short(mean), short(std))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: Vec<Option<f64>>) -> Numbers {
        let mut numbers = Numbers::default();
        // In two chunks, as files come.
        let values = Float64Array::from(values);
        let half = values.len() / 2;
        numbers.add(&values.slice(0, half));
        numbers.add(&values.slice(half, values.len() - half));
        numbers
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_numbers() {
        let numbers = of(vec![
            Some(2.0),
            None,
            Some(4.0),
            Some(f64::NAN),
            Some(9.0),
            Some(f64::INFINITY),
        ]);
        assert_eq!(numbers.mean_and_std(), Some((5.0, 2.94392)));
        assert_eq!((numbers.min, numbers.max), (2.0, 9.0));
        assert_eq!(
            (numbers.count, numbers.missing, numbers.infinite),
            (3, 2, 1)
        );
    }

    #[test]
    fn a_far_away_mean_keeps_its_digits() {
        let numbers = of((0..1000).map(|n| Some(1.7e9 + f64::from(n % 10))).collect());
        assert_eq!(numbers.mean_and_std(), Some((1_700_000_004.5, 2.87228)));
    }

    #[test]
    fn extremes_have_an_answer_too() {
        assert_eq!(of(vec![Some(0.1); 7]).mean_and_std(), Some((0.1, 1.0)));
        assert_eq!(of(vec![None, Some(f64::NAN)]).mean_and_std(), None);
        assert_eq!(
            of(vec![Some(f64::MAX), Some(f64::MIN)]).mean_and_std(),
            None
        );
        let (mean, std) = of(vec![Some(0.0), Some(5e-324)]).mean_and_std().unwrap();
        assert!(mean == 0.0 && std == 1.0);
        let (_, std) = of(vec![Some(1e300), Some(2e300)])
            .mean_and_std()
            .unwrap_or((0.0, 1.0));
        assert!(std > 0.0);
    }

    #[test]
    fn a_flag_is_both_and_nothing_else() {
        assert!(of(vec![Some(0.0), Some(1.0), None]).is_flag());
        assert!(!of(vec![Some(1.0), Some(1.0)]).is_flag());
        assert!(!of(vec![Some(0.0), Some(1.0), Some(2.0)]).is_flag());
    }
}
