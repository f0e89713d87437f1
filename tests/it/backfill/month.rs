//! A month of flights by date, in four processes that are interrupted, and a night meanwhile.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::flights_on_postgres::{Flights, eventually, expected};
use crate::harness::started::Started;
use crate::harness::{Ended, repository, write_parquet};

/// The flights of October, and of the first day of November, a file a day.
fn write_days(flights: &Flights) -> usize {
    let mut written = 0;
    for month in ["2013-10", "2013-11"] {
        let path = format!("fixtures/flights/flights-{month}.parquet");
        let file = File::open(repository().join(path)).expect("the fixture");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        let batches: Vec<RecordBatch> = reader
            .build()
            .expect("a reader")
            .collect::<Result<_, _>>()
            .expect("rows");
        let all = concat_batches(&batches[0].schema(), &batches).expect("one batch");
        let ids: ArrayRef = all.column_by_name("flight_id").expect("ids").clone();
        let ids = cast(&ids, &DataType::Utf8).expect("text");
        let ids = ids.as_any().downcast_ref::<StringArray>().expect("text");
        let days = if month == "2013-10" { 31 } else { 1 };
        for day in 1..=days {
            let date = format!("{month}-{day:02}");
            let of_day: BooleanArray = (0..ids.len())
                .map(|row| Some(ids.value(row).starts_with(&date)))
                .collect();
            let rows = filter_record_batch(&all, &of_day).expect("rows");
            assert!(rows.num_rows() > 100, "{date}");
            written += rows.num_rows();
            let file = format!("days/{date}.parquet");
            write_parquet(&flights.workspace.path(&file), &rows, 400);
        }
    }
    written
}

fn command(flights: &Flights, arguments: &[&str]) -> Command {
    let url = flights.database.url();
    let arguments = [arguments, &["--database", &url]].concat();
    flights.workspace.command(&arguments)
}

fn backfill(flights: &Flights) -> Started {
    let range = [
        "backfill",
        "job.toml",
        "--from",
        "2013-10-01",
        "--to",
        "2013-10-31",
    ];
    Started::new(&mut command(flights, &range))
}

#[test]
fn each_date_is_scored_once_whatever_befalls_the_processes() {
    let flights = Flights::new();
    let written = write_days(&flights);
    let bundle = repository().join("fixtures/models/flight-delay");
    let job = format!(
        "[job]\nname = \"month\"\n\n[source]\nkind = \"parquet\"\npath = \"days/{{date}}.parquet\"\nid_column = \"flight_id\"\n\n\
         [model]\nbundle = \"{}\"\n\n[run]\nshard_size = 50\nworkers = 1\nlease = \"2s\"\n\n[sink]\nretry_for = \"1h\"\n",
        bundle.display()
    );
    flights.workspace.write("job.toml", job);
    let published = || -> usize {
        let sql = "SELECT count(*) FROM lamplighter.publications WHERE logical_date < '2013-11-01'";
        flights.database.value(sql).parse().expect("a number")
    };

    let mut crew: Vec<Started> = (0..4).map(|_| backfill(&flights)).collect();
    let night = ["run", "job.toml", "--date", "2013-11-01"];
    let night = Started::new(&mut command(&flights, &night));
    for (dates, interruption) in [(4, "KILL"), (10, "TERM"), (16, "KILL")] {
        eventually(|| published() >= dates);
        let victim = crew.remove(0);
        victim.send(interruption);
        let ended = victim.end();
        match interruption {
            "TERM" => assert_eq!(ended.code, Some(75), "{ended}"),
            _ => assert_eq!(ended.signal, Some(9), "{ended}"),
        }
        crew.push(backfill(&flights));
    }
    night.end().expect(0);
    for process in crew {
        process.end().expect(0);
    }
    let again = Ended::of(&mut command(
        &flights,
        &[
            "backfill",
            "job.toml",
            "--from",
            "2013-10-01",
            "--to",
            "2013-10-31",
        ],
    ));
    let again = again.expect(0);
    assert!(
        again.stdout.contains("31 of 31 dates are published"),
        "{again}"
    );

    let runs = flights.database.query(
        "SELECT logical_date, count(*), min(state), min(publication) FROM lamplighter.runs GROUP BY logical_date",
    );
    assert_eq!(runs.len(), 32);
    for run in &runs {
        assert_eq!(run[1..], ["1", "completed", "published"], "{run:?}");
        let name = format!("month@{}#1", run[0]);
        Ended::of(&mut command(&flights, &["runs", "verify", &name])).expect(0);
    }
    let latest = "SELECT DISTINCT logical_date FROM lamplighter.predictions_latest";
    assert_eq!(flights.database.query(latest), [["2013-11-01"]]);
    let mut found = BTreeMap::new();
    for row in flights
        .database
        .query("SELECT run_id FROM lamplighter.runs")
    {
        let run_id = row[0].parse().expect("a number");
        found.extend(flights.database.prediction_bits("lamplighter", run_id));
    }
    assert_eq!(found.len(), written);
    for (id, bits) in found {
        assert_eq!(expected()[&id], bits, "{id}");
    }
}
