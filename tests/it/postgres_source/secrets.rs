//! Passwords of the source: used, and never seen again.

use super::{DATE, job, numbered, run};
use crate::harness::linear_bundle;
use crate::harness::postgres::Cluster;
use crate::harness::results::Results;

const PASSWORD: &str = "canary-7f3a";

#[test]
fn the_password_in_a_url_is_never_shown() {
    let cluster = Cluster::start(&["listen_addresses = '127.0.0.1'"]);
    let database = cluster.database();
    database.execute(&numbered("t", 3));
    database.execute(&format!(
        "CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON t TO reader"
    ));
    cluster.authenticate(&["host all all 127.0.0.1/32 scram-sha-256"]);
    let url = |password: &str| {
        let (port, name) = (cluster.port(), database.name());
        format!("postgres://reader:{password}@127.0.0.1:{port}/{name}?sslmode=disable")
    };
    for results in Results::in_each() {
        let bundle = results.workspace.path("bundle");
        linear_bundle(&bundle, &[("x", 2.0)], 1.0, "");
        results.workspace.write("password", format!("{PASSWORD}\n"));
        results.workspace.write("wrong", "canary-wrong\n");
        let without = url("").replace(":@", "@");
        let command =
            |file: &str| format!("url = \"{without}\"\npassword_command = [\"cat\", \"{file}\"]");
        results.workspace.write("url", url(PASSWORD));
        let cases = [
            (format!("url = \"{}\"", url("canary-wrong")), 77),
            (command("wrong"), 77),
            (format!("url = \"{}\"", url(PASSWORD)), 0),
            ("url_file = \"url\"".to_owned(), 0),
            (command("password"), 0),
        ];
        for (index, (source, code)) in cases.iter().enumerate() {
            let source = format!("table = \"t\"\nid_column = \"id\"\n{source}");
            let name = format!("\"case{index}\"");
            let job = job(&source, "").replace("\"simple\"", &name);
            results.workspace.write("job.toml", job);
            for more in [&["-vv"][..], &["--dry-run", "--format", "json"]] {
                let ended = run(&results, DATE, more).expect(*code);
                let said = ended.stdout + &ended.stderr;
                assert!(!said.contains("canary"), "{said}");
            }
        }
        let stored = results.everything_stored();
        assert!(!stored.contains("canary"), "{stored}");
        for arguments in [&["runs", "list"][..], &["runs", "show"], &["report"]] {
            let said = results.lamplighter(arguments).expect(0).stdout;
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
