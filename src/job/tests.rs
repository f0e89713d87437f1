mod sink;
mod source;

use super::*;
use crate::error::Class;

const JOB: &str = r#"
[job]
name = "flight-delay"
[source]
kind = "parquet"
path = "flights/*.parquet"
id_column = "flight_id"
[model]
bundle = "bundle"
"#;

fn variables(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "Hunter2{date:%Q}".to_owned())
}

fn options(set: &[&str]) -> LoadOptions<'static> {
    LoadOptions {
        env: None,
        set: set.iter().map(|set| set.to_string()).collect(),
        variables: &variables,
    }
}

fn load_text(text: &str, set: &[&str]) -> Result<Job, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    Job::load(&path, &options(set))
}

fn spec_of(text: &str, set: &[&str]) -> Result<JobSpec, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    load::load(&path, &options(set)).map(|(spec, _)| spec)
}

#[test]
fn a_whole_job_arrives_as_it_is_written() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let text = format!(
        r#"
        [job]
        name = "a"
        [schedule]
        timezone = "Europe/Berlin"
        date = "-1d"
        grain = "week"
        catch_up = 0
        [source]
        kind = "parquet"
        path = "in/{{date:%Y}}/*.parquet"
        id_column = "id"
        filter = "a > 1"
        transform = "a / 2 AS b"
        wait_for = "in/{{date}}/_SUCCESS"
        wait = "1h 30m"
        min_rows = 0
        [model]
        bundle = "models/a"
        digest = "{digest}"
        precision = "f32"
        threshold = 0.4
        [run]
        batch_size = 65536
        shard_size = 1000000
        workers = 1024
        max_memory = "512MiB"
        [errors]
        max_dead_letters = 7
        duplicates = "fail"
        [sink]
        database = "sqlite://a.db"
        "#
    );
    let job = load_text(&text, &[]).unwrap();
    assert_eq!(job.name, "a");
    assert_eq!(job.schedule.timezone_name, "Europe/Berlin");
    assert_eq!(
        (job.schedule.grain, job.schedule.catch_up),
        (Grain::Week, 0)
    );
    let monday = job
        .schedule
        .resolve(None, "2026-11-23T01:00:00Z".parse().unwrap())
        .unwrap();
    assert_eq!(monday.to_string(), "2026-11-16");
    let SourceKind::Parquet { path, .. } = &job.source.kind else {
        panic!("another kind");
    };
    assert_eq!(path, "in/{date:%Y}/*.parquet");
    assert_eq!(job.source.id_column, "id");
    assert_eq!(job.source.filter.as_deref(), Some("a > 1"));
    assert_eq!(job.source.transform.as_deref(), Some("a / 2 AS b"));
    assert_eq!(job.source.wait_for.as_deref(), Some("in/{date}/_SUCCESS"));
    assert_eq!(
        (job.source.wait, job.source.min_rows),
        (Duration::from_secs(5400), 0)
    );
    assert_eq!(job.model.bundle, PathBuf::from("models/a"));
    assert_eq!(job.model.digest, Some(digest));
    assert_eq!(
        (job.model.threshold, job.model.precision),
        (Some(0.4), Precision::F32)
    );
    assert_eq!(
        (job.batch_size, job.shard_size, job.workers),
        (65_536, Some(1_000_000), 1_024)
    );
    assert_eq!(job.max_memory_bytes, 512 * 1024 * 1024);
    assert_eq!(job.max_dead_letters, DeadLetterLimit::Count(7));
    assert_eq!(job.duplicates, DuplicatePolicy::Fail);
    assert_eq!(job.sink.database.as_deref(), Some("sqlite://a.db"));
}

#[test]
fn names_are_those_that_identifiers_may_have() {
    let long = "a".repeat(63);
    for name in ["a", "0", "flight-delay_2", &long] {
        assert!(
            load_text(JOB, &[&format!("job.name={name}")]).is_ok(),
            "{name}"
        );
    }
    let too_long = "a".repeat(64);
    for name in [
        "", "-a", "_a", "Flight", "a b", "a/b", "a.b", "é", &too_long,
    ] {
        let failure = load_text(JOB, &[&format!("job.name='{name}'")]).unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("--set job.name: expected up to 63"),
            "{failure}"
        );
    }
}

