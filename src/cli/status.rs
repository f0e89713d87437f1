//! Options of `status`.

use clap::Args;

/// Options of `status`.
#[derive(Args)]
pub struct StatusOptions {
    /// How far back to look for dates that were due, such as 24h or 7d; of each job the last one is
    /// judged in any case
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub since: String,
    /// Only this job
    #[arg(long)]
    pub job: Option<String>,
}
