//! The only file that prints or draws.
//!
//! Standard output is data; standard error is everything else: logs, errors, progress. Progress is
//! a bar on a terminal, and a line every 30 seconds elsewhere. Nothing depends on colour.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Format, GlobalOptions, LogFormat};
use crate::error;
use crate::printable;
use crate::report::text::grouped;
use crate::run::Progress;

/// How often progress is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// What speaks HTTP tells of whole addresses, and those of receivers are secrets.
fn quiet(level: LevelFilter) -> Targets {
    ["ureq", "ureq_proto"]
        .into_iter()
        .fold(Targets::new().with_default(level), |targets, name| {
            targets.with_target(name, LevelFilter::OFF)
        })
}

/// The process's streams.
pub struct Terminal {
    format: Format,
    log_format: LogFormat,
    bars: MultiProgress,
}

impl Terminal {
    /// Takes the streams over: logs go to standard error from here on, around the progress bar.
    pub fn new(options: &GlobalOptions) -> Self {
        let bars = MultiProgress::new();
        let level = match options.verbose {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let (writer, log_format) = (bars.clone(), options.log_format);
        let logs = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_target(false)
            .with_ansi(false)
            // A log that nobody reads any more must not end the run.
            .log_internal_errors(false)
            .with_writer(move || AroundBars {
                bars: writer.clone(),
                log_format,
            });
        // The one refusal there can be is a subscriber that is set already, and then logs work too.
        let _ = match options.log_format {
            LogFormat::Text => logs.finish().with(quiet(level)).try_init(),
            LogFormat::Json => {
                let logs = logs.json().flatten_event(true);
                logs.finish().with(quiet(level)).try_init()
            }
        };
        std::panic::set_hook(Box::new(|panic| {
            tracing::error!(location = ?panic.location(), "panic: {}", panic_text(panic));
        }));
        Self {
            format: options.format,
            log_format: options.log_format,
            bars,
        }
    }

    /// Prints data.
    ///
    /// # Errors
    /// Standard output can not be written. A reader that went away is no error.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let outcome = stdout
            .write_all(text.as_bytes())
            .and_then(|()| match text.ends_with('\n') {
                true => Ok(()),
                false => stdout.write_all(b"\n"),
            })
            .and_then(|()| stdout.flush());
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome,
        }
    }

    /// Prints `json` in JSON form, else `text`.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn print_either(
        &self,
        json: &impl serde::Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.print(&printable::json(&serde_json::to_string(json)?)),
            // Only a report is more than its text to a browser, and is printed by itself.
            Format::Text | Format::Html => self.print(&printable::text(&text())),
        }
        .context("cannot write to standard output; what the ledger holds is not affected")
    }

    /// Tells an error, with its hint and exit code.
    pub fn error(&self, error: &anyhow::Error) {
        let message = printable::text(&format!("{error:#}"));
        let hint = error::hint(error).map(printable::text);
        match self.log_format {
            LogFormat::Json => {
                let line = serde_json::json!({
                    "timestamp": jiff::Timestamp::now().to_string(),
                    "level": "ERROR",
                    "message": message,
                    "hint": hint,
                    "exit_code": error::classify(error).exit_code(),
                });
                say(&line.to_string());
            }
            LogFormat::Text => {
                say(&indented(&format!("error: {message}")));
                if let Some(hint) = hint {
                    say(&indented(&format!("hint: {hint}")));
                }
            }
        }
    }

    /// Begins to show progress over so many dates. Elsewhere than on a terminal the dates tell.
    pub fn dates(&self, job: &str, dates: usize) -> DatesView {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = self.bars.add(ProgressBar::new(dates as u64));
            let style = ProgressStyle::with_template(
                "{prefix} [{bar:30}] {percent:>3} %  {pos} of {len} dates  {eta} left",
            );
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(job.to_owned());
            bar
        });
        DatesView { bar }
    }

    /// Begins to show progress of `what`.
    pub fn progress(&self, what: &str) -> ProgressView {
        ProgressView {
            what: what.to_owned(),
            bars: io::stderr().is_terminal().then(|| self.bars.clone()),
            begun: None,
            last_line: Instant::now(),
        }
    }
}

/// Progress over the dates of a backfill. Dropping it clears the bar.
pub struct DatesView {
    bar: Option<ProgressBar>,
}

impl DatesView {
    /// One more date is done.
    pub fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for DatesView {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Progress of one run. Dropping it clears the bar.
pub struct ProgressView {
    what: String,
    /// Where bars are drawn, if there is a terminal.
    bars: Option<MultiProgress>,
    begun: Option<Begun>,
    last_line: Instant,
}

/// Where a run stood when this process took it up.
struct Begun {
    at: Instant,
    records: u64,
    bar: Option<ProgressBar>,
}

impl ProgressView {
    /// Shows how far the run is.
    pub fn show(&mut self, progress: Progress) {
        let begun = self.begun.get_or_insert_with(|| Begun {
            at: Instant::now(),
            records: progress.records,
            bar: self
                .bars
                .as_ref()
                .map(|bars| bar(bars, &self.what, progress)),
        });
        match &begun.bar {
            Some(bar) => {
                bar.set_position(progress.records);
                bar.set_message(format!("{} dead letters", grouped(progress.dead_letters)));
            }
            None if self.last_line.elapsed() >= LINE_INTERVAL => {
                self.last_line = Instant::now();
                let done = (progress.records - begun.records) as f64;
                let rate = done / begun.at.elapsed().as_secs_f64();
                let left = (progress.planned - progress.records) as f64 / rate;
                tracing::info!(
                    records = progress.records,
                    planned = progress.planned,
                    dead_letters = progress.dead_letters,
                    records_per_second = rate.round(),
                    seconds_left = left.is_finite().then(|| left.round()),
                    "{}",
                    self.what
                );
            }
            None => {}
        }
    }
}

impl Drop for ProgressView {
    fn drop(&mut self) {
        if let Some(Begun { bar: Some(bar), .. }) = &self.begun {
            bar.finish_and_clear();
        }
    }
}

fn bar(bars: &MultiProgress, what: &str, progress: Progress) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(progress.planned));
    let style = ProgressStyle::with_template(
        "{prefix} [{bar:30}] {percent:>3} %  {human_pos} of {human_len} records  {rate} records/s  {eta} left  {msg}",
    );
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> ").with_key(
            "rate",
            |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                // A line of the bar that can not be written is drawn again in a moment.
                let _ = text.write_str(&grouped(state.per_sec().round() as u64));
            },
        ));
    }
    bar.set_prefix(what.to_owned());
    // What an earlier attempt did must not count towards the rate.
    bar.set_position(progress.records);
    bar.reset_eta();
    bar
}

/// Writes a line to standard error, if anybody still reads it: the exit code tells the same.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// With all lines but the first set in, so that none passes for a message of its own.
fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

/// Writes events to standard error, each on one line, without tearing a progress bar.
struct AroundBars {
    bars: MultiProgress,
    log_format: LogFormat,
}

impl Write for AroundBars {
    /// Takes one event, with the line end after it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let event = event.strip_suffix('\n').unwrap_or(&event);
        let line = match self.log_format {
            LogFormat::Text => printable::one_line(event),
            LogFormat::Json => printable::json(event),
        };
        self.bars
            .suspend(|| io::stderr().write_all(format!("{line}\n").as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn panic_text(panic: &std::panic::PanicHookInfo<'_>) -> String {
    error::panic_message(panic.payload())
}
