//! A small night in either database, whatever befalls it, and what an undisturbed one looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::Command;
use std::sync::OnceLock;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, nullif};
use arrow::datatypes::DataType;
use jiff::ToSpan;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::postgres::Database;
use super::results::Results;
use super::started::Started;
use super::tally::Tally;
use super::{Ended, flights, write_parquet};

/// Records of a night: flights, of which some are given twice, some have no id, and some lack what
/// the model needs.
const RECORDS: usize = 6000;

/// A database with records to score, and a job that scores them for any date.
pub struct Night {
    pub results: Results,
    url: Option<String>,
}

/// What comes of a night when nothing befalls it.
struct Undisturbed {
    bits: BTreeMap<String, String>,
    dead_letters: Vec<String>,
}

/// A date for each number.
pub fn date(number: u64) -> String {
    let days = i64::try_from(number).expect("a small number").days();
    let date = jiff::civil::date(2020, 1, 1).checked_add(days);
    date.expect("a date").to_string()
}

impl Night {
    pub fn in_sqlite() -> Self {
        Self::with(Results::in_sqlite())
    }

    pub fn in_postgres() -> Self {
        Self::with(Results::in_postgres())
    }

    /// In a database of a cluster of one's own.
    pub fn in_database(database: Database) -> Self {
        Self::with(Results::in_database(database))
    }

    fn with(results: Results) -> Self {
        let input = results.workspace.path("flights.parquet");
        write_parquet(&input, &records(), 1000);
        // Whoever meets a server that is away waits for it, however slow the machine is.
        let more = "[run]\nshard_size = 100\nbatch_size = 64\nworkers = 2\nlease = \"2s\"\n\
                    [errors]\nmax_dead_letters = \"10%\"\n[sink]\nretry_for = \"1h\"\n";
        let source = format!("kind = \"parquet\"\npath = \"{}\"", input.display());
        let job = flights::job(&source) + more;
        results.workspace.write("night.toml", job);
        Self { results, url: None }
    }

    /// The same by another way to its database, such as a pooler.
    pub fn by_way_of(mut self, url: String) -> Self {
        self.url = Some(url);
        self
    }

    /// Its database, which is of Postgres.
    pub fn database(&self) -> &Database {
        self.results.postgres().expect("a night in Postgres")
    }

    /// A start for a date.
    pub fn run(&self, date: &str, more: &[&str]) -> Command {
        let run = ["run", "night.toml", "--date", date];
        let mut command = self.results.command(&[&run, more].concat());
        if let Some(url) = &self.url {
            command.env("DATABASE_URL", url);
        }
        command
    }

    /// A start whose connections to Postgres have this name.
    pub fn run_named(&self, name: &str, date: &str, more: &[&str]) -> Command {
        let mut command = self.run(date, more);
        let url = format!("{}&application_name={name}", self.database().url());
        command.env("DATABASE_URL", url);
        command
    }

    /// The same, under way.
    pub fn start(&self, name: &str, date: &str, more: &[&str]) -> Started {
        Started::new(&mut self.run_named(name, date, more))
    }

    /// Starts once more, and counts if that does not complete the date.
    pub fn complete(&self, date: &str, tally: &mut Tally) {
        let ended = Ended::of(&mut self.run(date, &[]));
        self.judge_end(date, &ended, &[0], tally);
    }

    /// Counts an end that is not the truth: with exit code 0 consumers see the date by then, and
    /// who ends in peace leaves no claim behind. Says whether it has one of these exit codes.
    pub fn judge_end(&self, date: &str, ended: &Ended, codes: &[i32], tally: &mut Tally) -> bool {
        let is_right = tally.expect(ended, codes);
        if ended.code == Some(0) && self.published(date).is_empty() {
            tally.wrong_end("0, but nobody sees the date", ended);
        }
        // On SQLite a peer may not have made the tables yet when it sends others away.
        let may_ask = ended.code == Some(0) || self.results.postgres().is_some();
        if let (true, Some(0 | 75), Some(pid)) = (may_ask, ended.code, ended.pid) {
            let claims = self.results.value(&format!(
                "SELECT count(*) FROM shards WHERE state = 'leased' AND owner LIKE '%:{pid}:%'"
            ));
            if claims != "0" {
                tally.wrong_end("an orderly end that leaves claims behind", ended);
            }
        }
        is_right
    }

    fn published(&self, date: &str) -> Vec<i64> {
        let sql = format!("SELECT run_id FROM publications WHERE logical_date = '{date}'");
        let rows = self.results.query(&sql).concat();
        let numbers = rows.iter().map(|text| text.parse().expect("a number"));
        numbers.collect()
    }

