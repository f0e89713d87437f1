//! Results in either database, for tests of what must be the same in both.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::postgres::{Database, cluster};
use super::{Ended, Workspace};

/// A workspace whose results are in `lamplighter.db` or in a Postgres database of its own.
pub struct Results {
    pub workspace: Workspace,
    postgres: Option<Database>,
}

impl Results {
    pub fn in_sqlite() -> Self {
        Self {
            workspace: Workspace::new(),
            postgres: None,
        }
    }

    pub fn in_postgres() -> Self {
        Self::in_database(cluster().database())
    }

    /// In an empty database of any cluster.
    pub fn in_database(database: Database) -> Self {
        let results = Self {
            workspace: Workspace::new(),
            postgres: Some(database),
        };
        results.lamplighter(&["db", "migrate"]).expect(0);
        results
    }

    /// One of each.
    pub fn in_each() -> [Self; 2] {
        [Self::in_sqlite(), Self::in_postgres()]
    }

    /// The database of the results, if it is of Postgres.
    pub fn postgres(&self) -> Option<&Database> {
        self.postgres.as_ref()
    }

    /// A command for the real binary, in the workspace.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(arguments);
        if let Some(database) = &self.postgres {
            command.env("DATABASE_URL", database.url());
        }
        command
    }

    /// Runs lamplighter to its end.
    pub fn lamplighter(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }

    /// Rows of a query that means the same in both databases, each value as text.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        match &self.postgres {
            None => self.workspace.query(sql),
            Some(database) => database.query(&format!("SET search_path = lamplighter; {sql}")),
        }
    }

    /// The one value of a query's one row.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// Changes the database behind lamplighter's back.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        match &self.postgres {
            None => self.workspace.execute(sql),
            Some(database) => database.execute(&format!("SET search_path = lamplighter; {sql}")),
        }
    }

    /// Every prediction of a run as its bits, whatever database it is in.
    pub fn prediction_bits(&self, run_id: i64) -> BTreeMap<String, String> {
        match &self.postgres {
            None => self.workspace.prediction_bits_without_ordinal(run_id),
            Some(database) => database.prediction_bits("lamplighter", run_id),
        }
    }

    /// Id and value of each published record of a date, by id.
    pub fn published(&self, date: &str) -> Vec<Vec<String>> {
        self.query(&format!(
            "SELECT record_id, value FROM predictions_by_date WHERE logical_date = '{date}'
             ORDER BY record_id"
        ))
    }

    /// Id, stage, code and field of each dead letter of a run, in the order of the records.
    pub fn dead_letters(&self, run_id: i64) -> Vec<String> {
        let sql = format!(
            "SELECT coalesce(record_id, '-') || ' ' || stage || '/' || code || ' ' || coalesce(field, '-')
             FROM dead_letters WHERE run_id = {run_id} ORDER BY ordinal"
        );
        self.query(&sql).concat()
    }

    /// Everything that lamplighter stores, as text.
    pub fn everything_stored(&self) -> String {
        let tables = ["runs", "shards", "predictions", "dead_letters"];
        let more = ["run_attempts", "reports", "publications", "queue"];
        let rows = tables
            .iter()
            .chain(&more)
            .map(|table| format!("{:?}", self.query(&format!("SELECT * FROM {table}"))));
        rows.collect()
    }

    /// Checks that the rows of every run prove its counts.
    #[track_caller]
    pub fn verify(&self) {
        for run in self.query("SELECT job || '@' || logical_date || '#' || generation FROM runs") {
            self.lamplighter(&["runs", "verify", &run[0]]).expect(0);
        }
    }

    /// Starts lamplighter and kills it as soon as a query finds a row.
    #[track_caller]
    pub fn killed_when(&self, arguments: &[&str], found: &str) {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        while self.query(found).is_empty() {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended before it was killed: {ended:?}");
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("a kill");
        let status = child.wait().expect("an end");
        assert_eq!(status.code(), None, "it ended before it was killed");
    }
}
