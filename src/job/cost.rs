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
        // A small run costs fractions of a cent.
        let digits = if amount < 1.0 { 4 } else { 2 };
        format!("{amount:.digits$} {}", self.currency)
    }
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
