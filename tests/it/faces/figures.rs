use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::alerts::{DATE, bad_rows, notify, put, put_job, rule};
use crate::harness::programs::{is_left_out, tool};
use crate::harness::receiver::Receiver;
use crate::harness::results::Results;
use crate::harness::{Ended, repository};

/// One of Prometheus' programs; `None` if it could not be fetched.
fn program(name: &str) -> Option<PathBuf> {
    let path = tool("prometheus/usr/bin").join(name);
    (!is_left_out(path.is_file(), "TEST_WITHOUT_PROMETHEUS")).then_some(path)
}

/// A server of Prometheus' that ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(program: PathBuf, arguments: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let child = Command::new(program)
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let mut server = Self { child, address };
        while server.get("/metrics").is_none() {
            let ended = server.child.try_wait().expect("a server");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The body of a page; `None` as long as nobody answers.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = std::net::TcpStream::connect(&self.address).ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).ok()?;
        answer.starts_with("HTTP/1.0 200").then_some(answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn put_bad_night(results: &Results, metrics: &str) {
    let more = rule("drift", "psi > 0.25", "column = \"distance\"")
        + "[errors]\nmax_dead_letters = \"5%\"\n[cost]\nper_hour = 1.0\n[schedule]\nfinish_by = \"06:00\"\n"
        + metrics;
    put(results, &bad_rows(), &more);
}

fn run(results: &Results, code: i32) {
    results
        .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
        .expect(code);
}

#[test]
fn the_file_is_as_prometheus_wants_it_and_node_exporter_serves_it() {
    for results in Results::in_each() {
        let directory = results.workspace.path("collector");
        fs::create_dir(&directory).expect("a directory");
        let receiver = Receiver::answering(&[]);
        let metrics = "[metrics]\ntextfile = \"collector/flights.prom\"\n".to_owned();
        put_bad_night(&results, &(metrics + &notify(&receiver.url("/"))));
        run(&results, 0);
        let file = directory.join("flights.prom");
        let text = fs::read_to_string(&file).expect("the file");
        for line in [
            "lamplighter_run_published{job_name=\"flights\"} 1",
            "lamplighter_alert_firing{job_name=\"flights\",rule=\"drift\",severity=\"warning\"} 1",
            "lamplighter_run_exit_code{job_name=\"flights\"} 0",
            // What was delivered is not owed.
            "lamplighter_deliveries_pending{job_name=\"flights\"} 0",
        ] {
            assert!(
                text.lines().any(|found| found.starts_with(line)),
                "{line}: {text}"
            );
        }
        for name in [
            "lamplighter_run_last_success_timestamp_seconds",
            "lamplighter_run_duration_seconds",
            "lamplighter_run_dead_letters",
            "lamplighter_batch_duration_seconds_bucket",
            "lamplighter_drift_psi",
            "lamplighter_run_cost",
            "lamplighter_run_past_finish_by_seconds",
        ] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert_eq!(
            fs::read_dir(&directory).expect("it").count(),
            1,
            "nothing is left beside it"
        );

        // A start that has nothing to do writes it again, if it is gone.
        fs::remove_file(&file).expect("a file");
        run(&results, 0);
        assert!(file.is_file());

        let Some(promtool) = program("promtool") else {
            continue;
        };
        let mut check = Command::new(promtool);
        check
            .args(["check", "metrics"])
            .stdin(fs::File::open(&file).expect("the file"));
        let checked = Ended::of(&mut check).expect(0);
        assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
        let Some(exporter) = program("prometheus-node-exporter") else {
            continue;
        };
        let server = Server::start(
            exporter,
            &[
                "--collector.disable-defaults".to_owned(),
                "--collector.textfile".to_owned(),
                format!("--collector.textfile.directory={}", directory.display()),
            ],
        );
        let served = server.get("/metrics").expect("figures");
        assert!(
            served.contains("lamplighter_run_published{job_name=\"flights\"} 1"),
            "{served}"
        );
        assert!(served.contains("node_textfile_scrape_error 0"), "{served}");
    }
}

#[test]
fn a_pushgateway_takes_them_and_one_that_is_down_costs_no_run() {
    let results = Results::in_sqlite();
    put_bad_night(
        &results,
        "[metrics]\npushgateway = \"http://127.0.0.1:9/secret\"\n",
    );
    let ended = results
        .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
        .expect(0);
    assert!(
        ended
            .stderr
            .contains("cannot push to [metrics] pushgateway"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("secret"), "{ended}");
    let Some(gateway) = program("prometheus-pushgateway") else {
        return;
    };
    let server = Server::start(gateway, &[]);
    put_job(
        &results,
        &format!(
            "[errors]\nmax_dead_letters = \"5%\"\n[metrics]\npushgateway = \"http://{}\"\n",
            server.address
        ),
    );
    let ended = results
        .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
        .expect(0);
    assert!(!ended.stderr.contains("cannot push"), "{ended}");
    let served = server.get("/metrics").expect("figures");
    let has = |line: &str| served.lines().any(|found| found.starts_with(line));
    assert!(has("lamplighter_run_published{"), "{served}");
    assert!(
        served.contains("job=\"lamplighter\",job_name=\"flights\""),
        "{served}"
    );
}

#[test]
fn of_a_night_that_failed_the_last_success_stays_what_it_was() {
    for results in Results::in_each() {
        let metrics = "[metrics]\ntextfile = \"flights.prom\"\n";
        put_bad_night(&results, metrics);
        run(&results, 0);
        let read = |name: &str| -> f64 {
            let text =
                fs::read_to_string(results.workspace.path("flights.prom")).expect("the file");
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .expect("the figure");
            line.rsplit(' ')
                .next()
                .expect("a value")
                .parse()
                .expect("a number")
        };
        let success = "lamplighter_run_last_success_timestamp_seconds{";
        let before = read(success);
        put_job(
            &results,
            &("[errors]\nmax_dead_letters = 1\n".to_owned() + metrics),
        );
        results
            .lamplighter(&["run", "job.toml", "--date", "2013-11-02"])
            .expect(65);
        assert_eq!(read(success), before);
        assert_eq!(read("lamplighter_run_exit_code{"), 65.0);
        assert_eq!(read("lamplighter_run_published{"), 0.0);
    }
}

#[test]
fn rules_and_dashboard_are_sound_and_name_figures_that_there_are() {
    let Some(promtool) = program("promtool") else {
        return;
    };
    let results = Results::in_sqlite();
    put_bad_night(&results, "[metrics]\ntextfile = \"flights.prom\"\n");
    run(&results, 0);
    let mut check = Command::new(repository().join("tests/dashboard.sh"));
    check
        .arg(results.workspace.path("flights.prom"))
        .env("PROMTOOL", promtool);
    Ended::of(&mut check).expect(0);
}
