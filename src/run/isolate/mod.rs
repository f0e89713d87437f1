//! Shards that kill: scored in a process of their own, so that the record at fault is found and the
//! run goes on.
//!
//! Of a shard whose process died twice nobody knows whether it was the reason. A child process scores
//! it part by part, and lives through all of it if nothing is wrong. If the child dies of a part while
//! this process lives, the part is halved until one record is left; and if it dies of that record a
//! second time, the record becomes a dead letter. No death from outside can cost a healthy record:
//! one that strikes this process charges nothing, and one that strikes the child would have to strike it
//! at the same record again and again. Where every record is fatal it is not the records, but a want of
//! memory, say: then none is charged, and the run stops.

mod child;
mod message;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::Prepared;
use super::results::Results;
use super::worker::Orders;
use crate::error::{Class, Failure};
use crate::ledger::ShardSlice;
use crate::model::Capacity;
use crate::record::{DeadLetter, Stage, stand_in};
use message::{Answer, Question};

pub use child::{confine, serve};

/// How to start a child, and how long it may take.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// What the binary is given.
    pub arguments: Arc<[OsString]>,
    /// A shard may take so long.
    pub shard_timeout: Duration,
}

/// Children that die before they are ready, one after the other, before the run is given up.
const FAILED_LAUNCHES: u32 = 3;

/// Deaths of a child at one record that make it a dead letter.
const FATAL: u32 = 2;

/// However small its part of a shard is, a child may take so long for it, or as long as for a shard.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often to look whether a shard is to be dropped.
const LOOK_UP_INTERVAL: Duration = Duration::from_millis(200);

/// Fatal records, one after the other, from which on it is not the records.
const FATAL_IN_A_ROW: u32 = 8;

/// Exit codes of a child that SIGINT or SIGTERM ended: somebody else's wish, and nobody's fault.
const BY_WISH: [i32; 2] = [130, 143];

/// A worker thread's child, if there is one.
pub struct Isolation {
    launcher: Launcher,
    prepared: Arc<Prepared>,
    orders: Arc<Orders>,
    child: Option<Running>,
}

struct Running {
    process: Child,
    answers: Receiver<Answer>,
}

/// What came of a question.
enum Reply {
    Scored(Box<Results>),
    /// The child died of it, and how.
    Died(String),
    /// Somebody ended the child.
    Ended,
}

/// Records of a question: about what one forward pass takes.
fn records_of(capacity: Capacity) -> u64 {
    const TOKENS: usize = 64;
    match capacity {
        Capacity::Rows(rows) => rows as u64,
        Capacity::Tokens(tokens) => tokens.div_ceil(TOKENS) as u64,
    }
}

impl Isolation {
    /// No child yet.
    pub fn new(launcher: Launcher, prepared: Arc<Prepared>, orders: Arc<Orders>) -> Self {
        Self {
            launcher,
            prepared,
            orders,
            child: None,
        }
    }

    /// Scores a shard in a child process; `None` if it was told to drop it. One in so many values is part of
    /// the profile's samples.
    ///
    /// # Errors
    /// Those of scoring, as in this process; children that die before they begin (75).
    pub(super) fn score(
        &mut self,
        slice: &ShardSlice,
        one_in: u64,
    ) -> anyhow::Result<Option<Results>> {
        tracing::warn!(
            shard = slice.shard_no,
            "whoever worked on this shard died, twice: a process of its own scores it now"
        );
        let mut results = self.prepared.no_results(slice.records, one_in);
        let mut left = parts(slice.records, records_of(self.prepared.capacity));
        let mut deaths: BTreeMap<u64, u32> = BTreeMap::new();
        let mut fatal_in_a_row = 0;
        while let Some(range) = left.pop_front() {
            let reply = self.ask(slice, &range, one_in)?;
            if self.orders.must_drop() {
                return Ok(None);
            }
            match reply {
                Reply::Scored(part) => {
                    fatal_in_a_row = 0;
                    results.append(*part);
                }
                // Whoever wants this process to stop may have struck the child first.
                Reply::Died(_) | Reply::Ended if !self.orders.may_begin() => return Ok(None),
                Reply::Ended => left.push_front(range),
                Reply::Died(how) if range.end - range.start > 1 => {
                    tracing::warn!(
                        shard = slice.shard_no,
                        records = range.end - range.start,
                        "the process died ({how}): looking for the record at fault"
                    );
                    let middle = range.start + (range.end - range.start) / 2;
                    left.push_front(middle..range.end);
                    left.push_front(range.start..middle);
                }
                Reply::Died(how) => {
                    let count = deaths.entry(range.start).or_default();
                    *count += 1;
                    if *count < FATAL {
                        left.push_front(range);
                    } else {
                        fatal_in_a_row += 1;
                        if fatal_in_a_row == FATAL_IN_A_ROW {
                            return Err(not_the_records(slice.shard_no, &how));
                        }
                        let letter = self.fatal(slice, range.start, &how);
                        tracing::warn!(
                            shard = slice.shard_no,
                            ordinal = letter.ordinal,
                            record = letter.record_id,
                            "{}",
                            letter.message
                        );
                        results.dead_letters.push(letter);
                    }
                }
            }
        }
        Ok(Some(results))
    }

