//! The bundle, and whether it gives what its maker's framework gave.

use bytesize::ByteSize;

use super::{Group, List, Looked, Request, Section, count, setting};
use crate::error::Failure;
use crate::job::{Job, ModelReference};
use crate::model::vectors::TEST_VECTORS;
use crate::model::{Bundle, Head, TestVectors};
use crate::monitor::Reference;
use crate::run::memory;
use crate::run::probe::score_columns;

/// Returns the bundle, as a run of the job would load it.
pub(super) fn look(request: &Request<'_>, list: &mut List) -> Option<Bundle> {
    let model = &request.job.model;
    let mut section = list.group(Group::Model);
    // What the digest should be is an item of its own.
    let loaded = Bundle::load(&ModelReference {
        digest: None,
        ..model.clone()
    });
    let Some(mut bundle) = section.settle("bundle", loaded) else {
        for item in ["digest", "test vectors", "reference profile"] {
            section.not_looked_at(item, "bundle");
        }
        return None;
    };
    let threshold = match model.threshold {
        Some(threshold) => format!(", threshold {threshold} of the job"),
        None => String::new(),
    };
    let features = bundle.encoder.features().len() as u64;
    section.passed(
        "bundle",
        format!(
            "{} {}, {}, {}, {} by {}{threshold}",
            bundle.name,
            bundle.version,
            count(bundle.network.parameters(), "parameter"),
            count(features, "feature"),
            bundle.precision.as_str(),
            bundle.numerics,
        ),
    );
    let line = setting("model", &format!("digest = \"{}\"", bundle.digest));
    match &model.digest {
        None => section.not_set_up("digest", "a changed bundle would go unnoticed", line),
        Some(pinned) if *pinned == bundle.digest => {
            section.passed("digest", format!("pinned and found: {pinned}"));
        }
        Some(pinned) => {
            let found = &bundle.digest;
            let problem = format!("the job pins {pinned}, the bundle has {found}");
            section.failed_with("digest", &Failure::config(problem).into(), line);
        }
    }
    look_at_vectors(request, &bundle, &mut section);
    let is_usable = look_at_reference(&bundle, &mut section);
    if !is_usable {
        // It keeps nothing else from being looked at.
        bundle.reference = None;
    }
    Some(bundle)
}

fn look_at_vectors(request: &Request<'_>, bundle: &Bundle, section: &mut Section<'_>) {
    const ITEM: &str = "test vectors";
    let Job {
        model,
        batch_size,
        batch_tokens,
        ..
    } = &request.job;
    let compared = || -> anyhow::Result<Option<(usize, f64)>> {
        // Labels were expected under the bundle's own threshold.
        let own = match model.threshold {
            Some(_) => Some(Bundle::load(&ModelReference {
                digest: None,
                threshold: None,
                ..model.clone()
            })?),
            None => None,
        };
        let bundle = own.as_ref().unwrap_or(bundle);
        let Some(vectors) = TestVectors::load(&model.bundle, bundle, request.interrupt)? else {
            return Ok(None);
        };
        let capacity = bundle.capacity(*batch_size, *batch_tokens);
        let outputs = score_columns(bundle, capacity, &vectors.columns)?;
        let largest = vectors.compare(&outputs, bundle)?;
        Ok(Some((vectors.rows(), largest)))
    };
    match section.settle(ITEM, compared()) {
        Some(Some((rows, largest))) => section.passed(
            ITEM,
            format!(
                "{} reproduced, largest difference {largest:.1e}",
                count(rows as u64, "row")
            ),
        ),
        Some(None) => {
            let path = model.bundle.join(TEST_VECTORS);
            let mend = match bundle.head {
                Head::Embedding { .. } | Head::Ranking { .. } => {
                    "embeddings and rankings have no test vectors yet".to_owned()
                }
                _ => format!(
                    "write {}: fixtures/README.md has its columns",
                    path.display()
                ),
            };
            section.not_set_up(
                ITEM,
                "nothing tells whether this host scores as the model's maker did",
                mend,
            );
        }
        None => {}
    }
}

/// Returns whether a run could begin with it, or without one.
fn look_at_reference(bundle: &Bundle, section: &mut Section<'_>) -> bool {
    const ITEM: &str = "reference profile";
    let Some(reference) = section.settle(ITEM, Reference::of(bundle).map_err(Into::into)) else {
        return false;
    };
    match reference {
        Some(reference) => {
            let records = count(reference.profile.records, "record");
            let metrics = count(reference.baseline.len() as u64, "metric");
            section.passed(
                ITEM,
                format!(
                    "of {records}, trained on {}, {metrics}",
                    reference.trained_at
                ),
            );
        }
        None => section.not_set_up(
            ITEM,
            "nothing to compare a night's data with",
            "lamplighter model profile BUNDLE --data TRAINING_DATA",
        ),
    }
    true
}

/// What a run would have in memory, in bytes.
pub(super) struct Need {
    /// Whatever the settings are.
    pub(super) anyway: u64,
    pub(super) weights: u64,
    pub(super) workers: u64,
    /// Of each worker: the rows that it reads, and a batch on its way through the network.
    pub(super) worker: u64,
    /// Finished shards that wait for the database.
    pub(super) results: u64,
}

impl Need {
    pub(super) fn of(request: &Request<'_>, looked: &Looked) -> Option<Self> {
        let prepared = looked.prepared.as_ref()?;
        let job = &request.job;
        let is_shared = request
            .target
            .as_ref()
            .is_ok_and(|target| target.is_shared());
        let records = looked.records.unwrap_or(prepared.shard_size);
        let settings = memory::settings(job, prepared, records, None, is_shared);
        let network = &prepared.bundle.network;
        let number = size_of::<f32>() as u64;
        let shards = settings.workers + settings.room + settings.committers.max(1);
        Some(Self {
            anyway: memory::taken_anyway(is_shared),
            weights: memory::weight_bytes(prepared),
            workers: settings.workers as u64,
            worker: settings.chunk_rows as u64 * prepared.bytes_per_row()
                + network.activations(prepared.capacity) * number,
            results: shards as u64 * prepared.shard_size.min(records) * prepared.bytes_per_output(),
        })
    }

    pub(super) fn total(&self) -> u64 {
        self.anyway + self.weights + self.workers * self.worker + self.results
    }
}

/// Whether the model fits into what the job allows.
pub(super) fn look_at_memory(request: &Request<'_>, looked: &Looked, list: &mut List) {
    const ITEM: &str = "memory allowed";
    let mut section = list.group(Group::Model);
    let Some(need) = Need::of(request, looked) else {
        return section.not_looked_at(ITEM, "columns");
    };
    let allowed = request.job.max_memory_bytes;
    let finding = format!(
        "about {}: program {}, weights {}, {} of {}, results {}; max_memory is {}",
        ByteSize(need.total()),
        ByteSize(need.anyway),
        ByteSize(need.weights),
        count(need.workers, "worker"),
        ByteSize(need.worker),
        ByteSize(need.results),
        ByteSize(allowed),
    );
    if need.total() <= allowed {
        return section.passed(ITEM, finding);
    }
    let mebibytes = need.total().div_ceil(1 << 20);
    let line = setting("run", &format!("max_memory = \"{mebibytes}MiB\""));
    section.failed_with(ITEM, &Failure::config(finding).into(), line);
}
