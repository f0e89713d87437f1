//! Job files that ask for what is not there or not allowed: refused before anything is planned,
//! with words about `[source]`.

use super::{DATE, database, job, linear, numbered, run};
use crate::harness::linear_bundle;
use crate::harness::results::Results;

const ID: &str = "id_column = \"id\"";

/// Runs a job on each source; each must end with this code and these words.
#[track_caller]
fn refused(results: &Results, cases: &[(&str, u8, &[&str])]) {
    for (source, code, words) in cases {
        results.workspace.write("job.toml", job(source, ""));
        let ended = run(results, DATE, &[]).expect(i32::from(*code));
        let about_source = ended.stderr.contains("[source]");
        assert!(about_source, "{source}: {}", ended.stderr);
        for nonsense in ["db migrate", "db roles", "panicked"] {
            assert!(
                !ended.stderr.contains(nonsense),
                "{source}: {}",
                ended.stderr
            );
        }
        ended.says(words);
    }
    assert_eq!(results.value("SELECT count(*) FROM runs"), "0");
}

#[test]
fn tables_and_columns_that_are_not_there_are_named() {
    let results = linear(&numbered("t", 3), "", "");
    database(&results).execute("CREATE SEQUENCE numbers");
    let cases: [(&str, u8, &[&str]); 6] = [
        ("table = \"tt\"\nid_column = \"id\"", 78, &["`tt`", "hint"]),
        (
            "table = \"T\"\nid_column = \"id\"",
            78,
            &["`T`", "upper and lower case"],
        ),
        (
            "table = \"other.t\"\nid_column = \"id\"",
            78,
            &["`other.t`"],
        ),
        (
            "table = \"numbers\"\nid_column = \"id\"",
            78,
            &["numbers", "not a table or view"],
        ),
        (
            "table = \"t\"\nid_column = \"ids\"",
            65,
            &["`ids`", "id, x", "did you mean `id`?"],
        ),
        (
            "query = \"SELECT id FROM t\"\nid_column = \"id\"",
            65,
            &["`x`", "columns are id"],
        ),
    ];
    refused(&results, &cases);
    linear_bundle(&results.workspace.path("bundle"), &[("xx", 1.0)], 0.0, "");
    let words: &[&str] = &["`xx`", "id, x", "did you mean `x`?"];
    refused(
        &results,
        &[("table = \"t\"\nid_column = \"id\"", 65, words)],
    );
}

#[test]
fn sql_that_postgres_or_lamplighter_does_not_take_is_blamed_on_the_job_file() {
    let results = linear(&numbered("t", 3), "", "");
    let conditions: [(&str, u8, &[&str]); 9] = [
        ("nope > 1", 78, &["\"nope\""]),
        ("x >", 78, &["syntax error"]),
        ("x > 1; DELETE FROM t", 78, &["where", "`;`"]),
        ("x > 1) OR (true", 78, &["where", "`)`"]),
        ("x > 1 /* open", 78, &["where", "comment"]),
        ("x = 'open", 78, &["where", "string"]),
        ("x > :foo", 78, &["where", "`:foo`", ":date"]),
        ("x > $1", 78, &["where", "`$1`", ":date"]),
        ("", 78, &["where"]),
    ];
    for (condition, code, words) in conditions {
        let source = format!("table = \"t\"\n{ID}\nwhere = \"{condition}\"");
        refused(&results, &[(&source, code, words)]);
    }
    let queries: [(&str, u8, &[&str]); 8] = [
        ("DELETE FROM t RETURNING *", 78, &["query", "syntax error"]),
        (
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            78,
            &["query"],
        ),
        ("SELECT * FROM t; SELECT 1", 78, &["query", "`;`"]),
        ("SELECT * FROM nowhere", 78, &["query", "nowhere"]),
        ("SELECT id, x, x FROM t", 78, &["query", "`x`", "AS"]),
        ("SELECT * FROM t WHERE day = :day", 78, &["query", "`:day`"]),
        ("COPY t TO PROGRAM 'true'", 78, &["query", "syntax error"]),
        ("SELECT * FROM t WHERE id > nope()", 78, &["query", "nope"]),
    ];
    for (query, code, words) in queries {
        refused(
            &results,
            &[(&format!("query = \"{query}\"\n{ID}"), code, words)],
        );
    }
    assert_eq!(database(&results).value("SELECT count(*) FROM t"), "3");
}

#[test]
fn a_query_can_not_write() {
    let sql = format!(
        "{}
         CREATE TABLE written (id bigint);
         CREATE SEQUENCE numbers;
         CREATE FUNCTION sneaky() RETURNS bigint LANGUAGE sql VOLATILE
             AS 'INSERT INTO written VALUES (1) RETURNING id'",
        numbered("t", 3)
    );
    let results = linear(&sql, "", "");
    for query in [
        "SELECT id, x + sneaky() AS x FROM t",
        "SELECT id, x FROM t WHERE sneaky() = 1",
        "SELECT id, x + nextval('numbers') AS x FROM t",
        "SELECT id, x FROM t FOR UPDATE",
    ] {
        let source = format!("query = \"{query}\"\n{ID}");
        let words: &[&str] = &["query", "read-only", "only read"];
        refused(&results, &[(&source, 78, words)]);
    }
    assert_eq!(
        database(&results).value("SELECT count(*) FROM written"),
        "0"
    );
}

#[test]
fn who_may_not_read_a_table_is_told_which() {
    let results = linear(&numbered("t", 3), "", "");
    let database = database(&results);
    // Roles belong to the cluster, which other tests share.
    let role = format!("reader_of_{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN"));
    let url = database.url_as(&role);
    let source = format!("table = \"t\"\n{ID}\nurl = \"{url}\"");
    refused(
        &results,
        &[(&source, 77, &["permission denied for table t", "SELECT"])],
    );
    let url = database.url_as("nobody_at_all");
    let unknown = format!("table = \"t\"\n{ID}\nurl = \"{url}\"");
    refused(&results, &[(&unknown, 77, &["nobody_at_all"])]);
    database.execute(&format!("GRANT SELECT ON t TO {role}"));
    results.workspace.write("job.toml", job(&source, ""));
    run(&results, DATE, &[]).expect(0);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_server_that_does_not_answer_is_no_fault_of_the_job() {
    let results = linear("", "", "");
    let url = "postgres:///x?host=/nowhere&user=x";
    let source = format!("table = \"t\"\n{ID}\nurl = \"{url}\"");
    results
        .workspace
        .write("job.toml", job(&source, "[sink]\nretry_for = \"1s\"\n"));
    run(&results, DATE, &[])
        .expect(69)
        .says(&["[source] table t", "/nowhere"]);
}
