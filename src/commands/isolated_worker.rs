//! `lamplighter isolated-worker`: the process that scores shards which killed others.

use std::io;
use std::sync::Arc;

use super::{Invocation, load_job, target};
use crate::cli::IsolatedWorkerOptions;
use crate::error::Failure;
use crate::fault;
use crate::run::{Prepared, isolate};

/// Runs the command, until the process that started it asks no more.
///
/// # Errors
/// What this process finds is not what the other one planned (65); those of opening it.
pub fn run(options: &IsolatedWorkerOptions, invocation: &Invocation<'_>) -> anyhow::Result<u8> {
    let job = load_job(&options.job)?;
    isolate::confine(job.max_memory_bytes)?;
    fault::prepare()?;
    let target = target(invocation, Some(&job))?;
    let date = options.date.parse()?;
    let prepared = Prepared::new(&job, date, options.limit, &target, invocation.interrupt)?;
    if prepared.input_fingerprint != options.fingerprint {
        return Err(Failure::data(
            "input, bundle or settings are not those that the run was planned with",
        )
        .hint("nothing is published; start the run again to plan it anew")
        .into());
    }
    let prepared = Arc::new(prepared);
    isolate::serve(
        prepared,
        options.chunk_rows,
        io::stdin().lock(),
        io::stdout(),
    )?;
    Ok(0)
}
