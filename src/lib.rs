//! Lamplighter does a team's nightly batch inference.
//!
//! Cron, a Kubernetes CronJob or a person starts it. It reads records, scores them on all cores,
//! and writes predictions and a report to a database: every record once, or as a dead letter with
//! a reason, whatever dies and whenever. This page is for whoever opens the code.
//!
//! # The flow
//!
//! Data goes one way:
//!
//! ```text
//! job file ─▶ plan ─▶ claim shard ─▶ read ─▶ validate ─▶ encode ─▶ batch ─▶ infer ─▶ commit shard ─▶ finalize
//!             (one      (ledger)    (Arrow RecordBatch)              (candle tensors)   (one transaction)  (publish,
//!          transaction)                                                                                    report)
//! ```
//!
//! A rayon pool scores shards. The main thread hands out blocks of shards and has what comes back
//! committed, by itself or by two threads where the database takes several writers
//! ([`run::pipeline`]). Weights are loaded once and shared. On
//! Postgres several processes do so for one run; a claim is then a lease, which a thread of its own
//! keeps alive ([`run::heartbeat`]).
//! Memory is bounded by workers times what they read at a time, never by the input's size.
//!
//! # The rooms
//!
//! | room | what it knows |
//! |---|---|
//! | [`cli`], [`terminal`], [`commands`] | arguments; the streams; one file for each subcommand |
//! | [`error`], [`interrupt`] | classes of failure with their exit codes; signals and deadlines |
//! | [`whole_file`] | files that are written as a whole |
//! | [`subprocess`] | programs that the job file names |
//! | [`printable`] | text from outside, made safe to show |
//! | [`fault`] | faults on demand, for tests |
//! | [`job`] | the job file, and what it means |
//! | [`database`] | SQLite and Postgres behind one blocking face |
//! | [`source`] | records, from Parquet, Postgres and the queue; `filter` and `transform` |
//! | [`features`] | validation and encoding, as a bundle says |
//! | [`model`] | bundles, weights, forward passes |
//! | [`record`] | predictions, dead letters, and the hash of both |
//! | [`monitor`] | statistics and profiles that merge, drift, metrics |
//! | [`ledger`] | the tables that know what is done |
//! | [`alert`] | rules that tell somebody of a run, and how people are told |
//! | [`exposition`] | figures of runs where Prometheus finds them |
//! | [`run`] | the order of events |
//! | [`evaluation`] | what predictions were worth, once it is known what was true |
//! | [`check`] | what would keep a run from succeeding, found before it begins |
//! | [`report`] | what happened, for people and programs |
//! | [`status`] | how all jobs are, and which dates are missing |
//! | [`scaffold`] | a job and a bundle to begin with, from a Parquet file |
//!
//! A later stage is never imported by an earlier one. Each heavy crate has one home: clap in `cli`,
//! indicatif in `terminal`, parquet and polars in `source`, candle in `model`, rayon in
//! `run::pipeline`, sqlx in `database`.
//!
//! # The laws
//!
//! 1. *Conservation.* Planned records = predictions + dead letters + filtered + erased, proven from
//!    the rows by [`ledger::verify`]. Of dead letters that were pruned a count is left, of erased
//!    records tombstones; the hash of their shard covers both.
//! 2. *One transaction per shard*, fenced by the epoch that the claim raised.
//! 3. *The input of a run is fixed when it is planned*: files by their footers, a table by its ids, the
//!    queue by marks.
//! 4. *Same bits.* A prediction depends on record, bundle, precision, batch capacity and instruction
//!    set, all stored with the run; not on workers, neighbours, shards or restarts.
//! 5. *Identity.* Same date and fingerprint: resume, or nothing to do. See [`run::identity`].
//! 6. *Consumers never see half a night*: they read views, which flip when a run is published.
//! 7. *No silent failure.* One bad record never costs its batch.
//! 8. *Numbers match their source*: each architecture is held against PyTorch's outputs.

#![deny(unsafe_code)]
#![warn(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::dbg_macro
)]

pub mod alert;
pub mod check;
pub mod cli;
pub mod commands;
pub mod database;
pub mod error;
pub mod evaluation;
pub mod exposition;
pub mod fault;
pub mod features;
pub mod interrupt;
pub mod job;
pub mod ledger;
pub mod model;
pub mod monitor;
pub mod printable;
pub mod record;
pub mod report;
pub mod run;
pub mod scaffold;
pub mod source;
pub mod status;
pub mod subprocess;
pub mod suggest;
pub mod terminal;
pub mod whole_file;
