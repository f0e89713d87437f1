//! The file alone: its defaults, and what is said about its mistakes.

use super::*;

#[test]
fn the_smallest_job_has_documented_defaults() {
    let spec = File::new(JOB).load(None, &[]).ok().unwrap();
    assert_eq!(spec.schedule.timezone, "UTC");
    assert_eq!(spec.source.min_rows, 1);
    assert_eq!(spec.run.max_memory, 4 * 1024 * 1024 * 1024);
    assert_eq!(spec.errors.max_dead_letters.to_string(), "1%");
    assert!(spec.sink.database.is_none());
}

#[test]
fn an_unknown_key_names_its_line_the_keys_there_are_and_the_nearest() {
    let text = JOB.replace("id_column", "fliter = \"a\"\nid_column");
    let (message, class, hint) = refused(&text, None, &[]);
    assert_eq!(
        message,
        "x.toml:7: unknown key `fliter` in [source]; allowed: kind, path, table, where, query, url, \
         url_file, password_command, on_conflict, columns, strict_input, id_column, filter, transform, wait_for, \
         wait, min_rows"
    );
    assert_eq!(class, Class::Config);
    assert_eq!(hint.as_deref(), Some("did you mean `filter`?"));
}

#[test]
fn a_key_like_no_other_gets_no_guess() {
    let (_, _, hint) = refused(&format!("{JOB}\n[run]\nzzz = 1"), None, &[]);
    assert_eq!(hint, None);
}

#[test]
fn an_unknown_section_names_its_line_and_the_sections_there_are() {
    let (message, _, hint) = refused(&format!("{JOB}[sorce]\n"), None, &[]);
    assert_eq!(
        message,
        "x.toml:11: unknown section [sorce]; allowed: job, schedule, source, model, run, errors, \
         sink, retention, cost, drift, ground_truth, notify, alert, metrics, env"
    );
    assert_eq!(hint.as_deref(), Some("did you mean `source`?"));
}

#[test]
fn the_first_mistake_of_the_file_is_reported_first() {
    let text = format!("{JOB}[sink]\nzzz = 1\n[errors]\naaa = 1\n");
    assert!(message(&text).starts_with("x.toml:12: unknown key `zzz`"));
}

#[test]
fn a_wrong_value_names_line_key_and_what_was_expected() {
    for (section, line, expected) in [
        (
            "run",
            "batch_size = \"512\"",
            "expected a whole number, zero or more, found the string \"512\"",
        ),
        (
            "run",
            "batch_size = -1",
            "expected a whole number, zero or more, found -1",
        ),
        (
            "run",
            "batch_size = 1.5",
            "expected a whole number, zero or more, found 1.5",
        ),
        (
            "run",
            "batch_size = 99999999999999999999",
            "expected a whole number, zero or more, found 99999999999999999999",
        ),
        (
            "run",
            "max_memory = \"lots\"",
            "expected a size such as \"4GiB\" or \"512MiB\", found the string \"lots\"",
        ),
        (
            "run",
            "max_memory = -4",
            "expected a size such as \"4GiB\" or \"512MiB\", found -4",
        ),
        (
            "schedule",
            "grain = \"year\"",
            "expected one of `hour`, `day`, `week`, `month`, found the string \"year\"",
        ),
        ("schedule", "grain = 1", "expected a string, found 1"),
        (
            "model",
            "threshold = 1e999",
            "expected a smaller number, found 1e999",
        ),
        (
            "run",
            "workers = 9999999999999999999999999999999999999999",
            "expected a smaller number, found 9999999999999999999999999999999999999999",
        ),
        (
            "schedule",
            "catch_up = 99999999999",
            "expected a whole number, zero or more, found 99999999999",
        ),
        (
            "schedule",
            "date = 2026-11-23",
            "expected a string, found a date without quotes",
        ),
        (
            "schedule",
            "timezone = [\"UTC\"]",
            "expected a string, found an array",
        ),
        (
            "schedule",
            "timezone = { a = 1 }",
            "expected a string, found a table",
        ),
        (
            "errors",
            "duplicates = \"last\"",
            "expected `first` or `fail`, found the string \"last\"",
        ),
        (
            "errors",
            "max_dead_letters = \"5\"",
            "expected a count such as 100, or a share such as \"1%\" (0% to 100%, at most four decimals), found the string \"5\"",
        ),
    ] {
        let key = line.split(' ').next().unwrap();
        let text = if section == "model" {
            format!("{JOB}\n{line}\n")
        } else {
            format!("{JOB}[{section}]\n{line}\n")
        };
        assert_eq!(
            message(&text),
            format!("x.toml:12: [{section}] {key}: {expected}")
        );
    }
}

