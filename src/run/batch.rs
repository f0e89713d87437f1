//! Rows that wait for a forward pass.

use std::ops::Range;

use crate::fault::{self, Place};
use crate::features::Encoded;
use crate::model::Mlp;
use crate::record::{DeadLetter, Stage};

/// Rows, row-major, with room for the batch's capacity.
pub(super) struct Batch {
    capacity: usize,
    dense_width: usize,
    code_width: usize,
    dense: Vec<f32>,
    codes: Vec<u32>,
    record_ids: Vec<String>,
    ordinals: Vec<u64>,
}

impl Batch {
    pub(super) fn new(capacity: usize, dense_width: usize, code_width: usize) -> Self {
        Self {
            capacity,
            dense_width,
            code_width,
            dense: vec![0.0; capacity * dense_width],
            codes: vec![0; capacity * code_width],
            record_ids: Vec::with_capacity(capacity),
            ordinals: Vec::with_capacity(capacity),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ordinals.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    pub(super) fn clear(&mut self) {
        self.record_ids.clear();
        self.ordinals.clear();
    }

    pub(super) fn push(&mut self, record_id: &str, ordinal: u64, encoded: &Encoded, row: usize) {
        let at = self.len();
        let (dense, codes) = (self.dense_width, self.code_width);
        self.dense[at * dense..][..dense].copy_from_slice(&encoded.dense[row * dense..][..dense]);
        self.codes[at * codes..][..codes].copy_from_slice(&encoded.codes[row * codes..][..codes]);
        self.record_ids.push(record_id.to_owned());
        self.ordinals.push(ordinal);
    }

    /// Identity and ordinal of the record at `row`.
    pub(super) fn record(&self, row: usize) -> (&str, u64) {
        (&self.record_ids[row], self.ordinals[row])
    }

    /// Row-major logits of `rows`, from a forward pass of the batch's full capacity.
    pub(super) fn logits(
        &self,
        network: &Mlp,
        rows: Range<usize>,
    ) -> candle_core::Result<Vec<f32>> {
        fault::strike(
            Place::Infer,
            self.record_ids[rows.clone()].iter().map(String::as_str),
        )
        .map_err(|fault| candle_core::Error::Msg(fault.to_owned()))?;
        let mut dense = vec![0.0; self.capacity * self.dense_width];
        let mut codes = vec![0; self.capacity * self.code_width];
        let (from, to) = (rows.start * self.dense_width, rows.end * self.dense_width);
        dense[..to - from].copy_from_slice(&self.dense[from..to]);
        let (from, to) = (rows.start * self.code_width, rows.end * self.code_width);
        codes[..to - from].copy_from_slice(&self.codes[from..to]);
        let (dense, codes) = Mlp::batch(self.capacity, dense, codes)?;
        network
            .forward(&dense, &codes)?
            .narrow(0, 0, rows.len())?
            .flatten_all()?
            .to_vec1()
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
