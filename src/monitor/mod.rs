//! What is measured while scoring, and what is made of it.
//!
//! A shard leaves statistics of the run ([`stats`]) and a profile of its records and predictions
//! ([`profile`]). Profiles are held against the bundle's [`reference`](mod@reference) or another run's
//! ([`drift`]). Once it is known what was true, predictions are held against that ([`metrics`]).

pub mod drift;
pub mod measures;
pub mod metrics;
pub mod profile;
pub mod reference;
pub mod stats;

pub use drift::Drift;
pub use profile::Profile;
pub use reference::Reference;
pub use stats::{Distribution, ShardStats};

/// Nine significant digits: sums that were added in another order agree on these, and JSON gives them back as
/// they are.
fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    format!("{number:.8e}").parse().unwrap_or(number)
}
