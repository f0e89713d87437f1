//! What is laid over the file: overlays, `--set`, variables; and what is kept out of messages.

use super::*;

#[test]
fn an_overlay_replaces_single_values_and_set_replaces_the_overlay() {
    let text = format!(
        "{JOB}[run]\nbatch_size = 1\nworkers = 1\nshard_size = 1\n[env.prod.run]\nbatch_size = 2\nworkers = 2\n"
    );
    let spec = File::new(&text)
        .load(Some("prod"), &["run.batch_size=3"])
        .ok()
        .unwrap();
    assert_eq!(
        (spec.run.batch_size, spec.run.workers, spec.run.shard_size),
        (3, 2, Some(1))
    );
    let spec = File::new(&text).load(None, &[]).ok().unwrap();
    assert_eq!((spec.run.batch_size, spec.run.workers), (1, 1));
}

#[test]
fn an_overlay_may_complete_the_job() {
    let text = JOB.replace("[model]", "[env.dev.model]");
    let spec = File::new(&text).load(Some("dev"), &[]).ok().unwrap();
    assert_eq!(spec.model.bundle, PathBuf::from("bundle"));
    assert_eq!(message(&text), "x.toml: the section [model] is missing");
    let spec = File::new(&text)
        .load(None, &["model.bundle=other"])
        .ok()
        .unwrap();
    assert_eq!(spec.model.bundle, PathBuf::from("other"));
}

#[test]
fn an_unknown_environment_lists_those_there_are() {
    let text = format!("{JOB}[env.prod.run]\n[env.staging.run]\n");
    let (message, class, hint) = refused(&text, Some("prd"), &[]);
    assert_eq!(
        message,
        "x.toml: no environment `prd`; there are: prod, staging"
    );
    assert_eq!(
        (class, hint.as_deref()),
        (Class::Config, Some("did you mean `prod`?"))
    );
    let (message, _, _) = refused(JOB, Some("prod"), &[]);
    assert!(
        message.contains("the file has no [env.…] sections"),
        "{message}"
    );
}

