//! Options of `alerts`.

use clap::Subcommand;

use super::JobOptions;

/// What to do with alerts.
#[derive(Subcommand)]
pub enum AlertsCommand {
    /// Send a test of each rule to each of its receivers
    #[command(after_help = "\
Each [[alert]] of the job file is sent once, marked as a test, to its webhook and to its program. No run is
looked at, and nothing is written. The exit code is 0 if all were taken, else 69.

Examples:
  lamplighter alerts test jobs/flight-delay.toml
  lamplighter alerts test jobs/flight-delay.toml --set notify.exec_timeout=5s --format json")]
    Test(JobOptions),
}
