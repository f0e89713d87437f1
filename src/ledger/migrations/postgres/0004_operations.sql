-- When each job is to run, as its last start knew it: the job file's [schedule] as JSON.
CREATE TABLE jobs (
    job         text PRIMARY KEY,
    schedule    text NOT NULL,
    retired_at  timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- A backfill's runs are for it to go on with, not for the next night.
ALTER TABLE runs ADD COLUMN backfill boolean NOT NULL DEFAULT false;
