//! Rows that wait for a forward pass.

use std::ops::Range;

use crate::fault::{self, Place};
use crate::features::{Encoded, Rows};
use crate::model::{Capacity, Network, NetworkOutput};
use crate::record::{DeadLetter, Stage};

/// Rows, and which records they are.
pub(super) struct Batch {
    capacity: Capacity,
    rows: Rows,
    record_ids: Vec<String>,
    ordinals: Vec<u64>,
}

impl Batch {
    /// An empty batch; `no_rows` are of the network's kind.
    pub(super) fn new(capacity: Capacity, no_rows: Rows) -> Self {
        Self {
            capacity,
            rows: no_rows,
            record_ids: Vec::new(),
            ordinals: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ordinals.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// Whether the row fits in beside those that are there.
    pub(super) fn has_room_for(&self, encoded: &Encoded, row: usize) -> bool {
        match (self.capacity, &self.rows, &encoded.rows) {
            (Capacity::Tokens(most), Rows::Tokens(taken), Rows::Tokens(others)) => {
                taken.is_empty() || taken.total() + others.length(row) <= most
            }
            (capacity, ..) => self.len() < capacity.size(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.record_ids.clear();
        self.ordinals.clear();
    }

    pub(super) fn push(&mut self, record_id: &str, ordinal: u64, encoded: &Encoded, row: usize) {
        self.rows.push(&encoded.rows, row);
        self.record_ids.push(record_id.to_owned());
        self.ordinals.push(ordinal);
    }

    /// Identity and ordinal of the record at `row`.
    pub(super) fn record(&self, row: usize) -> (&str, u64) {
        (&self.record_ids[row], self.ordinals[row])
    }

    /// What the network makes of `rows`.
    pub(super) fn forward(
        &self,
        network: &Network,
        rows: Range<usize>,
    ) -> anyhow::Result<NetworkOutput> {
        let ids = self.record_ids[rows.clone()].iter().map(String::as_str);
        fault::strike(Place::Infer, ids).map_err(anyhow::Error::msg)?;
        network.forward(&self.rows, rows)
    }

    pub(super) fn dead_letter(
        &self,
        row: usize,
        code: &'static str,
        message: String,
    ) -> DeadLetter {
        DeadLetter {
            ordinal: self.ordinals[row],
            record_id: Some(self.record_ids[row].clone()),
            stage: Stage::Infer,
            code: code.into(),
            field: None,
            message,
        }
    }
}
