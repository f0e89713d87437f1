-- Whoever inserts queues up behind a lock that waits: better to come back.
SELECT set_config('lock_timeout', '2s', true) AS brief