#[test]
fn values_out_of_range_are_refused_with_place_and_range() {
    for (key, value, part) in [
        ("run.batch_size", "0", "expected 1 to 65536, found 0"),
        (
            "run.batch_size",
            "65537",
            "expected 1 to 65536, found 65537",
        ),
        ("run.shard_size", "0", "expected 1 to 1000000, found 0"),
        (
            "run.shard_size",
            "1000001",
            "expected 1 to 1000000, found 1000001",
        ),
        ("run.workers", "1025", "expected 0 to 1024, found 1025"),
        ("run.max_memory", "0", "must be more than nothing"),
        ("run.lease", "1999ms", "expected 2s to 3600s, found 1.999s"),
        ("run.lease", "2h", "expected 2s to 3600s, found 7200s"),
        ("sink.connections", "0", "expected 1 to 64, found 0"),
        ("sink.connections", "65", "expected 1 to 64, found 65"),
        (
            "model.threshold",
            "1.01",
            "expected a number between 0 and 1, found 1.01",
        ),
        ("model.threshold", "-0.5", "found -0.5"),
        ("model.threshold", "nan", "found NaN"),
        ("model.bundle", "", "must not be empty"),
        (
            "model.digest",
            "sha256:0A",
            "64 lower-case hexadecimal digits, found the string \"sha256:0A\"",
        ),
        ("source.path", " ", "must not be empty"),
        ("source.id_column", "", "must not be empty"),
        ("source.filter", "", "must not be empty"),
        ("source.transform", "", "must not be empty"),
        ("source.wait_for", "", "must not be empty"),
        (
            "source.path",
            "in/{date:%Q}",
            "`{date:%Q}` is not a date format",
        ),
        ("source.wait_for", "in/{date:%Y", "is not closed"),
        ("sink.database", "", "must not be empty"),
        (
            "schedule.timezone",
            "Europe/Berln",
            "there is no such time zone; found the string \"Europe/Berln\"",
        ),
        ("schedule.date", "tomorrow", "found the string \"tomorrow\""),
    ] {
        let failure = load_text(JOB, &[&format!("{key}={value}")]).unwrap_err();
        assert_eq!(failure.class(), Class::Usage);
        assert!(
            failure.to_string().starts_with(&format!("--set {key}: ")),
            "{failure}"
        );
        assert!(failure.to_string().contains(part), "{failure}");
    }
}

#[test]
fn a_value_of_the_file_is_refused_with_its_line() {
    let failure = load_text(&format!("{JOB}[run]\nworkers = 9999\n"), &[]).unwrap_err();
    assert!(
        failure
            .to_string()
            .ends_with("x.toml:11: [run] workers: expected 0 to 1024, found 9999")
    );
    assert_eq!(failure.class(), Class::Config);
}

#[test]
fn hours_need_utc() {
    assert!(load_text(JOB, &["schedule.grain=hour"]).is_ok());
    let text = format!("{JOB}[schedule]\ngrain = \"hour\"\ntimezone = \"Europe/Berlin\"\n");
    let failure = load_text(&text, &[]).unwrap_err();
    assert_eq!(failure.class(), Class::Config);
    assert!(
        failure
            .to_string()
            .contains("x.toml:12: [schedule] timezone: the grain `hour` needs UTC"),
        "{failure}"
    );
}

#[test]
fn a_refused_value_that_may_be_a_secret_is_not_shown() {
    for key in [
        "job.name",
        "schedule.timezone",
        "schedule.date",
        "model.digest",
        "source.path",
        "source.wait_for",
    ] {
        let failure = load_text(JOB, &[&format!("{key}=${{SECRET}}")]).unwrap_err();
        assert!(failure.to_string().contains("${SECRET}"), "{failure}");
        let shown = format!("{failure:?}");
        assert!(
            !shown.contains("unter2") && !shown.contains("%Q"),
            "{shown}"
        );
    }
    let job = load_text(JOB, &["sink.database=sqlite://hunter2"]).unwrap();
    assert!(!format!("{job:?}").contains("hunter2"));
}

