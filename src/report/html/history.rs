//! This run beside those before it.

use serde::Serialize;

use super::plots::bars;
use super::timing::unit;
use super::words::{NOTHING, brief, clipped, duration};
use super::{Figure, Page, PastRun};
use crate::report::assessment::percent;
use crate::report::text::{grouped, money};

/// Runs before this one that are shown.
const MOST_RUNS: usize = 30;

#[derive(Serialize)]
pub(super) struct View {
    figures: Vec<Figure>,
    /// The newest first.
    rows: Vec<Row>,
    has_cost: bool,
}

/// A run.
#[derive(Serialize)]
struct Row {
    run: String,
    verdict: String,
    is_this: bool,
    predicted: String,
    dead_letters: String,
    share: String,
    duration: String,
    cost: String,
}

pub(super) fn view(page: &Page<'_>) -> anyhow::Result<View> {
    let newest = page.past.len().saturating_sub(MOST_RUNS);
    let mut runs: Vec<PastRun> = page.past.iter().skip(newest).cloned().collect();
    if runs.is_empty() {
        return Ok(View {
            figures: Vec::new(),
            rows: Vec::new(),
            has_cost: false,
        });
    }
    runs.push(PastRun::of(page.report));
    let last = runs.len() - 1;
    let has_cost = runs.iter().any(|run| run.cost.is_some());
    let figures = figures(&runs, has_cost.then(|| title_of_costs(page)))?;
    let rows = runs.iter().enumerate().rev().map(|(index, run)| Row {
        run: clipped(&run.run, 80),
        verdict: clipped(&run.verdict, 20),
        is_this: index == last,
        predicted: grouped(run.predicted),
        dead_letters: grouped(run.dead_letters),
        share: percent(rate(run)),
        duration: duration(run.duration_seconds),
        cost: run.cost.map_or(NOTHING.to_owned(), money),
    });
    Ok(View {
        rows: rows.collect(),
        figures,
        has_cost,
    })
}

/// A report knows the currency of its own run only.
fn title_of_costs(page: &Page<'_>) -> String {
    match &page.report.cost {
        Some(cost) => format!("Cost, {}", clipped(&cost.currency, 12)),
        None => "Cost".to_owned(),
    }
}

fn rate(run: &PastRun) -> f64 {
    run.dead_letters as f64 / run.planned.max(1) as f64
}

fn figures(runs: &[PastRun], costs: Option<String>) -> anyhow::Result<Vec<Figure>> {
    let longest = runs
        .iter()
        .map(|run| run.duration_seconds)
        .fold(0.0, f64::max);
    let (unit, length) = unit(longest);
    let of = |figure: &dyn Fn(&PastRun) -> f64| -> Vec<(String, f64)> {
        let named = runs
            .iter()
            .map(|run| (run.logical_date.clone(), figure(run)));
        named.collect()
    };
    let mut figures = Vec::new();
    let mut add = |title: String, values: Vec<(String, f64)>, up: &dyn Fn(f64) -> String| {
        let label = format!("{title}, of this run and {} before it", values.len() - 1);
        let plot = bars(label, &values, true, up)?;
        figures.extend(plot.map(|plot| Figure {
            title,
            note: None,
            plot,
        }));
        anyhow::Ok(())
    };
    add(
        "Records predicted".to_owned(),
        of(&|run| run.predicted as f64),
        &brief,
    )?;
    add(
        format!("Duration, {unit}"),
        of(&|run| run.duration_seconds / length),
        &brief,
    )?;
    add("Dead letters, %".to_owned(), of(&rate), &|share| {
        brief(100.0 * share)
    })?;
    if let Some(costs) = costs {
        add(costs, of(&|run| run.cost.unwrap_or(f64::NAN)), &brief)?;
    }
    Ok(figures)
}