#[test]
fn wrong_values_of_source_and_model_are_told_alike() {
    for (from, to, expected) in [
        (
            "\"parquet\"",
            "\"csv\"",
            "x.toml:5: [source] kind: expected one of `parquet`, `postgres`, `queue`, found the string \"csv\"",
        ),
        (
            "\"flight_id\"",
            "true",
            "x.toml:7: [source] id_column: expected a string, found true",
        ),
        (
            "\"bundle\"",
            "7",
            "x.toml:10: [model] bundle: expected a string, found 7",
        ),
        (
            "\"bundle\"",
            "\"b\"\nprecision = \"f16\"",
            "x.toml:11: [model] precision: expected `f32` or `bf16`, found the string \"f16\"",
        ),
        (
            "\"bundle\"",
            "\"b\"\nthreshold = \"0.5\"",
            "x.toml:11: [model] threshold: expected a number, found the string \"0.5\"",
        ),
        (
            "\"flight_id\"",
            "\"id\"\nwait = \"a while\"",
            "x.toml:8: [source] wait: expected a duration such as \"30m\", \"1h 30m\" or \"7d\", found the string \"a while\"",
        ),
        (
            "\"flight_id\"",
            "\"id\"\nwait = \"-5m\"",
            "x.toml:8: [source] wait: expected a duration such as \"30m\", \"1h 30m\" or \"7d\", found the string \"-5m\"",
        ),
    ] {
        assert_eq!(message(&JOB.replace(from, to)), expected);
    }
}

#[test]
fn what_is_missing_is_named() {
    let text = JOB.replace("kind = \"parquet\"\n", "");
    assert_eq!(
        message(&text),
        "x.toml:4: [source]: the key `kind` is missing"
    );
    assert_eq!(
        message("[job]\nname = \"a\"\n"),
        "x.toml: the section [source] is missing"
    );
    assert_eq!(message(""), "x.toml: the section [job] is missing");
}

#[test]
fn what_is_not_toml_names_line_and_column() {
    assert!(
        message("[job]\nname = \"é\" x\n").starts_with("x.toml:2:12: "),
        "{}",
        message("[job]\nname = \"é\" x\n")
    );
    assert!(
        message("[job]\nname = \"a\"\nname = \"b\"\n").starts_with("x.toml:3:1: duplicate key")
    );
    assert!(message("[job").starts_with("x.toml:1:"));
}

#[test]
fn what_stands_outside_of_sections_is_refused() {
    assert!(
        message(&format!("name = \"a\"\n{JOB}")).starts_with("x.toml:1: `name` stands outside")
    );
    assert!(message(&format!("env = 1\n{JOB}")).starts_with("x.toml:1: `env` must hold overlays"));
    assert!(
        message(&format!("{JOB}[env]\nprod = 1"))
            .starts_with("x.toml:12: `env.prod` must hold sections")
    );
    assert!(
        message(&format!("{JOB}[env.prod]\nrun = 1"))
            .starts_with("x.toml:12: `env.prod.run` stands outside")
    );
    assert!(message(&format!("{JOB}[[run]]\n")).starts_with("x.toml:11: `run` stands outside"));
}

#[test]
fn a_file_that_cannot_be_read_is_told_apart() {
    let file = File::new("");
    for (path, class, part) in [
        (
            file.path.with_extension("yaml"),
            Class::Config,
            "no job file at ",
        ),
        (
            file.path.with_file_name(""),
            Class::Config,
            "is a directory",
        ),
        (file.path.join("below"), Class::Io, "cannot read "),
    ] {
        let options = LoadOptions {
            env: None,
            set: Vec::new(),
            variables: &|_| None,
        };
        let failure = load(&path, &options).err().unwrap();
        assert_eq!(failure.class(), class, "{failure}");
        assert!(failure.to_string().contains(part), "{failure}");
    }
    std::fs::write(&file.path, b"\xff\xfe").unwrap();
    let failure = file.load(None, &[]).err().unwrap();
    assert!(failure.to_string().contains("UTF-8"), "{failure}");
}