#[test]
fn mistakes_in_overlays_that_are_not_chosen_are_found() {
    for (overlay, expected) in [
        (
            "[env.prod.run]\nworker = 1",
            "x.toml:12: unknown key `worker` in [env.prod.run]; allowed: batch_size",
        ),
        (
            "[env.prod.rum]\nworkers = 1",
            "x.toml:11: unknown section [env.prod.rum]; allowed: job, schedule, source, model, run, errors, sink, retention, cost, drift, ground_truth, notify, alert, metrics",
        ),
        (
            "[env.prod.env.run]\nworkers = 1",
            "x.toml:11: unknown section [env.prod.env]",
        ),
        (
            "[env.prod.run]\nworkers = \"${N}\"\nbatch_size = \"a\"",
            "x.toml:13: [env.prod.run] batch_size: expected a whole number",
        ),
    ] {
        let message = message(&format!("{JOB}{overlay}\n"));
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn variables_of_overlays_that_are_not_chosen_need_not_be_set() {
    let text = format!(
        "{JOB}[env.prod.sink]\ndatabase = \"${{NOWHERE}}\"\n[env.prod.schedule]\ngrain = \"${{NOWHERE}}\"\n"
    );
    assert!(File::new(&text).load(None, &[]).is_ok());
    let (message, class, _) = refused(&text, Some("prod"), &[]);
    assert_eq!(
        message,
        "x.toml:12: [sink] database: the environment variable `NOWHERE` is not set, or not UTF-8"
    );
    assert_eq!(class, Class::Config);
}

#[test]
fn variables_are_replaced_in_any_string() {
    let text = JOB.replace("flights.parquet", "in/${SECRET}/$${x}.parquet");
    let spec = File::new(&text)
        .load(None, &["sink.database=sqlite://${SECRET}"])
        .ok()
        .unwrap();
    assert_eq!(spec.source.path.as_deref(), Some("in/hunter2/${x}.parquet"));
    assert_eq!(spec.sink.database.as_deref(), Some("sqlite://hunter2"));
    let set = "sink.password_command=['cat', '${SECRET}', '$${x}']";
    let spec = File::new(JOB).load(None, &[set]).ok().unwrap();
    let command = spec.sink.password_command.unwrap();
    assert_eq!(command, ["cat", "hunter2", "${x}"]);
}

#[test]
fn set_takes_text_without_quotes_where_a_key_wants_text() {
    let file = File::new(JOB);
    let set = [
        "schedule.date=2026-11-23",
        "job.name=2026",
        "source.path=in/*.parquet",
        "source.filter=a = 'b'",
        "source.wait=\"30m\"",
        "errors.max_dead_letters=5%",
        "run.max_memory=1024",
        "model.bundle=true",
        "model.threshold=1",
    ];
    let spec = file.load(None, &set).ok().unwrap();
    assert_eq!(spec.schedule.date, "2026-11-23");
    assert_eq!(spec.job.name, "2026");
    assert_eq!(spec.source.path.as_deref(), Some("in/*.parquet"));
    assert_eq!(spec.source.filter.as_deref(), Some("a = 'b'"));
    assert_eq!(spec.source.wait.as_secs(), 1800);
    assert_eq!(spec.errors.max_dead_letters.to_string(), "5%");
    assert_eq!(spec.run.max_memory, 1024);
    assert_eq!(spec.model.bundle, PathBuf::from("true"));
    assert_eq!(spec.model.threshold, Some(1.0));
    let spec = file
        .load(None, &["run.workers=1", "run.workers=2"])
        .ok()
        .unwrap();
    assert_eq!(spec.run.workers, 2);
}

#[test]
fn a_wrong_set_is_a_usage_error_that_names_it() {
    for (set, expected) in [
        (
            "run.batch_size",
            "--set run.batch_size: expected SECTION.KEY=VALUE",
        ),
        (
            "batch_size=1",
            "--set batch_size: expected SECTION.KEY=VALUE",
        ),
        (
            "env.prod.run=1",
            "--set env.prod.run: expected SECTION.KEY=VALUE",
        ),
        (".a=1", "--set .a: expected SECTION.KEY=VALUE"),
        (
            "run.batch_size=many",
            "--set run.batch_size: expected a whole number, zero or more, found the string \"many\"",
        ),
        (
            "run.batch_sizes=1",
            "--set run.batch_sizes: unknown key `batch_sizes` in [run]; allowed: batch_size, batch_tokens, shard_size, workers, max_memory, lease, grace, shard_timeout",
        ),
        (
            "rum.workers=1",
            "--set: unknown section [rum]; allowed: job, schedule, source, model, run, errors, sink, retention, cost, drift, ground_truth, notify, alert, metrics",
        ),
        (
            "job.name=${NOWHERE}",
            "--set job.name: the environment variable `NOWHERE` is not set, or not UTF-8",
        ),
    ] {
        let (message, class, _) = refused(JOB, None, &[set]);
        assert_eq!((message.as_str(), class), (expected, Class::Usage));
    }
}

#[test]
fn secrets_never_appear_in_messages() {
    for (text, set) in [
        (JOB.replace("\"parquet\"", "\"${SECRET}\""), vec![]),
        (format!("{JOB}[sink]\ndatabase = [\"hunter2\"]"), vec![]),
        (format!("{JOB}[sink]\ndatabase = \"hunter2"), vec![]),
        (
            format!("{JOB}[sink]\ndatabase = \"hunter2\" hunter2"),
            vec![],
        ),
        (
            format!("{JOB}[sink]\ndatabase = \"hunter2/${{NOWHERE}}\""),
            vec![],
        ),
        (format!("{JOB}[sink]\ndatabase = 2"), vec![]),
        (JOB.to_owned(), vec!["sink.password_command=hunter2"]),
        (JOB.to_owned(), vec!["sink.password_command=['hunter2', 1]"]),
        (
            JOB.to_owned(),
            vec!["sink.password_command=['a', '${hunter2']"],
        ),
        (JOB.to_owned(), vec!["sink.databas=hunter2"]),
        (JOB.to_owned(), vec!["sink=hunter2"]),
        (JOB.to_owned(), vec!["sink.database=${hunter2"]),
        (JOB.to_owned(), vec!["run.max_memory=${SECRET}"]),
    ] {
        let (message, _, hint) = refused(&text, None, &set);
        let shown = format!("{message} {}", hint.unwrap_or_default());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let (message, _, _) = refused(&JOB.replace("\"parquet\"", "\"${SECRET}\""), None, &[]);
    assert_eq!(
        message,
        "x.toml:5: [source] kind: expected one of `parquet`, `postgres`, `queue`, found the value of `${SECRET}`"
    );
}

#[test]
fn a_database_of_the_wrong_type_is_not_shown_either() {
    let (message, _, _) = refused(&format!("{JOB}[sink]\ndatabase = 4711"), None, &[]);
    assert_eq!(
        message,
        "x.toml:12: [sink] database: expected a string, found a value that is not shown"
    );
}

#[test]
fn a_value_that_is_replaced_needs_no_variables() {
    let text = JOB.replace("flights.parquet", "${NOWHERE}");
    let spec = File::new(&text).load(None, &["source.path=a.parquet"]);
    assert_eq!(spec.ok().unwrap().source.path.as_deref(), Some("a.parquet"));
}

#[test]
fn a_literal_dollar_brace_is_checked_like_any_text() {
    let text = format!("{JOB}[schedule]\ngrain = \"$${{x}}\"\n");
    assert_eq!(
        message(&text),
        "x.toml:12: [schedule] grain: expected one of `hour`, `day`, `week`, `month`, found the \
         string \"${x}\""
    );
}
