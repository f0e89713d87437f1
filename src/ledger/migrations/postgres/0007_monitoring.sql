-- What a run's records and predictions looked like: the shards' profiles, merged, as JSON.
CREATE TABLE profiles (
    run_id   bigint PRIMARY KEY REFERENCES runs (run_id),
    records  bigint NOT NULL,
    profile  text NOT NULL
);

-- How far each column and output of a run was from the bundle's reference when the run ended.
CREATE TABLE drift (
    run_id                        bigint NOT NULL REFERENCES runs (run_id),
    side                          text NOT NULL CHECK (side IN ('input', 'output')),
    name                          text NOT NULL,
    level                         text NOT NULL CHECK (level IN ('none', 'moderate', 'significant')),
    psi                           double precision,
    psi_corrected                 double precision,
    jensen_shannon                double precision,
    kolmogorov_smirnov            double precision,
    wasserstein                   double precision,
    cramers_v                     double precision,
    l_infinity                    double precision,
    missing_share                 double precision,
    reference_missing_share       double precision,
    mean                          double precision,
    reference_mean                double precision,
    standard_deviation            double precision,
    reference_standard_deviation  double precision,
    reasons                       text NOT NULL,
    PRIMARY KEY (run_id, side, name)
);

-- What was true of a record, by whom it is known. A date of '' is every date on which it was scored.
CREATE TABLE ground_truth (
    job           text NOT NULL,
    record_id     text NOT NULL,
    logical_date  text NOT NULL,
    origin        text NOT NULL CHECK (origin IN ('observed', 'correction')),
    label         text,
    value         double precision,
    items         text,
    segment       text,
    delivered_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job, record_id, logical_date, origin)
);

-- How good predictions were, by the ground truth that was there at the time. '' stands for all: dates,
-- segments, classes.
CREATE TABLE evaluations (
    job            text NOT NULL,
    model_name     text NOT NULL,
    model_version  text NOT NULL,
    logical_date   text NOT NULL,
    origin         text NOT NULL CHECK (origin IN ('observed', 'correction')),
    segment        text NOT NULL,
    metric         text NOT NULL,
    class          text NOT NULL,
    value          double precision,
    baseline       double precision,
    records        bigint NOT NULL,
    missing        bigint NOT NULL,
    evaluated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job, model_name, model_version, logical_date, origin, segment, metric, class)
);
