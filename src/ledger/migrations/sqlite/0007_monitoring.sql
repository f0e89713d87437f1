-- What a run's records and predictions looked like: the shards' profiles, merged, as JSON.
CREATE TABLE profiles (
    run_id   INTEGER PRIMARY KEY REFERENCES runs (run_id),
    records  INTEGER NOT NULL,
    profile  TEXT NOT NULL
);

-- How far each column and output of a run was from the bundle's reference when the run ended.
CREATE TABLE drift (
    run_id                        INTEGER NOT NULL REFERENCES runs (run_id),
    side                          TEXT NOT NULL CHECK (side IN ('input', 'output')),
    name                          TEXT NOT NULL,
    level                         TEXT NOT NULL CHECK (level IN ('none', 'moderate', 'significant')),
    psi                           REAL,
    psi_corrected                 REAL,
    jensen_shannon                REAL,
    kolmogorov_smirnov            REAL,
    wasserstein                   REAL,
    cramers_v                     REAL,
    l_infinity                    REAL,
    missing_share                 REAL,
    reference_missing_share       REAL,
    mean                          REAL,
    reference_mean                REAL,
    standard_deviation            REAL,
    reference_standard_deviation  REAL,
    reasons                       TEXT NOT NULL,
    PRIMARY KEY (run_id, side, name)
);

-- What was true of a record, by whom it is known. A date of '' is every date on which it was scored.
CREATE TABLE ground_truth (
    job           TEXT NOT NULL,
    record_id     TEXT NOT NULL,
    logical_date  TEXT NOT NULL,
    origin        TEXT NOT NULL CHECK (origin IN ('observed', 'correction')),
    label         TEXT,
    value         REAL,
    items         TEXT,
    segment       TEXT,
    delivered_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (job, record_id, logical_date, origin)
);

-- How good predictions were, by the ground truth that was there at the time. '' stands for all: dates,
-- segments, classes.
CREATE TABLE evaluations (
    job            TEXT NOT NULL,
    model_name     TEXT NOT NULL,
    model_version  TEXT NOT NULL,
    logical_date   TEXT NOT NULL,
    origin         TEXT NOT NULL CHECK (origin IN ('observed', 'correction')),
    segment        TEXT NOT NULL,
    metric         TEXT NOT NULL,
    class          TEXT NOT NULL,
    value          REAL,
    baseline       REAL,
    records        INTEGER NOT NULL,
    missing        INTEGER NOT NULL,
    evaluated_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (job, model_name, model_version, logical_date, origin, segment, metric, class)
);
