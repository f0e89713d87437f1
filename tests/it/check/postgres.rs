use std::process::Command;

use super::{CHECK, Found, workspace};
use crate::calendar::at;
use crate::harness::flights_on_postgres::eventually;
use crate::harness::pgbouncer::{self, Pgbouncer};
use crate::harness::postgres::{Cluster, Database, cluster};
use crate::harness::{Ended, Workspace};

fn command(workspace: &Workspace, url: &str, more: &[&str]) -> Command {
    let mut command = workspace.command(&[&CHECK[..], more].concat());
    command.env("DATABASE_URL", url);
    command
}

fn check_at(workspace: &Workspace, url: &str, more: &[&str]) -> Found {
    Found::of(Ended::of(&mut command(workspace, url, more)))
}

fn migrate(workspace: &Workspace, database: &Database) {
    let migrate = ["db", "migrate", "--database", &database.url()];
    workspace.lamplighter(&migrate).expect(0);
}

/// Lets the grants that `db roles` prints stand for roles of this database alone, and makes a user of
/// each. Roles are the cluster's, which other tests use, too.
fn roles(workspace: &Workspace, database: &Database) {
    let grants = workspace.lamplighter(&["db", "roles"]).expect(0).stdout;
    let prefix = format!("{}_", database.name());
    database.execute(&grants.replace("lamplighter_", &prefix));
    for role in ["runner", "reader"] {
        database.execute(&format!(
            "CREATE ROLE {prefix}user_{role} LOGIN IN ROLE {prefix}{role}"
        ));
    }
}

fn user(database: &Database, role: &str) -> String {
    format!("{}_user_{role}", database.name())
}

#[test]
fn a_schema_that_is_not_there_is_78_and_its_way_out_is_one() {
    let workspace = workspace("");
    let database = cluster().database();
    let url = database.url();
    let more = ["--schema", "team_a"];
    let found = check_at(&workspace, &url, &more);
    found
        .only(78, &["schema"])
        .failed("database", "schema", 78, &["no schema team_a yet"])
        .is("database", "privileges", "not_looked_at", &["`schema`"])
        .is(
            "database",
            "unfinished runs",
            "not_looked_at",
            &["`schema`"],
        )
        .passed("database", "database", &["PostgreSQL", "as postgres"])
        .passed("database", "primary", &["takes writes"])
        .passed("host", "clock", &["s from the database's"]);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'team_a'";
    assert_eq!(database.value(schemas), "0");
    let mend = found.mend("database", "schema");
    assert_eq!(mend, "lamplighter db migrate --schema team_a");
    let words: Vec<&str> = mend.split(' ').skip(1).collect();
    Ended::of(workspace.command(&words).env("DATABASE_URL", &url)).expect(0);
    check_at(&workspace, &url, &more)
        .only(0, &[])
        .passed("database", "schema", &["team_a, version"])
        .passed("database", "connection", &["unix socket"])
        .passed(
            "database",
            "durability",
            &["synchronous_commit is on", "fsync is off"],
        )
        .passed("database", "privileges", &["superuser"]);
    database.execute("CREATE SCHEMA empty");
    let found = check_at(&workspace, &url, &["--schema", "empty"]);
    found.only(78, &["schema"]);
    let mend = found.mend("database", "schema");
    assert_eq!(mend, "lamplighter db migrate --schema empty");
}

#[test]
fn a_runner_has_just_what_it_needs_and_a_right_that_is_missing_is_granted_by_the_way_out() {
    let workspace = workspace("");
    let database = cluster().database();
    migrate(&workspace, &database);
    roles(&workspace, &database);
    let runner = user(&database, "runner");
    let url = database.url_as(&runner);
    let found = check_at(&workspace, &url, &[]);
    found.only(0, &[]);
    let finding = found.item("database", "privileges")["finding"].clone();
    assert!(
        !finding.as_str().expect("text").contains("more"),
        "{finding}"
    );
    let role = format!("{}_runner", database.name());
    database.execute(&format!(
        "REVOKE INSERT ON lamplighter.predictions FROM {role};
         REVOKE DELETE, UPDATE ON lamplighter.queue FROM {role}"
    ));
    let found = check_at(&workspace, &url, &[]);
    found.only(77, &["privileges"]).failed(
        "database",
        "privileges",
        77,
        &[&runner, "INSERT on predictions; UPDATE, DELETE on queue"],
    );
    database.execute(&found.mend("database", "privileges"));
    check_at(&workspace, &url, &[]).only(0, &[]);
}

