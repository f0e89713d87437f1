//! Files that change between the plan and the reading: refused and named (65).

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};

use crate::harness::flights_on_postgres::eventually;
use crate::harness::postgres::PostgresSession;
use crate::harness::results::Results;
use crate::harness::started::Started;
use crate::harness::{batch, linear_bundle, simple_job, write_parquet};

const RUN: [&str; 4] = ["run", "job.toml", "--date", "2026-11-23"];

/// Two files of ten records each, in shards of two, read by one worker in the order of their names.
fn put(results: &Results, strict: bool) {
    put_so_many(results, strict, 10);
}

fn put_so_many(results: &Results, strict: bool, records: u32) {
    let workspace = &results.workspace;
    linear_bundle(&workspace.path("bundle"), &[("x", 2.0)], 1.0, "");
    for name in ["a", "b"] {
        let ids = StringArray::from_iter_values((0..records).map(|row| format!("{name}{row}")));
        let numbers = Float64Array::from_iter_values((0..records).map(f64::from));
        let rows = batch(vec![("id", Arc::new(ids)), ("x", Arc::new(numbers))]);
        write_parquet(&workspace.path(&format!("input/{name}.parquet")), &rows, 5);
    }
    let job = simple_job("[run]\nshard_size = 2\nworkers = 1\n");
    let strict = format!("strict_input = {strict}\nid_column");
    workspace.write("job.toml", job.replace("id_column", &strict));
}

/// A run that is planned, and held before its first commit.
fn held(results: &Results) -> (Started, PostgresSession) {
    let database = results.postgres().expect("Postgres");
    let mut barrier = database.session();
    barrier.begin();
    barrier.execute("LOCK TABLE lamplighter.predictions IN SHARE MODE");
    let mut started = Started::new(&mut results.command(&RUN));
    let waits = "SELECT count(*) > 0 FROM pg_locks JOIN pg_database ON pg_database.oid = database
         WHERE datname = current_database() AND NOT granted";
    eventually(|| {
        assert!(started.is_alive(), "it ended before it wrote anything");
        database.value(waits) == "t"
    });
    (started, barrier)
}

/// Changes a byte of a value, and lets the file look as if nobody had.
fn alter_in_secret(path: &Path) {
    let times = fs::metadata(path).expect("the file");
    let mut bytes = fs::read(path).expect("the file");
    let seven = 7.0_f64.to_le_bytes();
    let at = bytes.windows(8).position(|window| window == seven);
    bytes[at.expect("an uncompressed value") + 7] ^= 0x80;
    // In place, so that it stays the same file.
    let file = File::options().write(true).open(path).expect("the file");
    std::io::Write::write_all(&mut &file, &bytes).expect("the same bytes but one");
    let modified = times.modified().expect("a time");
    file.set_times(FileTimes::new().set_modified(modified))
        .expect("a time");
}

#[test]
fn a_file_that_is_rewritten_after_the_plan_is_refused_and_named() {
    let results = Results::in_postgres();
    put(&results, false);
    let (started, mut barrier) = held(&results);
    let other = batch(vec![
        ("id", Arc::new(StringArray::from_iter_values(["b0"]))),
        ("x", Arc::new(Float64Array::from(vec![1.0]))),
    ]);
    write_parquet(&results.workspace.path("input/b.parquet"), &other, 5);
    barrier.execute("ROLLBACK");
    started.end().expect(65).says(&[
        "input/b.parquet changed after the run was planned",
        "hint: nothing is published",
    ]);
    assert_eq!(results.value("SELECT count(*) FROM publications"), "0");
    results.verify();
}

#[test]
fn a_file_that_is_gone_after_the_plan_is_refused_and_named_and_completes_when_it_is_back() {
    let results = Results::in_postgres();
    put(&results, false);
    let (started, mut barrier) = held(&results);
    let file = results.workspace.path("input/b.parquet");
    let aside = results.workspace.path("aside");
    fs::rename(&file, &aside).expect("a file");
    barrier.execute("ROLLBACK");
    started
        .end()
        .expect(65)
        .says(&["input/b.parquet vanished after the run was planned"]);
    fs::rename(&aside, &file).expect("a file");
    results.lamplighter(&RUN).expect(0);
    assert_eq!(results.value("SELECT count(*) FROM runs"), "1");
    assert_eq!(results.published("2026-11-23").len(), 20);
    results.verify();
}

#[test]
fn strict_input_notices_a_byte_that_nothing_else_tells_of() {
    for strict in [true, false] {
        let results = Results::in_postgres();
        put(&results, strict);
        let (started, mut barrier) = held(&results);
        alter_in_secret(&results.workspace.path("input/b.parquet"));
        barrier.execute("ROLLBACK");
        let ended = started.end();
        if strict {
            ended
                .expect(65)
                .says(&["input/b.parquet changed after the run was planned"]);
            assert_eq!(results.value("SELECT count(*) FROM publications"), "0");
            // Planned anew, it is another run.
            results.lamplighter(&RUN).expect(0);
            assert_eq!(results.value("SELECT max(generation) FROM runs"), "2");
        } else {
            ended.expect(0);
        }
        results.verify();
    }
}

/// Workers take turns in one file, and none of them goes on in it without a look.
#[test]
fn strict_input_notices_such_a_byte_in_a_file_that_is_being_read() {
    let results = Results::in_postgres();
    put_so_many(&results, true, 600);
    let job = fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
    let job = job.replace("workers = 1", "workers = 2");
    results.workspace.write("job.toml", job);
    let (started, mut barrier) = held(&results);
    alter_in_secret(&results.workspace.path("input/a.parquet"));
    barrier.execute("ROLLBACK");
    started
        .end()
        .expect(65)
        .says(&["input/a.parquet changed after the run was planned"]);
    assert_eq!(results.value("SELECT count(*) FROM publications"), "0");
}

#[test]
fn strict_input_lets_the_same_bytes_pass_whatever_became_of_the_file() {
    let results = Results::in_postgres();
    put(&results, true);
    let (started, mut barrier) = held(&results);
    let file = results.workspace.path("input/b.parquet");
    let bytes = fs::read(&file).expect("the file");
    fs::remove_file(&file).expect("the file");
    fs::write(&file, bytes).expect("a file");
    barrier.execute("ROLLBACK");
    started.end().expect(0);
    assert_eq!(results.published("2026-11-23").len(), 20);
}

#[test]
fn a_file_that_is_written_to_while_it_is_read_is_refused() {
    let results = Results::in_postgres();
    // With as little memory as there is, a worker reads 256 of them at a time.
    put_so_many(&results, false, 2_000);
    let job = fs::read_to_string(results.workspace.path("job.toml")).expect("the job");
    let job = job.replace("workers = 1", "workers = 1\nmax_memory = 1");
    results.workspace.write("job.toml", job);
    let (started, mut barrier) = held(&results);
    let file = File::options()
        .write(true)
        .open(results.workspace.path("input/a.parquet"))
        .expect("the file");
    file.set_modified(std::time::SystemTime::now())
        .expect("a time");
    barrier.execute("ROLLBACK");
    started
        .end()
        .expect(65)
        .says(&["input/a.parquet changed after the run was planned"]);
}

#[test]
fn strict_input_belongs_to_files() {
    let results = Results::in_sqlite();
    let job = simple_job("").replace(
        "kind = \"parquet\"\npath = \"input/*.parquet\"",
        "kind = \"queue\"\nstrict_input = true",
    );
    results.workspace.write("job.toml", job);
    results
        .lamplighter(&RUN)
        .expect(78)
        .says(&["strict_input", "belongs to kind = \"parquet\""]);
}
