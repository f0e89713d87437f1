-- When a run's parts were pruned. A run with `pruned_at` is being pruned as a whole.
ALTER TABLE runs ADD COLUMN pruned_at TEXT;
ALTER TABLE runs ADD COLUMN dead_letters_pruned_at TEXT;
ALTER TABLE runs ADD COLUMN profiles_pruned_at TEXT;
ALTER TABLE runs ADD COLUMN report_pruned_at TEXT;

-- A shard's dead letters that were pruned, and how many of them were duplicates; its records that were
-- erased. `dead_letters` counts the pruned ones, no count but `erased` the erased ones.
ALTER TABLE shards ADD COLUMN pruned_dead_letters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shards ADD COLUMN pruned_duplicates INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shards ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;

-- The names of pruned runs are not given out again.
CREATE TABLE pruned_generations (
    job           TEXT    NOT NULL,
    logical_date  TEXT    NOT NULL,
    generation    INTEGER NOT NULL,
    PRIMARY KEY (job, logical_date)
) STRICT, WITHOUT ROWID;

-- Proof of erasure: `token` is the erased id under the key of whoever erased it. A tombstone stays when
-- its run is pruned. `ordinal` is that of a prediction or dead letter; elsewhere there is none.
CREATE TABLE tombstones (
    tombstone_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    token         TEXT NOT NULL,
    place         TEXT NOT NULL CHECK (place IN ('prediction', 'dead_letter', 'queue', 'input')),
    run_id        INTEGER,
    ordinal       INTEGER,
    erased_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    UNIQUE (run_id, ordinal)
) STRICT;

CREATE INDEX tombstones_of_token ON tombstones (token);
