use std::sync::Arc;

use arrow::array::{
    Array, AsArray, Float32Array, Int16Array, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Float32Type, Int16Type, Int32Type};

use super::{drifted, job, make_reference, october, put_bundle, replaced};
use crate::harness::results::Results;
use crate::harness::{flights, write_parquet};

/// Pseudo-random numbers.
struct Numbers(u64);

impl Numbers {
    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

/// Flights of which five columns were changed: another unit, an offset, a new category, a vanished one,
/// missing values.
fn shifted(rows: &RecordBatch) -> RecordBatch {
    let rows = replaced(rows, "distance", |column| {
        let miles = column.as_primitive::<Int32Type>();
        let kilometres = miles
            .iter()
            .map(|miles| miles.map(|miles| miles * 1609 / 1000));
        Arc::new(kilometres.collect::<Int32Array>())
    });
    let rows = replaced(&rows, "departures_in_hour", |column| {
        let counts = column.as_primitive::<Int16Type>();
        Arc::new(
            counts
                .iter()
                .map(|count| count.map(|count| count + 12))
                .collect::<Int16Array>(),
        )
    });
    let rows = replaced(&rows, "carrier", |column| {
        let carriers = column.as_string::<i32>().iter().enumerate();
        let carriers = carriers.map(|(row, carrier)| match row % 20 {
            7 => Some("ZZ"),
            _ => carrier,
        });
        Arc::new(carriers.collect::<StringArray>())
    });
    let rows = replaced(&rows, "dest", |column| {
        let dests = column.as_string::<i32>();
        let mut numbers = Numbers(3);
        let others: Vec<&str> = dests
            .iter()
            .flatten()
            .filter(|dest| *dest != "BOS")
            .collect();
        let dests = dests.iter().map(|dest| match dest {
            Some("BOS") => Some(others[numbers.below(others.len())]),
            dest => dest,
        });
        Arc::new(dests.collect::<StringArray>())
    });
    replaced(&rows, "humidity", |column| {
        let values = column.as_primitive::<Float32Type>().iter().enumerate();
        let values = values.map(|(row, value)| value.filter(|_| row % 10 != 3));
        Arc::new(values.collect::<Float32Array>())
    })
}

fn put(results: &Results, rows: &RecordBatch, more: &str) {
    let workspace = &results.workspace;
    put_bundle(workspace);
    make_reference(results, &flights::files()[0].to_string_lossy());
    write_parquet(&workspace.path("input/rows.parquet"), rows, 10_000);
    workspace.write("job.toml", job("input/rows.parquet", more));
}

const DATE: [&str; 2] = ["--date", "2013-11-01"];

#[test]
fn columns_that_were_changed_are_named_and_only_they() {
    for results in Results::in_each() {
        put(&results, &shifted(&october()), "");
        results
            .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
            .expect(0);
        let drift = results
            .lamplighter(&["drift", "job.toml", "--format", "json"])
            .expect(0)
            .json();
        assert_eq!(
            drifted(&drift, "input"),
            [
                "carrier",
                "departures_in_hour",
                "dest",
                "distance",
                "humidity"
            ]
        );
        let series = |name: &str| {
            let series = drift["series"].as_array().expect("a list").iter();
            series
                .clone()
                .find(|series| series["name"] == name)
                .expect("a series")
                .clone()
        };
        let new = &series("carrier")["new_categories"][0];
        assert_eq!(new["name"], "ZZ");
        assert!((new["share"].as_f64().expect("a share") - 0.05).abs() < 0.001);
        assert_eq!(series("dest")["vanished_categories"][0]["name"], "BOS");
        let missing = series("humidity")["missing_share"]
            .as_f64()
            .expect("a share");
        assert!((0.1..0.12).contains(&missing), "{missing}");
        // What SQL says is what the command says.
        let rows = results
            .query("SELECT name FROM drift WHERE side = 'input' AND level <> 'none' ORDER BY name");
        assert_eq!(rows.concat(), drifted(&drift, "input"));
        let report = results.lamplighter(&["report", "--all"]).expect(0);
        assert!(
            report.stdout.contains("5 of 21 inputs"),
            "{}",
            report.stdout
        );
        assert!(report.stdout.contains("new: ZZ 5.0 %"), "{}", report.stdout);
    }
}

#[test]
fn thresholds_and_ignored_columns_are_the_jobs() {
    let results = Results::in_sqlite();
    let more = "[drift]\npsi_moderate = 50.0\npsi_significant = 60.0\nmissing = 0.5\nvanished_category = 0.9\nignore = [\"carrier\"]\nwasserstein = 0.3\n";
    put(&results, &shifted(&october()), more);
    results
        .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
        .expect(0);
    let drift = results
        .lamplighter(&["drift", "job.toml", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(drifted(&drift, "input"), ["departures_in_hour", "distance"]);
}

#[test]
fn samples_of_the_reference_raise_nothing() {
    let results = Results::in_sqlite();
    let rows = october();
    put(&results, &rows, "");
    let mut numbers = Numbers(11);
    for (month, days, size) in [
        ("01", 28, 1_000),
        ("03", 28, 1_000),
        ("04", 28, 1_000),
        ("05", 16, 1_000),
        ("06", 5, 100_000),
    ] {
        for day in 1..=days {
            let chosen = (0..size).map(|_| numbers.below(rows.num_rows()) as u64);
            let sample = take_record_batch(&rows, &UInt64Array::from_iter_values(chosen));
            let sample = replaced(&sample.expect("rows"), "flight_id", |ids| {
                let ids = (0..ids.len()).map(|row| format!("f{row}"));
                Arc::new(StringArray::from_iter_values(ids))
            });
            let name = format!("input/2013-{month}-{day:02}.parquet");
            write_parquet(&results.workspace.path(&name), &sample, 100_000);
        }
    }
    results
        .workspace
        .write("job.toml", job("input/{date}.parquet", ""));
    for (from, to) in [
        ("2013-01-01", "2013-01-28"),
        ("2013-03-01", "2013-03-28"),
        ("2013-04-01", "2013-04-28"),
        ("2013-05-01", "2013-05-16"),
        ("2013-06-01", "2013-06-05"),
    ] {
        results
            .lamplighter(&["backfill", "job.toml", "--from", from, "--to", to])
            .expect(0);
    }
    assert_eq!(
        results.value("SELECT count(DISTINCT run_id) FROM drift"),
        "105"
    );
    let raised = results.query("SELECT run_id, name, reasons FROM drift WHERE level <> 'none'");
    assert!(raised.len() <= 1, "{raised:?}");
}

#[test]
fn later_months_raise_the_weather() {
    let results = Results::in_sqlite();
    put(&results, &october(), "");
    let december = flights::files()[2].to_string_lossy().into_owned();
    results.workspace.write("job.toml", job(&december, ""));
    results
        .lamplighter(&["run", "job.toml", DATE[0], "2013-12-01"])
        .expect(0);
    let drift = results
        .lamplighter(&["drift", "job.toml", "--format", "json"])
        .expect(0)
        .json();
    let names = drifted(&drift, "input");
    for expected in ["temperature", "days_to_holiday"] {
        assert!(names.iter().any(|name| name == expected), "{names:?}");
    }
    for unexpected in ["carrier", "origin", "distance", "seats", "minute_of_day"] {
        assert!(!names.iter().any(|name| name == unexpected), "{names:?}");
    }
}

#[test]
fn a_run_can_be_held_against_another() {
    let results = Results::in_sqlite();
    let rows = october();
    put(&results, &rows, "");
    // Without a reference, runs still have profiles in common bins.
    std::fs::remove_file(results.workspace.path("bundle/reference.json")).expect("a reference");
    results
        .lamplighter(&["run", "job.toml", "--date", "2013-10-01"])
        .expect(0);
    write_parquet(
        &results.workspace.path("input/rows.parquet"),
        &shifted(&rows),
        10_000,
    );
    results
        .lamplighter(&["run", "job.toml", "--date", "2013-11-01"])
        .expect(0);
    assert_eq!(results.value("SELECT count(*) FROM drift"), "0");
    let arguments = [
        "drift",
        "job.toml",
        "--against",
        "flights@2013-10-01#1",
        "--format",
        "json",
    ];
    let drift = results.lamplighter(&arguments).expect(0).json();
    assert_eq!(
        drifted(&drift, "input"),
        [
            "carrier",
            "departures_in_hour",
            "dest",
            "distance",
            "humidity"
        ]
    );
    assert_eq!(drift["against"], "flights@2013-10-01#1");
    results
        .lamplighter(&["drift", "job.toml"])
        .expect(78)
        .says(&["reference.json", "model profile"]);
    results
        .lamplighter(&["drift", "job.toml", "flights@2013-12-01#1"])
        .expect(64)
        .says(&["there is no run"]);
}