#[test]
fn a_role_that_may_only_read_or_not_even_that_is_told_what_it_lacks() {
    let workspace = workspace("");
    let database = cluster().database();
    migrate(&workspace, &database);
    roles(&workspace, &database);
    let url = database.url_as(&user(&database, "reader"));
    check_at(&workspace, &url, &[])
        .only(77, &["privileges"])
        .failed("database", "privileges", 77, &["INSERT, UPDATE on runs"])
        .passed("database", "schema", &["lamplighter, version"])
        .passed("database", "unfinished runs", &["none"])
        .passed("input", "records", &["12 scored"]);
    let nobody = format!("{}_nobody", database.name());
    database.execute(&format!("CREATE ROLE {nobody} LOGIN"));
    let found = check_at(&workspace, &database.url_as(&nobody), &[]);
    found.failed("database", "privileges", 77, &["may not use the schema"]);
    assert_eq!(found.ended.code, Some(77));
    database.execute(&found.mend("database", "privileges"));
    let found = check_at(&workspace, &database.url_as(&nobody), &[]);
    assert!(
        found.failures().contains(&"schema".to_owned()),
        "{}",
        found.ended
    );
}

#[test]
fn a_server_that_is_not_there_is_69_at_once_and_the_rest_is_looked_at() {
    let workspace = workspace("[sink]\nretry_for = \"1h\"\n");
    let nowhere = format!(
        "postgres://night@localhost/x?host={}",
        workspace.path("").display()
    );
    let found = check_at(&workspace, &nowhere, &[]);
    let mend = found.mend("database", "database");
    assert!(
        mend.starts_with("pg_isready -d 'postgres:///x?host="),
        "{mend}"
    );
    found
        .only(69, &["database"])
        .failed("database", "database", 69, &["cannot connect"])
        .is("database", "privileges", "not_looked_at", &["`database`"])
        .is("host", "clock", "not_looked_at", &["`database`"])
        .passed("input", "records", &["12 scored"]);
}

#[test]
fn a_wrong_password_is_77_and_tls_is_told() {
    let cluster = Cluster::start(&["listen_addresses = '127.0.0.1'"]);
    let workspace = workspace("");
    let database = cluster.database();
    migrate(&workspace, &database);
    database.execute("CREATE ROLE night SUPERUSER LOGIN PASSWORD 'canary-4711'");
    cluster.authenticate(&["host all night 127.0.0.1/32 scram-sha-256"]);
    let (port, name) = (cluster.port(), database.name());
    let url = |password: &str| format!("postgres://night:{password}@127.0.0.1:{port}/{name}");
    let found = check_at(&workspace, &url("canary-4712"), &[]);
    found.only(77, &["database"]).failed(
        "database",
        "database",
        77,
        &["password authentication failed"],
    );
    for said in [&found.ended.stdout, &found.ended.stderr] {
        assert!(!said.contains("canary"), "{said}");
    }
    check_at(&workspace, &url("canary-4711"), &[])
        .only(0, &[])
        .passed("database", "connection", &["loopback, no TLS"]);
    let root = cluster.enable_tls();
    // Only its owner and root may read the server's directory.
    let copy = workspace.path("root.crt");
    std::fs::copy(root, &copy).expect("a copy");
    let verified = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        url("canary-4711"),
        copy.display()
    );
    check_at(&workspace, &verified, &[]).only(0, &[]).passed(
        "database",
        "connection",
        &["TLSv1", "over the loopback"],
    );
}

