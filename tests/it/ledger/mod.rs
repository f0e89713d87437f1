//! The ledger's promises, held by both databases: every case is one function over a [`Home`] and
//! runs twice, so that neither database can keep a promise that the other breaks.

/// One test of each case for each database.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { super::$case(&crate::ledger::Home::sqlite()); })+
        }
        mod postgres {
            $(#[test] fn $case() { super::$case(&crate::ledger::Home::postgres()); })+
        }
    };
}

pub(crate) use on_both;

/// What goes in comes out, bit by bit.
mod bytes;
/// Who works on what.
mod claims;
/// One end of a run, and one publication of a date.
mod finish;
/// Planning is one step.
mod plan;
/// Rows that wait, rows that are taken, rows that are given back.
mod queue;
/// Tables of another version.
mod schema;

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use arrow::array::StringArray;
use lamplighter::error::{Class, classify};
use lamplighter::interrupt::Interrupt;
use lamplighter::ledger::{
    Access, Claim, Committed, DateState, Finish, Finishing, Ledger, NewRun, Participant,
    PlannedInput, Planning, Publication, ShardCommit, ShardSlice, Target, TargetOptions,
};
use lamplighter::record::{DeadLetter, OutputHasher, Outputs, Predictions, run_hash};

use crate::harness::Workspace;
use crate::harness::postgres::{Database, PostgresSession, cluster};

/// A database of one kind, with the ledger's tables, for one case.
pub struct Home {
    kind: Kind,
    workspace: Workspace,
}

enum Kind {
    Sqlite,
    Postgres(Database),
}

impl Home {
    pub fn sqlite() -> Self {
        Self::migrated(Kind::Sqlite)
    }

    pub fn postgres() -> Self {
        Self::migrated(Kind::Postgres(cluster().database()))
    }

    fn migrated(kind: Kind) -> Self {
        let workspace = Workspace::new();
        let home = Self { kind, workspace };
        home.open_for(Access::Migrate).close().expect("an end");
        home
    }

    /// What a command is given as its database.
    pub fn url(&self) -> String {
        match &self.kind {
            Kind::Sqlite => {
                let file = self.workspace.path("lamplighter.db");
                format!("sqlite://{}", file.display())
            }
            Kind::Postgres(database) => database.url(),
        }
    }

    /// The same as another role of Postgres.
    pub fn url_as(&self, role: &str) -> String {
        match &self.kind {
            Kind::Sqlite => panic!("SQLite has no roles"),
            Kind::Postgres(database) => database.url_as(role),
        }
    }

    /// A directory for the case's files.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The ledger, to write to it: on SQLite there may be one at a time.
    pub fn open(&self) -> Ledger {
        self.open_for(Access::Write)
    }

    /// A process that another test starts at this moment may have inherited the lock of a ledger
    /// just closed, and has it until it is the program that it is to become.
    pub fn open_for(&self, access: Access) -> Ledger {
        loop {
            match self.try_open(access) {
                Err(error) if classify(&error) == Class::Temporary => thread::yield_now(),
                opened => return opened.expect("a ledger"),
            }
        }
    }

    pub fn try_open(&self, access: Access) -> anyhow::Result<Ledger> {
        let options = TargetOptions::default();
        Target::new(&self.url(), &options, &Interrupt::default())?.open(access)
    }

    /// Changes the tables behind the ledger's back.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        match &self.kind {
            Kind::Sqlite => self.workspace.execute(sql),
            Kind::Postgres(database) => database.execute(&in_schema(sql)),
        }
    }

    /// Rows of a query, as text, null as "NULL".
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        match &self.kind {
            Kind::Sqlite => self.workspace.query(sql),
            Kind::Postgres(database) => database.query(&in_schema(sql)),
        }
    }

    /// The one value of a query's one row.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    /// A connection to the one of both that has several.
    pub fn session(&self) -> PostgresSession {
        match &self.kind {
            Kind::Sqlite => panic!("SQLite has one writer"),
            Kind::Postgres(database) => database.session(),
        }
    }

    /// Numbers of rows, in the order of the tables.
    #[track_caller]
    pub fn counts(&self, tables: &[&str]) -> Vec<String> {
        let count = |table: &&str| self.value(&format!("SELECT count(*) FROM {table}"));
        tables.iter().map(count).collect()
    }
}

fn in_schema(sql: &str) -> String {
    format!("SET search_path = lamplighter; {sql}")
}

/// A run of the job `simple` that differs from others of the date by nothing.
pub fn new_run(date: &str) -> NewRun {
    NewRun {
        job: "simple".to_owned(),
        logical_date: date.to_owned(),
        parent_run_id: None,
        trial: false,
        reason: None,
        backfill: false,
        fingerprint: "fingerprint".to_owned(),
        identity: "{}".to_owned(),
        model_name: "linear".to_owned(),
        model_version: "1".to_owned(),
        model_digest: "sha256:0".to_owned(),
        precision: "f32".to_owned(),
        numerics: "scalar".to_owned(),
        batch_size: 4,
        shard_size: 10,
    }
}

/// Shards with so many records each.
pub fn slices(records: &[u64]) -> Vec<ShardSlice> {
    let mut first_ordinal = 0;
    let slices = records.iter().zip(0..).map(|(&records, shard_no)| {
        let slice = ShardSlice {
            shard_no,
            first_ordinal,
            records,
            duplicates: Vec::new(),
            input: Vec::new(),
        };
        first_ordinal += records;
        slice
    });
    slices.collect()
}

/// A date of which nobody has seen a run.
pub const NOTHING: DateState = DateState {
    newest: None,
    published: None,
};