    /// Has a part of a shard scored, by a new child if there is none.
    fn ask(
        &mut self,
        slice: &ShardSlice,
        range: &Range<u64>,
        one_in: u64,
    ) -> anyhow::Result<Reply> {
        let question = Question {
            slice: self.part(slice, range)?,
            one_in,
        };
        let share = (range.end - range.start) as f64 / slice.records as f64;
        let whole = self.launcher.shard_timeout;
        let timeout = whole.mul_f64(share).max(whole.min(SHORTEST_TIMEOUT));
        let mut child = match self.child.take() {
            Some(child) => child,
            None => match self.launch(slice.shard_no)? {
                Some(child) => child,
                None => return Ok(Reply::Ended),
            },
        };
        let question = serde_json::to_string(&question)?;
        let sent = match &mut child.process.stdin {
            Some(input) => writeln!(input, "{question}").and_then(|()| input.flush()),
            None => Ok(()),
        };
        // One that can not be sent to is dead, which the answer tells.
        let answer = sent
            .map_err(|_| RecvTimeoutError::Disconnected)
            .and_then(|()| self.wait(&child.answers, timeout));
        match answer {
            Ok(Answer::Scored(part)) => {
                self.child = Some(child);
                let empty = self.prepared.no_results(0, one_in);
                Ok(Reply::Scored(Box::new(part.into_results(empty)?)))
            }
            Ok(Answer::Failed(failed)) => Err(failed.into_failure().into()),
            Ok(Answer::Ready) => Err(Failure::internal("a child was ready twice").into()),
            Err(RecvTimeoutError::Timeout) => {
                child.end()?;
                Ok(Reply::Died(format!("no answer in {} s", timeout.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.end()?;
                match status.code() {
                    Some(code) if BY_WISH.contains(&code) => Ok(Reply::Ended),
                    _ => Ok(Reply::Died(described(status))),
                }
            }
        }
    }

    /// Waits for an answer, for so long, or until the shard is to be dropped.
    fn wait(
        &self,
        answers: &Receiver<Answer>,
        timeout: Duration,
    ) -> Result<Answer, RecvTimeoutError> {
        let end = Instant::now() + timeout;
        loop {
            let next = end.min(Instant::now() + LOOK_UP_INTERVAL);
            match answers.recv_deadline(next) {
                Err(RecvTimeoutError::Timeout) if next < end && !self.orders.must_drop() => {}
                answer => return answer,
            }
        }
    }

    /// Starts a child and waits until it is ready; `None` if the shard is to be dropped by then.
    fn launch(&self, shard_no: u32) -> anyhow::Result<Option<Running>> {
        let mut how = String::new();
        for _ in 0..FAILED_LAUNCHES {
            let mut child = Running::start(&self.launcher.arguments)?;
            match self.wait(&child.answers, self.launcher.shard_timeout) {
                Ok(Answer::Ready) => return Ok(Some(child)),
                Err(_) if self.orders.must_drop() => return Ok(None),
                Ok(Answer::Failed(failed)) => return Err(failed.into_failure().into()),
                Ok(Answer::Scored(_)) => {
                    return Err(Failure::internal("a child answered before it was asked").into());
                }
                Err(_) => {
                    let status = child.end()?;
                    how = described(status);
                    if let Some(code) = status.code().and_then(|code| u8::try_from(code).ok())
                        && Class::of_exit_code(code).exit_code() == code
                    {
                        return Err(Failure::new(
                            Class::of_exit_code(code),
                            format!("the process for shard {shard_no} could not begin ({how})"),
                        )
                        .hint("its own messages stand above")
                        .into());
                    }
                }
            }
        }
        Err(Failure::new(
            Class::Temporary,
            format!("the process for shard {shard_no} dies before it begins ({how})"),
        )
        .hint("it may lack memory; [run] max_memory is what it may have")
        .into())
    }

    /// The part of a shard that begins at these offsets.
    fn part(&self, slice: &ShardSlice, range: &Range<u64>) -> anyhow::Result<ShardSlice> {
        let inside = slice
            .duplicates
            .iter()
            .map(|offset| u64::from(*offset))
            .filter(|offset| range.contains(offset));
        let offsets = range.start as usize..range.end as usize;
        Ok(ShardSlice {
            shard_no: slice.shard_no,
            first_ordinal: slice.first_ordinal + range.start,
            records: range.end - range.start,
            duplicates: inside.map(|offset| (offset - range.start) as u32).collect(),
            input: self.prepared.input.part(&slice.input, offsets)?,
        })
    }

    fn fatal(&self, slice: &ShardSlice, offset: u64, how: &str) -> DeadLetter {
        let part = self.part(slice, &(offset..offset + 1));
        DeadLetter {
            ordinal: slice.first_ordinal + offset,
            record_id: part.ok().and_then(|part| self.id_of(&part)),
            stage: Stage::Infer,
            code: "process_died".into(),
            field: None,
            message: format!("scoring the record ended its process, twice ({how})"),
        }
    }

    /// Identity of a part's one record, if looking for it does not fail.
    fn id_of(&self, part: &ShardSlice) -> Option<String> {
        let id = self.prepared.id_of(part).ok().flatten()?;
        Some(stand_in(&id))
    }
}

impl Running {
    fn start(arguments: &[OsString]) -> anyhow::Result<Self> {
        // This very binary, also if another version has taken its place meanwhile.
        let itself = Path::new("/proc/self/exe");
        let program = match itself.exists() {
            true => itself.to_path_buf(),
            false => std::env::current_exe().context("cannot find this program")?,
        };
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the parent.
            .process_group(0)
            .spawn()
            .context("cannot start a process for a shard")?;
        let (send, answers) = bounded(1);
        if let Some(output) = process.stdout.take() {
            thread::Builder::new()
                .name("answers".to_owned())
                .spawn(move || {
                    for line in BufReader::new(output).lines() {
                        let answer = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                        let Some(answer) = answer else { break };
                        if send.send(answer).is_err() {
                            break;
                        }
                    }
                })
                .context("cannot listen to a process for a shard")?;
        }
        Ok(Self { process, answers })
    }

    /// Ends it, if it has not ended, and says how it did.
    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        // It may have ended.
        let _ = self.process.kill();
        self.process
            .wait()
            .context("cannot wait for a process for a shard")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn not_the_records(shard_no: u32, how: &str) -> anyhow::Error {
    Failure::new(
        Class::Temporary,
        format!("shard {shard_no}: each of {FATAL_IN_A_ROW} records ended the process that scored it ({how}), so that it is not the records"),
    )
    .hint("it may lack memory: [run] max_memory is what such a process may have")
    .into()
}

fn described(status: ExitStatus) -> String {
    let name = |signal| nix::sys::signal::Signal::try_from(signal).map(|signal| signal.as_str());
    match (status.signal(), status.code()) {
        (Some(signal), _) => name(signal).map_or(format!("signal {signal}"), str::to_owned),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => status.to_string(),
    }
}

/// A shard's offsets in parts of at most `size`.
fn parts(records: u64, size: u64) -> VecDeque<Range<u64>> {
    (0..records.div_ceil(size))
        .map(|index| index * size..records.min((index + 1) * size))
        .collect()
}