#[test]
fn a_replica_takes_no_writes_and_is_69() {
    let cluster = Cluster::start(&[]);
    let workspace = workspace("");
    let database = cluster.database();
    migrate(&workspace, &database);
    cluster.become_replica();
    check_at(&workspace, &database.url(), &[])
        .only(69, &["primary"])
        .failed("database", "primary", 69, &["replica"])
        .passed("database", "schema", &["version"]);
}

#[test]
fn a_clock_that_is_not_the_databases_is_75() {
    let workspace = workspace("");
    let database = cluster().database();
    migrate(&workspace, &database);
    let url = database.url();
    let found = Found::of(Ended::of(at(&mut command(&workspace, &url, &[]), "+2h")));
    found
        .only(75, &["clock"])
        .failed("host", "clock", 75, &["+7200.", "from the database's"]);
    let finding = found.item("job", "logical date")["finding"].clone();
    let plan = ["run", "job.toml", "--dry-run", "--format", "json"];
    let plan = Ended::of(workspace.command(&plan).env("DATABASE_URL", &url)).json();
    let date = plan["logical_date"].as_str().expect("a date");
    // The database's clock is the one that counts, unless a day began in between.
    let today = check_at(&workspace, &url, &[]);
    if today.list["logical_date"] == date {
        assert!(
            finding.as_str().expect("text").starts_with(date),
            "{finding}"
        );
    }
}

#[test]
fn a_pooler_is_noticed_by_the_age_of_its_connections() {
    if pgbouncer::is_left_out() {
        return;
    }
    let workspace = workspace("");
    let database = cluster().database();
    migrate(&workspace, &database);
    let pooler = Pgbouncer::start(cluster(), "transaction", 1);
    let url = pooler.url(&database);
    check_at(&workspace, &url, &[]).only(0, &[]);
    let age = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name <> ''
         AND pid <> pg_backend_pid() AND clock_timestamp() - backend_start > interval '3 s'",
        database.name()
    );
    eventually(|| database.value(&age) != "0");
    check_at(&workspace, &url, &[]).only(0, &[]).passed(
        "database",
        "connection",
        &["a pooler stands in between"],
    );
    let direct = check_at(&workspace, &database.url(), &[]);
    let finding = direct.item("database", "connection")["finding"].clone();
    assert_eq!(finding, "unix socket");
}

#[test]
fn a_table_that_may_not_be_read_is_77_and_one_that_may_is_sampled() {
    let workspace = workspace("");
    let database = cluster().database();
    migrate(&workspace, &database);
    roles(&workspace, &database);
    database.execute(
        "CREATE TABLE public.numbers (id text, x double precision, day date);
         INSERT INTO public.numbers SELECT 'r' || n, CASE WHEN n % 3 > 0 THEN n END, '2026-01-01'
         FROM generate_series(1, 9) AS n;
         INSERT INTO public.numbers VALUES ('r1', 1, '2026-01-01'), (NULL, 1, '2026-01-01'), ('r99', 1, '2026-01-02');
         ANALYZE public.numbers",
    );
    let job = |source: &str| {
        format!(
            "[job]\nname = \"simple\"\n[source]\nkind = \"postgres\"\nid_column = \"id\"\n{source}\n[model]\nbundle = \"bundle\"\n"
        )
    };
    workspace.write(
        "job.toml",
        job("table = \"public.numbers\"\nwhere = \"day = :date\""),
    );
    let runner = user(&database, "runner");
    let url = database.url_as(&runner);
    let date = ["--date", "2026-01-01"];
    check_at(&workspace, &url, &date)
        .only(77, &["source"])
        .failed("input", "source", 77, &["numbers", "permission denied"])
        .is("input", "records", "not_looked_at", &["`source`"])
        .passed("database", "privileges", &[]);
    database.execute(&format!("GRANT SELECT ON public.numbers TO {runner}"));
    check_at(&workspace, &url, &date)
        .only(65, &["ids", "records"])
        .passed(
            "input",
            "source",
            &["table public.numbers", "about 11 records"],
        )
        .passed("input", "min_rows", &["11 records, at least 1"])
        .passed("job", "date in source", &[":date"])
        .failed(
            "input",
            "ids",
            65,
            &["of all 11 records, 1 without an id and 1 with a repeated one"],
        )
        .failed("input", "records", 65, &["missing_value x 3", "null_id 1"]);
    check_at(&workspace, &url, &["--date", "2026-01-02"]).only(0, &[]);
    check_at(&workspace, &url, &["--date", "2026-01-03"])
        .only(66, &["min_rows"])
        .failed("input", "min_rows", 66, &["0 records"]);
    // A column of a type that no feature takes, and one that is not there.
    let query = |query: &str| {
        workspace.write("job.toml", job(&format!("query = \"{query}\"")));
        check_at(&workspace, &url, &date)
    };
    query("SELECT id, x::text AS x FROM public.numbers")
        .failed("input", "columns", 65, &["column `x` is of type text"])
        .is("job", "date in source", "not_set_up", &[]);
    query("SELECT id FROM public.numbers").failed("input", "columns", 65, &["no column `x`"]);
    query("SELECT id, x FROM public.nobody").failed("input", "source", 78, &["nobody"]);
}

