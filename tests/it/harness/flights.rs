//! The flights of the fixtures, and what their predictions are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::{Ended, Workspace, repository};

/// Their files.
pub fn files() -> [PathBuf; 3] {
    ["10", "11", "12"]
        .map(|month| repository().join(format!("fixtures/flights/flights-2013-{month}.parquet")))
}

/// A job that scores them from `source`, a `[source]` without its id column.
pub fn job(source: &str) -> String {
    let bundle = repository().join("fixtures/models/flight-delay");
    format!(
        "[job]\nname = \"flights\"\n[source]\nid_column = \"flight_id\"\n{source}\n\
         [model]\nbundle = \"{}\"\n",
        bundle.display()
    )
}

/// Bits of their predictions, scored from Parquet into SQLite.
pub fn expected_bits() -> &'static BTreeMap<String, String> {
    static BITS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    BITS.get_or_init(|| {
        let workspace = Workspace::new();
        let path = repository().join("fixtures/flights/*.parquet");
        let source = format!("kind = \"parquet\"\npath = \"{}\"", path.display());
        workspace.write("flights.toml", job(&source));
        Ended::of(&mut workspace.command(&["run", "flights.toml"])).expect(0);
        let bits = workspace.prediction_bits_without_ordinal(1);
        assert!(bits.len() > 80_000, "the fixture is another");
        bits
    })
}
