//! The kinds of source, and which keys go together.

use super::*;

const POSTGRES: &str = r#"
[job]
name = "a"
[source]
kind = "postgres"
table = "sales.orders"
id_column = "id"
[model]
bundle = "bundle"
"#;

const QUEUE: &str = r#"
[job]
name = "a"
[source]
kind = "queue"
[model]
bundle = "bundle"
"#;

fn refused(text: &str, set: &[&str]) -> (String, Option<String>) {
    let failure = load_text(text, set).unwrap_err();
    let message = failure.to_string();
    let shown = match message.split_once("x.toml") {
        Some((_, rest)) => format!("x.toml{rest}"),
        None => message,
    };
    let hint = crate::error::hint(&failure.into()).map(str::to_owned);
    (shown, hint)
}

fn message(text: &str, set: &[&str]) -> String {
    refused(text, set).0
}

fn postgres(text: &str, set: &[&str]) -> PostgresSource {
    match load_text(text, set).unwrap().source.kind {
        SourceKind::Postgres(source) => source,
        _ => panic!("another kind"),
    }
}

fn queue(text: &str) -> QueueSource {
    match load_text(text, &[]).unwrap().source.kind {
        SourceKind::Queue(source) => source,
        _ => panic!("another kind"),
    }
}

#[test]
fn a_table_arrives_as_it_is_written() {
    let source = postgres(
        POSTGRES,
        &[
            "source.where=amount > 0",
            "source.url=postgres://${SECRET}@host/sales",
            "source.password_command=['vault', 'read', '${SECRET}']",
        ],
    );
    let PostgresRelation::Table { table, condition } = source.relation else {
        panic!("a query");
    };
    assert_eq!(table, "sales.orders");
    assert_eq!(condition.as_deref(), Some("amount > 0"));
    assert!(source.url.unwrap().starts_with("postgres://Hunter2"));
    assert_eq!(source.url_file, None);
    let command = source.password_command.unwrap();
    assert_eq!(command[..2], ["vault", "read"]);
    assert!(command[2].starts_with("Hunter2"));
}

#[test]
fn a_query_arrives_as_it_is_written() {
    let text = POSTGRES.replace("table = \"sales.orders\"", "query = \"SELECT 1 AS id\"");
    let source = postgres(&text, &["source.url_file=/run/secrets/url"]);
    let PostgresRelation::Query(query) = source.relation else {
        panic!("a table");
    };
    assert_eq!(query, "SELECT 1 AS id");
    assert_eq!(source.url, None);
    assert_eq!(source.url_file, Some(PathBuf::from("/run/secrets/url")));
    assert_eq!(source.password_command, None);
}

#[test]
fn a_queue_needs_nothing_more() {
    let job = load_text(QUEUE, &[]).unwrap();
    assert_eq!(job.source.id_column, "record_id");
    assert_eq!(job.source.kind.as_str(), "queue");
    let source = queue(QUEUE);
    assert_eq!(source.on_conflict, OnConflict::Replace);
    assert!(source.columns.is_empty());
}

#[test]
fn a_queue_arrives_as_it_is_written() {
    let text = QUEUE.replace(
        "[model]",
        "id_column = \"flight\"\non_conflict = \"ignore\"\nwait_for = \"in/{date}\"\n\
         [source.columns]\nstops = \"integer\"\nkm = \"float\"\ncarrier = \"text\"\n\
         late = \"boolean\"\nday = \"date\"\n\"left at\" = \"timestamp\"\n[model]",
    );
    assert_eq!(
        load_text(&text, &[]).unwrap().source.wait_for.as_deref(),
        Some("in/{date}")
    );
    assert_eq!(load_text(&text, &[]).unwrap().source.id_column, "flight");
    let source = queue(&text);
    assert_eq!(source.on_conflict, OnConflict::Ignore);
    let columns = [
        ("stops", ColumnType::Integer),
        ("km", ColumnType::Float),
        ("carrier", ColumnType::Text),
        ("late", ColumnType::Boolean),
        ("day", ColumnType::Date),
        ("left at", ColumnType::Timestamp),
    ];
    let columns = columns.map(|(name, column_type)| (name.to_owned(), column_type));
    assert_eq!(source.columns, columns.into());
}

