use serde_json::{Value, json};

use super::yaml::{document, documents, manifests, python};
use super::{FINAL, TRIED_AGAIN, default_of, minute_of, seconds};

/// The oldest version that has all fields as stable, and the newest that the validator knows.
const VERSIONS: [&str; 2] = ["1.31.0", "1.37.0"];

const CRON_JOBS: [&str; 2] = ["kubernetes-cronjob.yaml", "kubernetes-cronjob-sqlite.yaml"];
const BACKFILL: &str = "kubernetes-backfill.yaml";

/// The specifications of all Jobs, with the file's name. Empty if nothing reads YAML here.
fn jobs() -> Vec<(&'static str, Value)> {
    let cron_jobs = CRON_JOBS
        .into_iter()
        .filter_map(|name| Some((name, document(name)?["spec"]["jobTemplate"]["spec"].take())));
    let backfill = document(BACKFILL).map(|mut job| (BACKFILL, job["spec"].take()));
    cron_jobs.chain(backfill).collect()
}

fn container(job: &Value) -> &Value {
    let containers = job["template"]["spec"]["containers"].as_array();
    let containers = containers.expect("containers");
    assert_eq!(containers.len(), 1);
    &containers[0]
}

/// What follows `--set=KEY=` among a container's arguments.
fn set<'job>(job: &'job Value, key: &str) -> Option<&'job str> {
    let option = format!("--set={key}=");
    let arguments = container(job)["args"].as_array().expect("arguments");
    let mut arguments = arguments.iter().filter_map(Value::as_str);
    arguments.find_map(|argument| argument.strip_prefix(&option))
}

/// Bytes of a size such as `768MiB` or, as Kubernetes writes it, `1Gi`.
fn bytes(size: &str) -> u64 {
    let size = size.trim_end_matches('B').to_owned() + "B";
    size.parse::<bytesize::ByteSize>().expect("a size").as_u64()
}

#[test]
fn the_manifests_are_what_kubernetes_takes_and_nothing_it_does_not_know() {
    for version in VERSIONS {
        let Some(mut python) = python() else { return };
        let validated = python
            .args(["-m", "kubernetes_validate", "--strict", "-k", version])
            .args(manifests())
            .output()
            .expect("the validator");
        let said = String::from_utf8_lossy(&validated.stdout);
        let complaints = String::from_utf8_lossy(&validated.stderr);
        assert!(validated.status.success(), "{said}{complaints}");
        assert_eq!(
            said.matches(" passed ").count(),
            manifests().len(),
            "{said}"
        );
    }
}

#[test]
fn a_mistake_in_a_manifest_is_found() {
    let Some(mut python) = python() else { return };
    let workspace = crate::harness::Workspace::new();
    let right = super::file(CRON_JOBS[0]);
    let wrong = workspace.write("wrong.yaml", right.replace("backoffLimit:", "backofLimit:"));
    let validated = python
        .args(["-m", "kubernetes_validate", "--strict", "-k", VERSIONS[0]])
        .arg(wrong)
        .output()
        .expect("the validator");
    assert!(!validated.status.success());
}

#[test]
fn nights_do_not_overlap_and_begin_at_the_minute_of_their_name() {
    for name in CRON_JOBS {
        let Some(cron_job) = document(name) else {
            return;
        };
        let spec = &cron_job["spec"];
        assert_eq!(spec["concurrencyPolicy"], "Forbid", "{name}");
        assert_eq!(spec["timeZone"], "Etc/UTC", "{name}");
        assert!(
            spec["startingDeadlineSeconds"].as_u64() >= Some(600),
            "{name}"
        );
        let schedule = spec["schedule"].as_str().expect("a schedule");
        schedule.parse::<croner::Cron>().expect("five fields");
        let job = cron_job["metadata"]["name"].as_str().expect("a name");
        let job = job.strip_prefix("lamplighter-").expect("a job's name");
        assert_eq!(schedule, format!("{} 2 * * *", minute_of(job)), "{name}");
    }
}

#[test]
fn every_exit_code_is_dealt_with_once_and_disruptions_first() {
    for (name, job) in jobs() {
        let rules = job["podFailurePolicy"]["rules"].as_array().expect("rules");
        let ignored = json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        assert_eq!(rules[0], ignored, "{name}");
        let codes = |actions: &[&str]| -> Vec<u8> {
            let rules = rules[1..].iter();
            let rules = rules.filter(|rule| {
                rule["action"]
                    .as_str()
                    .is_some_and(|action| actions.contains(&action))
            });
            let mut codes: Vec<u8> = rules
                .flat_map(|rule| {
                    let on = &rule["onExitCodes"];
                    assert_eq!(on["containerName"], container(&job)["name"], "{name}");
                    assert_eq!(on["operator"], "In", "{name}");
                    let values = on["values"].as_array().expect("codes");
                    assert!(values.is_sorted_by_key(|code| code.as_u64()), "{name}");
                    values
                        .iter()
                        .map(|code| code.as_u64().expect("a code") as u8)
                })
                .collect();
            codes.sort_unstable();
            codes
        };
        assert_eq!(codes(&["FailJob", "FailIndex"]), FINAL, "{name}");
        assert_eq!(codes(&["Count"]), TRIED_AGAIN, "{name}");
        if name == BACKFILL {
            // What concerns one date, or the time, leaves the other pods at their dates.
            assert_eq!(codes(&["FailIndex"]), [65, 66, 79, 80]);
        } else {
            assert_eq!(codes(&["FailIndex"]), [0_u8; 0], "{name}");
        }
        assert_eq!(job["template"]["spec"]["restartPolicy"], "Never", "{name}");
    }
}

