//! Drift as text for a terminal.

use std::fmt::{self, Write};

use crate::monitor::Drift;
use crate::monitor::drift::SeriesDrift;
use crate::printable::one_line;

/// Writes how many columns and outputs have drifted, and the worst of them, at most `most`.
pub(super) fn write_summary(out: &mut String, drift: &Drift, most: usize) -> fmt::Result {
    writeln!(
        out,
        "    {} of {} inputs and {} of {} outputs have drifted from {}",
        drift.drifted_inputs,
        drift.inputs,
        drift.drifted_outputs,
        drift.series.len() as u64 - drift.inputs,
        match drift.against.as_str() {
            "reference" => "the training data".to_owned(),
            run => one_line(run),
        }
    )?;
    for series in drift.drifted().take(most) {
        writeln!(
            out,
            "      {:<24} {:<12} {}",
            one_line(&series.name),
            series.level.as_str(),
            one_line(&series.reasons.join("; "))
        )?;
    }
    match drift.drifted().count().checked_sub(most) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "      and {more} more, see `lamplighter drift`"),
    }
}

/// Renders all columns and outputs, those that have drifted first.
pub fn render(run: &str, drift: &Drift) -> String {
    let mut text = String::new();
    // Writing to a String can not fail.
    let _ = write_all(&mut text, run, drift);
    text
}

fn write_all(out: &mut String, run: &str, drift: &Drift) -> fmt::Result {
    writeln!(out, "{run} against {}", one_line(&drift.against))?;
    writeln!(
        out,
        "  {} records against {}",
        super::text::grouped(drift.records),
        super::text::grouped(drift.reference_records)
    )?;
    write_summary(out, drift, drift.series.len())?;
    writeln!(
        out,
        "\n  {:<26} {:>7} {:>9} {:>7} {:>7} {:>9} {:>11} {:>11}",
        "", "PSI", "corrected", "JS", "KS / V", "Wass. / L∞", "missing", "was"
    )?;
    for series in &drift.series {
        write_series(out, series)?;
    }
    Ok(())
}

fn write_series(out: &mut String, series: &SeriesDrift) -> fmt::Result {
    let measures = &series.measures;
    let number =
        |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.3}"));
    let share = |share: Option<f64>| {
        share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
    };
    writeln!(
        out,
        "  {:<26} {:>7} {:>9} {:>7} {:>7} {:>9} {:>11} {:>11}",
        one_line(&series.name),
        number(measures.psi),
        number(measures.psi_corrected),
        number(measures.jensen_shannon),
        number(measures.kolmogorov_smirnov.or(measures.cramers_v)),
        number(measures.wasserstein.or(measures.l_infinity)),
        share(series.missing_share),
        share(series.reference_missing_share),
    )
}