const README: &str = include_str!("../../jobs/README.md");

/// Section, key, type and default of each row of the README's table of keys.
fn documented() -> Vec<[String; 4]> {
    let rows = README.lines().filter(|line| line.starts_with("| `["));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
        let mut cell = || cells.next().unwrap();
        let [section, key, kind, default] = [cell(), cell(), cell(), cell()];
        let section = section.trim_matches(['`', '[', ']']).to_owned();
        [section, key.trim_matches('`').to_owned(), kind, default]
    })
    .collect()
}

#[test]
fn the_readme_has_every_key_and_no_other() {
    let allowed_after = |assignment: &str| {
        // Rules can not be named by --set.
        let message = match assignment.strip_prefix("alert.") {
            Some(line) => spec_of(&format!("{JOB}\n[[alert]]\n{line}\n"), &[]),
            None => spec_of(JOB, &[assignment]),
        };
        let message = message.err().unwrap().to_string();
        let (_, names) = message.split_once("allowed: ").unwrap();
        names.split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let mut keys = Vec::new();
    for section in allowed_after("nothing.nothing=1") {
        for key in allowed_after(&format!("{section}.nothing=1")) {
            keys.push((section.clone(), key));
        }
    }
    let documented: Vec<_> = documented()
        .into_iter()
        .map(|[section, key, ..]| (section, key))
        .collect();
    assert_eq!(documented, keys);
}

const RULE: &str = "\n[[alert]]\nname = \"a\"\nmetric = \"planned\"\nop = \">\"\nvalue = 0\n";

#[test]
fn the_defaults_of_the_readme_are_the_defaults() {
    for [section, key, _, default] in documented() {
        // A section that may be left out says nothing of its keys unless it is there.
        let job = match section.as_str() {
            "cost" => format!("{JOB}\n[cost]\nper_hour = 1\n"),
            "alert" => format!("{JOB}{RULE}"),
            _ => JOB.to_owned(),
        };
        match default
            .strip_prefix('`')
            .and_then(|default| default.strip_suffix('`'))
        {
            Some(default) => {
                let written = match section.as_str() {
                    "alert" => spec_of(&format!("{job}{key} = {default}\n"), &[]),
                    _ => spec_of(&job, &[&format!("{section}.{key}={default}")]),
                };
                let written = written.ok().unwrap();
                assert!(
                    written == spec_of(&job, &[]).ok().unwrap(),
                    "{section}.{key}"
                );
            }
            None if default == "required" => {
                let without: String = job
                    .lines()
                    .filter(|line| !line.starts_with(&format!("{key} ")))
                    .map(|line| format!("{line}\n"))
                    .collect();
                let failure = load_text(&without, &[]).unwrap_err();
                assert!(
                    failure.to_string().contains(&format!("`{key}` is missing")),
                    "{failure}"
                );
            }
            None => {
                assert_eq!(default, "none");
                assert!(spec_of(&job, &[]).is_ok());
            }
        }
    }
}

#[test]
fn the_smallest_job_of_the_readme_is_one() {
    let (_, rest) = README.split_once("```toml\n").unwrap();
    let (text, rest) = rest.split_once("```").unwrap();
    assert_eq!(load_text(text, &[]).unwrap().name, "flight-delay");
    let (_, rest) = rest.split_once("```toml\n").unwrap();
    let (overlay, _) = rest.split_once("```").unwrap();
    assert!(load_text(&format!("{text}{overlay}"), &[]).is_ok());
}

#[test]
fn every_job_file_that_comes_with_the_sources_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let jobs: Vec<_> = files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| Job::load(&path, &options(&[])).unwrap().name)
        .collect();
    assert!(jobs.contains(&"flight-delay-queue".to_owned()), "{jobs:?}");
    assert!(jobs.len() > 5, "{jobs:?}");
}
