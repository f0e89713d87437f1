-- Times are UTC in RFC 3339 with milliseconds. Booleans are 0 and 1.

CREATE TABLE runs (
    run_id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job            TEXT    NOT NULL,
    logical_date   TEXT    NOT NULL,
    generation     INTEGER NOT NULL,
    parent_run_id  INTEGER REFERENCES runs (run_id),
    trial          INTEGER NOT NULL DEFAULT 0,
    reason         TEXT,
    fingerprint    TEXT    NOT NULL,
    identity       TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('planning', 'running', 'completed', 'failed', 'cancelled')),
    publication    TEXT    NOT NULL CHECK (publication IN ('pending', 'published', 'withheld')),
    model_name     TEXT    NOT NULL,
    model_version  TEXT    NOT NULL,
    model_digest   TEXT    NOT NULL,
    precision      TEXT    NOT NULL,
    numerics       TEXT    NOT NULL,
    batch_size     INTEGER NOT NULL,
    shard_size     INTEGER NOT NULL,
    planned        INTEGER NOT NULL,
    predicted      INTEGER,
    dead_letters   INTEGER,
    duplicates     INTEGER,
    filtered       INTEGER,
    erased         INTEGER NOT NULL DEFAULT 0,
    output_hash    TEXT,
    exit_code      INTEGER,
    created_at     TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    completed_at   TEXT,
    UNIQUE (job, logical_date, generation)
) STRICT;

-- At most one run of a date is under way; trials and children stand beside it.
CREATE UNIQUE INDEX runs_under_way ON runs (job, logical_date)
    WHERE state IN ('planning', 'running') AND trial = 0 AND parent_run_id IS NULL;

CREATE TABLE run_attempts (
    attempt_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id      INTEGER NOT NULL REFERENCES runs (run_id),
    host        TEXT    NOT NULL,
    pid         INTEGER NOT NULL,
    version     TEXT    NOT NULL,
    started_at  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    ended_at    TEXT,
    exit_code   INTEGER
) STRICT;

CREATE INDEX run_attempts_of_run ON run_attempts (run_id);

-- `duplicates` lists the shard's duplicate records, found while planning: u32 little-endian
-- offsets from first_ordinal. `stats` is JSON, `profile` the monitoring's own format.
CREATE TABLE shards (
    run_id         INTEGER NOT NULL REFERENCES runs (run_id),
    shard_no       INTEGER NOT NULL,
    first_ordinal  INTEGER NOT NULL,
    records        INTEGER NOT NULL,
    duplicates     BLOB,
    state          TEXT    NOT NULL DEFAULT 'available' CHECK (state IN ('available', 'leased', 'completed')),
    epoch          INTEGER NOT NULL DEFAULT 0,
    attempts       INTEGER NOT NULL DEFAULT 0,
    owner          TEXT,
    lease_until    TEXT,
    predicted      INTEGER,
    dead_letters   INTEGER,
    filtered       INTEGER,
    output_hash    TEXT,
    stats          TEXT,
    profile        BLOB,
    completed_at   TEXT,
    PRIMARY KEY (run_id, shard_no)
) STRICT;

CREATE TABLE predictions (
    run_id     INTEGER NOT NULL REFERENCES runs (run_id),
    record_id  TEXT    NOT NULL,
    ordinal    INTEGER NOT NULL,
    label      TEXT,
    score      REAL,
    value      REAL,
    embedding  BLOB,
    output     TEXT,
    PRIMARY KEY (run_id, record_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    run_id     INTEGER NOT NULL REFERENCES runs (run_id),
    ordinal    INTEGER NOT NULL,
    record_id  TEXT,
    stage      TEXT    NOT NULL CHECK (stage IN ('read', 'validate', 'infer')),
    code       TEXT    NOT NULL,
    field      TEXT,
    message    TEXT    NOT NULL,
    PRIMARY KEY (run_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The runs that consumers see. Layer 0 is the date's run; a higher layer (a retried dead letter,
-- a canary) covers the records that it holds.
CREATE TABLE publications (
    job           TEXT    NOT NULL,
    logical_date  TEXT    NOT NULL,
    layer         INTEGER NOT NULL,
    run_id        INTEGER NOT NULL REFERENCES runs (run_id),
    published_at  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (job, logical_date, layer)
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
    run_id              INTEGER PRIMARY KEY REFERENCES runs (run_id),
    job                 TEXT    NOT NULL,
    logical_date        TEXT    NOT NULL,
    verdict             TEXT    NOT NULL,
    exit_code           INTEGER NOT NULL,
    planned             INTEGER NOT NULL,
    predicted           INTEGER NOT NULL,
    dead_letters        INTEGER NOT NULL,
    duplicates          INTEGER NOT NULL,
    filtered            INTEGER NOT NULL,
    duration_seconds    REAL    NOT NULL,
    records_per_second  REAL    NOT NULL,
    peak_memory_bytes   INTEGER,
    report              TEXT    NOT NULL,
    created_at          TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE VIEW predictions_by_date AS
SELECT publication.job, publication.logical_date, prediction.record_id,
       prediction.label, prediction.score, prediction.value, prediction.embedding,
       prediction.output, run.model_version, prediction.run_id
FROM publications AS publication
JOIN runs AS run ON run.run_id = publication.run_id
JOIN predictions AS prediction ON prediction.run_id = publication.run_id
WHERE NOT EXISTS (
    SELECT 1
    FROM publications AS above
    JOIN predictions AS covering
      ON covering.run_id = above.run_id AND covering.record_id = prediction.record_id
    WHERE above.job = publication.job
      AND above.logical_date = publication.logical_date
      AND above.layer > publication.layer
);

CREATE VIEW predictions_latest AS
SELECT by_date.*
FROM predictions_by_date AS by_date
JOIN (
    SELECT job, max(logical_date) AS logical_date FROM publications GROUP BY job
) AS newest
  ON newest.job = by_date.job AND newest.logical_date = by_date.logical_date;
