-- What is owed to the outside: messages of alerts, by the rule and the way in which it is told. The message
-- holds no value of a record, and neither it nor the error holds the address of the receiver.
CREATE TABLE outbox (
    outbox_id     INTEGER PRIMARY KEY,
    run_id        INTEGER NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    job           TEXT NOT NULL,
    rule          TEXT NOT NULL,
    action        TEXT NOT NULL CHECK (action IN ('webhook', 'exec')),
    message_id    TEXT NOT NULL,
    message       TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'expired')),
    attempts      INTEGER NOT NULL DEFAULT 0,
    last_error    TEXT,
    owner         TEXT,
    lease_until   TEXT,
    created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    delivered_at  TEXT,
    UNIQUE (run_id, rule, action)
) STRICT;

CREATE INDEX outbox_pending ON outbox (job, outbox_id) WHERE state = 'pending';

-- What a run cost, so that a month's costs are known without its reports.
ALTER TABLE reports ADD COLUMN cost REAL;
ALTER TABLE reports ADD COLUMN currency TEXT;