#[test]
fn a_pod_has_time_to_finish_what_it_has_begun() {
    let grace = seconds(&default_of("run", "grace"));
    for (name, job) in jobs() {
        let given = job["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(
            given >= Some(3 * grace),
            "{name}: {given:?}, and [run] grace is {grace} s"
        );
        assert_eq!(set(&job, "run.grace"), None, "{name}");
    }
}

#[test]
fn finish_by_comes_before_the_cluster_ends_the_job() {
    for name in CRON_JOBS {
        let Some(cron_job) = document(name) else {
            return;
        };
        let spec = &cron_job["spec"];
        let job = &spec["jobTemplate"]["spec"];
        let of_day = |minute: &str, hour: &str| {
            let number = |text: &str| text.parse::<u64>().expect("a number");
            number(hour) * 3600 + number(minute) * 60
        };
        let fields: Vec<&str> = spec["schedule"]
            .as_str()
            .expect("a schedule")
            .split(' ')
            .collect();
        let ended =
            of_day(fields[0], fields[1]) + job["activeDeadlineSeconds"].as_u64().expect("a limit");
        let (hour, minute) = set(job, "schedule.finish_by")
            .and_then(|time| time.split_once(':'))
            .expect("a time");
        let grace = job["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(
            ended >= of_day(minute, hour) + grace.expect("seconds"),
            "{name}"
        );
    }
}

#[test]
fn a_pod_is_nobody_and_can_change_nothing() {
    for (name, job) in jobs() {
        let pod = &job["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true, "{name}");
        assert_eq!(security["runAsUser"], 10001, "{name}");
        assert_eq!(security["runAsGroup"], 10001, "{name}");
        assert_eq!(security["fsGroup"], 10001, "{name}");
        assert_eq!(
            security["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        let context = &container(&job)["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        let mounts = container(&job)["volumeMounts"].as_array().expect("mounts");
        for mount in mounts {
            let writable = ["temporary", "state"]
                .iter()
                .any(|known| mount["name"] == *known);
            assert!(writable || mount["readOnly"] == true, "{name}: {mount}");
        }
    }
}

#[test]
fn every_secret_is_a_file() {
    for (name, job) in jobs() {
        let environment = container(&job)["env"].as_array().expect("variables");
        for variable in environment {
            let value = variable["value"]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {variable} is not a plain value"));
            match variable["name"].as_str() {
                Some("DATABASE_URL") => assert!(value.starts_with("sqlite:///"), "{name}: {value}"),
                Some("DATABASE_URL_FILE") => {
                    let volumes = job["template"]["spec"]["volumes"]
                        .as_array()
                        .expect("volumes");
                    let secret = volumes
                        .iter()
                        .find(|volume| volume["secret"].is_object())
                        .expect("a secret");
                    assert_eq!(secret["secret"]["defaultMode"], 0o400, "{name}");
                    let mounts = container(&job)["volumeMounts"].as_array().expect("mounts");
                    let mount = mounts
                        .iter()
                        .find(|mount| mount["name"] == secret["name"])
                        .expect("a mount");
                    let place = mount["mountPath"].as_str().expect("a path");
                    assert!(value.starts_with(&format!("{place}/")), "{name}: {value}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_memory_that_a_run_takes_is_below_the_limit() {
    for (name, job) in jobs() {
        let limits = &container(&job)["resources"]["limits"];
        let limit = bytes(limits["memory"].as_str().expect("a limit"));
        let taken = bytes(set(&job, "run.max_memory").expect("max_memory"));
        assert!(taken < limit, "{name}: {taken} of {limit}");
        assert!(
            limits["cpu"].is_string(),
            "{name}: workers are one per core of it"
        );
    }
}

#[test]
fn the_pods_of_a_backfill_are_replaced_until_each_has_succeeded() {
    let Some(job) = document(BACKFILL) else {
        return;
    };
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!(spec["completions"], spec["parallelism"]);
    assert!(spec["backoffLimitPerIndex"].as_u64() > Some(0));
    assert!(spec["maxFailedIndexes"].as_u64() < spec["completions"].as_u64());
    assert_eq!(
        spec["backoffLimit"],
        Value::Null,
        "it would count for all pods together"
    );
}

#[test]
fn nothing_but_the_database_and_names_can_be_reached() {
    let Some(policy) = document("kubernetes-network-policy.yaml") else {
        return;
    };
    let spec = &policy["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], json!([]));
    let mut ports = Vec::new();
    for rule in spec["egress"].as_array().expect("rules") {
        assert!(
            rule["to"].as_array().is_some_and(|to| !to.is_empty()),
            "{rule}"
        );
        ports.extend(
            rule["ports"]
                .as_array()
                .expect("ports")
                .iter()
                .map(|port| port["port"].as_u64()),
        );
    }
    ports.dedup();
    assert_eq!(ports, [Some(5432), Some(53)]);
    for (name, job) in jobs() {
        let labels = &job["template"]["metadata"]["labels"];
        for (label, value) in spec["podSelector"]["matchLabels"]
            .as_object()
            .expect("labels")
        {
            assert_eq!(&labels[label], value, "{name}");
        }
    }
}

#[test]
fn the_image_has_the_version_of_the_program() {
    for path in manifests() {
        for document in documents(&path).into_iter().flatten() {
            let text = document.to_string();
            for image in text.split("\"image\":\"").skip(1) {
                let image = image.split('"').next().unwrap_or_default();
                let tag = image.rsplit(':').next();
                assert_eq!(tag, Some(env!("CARGO_PKG_VERSION")), "{}", path.display());
            }
        }
    }
}
