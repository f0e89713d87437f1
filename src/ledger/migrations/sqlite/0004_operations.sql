-- When each job is to run, as its last start knew it: the job file's [schedule] as JSON.
CREATE TABLE jobs (
    job         TEXT PRIMARY KEY,
    schedule    TEXT NOT NULL,
    retired_at  TEXT,
    updated_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT, WITHOUT ROWID;

-- A backfill's runs are for it to go on with, not for the next night.
ALTER TABLE runs ADD COLUMN backfill INTEGER NOT NULL DEFAULT 0;