#[test]
fn a_source_of_its_own_is_looked_at_without_a_ledger() {
    let workspace = workspace("");
    let database = cluster().database();
    database.execute(
        "CREATE TABLE numbers AS SELECT n AS id, n::float8 AS x FROM generate_series(1, 40) AS n",
    );
    workspace.write("url", database.url());
    workspace.write(
        "job.toml",
        "[job]\nname = \"simple\"\n[source]\nkind = \"postgres\"\ntable = \"numbers\"\nid_column = \"id\"\nurl_file = \"url\"\n[model]\nbundle = \"bundle\"\n",
    );
    let nowhere = "sqlite://none/such/lamplighter.db";
    check_at(&workspace, nowhere, &[])
        .only(74, &["directory"])
        .passed("input", "ids", &["of all 40 records"])
        .passed("input", "records", &["40 scored"]);
    check_at(&workspace, "mysql://x", &[])
        .only(78, &["database"])
        .passed("input", "records", &["40 scored"]);
}

#[test]
fn what_waits_in_the_queue_is_counted_and_sampled_but_not_taken() {
    let workspace = workspace("");
    let database = cluster().database();
    migrate(&workspace, &database);
    let job =
        "[job]\nname = \"simple\"\n[source]\nkind = \"queue\"\n[model]\nbundle = \"bundle\"\n";
    workspace.write("job.toml", job);
    database.execute(
        "INSERT INTO lamplighter.queue (job, record_id, payload) SELECT 'simple', 'r' || n, '{\"x\": 1}'
         FROM generate_series(1, 30) AS n;
         INSERT INTO lamplighter.queue (job, record_id, payload) VALUES ('simple', 'bad', '{\"y\": 1}'), ('other', 'o', '{}')",
    );
    let waiting = "SELECT count(*) FROM lamplighter.queue WHERE run_id IS NULL";
    check_at(&workspace, &database.url(), &[])
        .only(65, &["records"])
        .passed("input", "source", &["queue, 31 records waiting"])
        .passed("input", "ids", &["of all 31 records"])
        .failed(
            "input",
            "records",
            65,
            &["of the first 31, 30 scored", "and 1 dead letters"],
        );
    assert_eq!(database.value(waiting), "32");
    // A ledger that is not there holds no queue.
    let nowhere = format!(
        "postgres://night@localhost/x?host={}",
        workspace.path("").display()
    );
    check_at(&workspace, &nowhere, &[])
        .only(69, &["database"])
        .is("input", "source", "not_looked_at", &["`database`"]);
}
