//! What a run costs, and what its job will have cost by the end of the month.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::job::{Cost, Schedule};
use crate::ledger::{Ledger, Run};
use crate::report::{CostOfRun, MonthlyCost};

/// The process that makes a report.
pub(super) struct Own<'a> {
    /// As which it works on the run.
    pub(super) owner: &'a str,
    /// For how long it has.
    pub(super) seconds: f64,
}

/// The cost of a run that this process worked on for so many seconds and finished `at` that time.
///
/// # Errors
/// The database's.
pub(super) fn bill(
    ledger: &mut Ledger,
    run: &Run,
    cost: &Cost,
    schedule: &Schedule,
    own: Own<'_>,
    at: Timestamp,
) -> anyhow::Result<CostOfRun> {
    let machine_seconds = ledger.machine_seconds(run.run_id, own.owner)? + own.seconds;
    let amount = cost.of(machine_seconds);
    let month = match Month::of(schedule, at) {
        Some(month) => {
            let earlier = ledger.costs_since(&run.job, &month.begins.to_string())?;
            let is_night = !(run.trial || run.backfill || run.parent_run_id.is_some());
            let runs = earlier
                .into_iter()
                .filter(|past| past.currency == cost.currency && past.run_id != run.run_id)
                .map(|past| (past.amount, past.is_night))
                .chain([(amount, is_night)]);
            Some(month.cost(runs.collect()))
        }
        None => None,
    };
    Ok(CostOfRun {
        amount,
        currency: cost.currency.clone(),
        machine_seconds,
        per_million_records: (run.planned > 0).then(|| amount / run.planned as f64 * 1e6),
        month,
    })
}

/// A calendar month of the job's time zone.
struct Month {
    name: String,
    begins: Timestamp,
    starts_left: u64,
}

impl Month {
    fn of(schedule: &Schedule, at: Timestamp) -> Option<Self> {
        let today = schedule.timezone.to_datetime(at).date();
        let midnight = |date: Date| {
            let midnight = date.to_datetime(jiff::civil::Time::midnight());
            schedule.timezone.to_timestamp(midnight).ok()
        };
        let next = today.last_of_month().tomorrow().ok()?;
        Some(Self {
            name: today.strftime("%Y-%m").to_string(),
            begins: midnight(today.first_of_month())?,
            starts_left: schedule.starts_between(at, midnight(next)?),
        })
    }

    /// From what the month's runs cost, this one among them, and whether each was a night.
    fn cost(self, runs: Vec<(f64, bool)>) -> MonthlyCost {
        let spent: f64 = runs.iter().map(|(amount, _)| amount).sum();
        let nights = runs.iter().filter(|(_, is_night)| *is_night);
        let mut nights: Vec<f64> = nights.map(|(amount, _)| *amount).collect();
        if nights.is_empty() {
            nights.extend(runs.iter().map(|(amount, _)| *amount));
        }
        nights.sort_by(f64::total_cmp);
        // The upper one of two in the middle: a forecast had better not be too low.
        let usual = nights.get(nights.len() / 2).copied().unwrap_or(0.0);
        MonthlyCost {
            month: self.name,
            spent,
            starts_left: self.starts_left,
            forecast: spent + usual * self.starts_left as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_is_what_was_spent_and_the_usual_for_each_start_to_come() {
        let month = |starts_left| Month {
            name: "2026-11".to_owned(),
            begins: Timestamp::UNIX_EPOCH,
            starts_left,
        };
        let nights = |amounts: &[f64]| amounts.iter().map(|amount| (*amount, true)).collect();
        let cost = month(10).cost(nights(&[1.0, 1.0, 40.0, 2.0]));
        assert_eq!((cost.spent, cost.forecast), (44.0, 64.0));
        let first = month(0).cost(nights(&[2.0]));
        assert_eq!((first.spent, first.forecast), (2.0, 2.0));
        let with_trials = month(1).cost(vec![(0.1, false), (0.1, false), (5.0, true)]);
        assert_eq!(with_trials.forecast, 10.2, "a trial is no night");
    }
}
