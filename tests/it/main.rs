//! Lamplighter from outside: the real binary, real files, a real database.
//!
//! One binary, so that the dependencies are linked once. Each module says what belongs in it.

/// Rules that tell somebody of a run.
mod alerts;
/// Rooms, homes and lengths.
mod architecture;
/// Many dates of a job.
mod backfill;
/// Bad input of every kind: refused or set aside, and never visible.
mod bad_input;
/// Changes of the clocks, and clocks that are wrong.
mod calendar;
/// Files that change after the plan.
mod changed_input;
/// Every fault many times over: `make chaos`.
mod chaos;
/// The deployment checklist: each item made to fail, and nothing written.
mod check;
/// Exit codes, help, streams, locks.
mod command_line;
/// The pages: links, commands, tables and queries.
mod documentation;
/// Ids that more than one record has.
mod duplicates;
/// What people and programs see of a run.
mod faces;
/// Faults of every kind: nothing lost, nothing twice, no bit changed.
mod faults;
mod harness;
/// Damaged and malicious files, under a limit of memory.
mod hostile;
/// Which run a start means, and which one consumers see.
mod identity;
/// The ledger's promises, on both databases.
mod ledger;
/// Processes that vanish for want of memory.
mod memory_pressure;
/// Drift while scoring, and what predictions were worth once it is known.
mod monitoring;
/// Codecs, encodings, damaged pages and columns that can not serve.
mod parquet_pages;
/// Files, directories and globs: every record once, with its value.
mod parquet_source;
/// What a run would take.
mod planning;
/// Records that fail, kill or hang whoever scores them.
mod poison;
/// A Postgres that fails, and narrow ways to it.
mod postgres_faults;
/// The servers that tests start, and what they are asked.
mod postgres_harness;
/// A Postgres table or query as the source.
mod postgres_source;
/// The queue as the source.
mod queue;
/// Items ranked for queries, against PyTorch.
mod recommendations;
/// What is pruned in time, and what is erased on demand.
mod retention;
/// Dead letters that are scored again.
mod retry;
/// `filter` and `transform`.
mod row_sql;
/// Law 4, as properties.
mod same_bits;
/// `init`.
mod scaffold;
/// Schedules and the container: `cron/` and `Dockerfile`.
mod schedules;
/// What SECURITY.md promises.
mod security;
/// Overlays, overrides, databases and dates.
mod settings;
/// Several processes on one run.
mod shared_run;
/// SIGTERM and Ctrl-C.
mod signals;
/// The fixtures against PyTorch's own predictions: what `make smoke` runs.
mod smoke;
/// How all jobs are.
mod status;
/// `finish_by`, and what a stop leaves.
mod stopping;
/// Models of texts.
mod text;
/// Runs that can not be published any more.
mod too_many_dead_letters;
/// Runs that stopped midway, and who goes on with them.
mod unfinished;
/// `runs verify` against rows changed by hand.
mod verify;
