//! Where results go, how long things are kept and how long a process may be silent.

use super::*;

#[test]
fn a_sink_arrives_as_it_is_written() {
    let job = load_text(
        JOB,
        &[
            "sink.database=postgres://host/db",
            "sink.schema=team_a",
            "sink.connections=64",
            "sink.retry_for=5m",
            "sink.password_command=['cat', '/run/secrets/password']",
            "run.lease=1h",
            "retention.queue=2w",
        ],
    )
    .unwrap();
    assert_eq!(job.sink.database.as_deref(), Some("postgres://host/db"));
    assert_eq!(job.sink.schema, "team_a");
    assert_eq!(job.sink.connections, 64);
    assert_eq!(job.sink.retry_for, Duration::from_secs(300));
    let command = job.sink.password_command.unwrap();
    assert_eq!(command, ["cat", "/run/secrets/password"]);
    assert_eq!(job.lease, Duration::from_secs(3_600));
    assert_eq!(job.retention.queue, Duration::from_secs(14 * 86_400));
    let job = load_text(JOB, &["retention.queue=0s"]).unwrap();
    assert_eq!(job.retention.queue, Duration::ZERO);
    assert!(job.retention.runs.is_none() && job.retention.dead_letters.is_none());
}

#[test]
fn what_is_to_be_pruned_is_said_key_by_key() {
    let job = load_text(
        JOB,
        &[
            "retention.runs=90d",
            "retention.keep_runs=10",
            "retention.dead_letters=4w",
        ],
    )
    .unwrap();
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    assert_eq!(job.retention.runs, days(90));
    assert_eq!(job.retention.keep_runs, 10);
    assert_eq!(job.retention.dead_letters, days(28));
    assert_eq!(job.retention.profiles, None);
    assert_eq!(job.retention.reports, None);
    let failure = load_text(JOB, &["retention.keep_runs=10"]).unwrap_err();
    assert!(failure.to_string().contains("spares runs"), "{failure}");
    assert!(load_text(JOB, &["retention.runs=90"]).is_err());
}

#[test]
fn a_schema_is_a_plain_word_that_is_not_postgres_own() {
    let long = "a".repeat(63);
    for name in ["lamplighter", "_", "team_a", "a1", "pg", &long] {
        let set = format!("sink.schema={name}");
        assert!(load_text(JOB, &[&set]).is_ok(), "{name}");
    }
    let too_long = "a".repeat(64);
    for name in [
        "",
        "Team",
        "1a",
        "pg_",
        "pg_temp",
        "information_schema",
        "a b",
        "a.b",
        "a-b",
        "ä",
        &too_long,
    ] {
        let failure = load_text(JOB, &[&format!("sink.schema='{name}'")]).unwrap_err();
        let message = failure.to_string();
        assert!(
            message.starts_with("--set sink.schema: expected up to 63"),
            "{message}"
        );
    }
}

#[test]
fn commands_that_name_no_program_are_refused() {
    for command in ["[]", "['']", "[' ', 'a']"] {
        let set = format!("sink.password_command={command}");
        let failure = load_text(JOB, &[&set]).unwrap_err();
        let start = "--set sink.password_command: must name a program";
        assert!(failure.to_string().starts_with(start), "{failure}");
    }
}