#[test]
fn a_key_of_another_kind_is_refused_with_its_line() {
    let (shown, hint) = refused(&JOB.replace("id_column", "table = \"t\"\nid_column"), &[]);
    assert_eq!(
        shown,
        "x.toml:7: [source] table: belongs to kind = \"postgres\", but the source is of kind \
         \"parquet\""
    );
    assert_eq!(
        hint.as_deref(),
        Some("remove `table`, or write kind = \"postgres\"")
    );
    for (text, key, value, owner, kind) in [
        (JOB, "where", "a", "postgres", "parquet"),
        (JOB, "query", "a", "postgres", "parquet"),
        (JOB, "url", "a", "postgres", "parquet"),
        (JOB, "url_file", "a", "postgres", "parquet"),
        (JOB, "password_command", "['a']", "postgres", "parquet"),
        (JOB, "on_conflict", "replace", "queue", "parquet"),
        (JOB, "columns", "{}", "queue", "parquet"),
        (POSTGRES, "path", "a", "parquet", "postgres"),
        (POSTGRES, "on_conflict", "replace", "queue", "postgres"),
        (QUEUE, "path", "a", "parquet", "queue"),
        (QUEUE, "table", "a", "postgres", "queue"),
    ] {
        assert_eq!(
            message(text, &[&format!("source.{key}={value}")]),
            format!(
                "--set source.{key}: belongs to kind = \"{owner}\", but the source is of kind \
                 \"{kind}\""
            )
        );
    }
}

#[test]
fn what_a_kind_needs_is_named() {
    for (text, line, key) in [
        (JOB, "path = \"flights/*.parquet\"\n", "key `path`"),
        (JOB, "id_column = \"flight_id\"\n", "key `id_column`"),
        (POSTGRES, "id_column = \"id\"\n", "key `id_column`"),
        (
            POSTGRES,
            "table = \"sales.orders\"\n",
            "key `table` or `query`",
        ),
    ] {
        assert!(text.contains(line), "{line}");
        assert_eq!(
            message(&text.replace(line, ""), &[]),
            format!("x.toml:4: [source]: the {key} is missing")
        );
    }
}

#[test]
fn keys_that_exclude_each_other_are_refused() {
    let query = POSTGRES.replace("table = \"sales.orders\"", "query = \"SELECT 1\"");
    for (text, set, expected) in [
        (
            POSTGRES,
            vec!["source.query=SELECT 1"],
            "--set source.query: must not stand beside `table`; give one of them",
        ),
        (
            &query,
            vec!["source.where=a > 1"],
            "--set source.where: goes with `table`, not with `query`",
        ),
        (
            POSTGRES,
            vec!["source.url=postgres://a", "source.url_file=b"],
            "--set source.url_file: must not stand beside `url`; give one of them",
        ),
    ] {
        assert_eq!(message(text, &set), expected);
    }
}

#[test]
fn values_that_say_nothing_are_refused() {
    for key in ["table", "where", "url", "url_file", "id_column"] {
        assert_eq!(
            message(POSTGRES, &[&format!("source.{key}=")]),
            format!("--set source.{key}: must not be empty")
        );
    }
    for command in ["[]", "['', 'a']"] {
        assert!(
            message(POSTGRES, &[&format!("source.password_command={command}")])
                .starts_with("--set source.password_command: must name a program"),
        );
    }
    assert_eq!(
        message(QUEUE, &["source.columns={'' = 'text'}"]),
        "--set source.columns: a column must have a name"
    );
}

#[test]
fn what_is_wrong_inside_of_a_value_is_named() {
    let columns = QUEUE.replace(
        "[model]",
        "[source.columns]\na = \"text\"\nb = \"int\"\n[model]",
    );
    assert_eq!(
        message(&columns, &[]),
        "x.toml:6: [source] columns.b: expected one of `integer`, `float`, `text`, `boolean`, \
         `date`, `timestamp`, found the string \"int\""
    );
    assert_eq!(
        message(QUEUE, &["source.columns={a = 1}"]),
        "--set source.columns.a: expected a string, found 1"
    );
    assert_eq!(
        message(QUEUE, &["source.columns=a"]),
        "--set source.columns: expected a table, found the string \"a\""
    );
    assert_eq!(
        message(QUEUE, &["source.on_conflict=fail"]),
        "--set source.on_conflict: expected `replace` or `ignore`, found the string \"fail\""
    );
    assert_eq!(
        message(POSTGRES, &["source.password_command=['a', 1]"]),
        "--set source.password_command, item 2: expected a string, found a value that is not shown"
    );
    assert_eq!(
        message(POSTGRES, &["source.password_command=a"]),
        "--set source.password_command: expected an array of strings, found a value that is not \
         shown"
    );
}

#[test]
fn secrets_of_a_source_are_not_shown() {
    let set = ["source.url=postgres://u:hunter2@h/d"];
    let job = load_text(POSTGRES, &set).unwrap();
    assert!(!format!("{job:?}").contains("hunter2"));
    let array = POSTGRES.replace("id_column", "url = ['hunter2']\nid_column");
    for (text, set) in [
        (JOB, "source.url=postgres://u:hunter2@h/d"),
        (&array, "run.workers=1"),
        (POSTGRES, "source.password_command=hunter2"),
        (POSTGRES, "source.columns={hunter2 = 'text'}"),
        (QUEUE, "source.columns={a = '${SECRET}'}"),
    ] {
        let failure = load_text(text, &[set]).unwrap_err();
        let shown = format!("{failure:?}").to_lowercase();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
