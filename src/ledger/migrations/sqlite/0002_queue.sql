-- What a shard reads, where ordinals alone do not say it: the source's own format.
ALTER TABLE shards ADD COLUMN input BLOB;

-- `owner` is unique to the process; `alive_until` moves on for as long as it lives.
ALTER TABLE run_attempts ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE run_attempts ADD COLUMN exclusive INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_attempts ADD COLUMN alive_until TEXT NOT NULL DEFAULT '';

-- Records that wait to be scored: `run_id` is null. The run that takes a row marks it.
CREATE TABLE queue (
    queue_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    job          TEXT    NOT NULL,
    record_id    TEXT    NOT NULL,
    payload      TEXT    NOT NULL,
    priority     INTEGER NOT NULL DEFAULT 0,
    enqueued_at  TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    run_id       INTEGER REFERENCES runs (run_id)
) STRICT;

-- A record waits once.
CREATE UNIQUE INDEX queue_pending ON queue (job, record_id) WHERE run_id IS NULL;

CREATE INDEX queue_of_run ON queue (run_id) WHERE run_id IS NOT NULL;
