//! What a job's machine costs, and how much a run may cost.

use super::places::Places;
use super::spec::CostSection;
use crate::error::Failure;

/// `[cost]`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// What an hour of the machine costs; more than nothing.
    pub per_hour: f64,
    /// In which currency, as it is to be shown.
    pub currency: String,
    /// What a run may cost at most, by the forecast; more than nothing.
    pub max_per_run: Option<f64>,
}

impl Cost {
    /// What so many seconds cost.
    pub fn of(&self, seconds: f64) -> f64 {
        self.per_hour * seconds / 3600.0
    }

    /// An amount, as it is shown.
    pub fn shown(&self, amount: f64) -> String {
        format!("{} {}", money(amount), self.currency)
    }
}

/// An amount in whatever currency: a small run costs fractions of a cent, of which two digits are shown.
pub fn money(amount: f64) -> String {
    const MOST_DIGITS: usize = 9;
    let digits = match amount.abs() {
        0.0 => 2,
        large if large >= 1.0 => 2,
        small if small >= 0.01 => 4,
        // Zeros after the point, and two digits.
        small => (-small.log10()).floor().max(0.0) as usize + 2,
    };
    format!("{amount:.*}", digits.min(MOST_DIGITS))
}

pub(super) fn resolve(
    section: Option<CostSection>,
    places: &Places,
) -> Result<Option<Cost>, Failure> {
    let Some(section) = section else {
        return Ok(None);
    };
    let amounts = [
        ("per_hour", Some(section.per_hour)),
        ("max_per_run", section.max_per_run),
    ];
    for (key, amount) in amounts {
        if let Some(amount) = amount.filter(|amount| !(amount.is_finite() && *amount > 0.0)) {
            let problem = format!("expected an amount of more than nothing, found {amount}");
            return Err(places.failure("cost", key, problem));
        }
    }
    super::not_empty("cost", "currency", &section.currency, places)?;
    Ok(Some(Cost {
        per_hour: section.per_hour,
        currency: section.currency,
        max_per_run: section.max_per_run,
    }))
}

#[cfg(test)]
mod tests {
    use super::money;

    #[test]
    fn amounts_have_digits_enough_to_be_told_from_nothing() {
        for (amount, text) in [
            (0.0, "0.00"),
            (1234.567, "1234.57"),
            (0.123_456, "0.1235"),
            (0.000_046_9, "0.000047"),
            (1e-30, "0.000000000"),
        ] {
            assert_eq!(money(amount), text);
        }
    }
}