    /// Compares a date that is done with an undisturbed one, and counts what differs.
    pub fn judge(&self, date: &str, tally: &mut Tally) {
        let expected = undisturbed();
        let runs = "SELECT count(*) FROM runs WHERE logical_date";
        let runs = self.results.value(&format!("{runs} = '{date}'"));
        if runs != "1" {
            tally.notes.push(format!("{date} has {runs} runs"));
        }
        let [run_id] = self.published(date)[..] else {
            tally.lost += RECORDS as u64;
            tally.notes.push(format!("nobody sees {date}"));
            return;
        };
        let before = tally.clone();
        tally.doubled += self.doubled(run_id);
        let found = self.results.prediction_bits(run_id);
        for (record, bits) in &expected.bits {
            match found.get(record) {
                None => tally.lost += 1,
                Some(found) => tally.wrong_bits += u64::from(found != bits),
            }
        }
        tally.doubled += found
            .keys()
            .filter(|record| !expected.bits.contains_key(*record))
            .count() as u64;
        let letters = self.results.dead_letters(run_id);
        if letters != expected.dead_letters {
            let (found, wanted) = (letters.len() as u64, expected.dead_letters.len() as u64);
            tally.lost += wanted.saturating_sub(found);
            tally.doubled += found.saturating_sub(wanted);
            tally.wrong_bits += u64::from(found == wanted);
        }
        let unfinished = self.results.value(&format!(
            "SELECT count(*) FROM shards WHERE run_id = {run_id} AND (state <> 'completed' OR epoch < 1)"
        ));
        let damage = |tally: &Tally| (tally.lost, tally.doubled, tally.wrong_bits);
        if damage(tally) != damage(&before) || unfinished != "0" {
            let note = format!("{date}: {tally:?} was {before:?}; {unfinished} shards are undone");
            tally.notes.push(note);
        }
        let name = format!("flights@{date}#1");
        let verified = self.results.lamplighter(&["runs", "verify", &name]);
        tally.expect(&verified, &[0]);
    }

    /// Rows of a run beyond one for each record.
    fn doubled(&self, run_id: i64) -> u64 {
        let counts = [
            "SELECT count(*) - count(DISTINCT ordinal) FROM predictions WHERE run_id = ",
            "SELECT count(*) - count(DISTINCT record_id) FROM predictions WHERE run_id = ",
            "SELECT count(*) - count(DISTINCT ordinal) FROM dead_letters WHERE run_id = ",
            "SELECT count(*) FROM predictions JOIN dead_letters USING (run_id, ordinal) WHERE run_id = ",
        ];
        let count = |sql| self.results.value(&format!("{sql}{run_id}"));
        let counts = counts.map(|sql| count(sql).parse::<u64>().expect("a number"));
        counts.iter().sum()
    }
}

fn undisturbed() -> &'static Undisturbed {
    static UNDISTURBED: OnceLock<Undisturbed> = OnceLock::new();
    UNDISTURBED.get_or_init(|| {
        let night = Night::in_sqlite();
        Ended::of(&mut night.run("2020-01-01", &["--workers", "1"])).expect(0);
        let expected = Undisturbed {
            bits: night.results.prediction_bits(1),
            dead_letters: night.results.dead_letters(1),
        };
        let codes: BTreeSet<_> = expected
            .dead_letters
            .iter()
            .map(|letter| letter.split_once('/').expect("stage/code").1)
            .collect();
        assert_eq!(codes.len(), 3, "one reason more or less: {codes:?}");
        assert!(expected.bits.len() > RECORDS * 9 / 10);
        expected
    })
}

fn records() -> RecordBatch {
    let file = File::open(&flights::files()[0]).expect("the fixture");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let reader = reader.with_batch_size(RECORDS).build();
    let batch = reader.expect("a reader").next().expect("rows");
    let batch = batch.expect("rows");
    assert_eq!(batch.num_rows(), RECORDS);
    let every = |number: usize| {
        let chosen = (0..RECORDS).map(|row| Some(row % number == number / 2));
        chosen.collect::<BooleanArray>()
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| match field.name().as_str() {
        "flight_id" => {
            let ids = cast(column, &DataType::Utf8).expect("text");
            let ids: &StringArray = ids.as_any().downcast_ref().expect("text");
            let again = |row: usize| match row % 173 {
                0 if row >= 1000 => ids.value(row - 1000),
                _ => ids.value(row),
            };
            let ids = StringArray::from_iter_values((0..RECORDS).map(again));
            nullif(&ids, &every(997)).expect("ids")
        }
        "minute_of_day" => nullif(column, &every(61)).expect("numbers"),
        _ => column.clone(),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    super::batch(names.zip(columns).collect())
}
