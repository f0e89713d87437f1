use crate::alerts::{DATE, bad_rows, put};
use crate::harness::results::Results;
use crate::harness::write_parquet;
use crate::monitoring::october;

#[test]
fn a_comparison_tells_what_changed_and_not_what_did_not() {
    for results in Results::in_each() {
        put(
            &results,
            &october(),
            "[errors]\nmax_dead_letters = \"5%\"\n",
        );
        results
            .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
            .expect(0);
        write_parquet(
            &results.workspace.path("input/rows.parquet"),
            &bad_rows(),
            10_000,
        );
        results
            .lamplighter(&["run", "job.toml", "--date", "2013-11-02"])
            .expect(0);
        let names = ["flights@2013-11-01#1", "flights@2013-11-02#1"];
        let arguments = ["report", "--compare", names[0], names[1]];
        let text = results.lamplighter(&arguments).expect(0).stdout;
        for told in [names[0], names[1], "dead letters", "distance"] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        let json = results
            .lamplighter(&[&arguments[..], &["--format", "json"]].concat())
            .expect(0)
            .json();
        assert_eq!(
            (&json["before"], &json["after"]),
            (&names[0].into(), &names[1].into())
        );
        let notable: Vec<&str> = json["changes"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|change| change["is_notable"] == true)
            .map(|change| change["name"].as_str().expect("a name"))
            .collect();
        assert!(
            notable.iter().any(|name| name.contains("dead letters")),
            "{notable:?}"
        );
        let drifted = json["drift"]["drifted_inputs"].as_u64();
        assert_eq!(drifted, Some(1), "{}", json["drift"]);

        let same = [
            "report",
            "--compare",
            names[0],
            names[0],
            "--format",
            "json",
        ];
        let same = results.lamplighter(&same).expect(0).json();
        let changes = same["changes"].as_array().expect("a list");
        assert!(
            changes.iter().all(|change| change["is_notable"] == false),
            "{same}"
        );
        results
            .lamplighter(&["report", "--compare", names[0], "--format", "html"])
            .expect(64);
    }
}
