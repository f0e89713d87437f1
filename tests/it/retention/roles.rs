use super::{SOME, set_up};
use crate::harness::results::Results;

/// A login of this kind, as `db roles` has it, and what it is told when it does something.
fn login(results: &Results, kind: &str) -> String {
    let database = results.postgres().expect("Postgres");
    let login = format!("{kind}_of_{}", database.name());
    database.execute(&format!(
        "CREATE ROLE {login} LOGIN IN ROLE lamplighter_{kind}"
    ));
    login
}

#[test]
fn the_custodian_prunes_and_erases_and_the_runner_does_not() {
    let results = Results::in_postgres();
    set_up(&results, SOME);
    let printed = results.lamplighter(&["db", "roles"]).expect(0);
    let database = results.postgres().expect("Postgres");
    database.execute(&printed.stdout);
    let [runner, custodian, reader] =
        ["runner", "custodian", "reader"].map(|kind| login(&results, kind));
    let as_role = |role: &str, arguments: &[&str]| {
        let mut command = results.command(arguments);
        command.env("DATABASE_URL", database.url_as(role));
        crate::harness::Ended::of(&mut command)
    };
    let date = ["run", "job.toml", "--date", "2026-11-20"];
    as_role(&runner, &[&date[..], &["--limit", "2"]].concat()).expect(0);
    as_role(&runner, &date).expect(0);
    results.workspace.write("ids.txt", "alpha-17\nbravo-17\n");
    let prune = [
        "runs",
        "prune",
        "job.toml",
        "--set",
        "retention.runs=0s",
        "--set",
        "retention.dead_letters=0s",
    ];
    let erase = ["records", "erase", "--ids", "ids.txt", "--key-file", "key"];

    let before = results.everything_stored();
    for command in [&prune[..], &erase] {
        as_role(&runner, command).expect(77).says(&[
            "permission denied",
            "`lamplighter db roles`",
            "lamplighter_custodian",
        ]);
        as_role(&runner, &[command, &["--dry-run"]].concat()).expect(0);
        as_role(&custodian, &[command, &["--dry-run"]].concat()).expect(0);
    }
    assert!(results.everything_stored() == before);

    as_role(&custodian, &erase).expect(0);
    as_role(&custodian, &prune).expect(0);
    as_role(&custodian, &["runs", "verify"]).expect(0);
    as_role(&runner, &["runs", "verify"]).expect(0);
    assert_eq!(super::runs(&results), ["20#2 completed published"]);
    assert_eq!(super::seen(&results).len(), 3);
    // That dates were pruned is known to whoever asks for missing ones.
    for role in [&runner, &reader] {
        as_role(role, &["runs", "list", "--missing"]).expect(0);
    }
    // The name of the pruned trial is known to the runner.
    as_role(&runner, &["run", "job.toml", "--date", "2026-11-21"]).expect(0);
    as_role(&custodian, &["run", "job.toml", "--date", "2026-11-22"]).expect(77);
    for sql in [
        "INSERT INTO predictions (run_id, record_id, ordinal) VALUES (2, 'x', 0)",
        "UPDATE predictions SET score = 0",
        "INSERT INTO dead_letters VALUES (2, 0, 'x', 'read', 'x', NULL, '')",
        "UPDATE publications SET run_id = 1",
        "DELETE FROM publications",
        "DELETE FROM tombstones",
        "UPDATE tombstones SET token = ''",
        "UPDATE runs SET publication = 'published'",
        "UPDATE runs SET state = 'completed'",
        "UPDATE shards SET state = 'completed'",
        "UPDATE queue SET payload = '{}'",
        "CREATE TABLE mine (id bigint)",
    ] {
        let error = database
            .session_as(&custodian)
            .try_execute(&format!("SET search_path = lamplighter; {sql}"))
            .expect_err("a refusal");
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
    }
}
