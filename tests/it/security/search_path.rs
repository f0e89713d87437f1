use std::collections::BTreeSet;
use std::fs;

use super::{RUN, scored, set_up};
use crate::harness::Ended;
use crate::harness::postgres::cluster;
use crate::harness::repository;
use crate::harness::results::Results;

/// What stands earlier in the role's own search path, or in `public`, by the names that ours have.
#[test]
fn tables_functions_and_operators_of_others_are_not_used() {
    let results = Results::in_database(cluster().database());
    let database = results.postgres().expect("Postgres");
    let name = database.name();
    let role = format!("night_of_{name}");
    let mut evil = format!(
        "CREATE ROLE {role} SUPERUSER LOGIN; CREATE SCHEMA evil; CREATE TABLE evil.trap (what text);
         ALTER ROLE {role} SET search_path = evil, public, lamplighter, pg_catalog;
         CREATE FUNCTION evil.sprung() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN INSERT INTO evil.trap VALUES (TG_TABLE_NAME); RETURN NULL; END $$;"
    );
    let tables = database
        .query("SELECT tablename FROM pg_tables WHERE schemaname = 'lamplighter' ORDER BY 1");
    assert!(tables.len() >= 8, "{tables:?}");
    for table in tables.iter().flatten() {
        evil += &format!(
            "CREATE TABLE evil.{table} (LIKE lamplighter.{table});
             CREATE TABLE public.{table} (LIKE lamplighter.{table});"
        );
    }
    for schema in ["evil", "public"] {
        // A better match than the built-in one, for whoever finds it first.
        evil += &format!(
            "CREATE FUNCTION {schema}.clock_timestamp() RETURNS timestamptz LANGUAGE sql
                 AS $$ INSERT INTO evil.trap VALUES ('clock') RETURNING '1999-01-01'::timestamptz $$;
             CREATE FUNCTION {schema}.count(bigint) RETURNS bigint LANGUAGE sql
                 AS $$ INSERT INTO evil.trap VALUES ('count') RETURNING 7::bigint $$;
             CREATE FUNCTION {schema}.equal(text, text) RETURNS boolean LANGUAGE sql
                 AS $$ INSERT INTO evil.trap VALUES ('equal') RETURNING true $$;
             CREATE OPERATOR {schema}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}.equal);"
        );
    }
    database.execute(&evil);
    set_up(&results.workspace, &[("a", Some(1.0)), ("b", None)]);
    let url = database.url_as(&role);
    let lamplighter = |arguments: &[&str]| {
        let mut command = results.workspace.command(arguments);
        Ended::of(command.env("DATABASE_URL", &url)).expect(0)
    };
    lamplighter(&["db", "migrate"]);
    lamplighter(&RUN);
    lamplighter(&["runs", "verify"]);
    let list = lamplighter(&["dead-letters", "list"]);
    assert!(list.stdout.contains("missing_value"), "{list}");
    scored(&results, &["a"]);
    let sprung = database.query("SELECT DISTINCT what FROM evil.trap");
    assert!(sprung.is_empty(), "{sprung:?}");
    for table in tables.iter().flatten() {
        let rows = format!(
            "SELECT (SELECT count(*) FROM evil.{table}) + (SELECT count(*) FROM public.{table})"
        );
        assert_eq!(database.value(&rows), "0", "{table}");
    }
    let created = database.value("SELECT min(created_at) > '2020-01-01' FROM lamplighter.runs");
    assert_eq!(created, "t", "another clock was asked");
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A role is refused what it needs not, by the server itself.
#[test]
fn what_a_role_may_is_no_more_than_it_needs() {
    let results = Results::in_postgres();
    let database = results.postgres().expect("Postgres");
    let roles = results.lamplighter(&["db", "roles"]).expect(0).stdout;
    database.execute(&roles);
    set_up(&results.workspace, &[("a", Some(1.0))]);
    results.lamplighter(&RUN).expect(0);
    let name = database.name();
    let mut tried = BTreeSet::new();
    for kind in ["runner", "reader"] {
        let login = format!("{kind}_in_{name}");
        database.execute(&format!(
            "CREATE ROLE {login} LOGIN IN ROLE lamplighter_{kind}"
        ));
        let tables =
            database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'lamplighter'");
        for table in tables.iter().flatten() {
            for sql in [
                format!("TRUNCATE lamplighter.{table}"),
                format!("DROP TABLE lamplighter.{table}"),
                format!("ALTER TABLE lamplighter.{table} ADD COLUMN mine text"),
                format!(
                    "CREATE TRIGGER mine AFTER INSERT ON lamplighter.{table} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
                ),
            ] {
                refused(&results, &login, &sql);
                tried.insert(sql);
            }
        }
        for sql in [
            "DELETE FROM lamplighter.predictions",
            "UPDATE lamplighter.predictions SET score = 1",
            "DELETE FROM lamplighter.dead_letters",
            "CREATE FUNCTION lamplighter.now() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE VIEW lamplighter.predictions_latest AS SELECT 1",
            "GRANT ALL ON ALL TABLES IN SCHEMA lamplighter TO PUBLIC",
        ] {
            refused(&results, &login, sql);
        }
        database.execute(&format!("DROP OWNED BY {login}; DROP ROLE {login}"));
    }
    assert!(tried.len() >= 32, "{tried:?}");
    assert_eq!(
        database.value("SELECT count(*) FROM lamplighter.predictions"),
        "1"
    );
}

#[track_caller]
fn refused(results: &Results, role: &str, sql: &str) {
    let database = results.postgres().expect("Postgres");
    let refusal = database.session_as(role).try_execute(sql);
    let error = refusal.expect_err("a refusal");
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"), "{role}: {sql}: {error}");
}

/// Every statement of the ledger is sent inside a transaction that fixes the path.
#[test]
fn no_statement_of_the_ledger_changes_the_search_path() {
    for folder in ["src/ledger/sql/postgres", "src/ledger/migrations/postgres"] {
        for entry in fs::read_dir(repository().join(folder)).expect("a directory") {
            let path = entry.expect("an entry").path();
            let sql = fs::read_to_string(&path)
                .expect("a statement")
                .to_lowercase();
            assert!(!sql.contains("search_path"), "{}", path.display());
            assert!(!sql.contains("security definer"), "{}", path.display());
        }
    }
}
