//! What the run cost and used, and so which machine would do.

use bytesize::ByteSize;
use serde::Serialize;

use super::Entry;
use super::words::{bytes, clipped, duration, percentage};
use crate::report::assessment::{MUCH_MEMORY, percent};
use crate::report::text::{grouped, money};
use crate::report::{CostOfRun, Resources, RunReport};

#[derive(Serialize)]
pub(super) struct View {
    costs: Vec<Entry>,
    has_cost: bool,
    meters: Vec<Meter>,
    used: Vec<Entry>,
    advice: Vec<String>,
}

/// How much of something was used.
#[derive(Serialize)]
struct Meter {
    name: &'static str,
    value: String,
    width: f64,
    class: &'static str,
}

/// Shares of the processors: below the first they mostly waited, above the second they were mostly busy.
const IDLE: f64 = 0.5;
const BUSY: f64 = 0.8;

/// Room that a machine is to have beyond what a run came to.
const HEADROOM: f64 = 1.5;

/// The least memory that is worth naming.
const SMALLEST_MEMORY: u64 = 256 << 20;

pub(super) fn view(report: &RunReport) -> View {
    let resources = &report.resources;
    View {
        costs: report.cost.as_ref().map(costs).unwrap_or_default(),
        has_cost: report.cost.is_some(),
        meters: meters(resources),
        used: used(resources),
        advice: advice(resources),
    }
}

fn costs(cost: &CostOfRun) -> Vec<Entry> {
    let currency = clipped(&cost.currency, 12);
    let amount = |amount: f64| format!("{} {currency}", money(amount));
    let mut costs = vec![Entry::new(
        "This run",
        match cost.machine_seconds > 0.0 {
            true => format!(
                "{} for {} of machine time",
                amount(cost.amount),
                duration(cost.machine_seconds)
            ),
            false => amount(cost.amount),
        },
    )];
    costs.extend(
        cost.per_million_records
            .map(|per_million| Entry::new("Per million records", amount(per_million))),
    );
    if let Some(month) = &cost.month {
        let left = match month.starts_left {
            1 => "1 start is still to come".to_owned(),
            left => format!("{} starts are still to come", grouped(left)),
        };
        let spent = format!("{} in {}", amount(month.spent), clipped(&month.month, 12));
        costs.push(Entry::new("Spent this month", spent));
        let forecast = format!("{} by its end, {left}", amount(month.forecast));
        costs.push(Entry::new("Forecast", forecast));
    }
    costs
}

fn meters(resources: &Resources) -> Vec<Meter> {
    let mut meters = Vec::new();
    let limit = resources.memory_limit_bytes.filter(|limit| *limit > 0);
    if let (Some(peak), Some(limit)) = (resources.peak_memory_bytes, limit) {
        let share = peak as f64 / limit as f64;
        meters.push(Meter {
            name: "Peak memory",
            value: format!(
                "{} of {} ({})",
                ByteSize(peak),
                ByteSize(limit),
                percent(share)
            ),
            width: percentage(share),
            class: if share > MUCH_MEMORY {
                "attention"
            } else {
                "current"
            },
        });
    }
    if let Some(share) = resources.cpu_share.filter(|share| share.is_finite()) {
        let of = match resources.workers {
            1 => "1 worker".to_owned(),
            workers => format!("{} workers", grouped(workers)),
        };
        meters.push(Meter {
            name: "Processors",
            value: format!("{} of {of}, on average", percent(share)),
            width: percentage(share),
            class: "current",
        });
    }
    meters
}

fn used(resources: &Resources) -> Vec<Entry> {
    let known = [
        ("Read from files", resources.bytes_read),
        ("Written to files", resources.bytes_written),
        (
            "Received over the network",
            resources.network_received_bytes,
        ),
        ("Sent over the network", resources.network_sent_bytes),
        ("Free disk", resources.free_disk_bytes),
    ];
    let mut used: Vec<Entry> = known
        .into_iter()
        .filter(|(_, number)| number.is_some())
        .map(|(name, number)| Entry::new(name, bytes(number)))
        .collect();
    used.extend(
        resources
            .cpu_seconds
            .map(|seconds| Entry::new("Processor time", duration(seconds))),
    );
    used
}

/// Which machine would do, as far as one run tells.
fn advice(resources: &Resources) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(share) = resources
        .cpu_share
        .filter(|share| share.is_finite() && *share >= 0.0)
    {
        let busy = share * resources.workers as f64;
        let enough = (busy.ceil() as u64).max(1);
        advice.push(match share {
            BUSY.. => format!(
                "{busy:.1} processors were busy on average: with more processors it would be faster"
            ),
            IDLE.. => format!(
                "{busy:.1} processors were busy on average: it fits its machine"
            ),
            _ if enough < resources.workers => format!(
                "{busy:.1} processors were busy on average, it mostly waited for its input or the database: {} would \
                 do",
                processors(enough)
            ),
            _ => format!(
                "{busy:.1} processors were busy on average, it mostly waited for its input or the database: a faster \
                 processor would not help"
            ),
        });
    }
    if let Some(peak) = resources.peak_memory_bytes {
        let wanted = (peak as f64 * HEADROOM) as u64;
        let enough = wanted
            .max(SMALLEST_MEMORY)
            .checked_next_power_of_two()
            .unwrap_or(wanted);
        advice.push(format!(
            "{} of memory would do: it came to {}",
            ByteSize(enough),
            ByteSize(peak)
        ));
    }
    advice
}

fn processors(number: u64) -> String {
    match number {
        1 => "1 processor".to_owned(),
        number => format!("{} processors", grouped(number)),
    }
}
