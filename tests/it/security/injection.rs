use std::fs;
use std::path::Path;

use super::{DATE, RUN, set_up};
use crate::harness::postgres::cluster;
use crate::harness::repository;
use crate::harness::results::Results;
use crate::harness::{Ended, linear_bundle};

const HOSTILE: [&str; 4] = [
    "x\"; DROP TABLE runs; --",
    "x'); DROP TABLE runs; --",
    "x\\\"; DROP SCHEMA lamplighter CASCADE; --",
    "${{1}}; $1; ?1; :date",
];

fn tables_are_there(results: &Results) {
    let runs = results.value("SELECT count(*) FROM runs");
    assert!(runs.parse::<u32>().is_ok(), "{runs}");
}

#[test]
fn a_schema_is_a_plain_word_or_refused() {
    let results = Results::in_postgres();
    set_up(&results.workspace, &[("a", Some(1.0))]);
    for name in HOSTILE
        .iter()
        .chain(&["Upper", "a.b", "pg_catalog", "information_schema", "", "ä"])
    {
        let set = format!("sink.schema={}", serde_json::Value::from(*name));
        let commands: [&[&str]; 5] = [
            &["runs", "list", "--schema", name],
            &["db", "migrate", "--schema", name],
            &["db", "roles", "--schema", name],
            &["run", "job.toml", "--date", DATE, "--schema", name],
            &["run", "job.toml", "--date", DATE, "--set", &set],
        ];
        for command in commands {
            let ended = results.lamplighter(command);
            assert!(matches!(ended.code, Some(64 | 78)), "{command:?}: {ended}");
            assert_eq!(ended.stdout, "");
        }
    }
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'lamplighter', 'information_schema')";
    assert_eq!(results.value(schemas), "0");
    tables_are_there(&results);
}

/// Tables and columns of the source may have any name: it stays inside its quotes.
#[test]
fn a_table_and_columns_with_sql_in_their_names_are_read() {
    let results = Results::in_database(cluster().database());
    let database = results.postgres().expect("Postgres");
    let [table, id, x] = [
        "t\"; DROP TABLE runs; --",
        "id\"; --",
        "x'\"); DROP TABLE t",
    ];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    database.execute(&format!(
        "CREATE TABLE {} ({} text PRIMARY KEY, {} double precision)",
        quoted(table),
        quoted(id),
        quoted(x)
    ));
    for (row, name) in HOSTILE.iter().enumerate() {
        let name = name.replace('\'', "''");
        database.execute(&format!(
            "INSERT INTO {} VALUES ('{name}', {row})",
            quoted(table)
        ));
    }
    let toml = |text: &str| serde_json::Value::from(text).to_string();
    linear_bundle(
        &results.workspace.path("bundle"),
        &[(&x.replace('"', "\\\""), 2.0)],
        1.0,
        "",
    );
    let job = format!(
        "[job]\nname = \"simple\"\n[source]\nkind = \"postgres\"\ntable = {}\nid_column = {}\n[model]\nbundle = \"bundle\"\n",
        toml(table),
        toml(id)
    );
    results.workspace.write("job.toml", job);
    results.lamplighter(&RUN).expect(0);
    let ids = results.query("SELECT record_id FROM predictions_by_date ORDER BY value");
    assert_eq!(ids.concat(), HOSTILE);
    results.verify();
    // None that is there.
    for name in HOSTILE {
        for key in ["table", "id_column"] {
            let set = format!("source.{key}={}", toml(name));
            let ended =
                results.lamplighter(&["run", "job.toml", "--date", "2026-11-24", "--set", &set]);
            assert!(matches!(ended.code, Some(64 | 65 | 78)), "{ended}");
        }
    }
    tables_are_there(&results);
}

#[test]
fn ids_and_names_with_sql_in_them_are_values() {
    for results in Results::in_each() {
        let records: Vec<(&str, Option<f64>)> = HOSTILE.iter().map(|id| (*id, None)).collect();
        set_up(&results.workspace, &records);
        let reason = ["--rescore", "--reason", HOSTILE[0]];
        results.lamplighter(&RUN).expect(0);
        results.lamplighter(&[&RUN[..], &reason].concat()).expect(0);
        let letters =
            results.query("SELECT record_id FROM dead_letters WHERE run_id = 1 ORDER BY ordinal");
        assert_eq!(letters.concat(), HOSTILE);
        for name in HOSTILE {
            results
                .lamplighter(&["dead-letters", "show", name])
                .expect(0);
            results
                .lamplighter(&["dead-letters", "list", "--code", name])
                .expect(0);
            results
                .lamplighter(&["runs", "list", "--job", name])
                .expect(0);
            results
                .lamplighter(&["queue", "stats", "--job", name])
                .expect(0);
            for command in [["runs", "show"], ["runs", "cancel"]] {
                results
                    .lamplighter(&[&command[..], &[name]].concat())
                    .expect(64);
            }
            let set = format!("job.name={}", serde_json::Value::from(name));
            let ended: Ended = results.lamplighter(&[&RUN[..], &["--set", &set]].concat());
            ended.expect(64).says(&["job", "name"]);
        }
        tables_are_there(&results);
        results.verify();
    }
}

/// All sources, by path and text.
fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(repository().join("src")).expect("inside");
            let text = fs::read_to_string(&path).expect("a source file");
            found.push((name.display().to_string(), text));
        }
    }
}

/// Where SQL is put together at run time: from checked names and the job's own SQL. Everywhere else
/// it is a file that the binary includes.
const MAKERS: [&str; 9] = [
    "check/database.rs", // a way out, which a person runs or does not
    "database/postgres/copy.rs",
    "database/postgres/session.rs",
    "database/postgres/transaction.rs",
    "database/sqlite/bound.rs",
    "ledger/roles.rs",
    "ledger/schema.rs",
    "source/postgres/",
    "source/row_sql/",
];

#[test]
fn sql_is_made_in_few_places_and_declared_safe_in_one() {
    let mut found = Vec::new();
    sources(&repository().join("src"), &mut found);
    assert!(found.len() > 100, "the sources are somewhere else");
    let verbs = [
        "SELECT ",
        "INSERT INTO",
        "UPDATE ",
        "DELETE FROM",
        "COPY ",
        "CREATE ",
        "DROP ",
        "ALTER ",
        "GRANT ",
        "SET LOCAL",
    ];
    let mut makers = std::collections::BTreeSet::new();
    for (name, text) in &found {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_test = name.contains("/tests") || name.ends_with("tests.rs");
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in lines.filter(|_| !is_test) {
            assert!(
                !line.contains("AssertSqlSafe") || name == "database/postgres/session.rs",
                "{name} declares SQL safe: {line}"
            );
            let asks = [
                "sqlx::query(",
                "sqlx::raw_sql(",
                "query_as(",
                "query_scalar(",
            ];
            assert!(
                !asks.iter().any(|ask| line.contains(ask)) || name.starts_with("database/"),
                "{name} asks past the database's room: {line}"
            );
            let text_of = line.split('"').nth(1).unwrap_or_default();
            let is_sql = verbs
                .iter()
                .any(|verb| text_of.trim_start().starts_with(verb));
            let is_made = is_sql
                && (line.contains("format!(") || line.contains('{') && text_of.contains('{'));
            if is_made {
                let maker = MAKERS.iter().find(|maker| name.starts_with(*maker));
                makers.insert(*maker.unwrap_or_else(|| panic!("{name} makes SQL: {line}")));
            }
        }
    }
    assert!(
        makers.contains("source/postgres/"),
        "no SQL was found: {makers:?}"
    );
}
