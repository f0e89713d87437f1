use super::{DATE, notify, outbox, put, rule};
use crate::harness::receiver::Receiver;
use crate::harness::repository;
use crate::harness::results::Results;
use crate::monitoring::october;

#[test]
fn what_predictions_were_worth_is_told_once_when_it_is_known() {
    for results in Results::in_each() {
        let receiver = Receiver::answering(&[]);
        let rules = notify(&receiver.url("/"))
            + &rule("worthless", "roc_auc < 0.99", "severity = \"critical\"")
            + &rule("recall", "recall < 1.0", "")
            + &rule("fine", "accuracy > 0.99", "")
            + &rule("other-task", "rmse > 0", "");
        let truth = repository().join("fixtures/ground-truth/flights.parquet");
        let more = "[ground_truth]\ncolumn = \"late\"\nid_column = \"flight_id\"\n";
        put(&results, &october(), &(rules + more));
        results
            .lamplighter(&["run", "job.toml", DATE[0], DATE[1]])
            .expect(0);
        assert!(receiver.requests().is_empty());

        let arguments = [
            "evaluate",
            "job.toml",
            "--ground-truth",
            &truth.to_string_lossy(),
        ];
        let evaluated = results.lamplighter(&arguments).expect(0);
        assert!(
            evaluated
                .stdout
                .contains("CRITICAL  worthless: roc_auc is 0."),
            "{evaluated}"
        );
        assert!(
            evaluated.stdout.contains("unknown   other-task"),
            "{evaluated}"
        );
        let told: Vec<String> = receiver
            .taken()
            .iter()
            .map(|request| request.json()["alert"].as_str().expect("a name").to_owned())
            .collect();
        assert_eq!(told, ["worthless", "recall"]);
        assert_eq!(receiver.taken()[0].json()["run"], "flights@2013-11-01#1");

        results.lamplighter(&arguments).expect(0);
        assert_eq!(receiver.requests().len(), 2, "once for each run and rule");
        assert_eq!(outbox(&results).len(), 2);
    }
}