/// What comes of a plan with shards of so many records.
#[track_caller]
pub fn try_plan(ledger: &mut Ledger, run: &NewRun, records: &[u64], known: DateState) -> Planning {
    let shards = slices(records);
    let input = PlannedInput::Slices {
        shards: &shards,
        input: &|_| Ok(Vec::new()),
    };
    ledger.plan_run(run, &input, known).expect("an answer")
}

/// Plans a run as the newest of its date.
#[track_caller]
pub fn plan(ledger: &mut Ledger, run: &NewRun, records: &[u64]) -> i64 {
    let known = ledger.state_of_date(&run.job, &run.logical_date);
    match try_plan(ledger, run, records, known.expect("a date")) {
        Planning::Planned { run_id, .. } => run_id,
        Planning::Overtaken => panic!("nobody else plans"),
    }
}

/// A process with a lease that no test outlasts.
pub fn participant(owner: &str) -> Participant {
    Participant {
        host: "host".to_owned(),
        pid: 4711,
        owner: owner.to_owned(),
        lease: Duration::from_hours(1),
        chunk_rows: 512,
    }
}

#[track_caller]
pub fn claim(ledger: &mut Ledger, run_id: i64, owner: &str, limit: usize) -> Vec<Claim> {
    let claims = ledger.claim_shards(run_id, &participant(owner), limit);
    claims.expect("claims")
}

/// Numbers and epochs.
pub fn places(claims: &[Claim]) -> Vec<(u32, i64)> {
    claims
        .iter()
        .map(|claim| (claim.slice.shard_no, claim.epoch))
        .collect()
}

/// What a claim's process has to commit, with its hash.
pub struct Work {
    claim: Claim,
    predictions: Predictions,
    dead_letters: Vec<DeadLetter>,
    output_hash: String,
}

/// The work of a claim: `value` for each of its records.
pub fn work(claim: &Claim, value: f64) -> Work {
    let ordinals: Vec<u64> = (0..claim.slice.records)
        .map(|offset| claim.slice.first_ordinal + offset)
        .collect();
    let ids = StringArray::from_iter_values(ordinals.iter().map(|ordinal| format!("r{ordinal}")));
    let values = vec![value; ordinals.len()];
    let predictions = Predictions::new(ids, ordinals, Outputs::Regression { values });
    commit_of(claim, predictions.expect("predictions"), Vec::new())
}

/// The work of a claim that came to these.
pub fn commit_of(claim: &Claim, predictions: Predictions, dead_letters: Vec<DeadLetter>) -> Work {
    let slice = &claim.slice;
    let mut hasher = OutputHasher::new(slice.first_ordinal, slice.records, 0);
    predictions.rows().for_each(|row| hasher.prediction(&row));
    for letter in &dead_letters {
        hasher.dead_letter(
            letter.ordinal as i64,
            letter.record_id.as_deref(),
            letter.stage.as_str(),
            &letter.code,
            letter.field.as_deref(),
            &letter.message,
        );
    }
    Work {
        claim: claim.clone(),
        predictions,
        dead_letters,
        output_hash: hasher.finish(),
    }
}

#[track_caller]
pub fn commit(ledger: &mut Ledger, run_id: i64, work: &Work) -> Committed {
    let predictions = ledger.target().encode(run_id, &work.predictions);
    let commit = ShardCommit {
        shard_no: work.claim.slice.shard_no,
        epoch: work.claim.epoch,
        predictions: predictions.expect("rows"),
        dead_letters: work.dead_letters.clone(),
        filtered: 0,
        output_hash: work.output_hash.clone(),
        stats: "{}".to_owned(),
        profile: None,
    };
    ledger.commit_shard(run_id, &commit).expect("an answer")
}

/// Claims and commits all that is left.
#[track_caller]
pub fn complete_shards(ledger: &mut Ledger, run_id: i64) {
    for claim in claim(ledger, run_id, "owner", usize::MAX >> 1) {
        assert_eq!(commit(ledger, run_id, &work(&claim, 1.0)), Committed::Yes);
    }
}

/// Finishes as the run's process does; says how often it was asked to conclude.
pub fn try_finish(
    ledger: &mut Ledger,
    run_id: i64,
    publication: Publication,
) -> (anyhow::Result<Finishing<()>>, usize) {
    let asked = Cell::new(0);
    let mut conclude = |ledger: &mut Ledger| {
        asked.set(asked.get() + 1);
        Ok((finish_of(ledger, run_id, publication)?, ()))
    };
    let finished = ledger.finish_run(run_id, &mut conclude);
    (finished, asked.get())
}

pub fn finish_of(
    ledger: &mut Ledger,
    run_id: i64,
    publication: Publication,
) -> anyhow::Result<Finish> {
    let (totals, _) = ledger.totals(run_id)?;
    let shards = ledger.shards(run_id)?;
    let hashes = shards
        .iter()
        .filter_map(|shard| shard.output_hash.as_deref());
    Ok(Finish {
        parent: None,
        publication,
        totals,
        output_hash: run_hash(hashes),
        exit_code: 0,
        verdict: "published",
        duration_seconds: 1.5,
        records_per_second: 2.5,
        peak_memory_bytes: None,
        report: "{}".to_owned(),
        cost: None,
        monitoring: None,
        owing: Vec::new(),
    })
}

/// A whole run, from its plan to its publication.
#[track_caller]
pub fn published(ledger: &mut Ledger, run: &NewRun) -> i64 {
    let run_id = plan(ledger, run, &[3, 2]);
    complete_shards(ledger, run_id);
    let (finished, _) = try_finish(ledger, run_id, Publication::Published);
    assert!(matches!(finished, Ok(Finishing::Finished(()))));
    run_id
}
