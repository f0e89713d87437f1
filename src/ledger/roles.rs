//! The least that each role needs, as SQL for whoever administers the database.

use std::fmt::Write;

use crate::database::Identifier;
use crate::error::Failure;

/// What the runner may do, by table. It may neither create nor drop anything, and it may not delete
/// or change a prediction, a dead letter or a report.
pub(super) const RUNNER: [(&str, &str); 17] = [
    ("jobs", "SELECT, INSERT, UPDATE"),
    ("runs", "SELECT, INSERT, UPDATE"),
    ("run_attempts", "SELECT, INSERT, UPDATE"),
    ("shards", "SELECT, INSERT, UPDATE"),
    ("predictions", "SELECT, INSERT"),
    ("dead_letters", "SELECT, INSERT"),
    ("reports", "SELECT, INSERT"),
    ("publications", "SELECT, INSERT, DELETE"),
    ("queue", "SELECT, INSERT, UPDATE, DELETE"),
    ("profiles", "SELECT, INSERT"),
    ("drift", "SELECT, INSERT"),
    ("ground_truth", "SELECT, INSERT, UPDATE"),
    ("evaluations", "SELECT, INSERT, DELETE"),
    ("outbox", "SELECT, INSERT, UPDATE"),
    ("tombstones", "SELECT"),
    ("pruned_generations", "SELECT"),
    ("_sqlx_migrations", "SELECT"),
];

/// What the custodian may do, who prunes and erases: delete, and keep what is left provable. It may
/// neither add nor change a prediction, a dead letter or a publication, nor delete a tombstone.
const CUSTODIAN: [(&str, &str); 15] = [
    (
        "runs",
        "SELECT, DELETE, UPDATE (predicted, dead_letters, duplicates, erased, output_hash, identity, \
         fingerprint, pruned_at, dead_letters_pruned_at, profiles_pruned_at, report_pruned_at)",
    ),
    ("run_attempts", "SELECT, DELETE"),
    (
        "shards",
        "SELECT, DELETE, UPDATE (predicted, dead_letters, erased, pruned_dead_letters, \
         pruned_duplicates, output_hash, input, profile)",
    ),
    ("predictions", "SELECT, DELETE"),
    ("dead_letters", "SELECT, DELETE"),
    ("reports", "SELECT, DELETE, UPDATE (report)"),
    ("publications", "SELECT"),
    ("profiles", "SELECT, DELETE"),
    ("drift", "SELECT, DELETE"),
    ("ground_truth", "SELECT, DELETE"),
    ("outbox", "SELECT, DELETE"),
    ("queue", "SELECT, DELETE"),
    ("tombstones", "SELECT, INSERT"),
    ("pruned_generations", "SELECT, INSERT, UPDATE"),
    ("_sqlx_migrations", "SELECT"),
];

/// What whoever reads results may look at: not the queue and the ground truth, which may be
/// personal data.
const READER: [&str; 17] = [
    "jobs",
    "runs",
    "run_attempts",
    "shards",
    "predictions",
    "dead_letters",
    "reports",
    "publications",
    "profiles",
    "drift",
    "evaluations",
    "outbox",
    "tombstones",
    "pruned_generations",
    "predictions_by_date",
    "predictions_latest",
    "_sqlx_migrations",
];

/// SQL that creates four roles, `lamplighter_migrator`, `lamplighter_runner`, `lamplighter_custodian`
/// and `lamplighter_reader`, and grants each what it needs in `schema`. To be run by the database's
/// administrator after `db migrate`, and again after each later one.
///
/// # Errors
/// `schema` can not be the name of one (78).
pub fn grants(schema: &str) -> Result<String, Failure> {
    let schema = Identifier::schema(schema)?;
    let mut sql = String::new();
    for role in ["migrator", "runner", "custodian", "reader"] {
        // Writing to a String can not fail.
        let _ = writeln!(
            sql,
            "DO $$ BEGIN CREATE ROLE lamplighter_{role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        );
    }
    let _ = write!(
        sql,
        "
-- Creates and alters the tables (`lamplighter db migrate`), which it therefore owns.
ALTER SCHEMA {schema} OWNER TO lamplighter_migrator;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = '{plain}' LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO lamplighter_migrator', name);
    END LOOP;
    FOR name IN SELECT format('%I.%I', schemaname, viewname) FROM pg_views WHERE schemaname = '{plain}' LOOP
        EXECUTE format('ALTER VIEW %s OWNER TO lamplighter_migrator', name);
    END LOOP;
END $$;

-- Runs jobs: creates nothing, and deletes no prediction.
GRANT USAGE ON SCHEMA {schema} TO lamplighter_runner;
",
        plain = schema.to_string().trim_matches('"'),
    );
    for (table, rights) in RUNNER {
        let _ = writeln!(
            sql,
            "GRANT {rights} ON {schema}.{table} TO lamplighter_runner;"
        );
    }
    let _ = write!(
        sql,
        "
-- Prunes and erases (`lamplighter runs prune`, `lamplighter records erase`), and runs nothing.
GRANT USAGE ON SCHEMA {schema} TO lamplighter_custodian;
"
    );
    for (table, rights) in CUSTODIAN {
        let _ = writeln!(
            sql,
            "GRANT {rights} ON {schema}.{table} TO lamplighter_custodian;"
        );
    }
    let readable = READER.map(|table| format!("{schema}.{table}")).join(", ");
    let _ = write!(
        sql,
        "
-- Reads results: what consumers and dashboards connect as.
GRANT USAGE ON SCHEMA {schema} TO lamplighter_reader;
GRANT SELECT ON {readable} TO lamplighter_reader;

-- Log in as a user of your own that is a member, for example:
--   CREATE USER nightly PASSWORD '…' IN ROLE lamplighter_runner;
-- Postgres as [source]: GRANT SELECT on the table that is read, too.
"
    );
    Ok(sql)
}
